//! Constants of the charm's files, as types speak of them: `typeof LEVELS`, and `Default<typeof START>`.

use oxc::ast::ast::{
    ArrayExpressionElement, CallExpression, Expression, ObjectPropertyKind, TSType, TSTypeName, TSTypeQuery,
    TSTypeQueryExprName, UnaryOperator,
};
use serde_json::{Map, Value, json};

use super::declared::constant;
use super::intersection::is_open;
use super::values::{function, key_name, number};
use super::{Bindings, Converted, Types, Unfolding, union_of};

/// How deep constants are read.
const MAX_DEPTH: usize = 32;

/// How much of constants one default may be made of, in values.
const MAX_VALUES: usize = 10_000;

/// A reader of constants' values.
pub(super) struct Reader {
    depth: usize,
    left: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self { depth: 0, left: MAX_VALUES }
    }
}

impl Reader {
    /// Reads one more value, within those that are being read.
    pub(super) fn within(&mut self, read: impl FnOnce(&mut Self) -> Option<Value>) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }
}

impl<'a> Types<'a> {
    /// The value of the constant that `typeof NAME`, or `typeof NAME.key`, is about.
    pub(super) fn value_of_query(&self, file: usize, query: &TSTypeQuery<'a>, reader: &mut Reader) -> Option<Value> {
        self.value_of_name(file, query.expr_name.as_ts_type_name()?, reader)
    }

    fn value_of_name(&self, file: usize, name: &TSTypeName<'a>, reader: &mut Reader) -> Option<Value> {
        match name {
            TSTypeName::IdentifierReference(name) => self.value_of_constant(file, name.name.as_str(), reader),
            TSTypeName::QualifiedName(name) => {
                self.value_of_name(file, &name.left, reader)?.get(name.right.name.as_str()).cloned()
            }
            TSTypeName::ThisExpression(_) => None,
        }
    }

    fn value_of_constant(&self, file: usize, name: &'a str, reader: &mut Reader) -> Option<Value> {
        let (file, variable) = constant(&self.files, file, name)?;
        self.expression_value(file, variable.init.as_ref()?, reader)
    }

    /// The value of an expression of literals and constants.
    pub(super) fn expression_value(
        &self,
        file: usize,
        expression: &Expression<'a>,
        reader: &mut Reader,
    ) -> Option<Value> {
        reader.within(|reader| self.value_within(file, expression, reader))
    }

    fn value_within(&self, file: usize, expression: &Expression<'a>, reader: &mut Reader) -> Option<Value> {
        match expression.get_inner_expression() {
            Expression::StringLiteral(text) => Some(text.value.as_str().into()),
            Expression::NumericLiteral(one) => number(one.value),
            Expression::BooleanLiteral(one) => Some(one.value.into()),
            Expression::NullLiteral(_) => Some(Value::Null),
            Expression::TemplateLiteral(template) => Some(template.single_quasi()?.as_str().into()),
            Expression::UnaryExpression(unary) => {
                let value = self.expression_value(file, &unary.argument, reader)?;
                match unary.operator {
                    UnaryOperator::UnaryNegation => number(-value.as_f64()?),
                    UnaryOperator::UnaryPlus => value.is_number().then_some(value),
                    UnaryOperator::LogicalNot => Some((!is_truthy(&value)).into()),
                    _ => None,
                }
            }
            Expression::ArrayExpression(array) => {
                let mut items = Vec::new();
                for element in &array.elements {
                    match element {
                        ArrayExpressionElement::SpreadElement(spread) => {
                            let more = self.expression_value(file, &spread.argument, reader)?;
                            items.extend(more.as_array()?.iter().cloned());
                        }
                        element => items.push(self.expression_value(file, element.as_expression()?, reader)?),
                    }
                }
                Some(items.into())
            }
            Expression::ObjectExpression(object) => {
                let mut entries = Map::new();
                for property in &object.properties {
                    match property {
                        ObjectPropertyKind::SpreadProperty(spread) => {
                            let more = self.expression_value(file, &spread.argument, reader)?;
                            entries.extend(more.as_object()?.clone());
                        }
                        ObjectPropertyKind::ObjectProperty(property) => {
                            let key = key_name(&property.key).filter(|key| key != "__proto__")?;
                            // JSON has no `undefined`: such a key is not there.
                            if property.value.is_undefined() {
                                continue;
                            }
                            entries.insert(key, self.expression_value(file, &property.value, reader)?);
                        }
                    }
                }
                Some(entries.into())
            }
            Expression::CallExpression(call) => self.expression_value(file, data_of(call)?, reader),
            Expression::Identifier(name) => self.value_of_constant(file, name.name.as_str(), reader),
            Expression::StaticMemberExpression(member) => {
                let whole = self.expression_value(file, &member.object, reader)?;
                whole.get(member.property.name.as_str()).cloned()
            }
            _ => None,
        }
    }

