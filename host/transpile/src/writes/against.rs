//! What is known of a value, against a schema.

use std::fmt::Write as _;
use std::rc::Rc;

use oxc::span::Span;
use serde_json::{Map, Value, json};

use super::budget::Budget;
use super::shapes::{Kind, Shape};
use crate::schema::cost;

/// What a schema may say for it to be understood. One that says more is taken to allow everything.
const UNDERSTOOD: [&str; 13] = [
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "ifc",
    "items",
    "oneOf",
    "prefixItems",
    "properties",
    "required",
    "type",
];

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

/// The schemas of which a value has to meet one; none if anything goes.
fn alternatives(schema: &Value) -> Option<Vec<&Map<String, Value>>> {
    let schema = schema.as_object()?;
    if schema.keys().any(|key| !UNDERSTOOD.contains(&key.as_str())) {
        return None;
    }
    let says = |key: &str| schema.contains_key(key);
    match (schema.get("anyOf"), schema.get("oneOf")) {
        (Some(Value::Array(parts)), None) | (None, Some(Value::Array(parts))) if !says("type") => {
            let parts: Option<Vec<_>> = parts.iter().map(alternatives).collect();
            parts.map(|parts| parts.concat())
        }
        (None, None) if says("type") || says("const") || says("enum") => Some(vec![schema]),
        _ => None,
    }
}

/// The same, as long as the budget lasts.
fn within<'s>(schema: &'s Value, budget: &Budget) -> Option<Vec<&'s Map<String, Value>>> {
    let alternatives = if budget.spend(1) { alternatives(schema)? } else { return None };
    budget.spend(alternatives.len()).then_some(alternatives)
}

fn accepts(schema: &Map<String, Value>, kind: Kind, value: Option<&Value>) -> bool {
    let is = |one: &Value| Kind::of(one) == kind && value.is_none_or(|value| same(one, value));
    if let Some(only) = schema.get("const") {
        return is(only);
    }
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        return all.iter().any(is);
    }
    match schema.get("type") {
        Some(Value::String(name)) => Kind::named(name) == Some(kind),
        Some(Value::Array(names)) => names.iter().any(|name| name.as_str().and_then(Kind::named) == Some(kind)),
        _ => true,
    }
}

/// Whether two values are the same; what objects and arrays hold is not looked at.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(_) | Value::Object(_), _) => true,
        _ => one == other,
    }
}

/// The kinds that values of a schema may have, if it says that.
pub(super) fn kinds(schema: &Value, budget: &Budget) -> Option<Vec<Kind>> {
    let alternatives = within(schema, budget)?;
    Some(Kind::ALL.into_iter().filter(|kind| alternatives.iter().any(|one| accepts(one, *kind, None))).collect())
}

/// The schema of what is at a key of a value, or at an index; null if that is not known.
pub(super) fn at_key(schema: &Value, key: &str, budget: &Budget) -> Rc<Value> {
    let index: Option<usize> = key.parse().ok();
    let kinds = if index.is_some() { &[Kind::Array, Kind::Object][..] } else { &[Kind::Object] };
    parts(schema, kinds, budget, |one| {
        if let (true, Some(index)) = (accepts(one, Kind::Array, None), index) {
            return one.get("prefixItems").and_then(|items| items.get(index)).or_else(|| one.get("items"));
        }
        let own = one.get("properties").and_then(|properties| properties.get(key));
        own.or_else(|| one.get("additionalProperties"))
    })
}

/// The schema of an array's items: null if it is not known, `None` if the value is not an array.
pub(super) fn items_of(schema: &Value, budget: &Budget) -> Option<Rc<Value>> {
    if kinds(schema, budget).is_some_and(|kinds| !kinds.contains(&Kind::Array)) {
        return None;
    }
    Some(parts(schema, &[Kind::Array], budget, |one| one.get("items").filter(|_| !one.contains_key("prefixItems"))))
}

/// What the alternatives of these kinds say of a part.
fn parts<'s>(
    schema: &'s Value,
    kinds: &[Kind],
    budget: &Budget,
    part: impl Fn(&'s Map<String, Value>) -> Option<&'s Value>,
) -> Rc<Value> {
    let Some(alternatives) = within(schema, budget) else { return Rc::default() };
    let of_kind = |one: &&Map<String, Value>| kinds.iter().any(|kind| accepts(one, *kind, None));
    let found: Option<Vec<_>> = alternatives.into_iter().filter(of_kind).map(part).collect();
    if !budget.spend(found.iter().flatten().copied().map(cost).sum()) {
        return Rc::default();
    }
    match found.as_deref() {
        None | Some([]) => Rc::default(),
        Some([one]) => Rc::new((*one).clone()),
        Some(several) => Rc::new(json!({ "anyOf": several })),
    }
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
