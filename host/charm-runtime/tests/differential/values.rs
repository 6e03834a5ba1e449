//! Values, as the functions that are in every generated charm make them.

use serde_json::{Value, json};

use crate::program::{Fun, Step};

/// What an error is in the model: which one does not matter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Thrown;

pub(crate) const MODULUS: i64 = 1_000_003;

pub(crate) fn sum(value: &Value) -> i64 {
    fn total(value: &Value) -> i64 {
        match value {
            Value::Number(number) => number.as_i64().expect("programs make whole numbers only"),
            Value::Array(items) => items.iter().map(total).sum(),
            Value::Object(members) => members.values().map(total).sum(),
            _ => 0,
        }
    }
    total(value) % MODULUS
}

fn canon(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(canon).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| key.as_str());
            let members: Vec<_> = members.iter().map(|(key, part)| format!("{}:{}", json!(key), canon(part))).collect();
            format!("{{{}}}", members.join(","))
        }
        value => value.to_string(),
    }
}

/// What a function makes of a value, or of none.
pub(crate) fn call(fun: Fun, given: Option<Value>) -> Result<Option<Value>, Thrown> {
    let value = given.clone().unwrap_or_default();
    Ok(Some(match fun {
        Fun::Same => return Ok(given),
        Fun::Wrap => match given {
            Some(value) => json!({"was": value, "n": 1}),
            None => json!({"n": 1}),
        },
        Fun::Kind => json!(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }),
        Fun::Size => json!(match &value {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        }),
        Fun::Strict if sum(&value) > 300 => return Err(Thrown),
        Fun::Sum | Fun::Strict => json!(sum(&value)),
        Fun::Canon => {
            let text = canon(&value);
            let length = text.chars().count();
            Value::String(if length > 60 { format!("long {length}") } else { text })
        }
        Fun::First => match value {
            Value::Array(items) => items.into_iter().next().unwrap_or_default(),
            Value::Object(mut members) => members.remove("n").unwrap_or_default(),
            value => value,
        },
    }))
}

/// The value, or 0 in place of a large one.
pub(crate) fn small(value: Option<Value>) -> Option<Value> {
    let fits = |value: &Value| value.to_string().encode_utf16().count() <= 400;
    value.map(|value| if fits(&value) { value } else { json!(0) })
}

pub(crate) fn is_true(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(truth)) => *truth,
        Some(Value::Number(number)) => number.as_i64() != Some(0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

/// What is at a key of a value.
pub(crate) fn at<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match (value, step) {
        (Value::Object(members), step) => members.get(&step.text()),
        (Value::Array(items), Step::Index(index)) => items.get(*index),
        _ => None,
    }
}

/// Puts a value at a path, or takes away what is there. What is missing on the way is made: arrays where an index leads
/// on, objects elsewhere.
pub(crate) fn put(root: &mut Option<Value>, path: &[Step], value: Option<Value>) -> Result<(), Thrown> {
    let Some((last, way)) = path.split_last() else {
        *root = Some(value.unwrap_or_default());
        return Ok(());
    };
    let mut place = root.get_or_insert_default();
    for step in way {
        place = slot(place, step)?;
    }
    match (value, &mut *place, last) {
        (None, Value::Array(items), Step::Index(index)) => {
            if let Some(item) = items.get_mut(*index) {
                *item = Value::Null;
            }
        }
        (value, place, last) => {
            let removed = value.is_none();
            *slot(place, last)? = value.unwrap_or_default();
            if removed && let Value::Object(members) = place {
                members.remove(&last.text());
            } else if removed && let Value::Array(items) = place {
                items.clear();
            }
        }
    }
    Ok(())
}

/// Where a key leads, made if it is missing.
fn slot<'v>(place: &'v mut Value, step: &Step) -> Result<&'v mut Value, Thrown> {
    if !place.is_object() && !place.is_array() {
        *place = if matches!(step, Step::Index(_)) { json!([]) } else { json!({}) };
    }
    match (place, step) {
        (Value::Array(items), Step::Index(index)) => {
            items.resize((*index + 1).max(items.len()), Value::Null);
            Ok(&mut items[*index])
        }
        (Value::Object(members), step) => Ok(members.entry(step.text()).or_insert(Value::Null)),
        _ => Err(Thrown),
    }
}

/// The array at a path, made if nothing is there.
pub(crate) fn array<'v>(root: &'v mut Option<Value>, path: &[Step]) -> Result<&'v mut Vec<Value>, Thrown> {
    let mut place = root.get_or_insert_default();
    for step in path {
        place = slot(place, step)?;
    }
    if place.is_null() {
        *place = json!([]);
    }
    place.as_array_mut().ok_or(Thrown)
}
