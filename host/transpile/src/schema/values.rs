//! Schemas as values, and values as JSON spells them.

use std::borrow::Cow;

use oxc::ast::ast::{Expression, PropertyKey, TSEnumDeclaration, TSLiteral, UnaryOperator};
use serde_json::{Value, json};

/// The key under which a schema says that its values are functions or symbols, which JSON has not.
const FUNCTION: &str = "\0function";

/// The schema of functions and symbols.
pub(super) fn function() -> Value {
    json!({FUNCTION: true})
}

/// Whether a schema is one of functions or symbols.
pub(super) fn is_function(schema: &Value) -> bool {
    schema.get(FUNCTION).is_some()
}

/// Whether a schema marks something as secret.
pub(super) fn has_secret(schema: &Value) -> bool {
    match schema {
        Value::Object(entries) => entries.contains_key("ifc") || entries.values().any(has_secret),
        Value::Array(items) => items.iter().any(has_secret),
        _ => false,
    }
}

/// What a value costs of [`MAX_NODES`](super::MAX_NODES).
pub(crate) fn cost(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len() / 32,
        Value::Array(items) => 1 + items.iter().map(cost).sum::<usize>(),
        Value::Object(entries) => 1 + entries.iter().map(|(key, value)| key.len() / 32 + cost(value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

pub(super) fn key_name(key: &PropertyKey<'_>) -> Option<String> {
    key.static_name().map(Cow::into_owned)
}

pub(super) fn literal_value(literal: &TSLiteral<'_>) -> Option<Value> {
    match literal {
        TSLiteral::BooleanLiteral(literal) => Some(literal.value.into()),
        TSLiteral::NumericLiteral(literal) => number(literal.value),
        TSLiteral::StringLiteral(literal) => Some(literal.value.as_str().into()),
        TSLiteral::UnaryExpression(unary) if unary.operator == UnaryOperator::UnaryNegation => match &unary.argument {
            Expression::NumericLiteral(literal) => number(-literal.value),
            _ => None,
        },
        _ => None,
    }
}

/// A number as JSON spells it: `1`, not `1.0`.
pub(super) fn number(value: f64) -> Option<Value> {
    // 2^53: up to there every integer is a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT && !(value == 0.0 && value.is_sign_negative()) {
        #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 53 bits")]
        return Some((value as i64).into());
    }
    serde_json::Number::from_f64(value).map(Value::Number)
}

pub(super) fn enum_schema(declaration: &TSEnumDeclaration<'_>) -> Value {
    let mut kinds: Vec<_> =
        declaration.body.members.iter().map(|member| kind_of(member.initializer.as_ref())).collect();
    kinds.dedup();
    match kinds[..] {
        [Some(only)] => json!({"type": only}),
        _ => json!({"type": ["number", "string"]}),
    }
}

/// What kind of value a member of an enum has that begins with this, if that is known.
fn kind_of(initializer: Option<&Expression<'_>>) -> Option<&'static str> {
    match initializer {
        Some(Expression::StringLiteral(_) | Expression::TemplateLiteral(_)) => Some("string"),
        None | Some(Expression::NumericLiteral(_) | Expression::UnaryExpression(_)) => Some("number"),
        _ => None,
    }
}

/// Adds the properties of `from` to `into`; false if one of them is not a plain object.
pub(super) fn merge_objects(into: &mut Value, from: Value) -> bool {
    let Value::Object(from) = from else { return false };
    let Some(into) = into.as_object_mut() else { return false };
    if from.get("type").and_then(Value::as_str) != Some("object")
        || into.get("type").and_then(Value::as_str) != Some("object")
    {
        return false;
    }
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(have)), Value::Object(more)) if key == "properties" => have.extend(more),
            (Some(Value::Array(have)), Value::Array(more)) if key == "required" => {
                for name in more {
                    if !have.contains(&name) {
                        have.push(name);
                    }
                }
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
    true
}

/// Keeps (or drops) the properties that `keys`, the schema of a union of string literals, names.
pub(super) fn retain_properties(schema: &mut Value, keys: &Value, keep: bool) {
    let named = |name: &str| {
        keys.get("const").and_then(Value::as_str) == Some(name)
            || keys.get("enum").and_then(Value::as_array).is_some_and(|values| values.iter().any(|value| value == name))
    };
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| named(name) == keep);
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name.as_str().is_some_and(|name| named(name) == keep));
    }
}
