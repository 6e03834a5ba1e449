//! Types of which a value has all parts.

use serde_json::{Map, Value, json};

use super::marks::secret;
use super::values::{has_secret, is_function, merge_objects};

/// The schema of values that fit both; none if there can be no such value, or it is not known.
pub(super) fn intersect(one: Value, other: Value) -> Option<Value> {
    let is_marked = has_secret(&one) || has_secret(&other);
    let both = intersect_shapes(one, other)?;
    Some(if is_marked && !has_secret(&both) { secret(both) } else { both })
}

fn intersect_shapes(mut one: Value, mut other: Value) -> Option<Value> {
    // Functions are no part of what is stored.
    if is_function(&one) || is_open(&one) {
        return Some(other);
    }
    if is_function(&other) || is_open(&other) {
        return Some(one);
    }
    // `Cell<T> & { more(): void }`: methods that a cell has.
    for mark in ["asCell", "asStream"] {
        match (one.get(mark).is_some(), other.get(mark).is_some()) {
            (true, false) => return Some(one),
            (false, true) => return Some(other),
            (true, true) => {
                take(&mut one, mark);
                take(&mut other, mark);
                let mut both = intersect_shapes(one, other)?;
                both.as_object_mut()?.insert(mark.into(), true.into());
                return Some(both);
            }
            (false, false) => {}
        }
    }
    if one.get("anyOf").is_some() {
        return alternatives(one, &other);
    }
    if other.get("anyOf").is_some() {
        return alternatives(other, &one);
    }
    match (kind(&one), kind(&other)) {
        (Some("object"), Some("object")) => merge_objects(&mut one, other).then_some(one),
        // A brand: `string & { readonly brand: unique symbol }`.
        (Some(_), Some("object")) => Some(one),
        (Some("object"), Some(_)) => Some(other),
        (Some(left), Some(right)) if left == right => {
            Some(if other.get("const").is_some() || other.get("enum").is_some() { other } else { one })
        }
        _ => None,
    }
}

/// What each alternative has in common with `other`.
fn alternatives(mut union: Value, other: &Value) -> Option<Value> {
    let parts = take(&mut union, "anyOf")?;
    let parts = parts.as_array()?.iter().filter_map(|part| intersect(part.clone(), other.clone()));
    let mut parts: Vec<Value> = parts.collect();
    let mut both = match parts.len() {
        0 => return None,
        1 => parts.remove(0),
        _ => json!({"anyOf": parts}),
    };
    // What the union has beside: a default.
    both.as_object_mut()?.append(union.as_object_mut()?);
    Some(both)
}

fn take(schema: &mut Value, key: &str) -> Option<Value> {
    schema.as_object_mut()?.remove(key)
}

pub(super) fn is_open(schema: &Value) -> bool {
    schema.as_object().is_some_and(Map::is_empty)
}

/// The JSON type of a schema's values, if they are all of one.
pub(super) fn kind(schema: &Value) -> Option<&'static str> {
    let of_value = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if let Some(value) = schema.get("const") {
        return Some(of_value(value));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let first = of_value(values.first()?);
        return values.iter().all(|value| of_value(value) == first).then_some(first);
    }
    let kind = schema.get("type")?.as_str()?;
    ["null", "boolean", "number", "string", "array", "object"].into_iter().find(|known| *known == kind)
}
