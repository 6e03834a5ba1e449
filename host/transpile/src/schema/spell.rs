//! Schemas as expressions of JavaScript.

use oxc::allocator::ArenaVec;
use oxc::ast::ast::{ArrayExpressionElement, Expression, ObjectPropertyKind, PropertyKey, PropertyKind};
use oxc::ast::builder::AstBuilder;
use oxc::span::SPAN;
use oxc::str::Str;
use oxc::syntax::number::NumberBase;
use oxc::syntax::operator::UnaryOperator;
use serde_json::{Number, Value};

/// The key under which a schema names a constant of the file that is a schema itself, as `Schema<typeof Name>` does.
pub(super) const CONSTANT: &str = "\0constant";

/// A schema as an expression.
pub(crate) fn spell<'a>(value: &Value, build: &AstBuilder<'a>) -> Expression<'a> {
    match value {
        Value::Null => Expression::new_null_literal(SPAN, build),
        Value::Bool(value) => Expression::new_boolean_literal(SPAN, *value, build),
        Value::Number(value) => number(value, build),
        Value::String(text) => Expression::new_string_literal(SPAN, Str::from_str_in(text, build), None, build),
        Value::Array(items) => {
            let items = items.iter().map(|item| ArrayExpressionElement::from(spell(item, build)));
            Expression::new_array_expression(SPAN, ArenaVec::from_iter_in(items, build), build)
        }
        Value::Object(entries) => {
            let properties = entries.iter().map(|(key, item)| match item {
                Value::String(constant) if key == CONSTANT => {
                    let constant = Expression::new_identifier(SPAN, Str::from_str_in(constant, build), build);
                    ObjectPropertyKind::new_spread_property(SPAN, constant, build)
                }
                item => {
                    let key = PropertyKey::from(Expression::new_string_literal(
                        SPAN,
                        Str::from_str_in(key, build),
                        None,
                        build,
                    ));
                    let (kind, value) = (PropertyKind::Init, spell(item, build));
                    ObjectPropertyKind::new_object_property(SPAN, kind, key, value, false, false, false, build)
                }
            });
            Expression::new_object_expression(SPAN, ArenaVec::from_iter_in(properties, build), build)
        }
    }
}

fn number<'a>(value: &Number, build: &AstBuilder<'a>) -> Expression<'a> {
    let value = value.as_f64().unwrap_or_default();
    let magnitude = Expression::new_numeric_literal(SPAN, value.abs(), None, NumberBase::Decimal, build);
    if value.is_sign_negative() {
        return Expression::new_unary_expression(SPAN, UnaryOperator::UnaryNegation, magnitude, build);
    }
    magnitude
}

/// How long a schema is as a text.
pub(crate) fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| length(item) + 2).sum::<usize>(),
        Value::Object(entries) => 2 + entries.iter().map(|(key, item)| key.len() + length(item) + 6).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
    }
}
