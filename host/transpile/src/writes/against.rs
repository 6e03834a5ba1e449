//! What is known of a value, against a schema.

use std::fmt::Write as _;

use oxc::span::Span;
use serde_json::{Map, Value};

use super::budget::Budget;
use super::kind::Kind;
use super::schemas::{accepts, alternatives, at_key, kinds, within};
use super::shape::Shape;

/// How much of a type a warning repeats, in characters.
const MAX_TYPE: usize = 80;

/// A part of a value that its type does not allow.
#[derive(Debug)]
pub(super) struct Contradiction {
    pub(super) at: Span,
    /// Where it is in the value: `.user[0]`.
    pub(super) path: String,
    pub(super) written: String,
    pub(super) declared: String,
    /// The method that returned it.
    pub(super) by: Option<&'static str>,
}

/// The part of a value that contradicts a schema, if it is known that one does. The value is at that place of the
/// source.
pub(super) fn against(shape: &Shape, schema: &Value, at: Span, budget: &Budget) -> Option<Contradiction> {
    let alternatives = within(schema, budget)?;
    let contradiction =
        |written: String, by| Some(Contradiction { at, path: String::new(), written, declared: spell(schema), by });
    let refuses = |kind: Kind| !alternatives.iter().any(|one| accepts(one, kind, None));
    match shape {
        Shape::Unknown | Shape::Cell(_) => None,
        Shape::Either(parts) => parts.iter().find_map(|(at, part)| against(part, schema, *at, budget)),
        Shape::Is { kind, value, by } => {
            if alternatives.iter().any(|one| accepts(one, *kind, value.as_deref())) {
                return None;
            }
            let other = if refuses(*kind) { kind.article() } else { format!("another {}", kind.name()) };
            contradiction(by.map_or(other.clone(), |by| format!("{other} (what `{by}` returns)")), *by)
        }
        Shape::Of(of) => {
            let kinds = kinds(of, budget)?;
            if kinds.is_empty() || !kinds.iter().all(|kind| refuses(*kind)) {
                return None;
            }
            let written: Vec<_> = kinds.iter().map(|kind| kind.article()).collect();
            contradiction(written.join(" or "), None)
        }
        Shape::Array(_) if refuses(Kind::Array) => contradiction(Kind::Array.article(), None),
        Shape::Array(items) => items.iter().enumerate().find_map(|(index, (at, item))| {
            let schema = at_key(schema, &index.to_string(), budget);
            below(against(item, &schema, *at, budget), &format!("[{index}]"))
        }),
        Shape::Object(_) if refuses(Kind::Object) => contradiction(Kind::Object.article(), None),
        Shape::Object(parts) => parts.iter().find_map(|(key, at, part)| {
            let schema = at_key(schema, key, budget);
            below(against(part, &schema, *at, budget), &format!(".{key}"))
        }),
    }
}

fn below(found: Option<Contradiction>, step: &str) -> Option<Contradiction> {
    found.map(|found| Contradiction { path: format!("{step}{}", found.path), ..found })
}

/// A schema as TypeScript spells types.
pub(super) fn spell(schema: &Value) -> String {
    let mut text = String::new();
    spell_into(&mut text, schema, 0);
    match text.char_indices().nth(MAX_TYPE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn spell_into(text: &mut String, schema: &Value, depth: usize) {
    if text.len() > 8 * MAX_TYPE {
        return;
    }
    let Some(alternatives) = alternatives(schema) else { return text.push_str("unknown") };
    for (index, one) in alternatives.iter().enumerate() {
        text.push_str(if index > 0 { " | " } else { "" });
        spell_one(text, one, depth);
    }
}

fn spell_one(text: &mut String, schema: &Map<String, Value>, depth: usize) {
    let written = |text: &mut String, value: &Value| write!(text, "{value}").expect("a text takes everything");
    if let Some(only) = schema.get("const") {
        return written(text, only);
    }
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        for (index, one) in all.iter().take(MAX_TYPE).enumerate() {
            text.push_str(if index > 0 { " | " } else { "" });
            written(text, one);
        }
        return;
    }
    let name = |text: &mut String, name: &Value| text.push_str(name.as_str().unwrap_or("unknown"));
    match schema.get("type") {
        Some(Value::String(of)) if of == "array" && depth < 4 => {
            if let Some(items) = schema.get("prefixItems").and_then(Value::as_array) {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index > 0 { ", " } else { "" });
                    spell_into(text, item, depth + 1);
                }
                return text.push(']');
            }
            let mut items = String::new();
            spell_into(&mut items, schema.get("items").unwrap_or(&Value::Null), depth + 1);
            let is_union = items.contains(" | ") && !items.starts_with('{');
            let [open, close] = if is_union { ["(", ")[]"] } else { ["", "[]"] };
            text.extend([open, &items, close]);
        }
        Some(Value::String(of)) if of == "object" && depth < 4 => spell_object(text, schema, depth),
        Some(Value::Array(names)) => {
            for (index, one) in names.iter().enumerate() {
                text.push_str(if index > 0 { " | " } else { "" });
                name(text, one);
            }
        }
        of => name(text, of.unwrap_or(&Value::Null)),
    }
}

fn spell_object(text: &mut String, schema: &Map<String, Value>, depth: usize) {
    let properties = schema.get("properties").and_then(Value::as_object).filter(|properties| !properties.is_empty());
    match (properties, schema.get("additionalProperties")) {
        (Some(properties), _) => {
            for (index, (key, part)) in properties.iter().enumerate() {
                text.push_str(if index > 0 { "; " } else { "{ " });
                text.push_str(key);
                text.push_str(": ");
                spell_into(text, part, depth + 1);
            }
            text.push_str(" }");
        }
        (None, Some(part)) => {
            text.push_str("Record<string, ");
            spell_into(text, part, depth + 1);
            text.push('>');
        }
        (None, None) => text.push_str("object"),
    }
}
