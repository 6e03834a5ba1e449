//! What a schema allows, as far as it is understood.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::budget::Budget;
use super::kind::Kind;
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

/// The schemas of which a value has to meet one; none if anything goes.
pub(super) fn alternatives(schema: &Value) -> Option<Vec<&Map<String, Value>>> {
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
pub(super) fn within<'s>(schema: &'s Value, budget: &Budget) -> Option<Vec<&'s Map<String, Value>>> {
    let alternatives = if budget.spend(1) { alternatives(schema)? } else { return None };
    budget.spend(alternatives.len()).then_some(alternatives)
}

pub(super) fn accepts(schema: &Map<String, Value>, kind: Kind, value: Option<&Value>) -> bool {
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