    /// `typeof NAME` as a type.
    pub(super) fn query(
        &self,
        query: &TSTypeQuery<'a>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        match &query.expr_name {
            TSTypeQueryExprName::TSImportType(import) => {
                unfolding.unsupported(import.span, "the type `import(…)` is not understood here")
            }
            name => match name.as_ts_type_name() {
                Some(name) => self.type_of_name(name, bound, unfolding),
                None => Ok(json!({})),
            },
        }
    }

    fn type_of_name(&self, name: &TSTypeName<'a>, bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Converted {
        match name {
            TSTypeName::IdentifierReference(name) => self.type_of_constant(name.name.as_str(), bound, unfolding),
            TSTypeName::QualifiedName(name) => {
                let whole = self.type_of_name(&name.left, bound, unfolding)?;
                let part = whole.get("properties").and_then(|parts| parts.get(name.right.name.as_str()));
                Ok(part.cloned().unwrap_or_else(|| json!({})))
            }
            TSTypeName::ThisExpression(_) => Ok(json!({})),
        }
    }

    fn type_of_constant(&self, name: &'a str, bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Converted {
        // What is made by a call, or what a module has, is not a value that a cell holds.
        let Some((file, variable)) = constant(&self.files, unfolding.file, name) else { return Ok(json!({})) };
        let before = std::mem::replace(&mut unfolding.file, file);
        let schema = match (&variable.type_annotation, &variable.init) {
            (Some(annotation), _) => self.convert(&annotation.type_annotation, bound, unfolding),
            (None, Some(init)) => self.type_of(init, false, bound, unfolding),
            (None, None) => Ok(json!({})),
        };
        unfolding.file = before;
        schema
    }

    /// The type of an expression; `exact` within `as const`.
    fn type_of(
        &self,
        expression: &Expression<'a>,
        exact: bool,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        unfolding.deeper(|unfolding| self.type_within(expression, exact, bound, unfolding))
    }

    fn type_within(
        &self,
        expression: &Expression<'a>,
        exact: bool,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        Ok(match expression {
            Expression::ParenthesizedExpression(inner) => self.type_of(&inner.expression, exact, bound, unfolding)?,
            Expression::TSSatisfiesExpression(inner) => self.type_of(&inner.expression, exact, bound, unfolding)?,
            Expression::TSNonNullExpression(inner) => self.type_of(&inner.expression, exact, bound, unfolding)?,
            Expression::TSAsExpression(cast) => match &cast.type_annotation {
                TSType::TSTypeReference(reference) if reference.type_name.is_const() => {
                    self.type_of(&cast.expression, true, bound, unfolding)?
                }
                ty => self.convert(ty, bound, unfolding)?,
            },
            Expression::ArrayExpression(array) => {
                let mut items = Vec::new();
                for element in &array.elements {
                    match element {
                        ArrayExpressionElement::SpreadElement(spread) => {
                            let more = self.type_of(&spread.argument, exact, bound, unfolding)?;
                            items.extend(
                                more.get("prefixItems").and_then(Value::as_array).into_iter().flatten().cloned(),
                            );
                            items.extend(more.get("items").cloned());
                        }
                        element => items.push(match element.as_expression() {
                            Some(item) => self.type_of(item, exact, bound, unfolding)?,
                            None => json!({}),
                        }),
                    }
                }
                if exact {
                    json!({"type": "array", "prefixItems": items})
                } else {
                    items.dedup();
                    json!({"type": "array", "items": union_of(items)})
                }
            }
            Expression::ObjectExpression(object) => {
                let (mut properties, mut is_whole) = (Map::new(), true);
                for property in &object.properties {
                    match property {
                        ObjectPropertyKind::SpreadProperty(spread) => {
                            let more = self.type_of(&spread.argument, exact, bound, unfolding)?;
                            match more.get("properties").and_then(Value::as_object) {
                                Some(more) => properties.extend(more.clone()),
                                None => is_whole &= !is_open(&more),
                            }
                        }
                        ObjectPropertyKind::ObjectProperty(property) => {
                            let Some(key) = key_name(&property.key).filter(|key| key != "__proto__") else { continue };
                            let value = self.type_of(&property.value, exact, bound, unfolding)?;
                            if !super::values::is_function(&value) {
                                properties.insert(key, value);
                            }
                        }
                    }
                }
                if !is_whole {
                    return Ok(json!({"type": "object"}));
                }
                let required: Vec<_> = properties.keys().cloned().collect();
                json!({"type": "object", "properties": properties, "required": required})
            }
            Expression::ArrowFunctionExpression(_) | Expression::FunctionExpression(_) => function(),
            Expression::CallExpression(call) => match data_of(call) {
                Some(data) => self.type_of(data, exact, bound, unfolding)?,
                None => json!({}),
            },
            Expression::Identifier(name) => self.type_of_constant(name.name.as_str(), bound, unfolding)?,
            expression => {
                let Some(value) = self.expression_value(unfolding.file, expression, &mut Reader::default()) else {
                    return Ok(json!({}));
                };
                match (exact, &value) {
                    (true, _) => json!({"const": value}),
                    (false, Value::String(_)) => json!({"type": "string"}),
                    (false, Value::Number(_)) => json!({"type": "number"}),
                    (false, Value::Bool(_)) => json!({"type": "boolean"}),
                    (false, Value::Null) => json!({"type": "null"}),
                    _ => json!({}),
                }
            }
        })
    }
}

/// What `__cf_data(…)` is called with, which it returns.
fn data_of<'c, 'a>(call: &'c CallExpression<'a>) -> Option<&'c Expression<'a>> {
    let [only] = call.arguments.as_slice() else { return None };
    call.callee.is_specific_id("__cf_data").then(|| only.as_expression()).flatten()
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}
