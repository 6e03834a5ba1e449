//! What is known of an expression's value without running it.

use oxc::ast::ast::{
    Argument, ArrayExpression, BinaryExpression, CallExpression, ChainElement, Expression, IdentifierReference,
    MemberExpression, NewExpression, ObjectExpression, ObjectPropertyKind, PropertyKind, TSType,
    TSTypeParameterInstantiation,
};
use oxc::span::{GetSpan, Span};
use oxc::syntax::operator::{BinaryOperator, UnaryOperator};
use serde_json::{Value, json};

use super::Writes;
use super::budget::Budget;
use super::kind::Kind;
use super::shape::Shape;

/// How deep arrays and objects nest of which the parts are known.
const MAX_DEPTH: usize = 16;

impl<'a> Writes<'_, 'a> {
    pub(super) fn shape(&self, expression: &Expression<'a>) -> Shape {
        match expression {
            Expression::StringLiteral(literal) => Shape::exactly(literal.value.as_str().into()),
            Expression::TemplateLiteral(_) => Shape::is(Kind::String),
            Expression::NumericLiteral(literal) => Shape::exactly(json!(literal.value)),
            Expression::BooleanLiteral(literal) => Shape::exactly(literal.value.into()),
            Expression::NullLiteral(_) => Shape::exactly(Value::Null),
            Expression::Identifier(identifier) => self.named(identifier),
            Expression::ArrayExpression(array) => self.nested(Kind::Array, || self.array(array)),
            Expression::ObjectExpression(object) => self.nested(Kind::Object, || self.object(object)),
            Expression::ParenthesizedExpression(inner) => self.shape(&inner.expression),
            Expression::TSNonNullExpression(inner) => self.shape(&inner.expression),
            Expression::TSSatisfiesExpression(inner) => self.shape(&inner.expression),
            Expression::TSAsExpression(inner) => self.asserted(&inner.expression, &inner.type_annotation),
            Expression::TSTypeAssertion(inner) => self.asserted(&inner.expression, &inner.type_annotation),
            Expression::SequenceExpression(sequence) => {
                sequence.expressions.last().map_or(Shape::Unknown, |last| self.shape(last))
            }
            Expression::ConditionalExpression(conditional) => {
                let parts = [&conditional.consequent, &conditional.alternate];
                Shape::either(parts.map(|part| (part.span(), self.shape(part))))
            }
            // What is on the left may be there only where it fits.
            Expression::LogicalExpression(logical) => {
                Shape::either([(logical.right.span(), self.shape(&logical.right))])
            }
            Expression::UnaryExpression(unary) => match unary.operator {
                UnaryOperator::LogicalNot | UnaryOperator::Delete => Shape::is(Kind::Boolean),
                UnaryOperator::Typeof => Shape::is(Kind::String),
                UnaryOperator::UnaryNegation => match self.shape(&unary.argument) {
                    Shape::Is { kind: Kind::Number, value: Some(value), .. } => {
                        Shape::exactly(json!(-value.as_f64().unwrap_or_default()))
                    }
                    _ => Shape::is(Kind::Number),
                },
                UnaryOperator::UnaryPlus | UnaryOperator::BitwiseNot => Shape::is(Kind::Number),
                UnaryOperator::Void => Shape::Unknown,
            },
            Expression::UpdateExpression(_) => Shape::is(Kind::Number),
            Expression::BinaryExpression(binary) => self.binary(binary),
            Expression::CallExpression(call) => self.call(call),
            Expression::NewExpression(new) => self.instance(new),
            Expression::ChainExpression(chain) => match &chain.expression {
                // Where something on the way is not there, nothing is written.
                ChainElement::CallExpression(call) => self.call(call),
                ChainElement::TSNonNullExpression(inner) => self.shape(&inner.expression),
                member => member.as_member_expression().map_or(Shape::Unknown, |member| self.member(member)),
            },
            expression => expression.as_member_expression().map_or(Shape::Unknown, |member| self.member(member)),
        }
    }

    /// An array or an object with its parts, unless too many are around it.
    fn nested(&self, kind: Kind, parts: impl FnOnce() -> Shape) -> Shape {
        let depth = self.depth.get();
        if depth == MAX_DEPTH {
            return Shape::is(kind);
        }
        self.depth.set(depth + 1);
        let shape = parts();
        self.depth.set(depth);
        shape
    }

    /// Whether a name is the language's own.
    fn is_global(&self, identifier: &IdentifierReference<'a>) -> bool {
        let reference = identifier.reference_id.get().map(|reference| self.file.scoping.get_reference(reference));
        reference.is_some_and(|reference| reference.symbol_id().is_none())
    }

    fn named(&self, identifier: &IdentifierReference<'a>) -> Shape {
        let reference = identifier.reference_id.get().map(|reference| self.file.scoping.get_reference(reference));
        reference.and_then(|reference| self.known.get(&reference.symbol_id()?).cloned()).unwrap_or(Shape::Unknown)
    }

    /// `value as T`: what it is in truth, only its author knows.
    fn asserted(&self, inner: &Expression<'a>, ty: &TSType<'a>) -> Shape {
        match ty {
            TSType::TSTypeReference(reference) if self.is_const(reference.span) => self.shape(inner),
            ty => Shape::of(self.schema(ty)),
        }
    }

    fn is_const(&self, span: Span) -> bool {
        span.source_text(self.file.program.source_text) == "const"
    }

    fn array(&self, array: &ArrayExpression<'a>) -> Shape {
        let items = array.elements.iter().map_while(|element| match element.as_expression() {
            Some(item) => Some((item.span(), self.shape(item))),
            // What is behind a spread may be anywhere.
            None if element.is_spread() => None,
            None => Some((element.span(), Shape::Unknown)),
        });
        Shape::Array(items.collect())
    }

    fn object(&self, object: &ObjectExpression<'a>) -> Shape {
        let mut parts: Vec<(String, Span, Shape)> = Vec::new();
        for property in &object.properties {
            let ObjectPropertyKind::ObjectProperty(property) = property else {
                // It may replace what is before it.
                parts.clear();
                continue;
            };
            let key = property.key.static_name().filter(|_| !property.computed);
            match key.as_deref() {
                // What it becomes as JSON is for itself to say.
                Some("toJSON" | "__proto__") => return Shape::Unknown,
                Some(key) => {
                    parts.retain(|(other, ..)| other != key);
                    if property.kind == PropertyKind::Init && !property.method {
                        parts.push((key.to_owned(), property.value.span(), self.shape(&property.value)));
                    }
                }
                None => parts.clear(),
            }
        }
        Shape::Object(parts)
    }

    fn binary(&self, binary: &BinaryExpression<'a>) -> Shape {
        let operator = binary.operator;
        if operator.is_equality() || operator.is_compare() || operator.is_in() || operator.is_instance_of() {
            return Shape::is(Kind::Boolean);
        }
        if operator != BinaryOperator::Addition {
            return Shape::is(Kind::Number);
        }
        let kinds = [&binary.left, &binary.right].map(|side| self.shape(side).kind(&self.budget));
        match kinds {
            [Some(Kind::String), _] | [_, Some(Kind::String)] => Shape::is(Kind::String),
            [Some(Kind::Number), Some(Kind::Number)] => Shape::is(Kind::Number),
            _ => Shape::Unknown,
        }
    }

    fn member(&self, member: &MemberExpression<'a>) -> Shape {
        let object = self.shape(member.object());
        let key = match member {
            MemberExpression::StaticMemberExpression(member) => member.property.name.as_str(),
            MemberExpression::ComputedMemberExpression(member) => {
                return self.at(&object, &member.expression);
            }
            MemberExpression::PrivateFieldExpression(_) => return Shape::Unknown,
        };
        match object.kind(&self.budget) {
            Some(Kind::Array | Kind::String) if key == "length" => Shape::is(Kind::Number).by("length"),
            _ => object.part(key, &self.budget),
        }
    }

    /// What is at a key of a value that is known only when it runs, or at a literal one.
    fn at(&self, object: &Shape, key: &Expression<'a>) -> Shape {
        match key.get_inner_expression() {
            Expression::StringLiteral(literal) => object.part(literal.value.as_str(), &self.budget),
            Expression::NumericLiteral(literal) => object.part(&literal.value.to_string(), &self.budget),
            // Of an array, or of an object of which every part has the same type.
            key => {
                let (Shape::Of(schema) | Shape::Cell(schema)) = object else { return Shape::Unknown };
                let is_list = schema.get("prefixItems").is_none() && schema.get("items").is_some();
                let is_record = schema.get("properties").is_none() && schema.get("additionalProperties").is_some();
                if is_list && self.shape(key).kind(&self.budget) != Some(Kind::String) || is_record {
                    object.part("0", &self.budget)
                } else {
                    Shape::Unknown
                }
            }
        }
    }

    fn call(&self, call: &CallExpression<'a>) -> Shape {
        let first = call.arguments.first().and_then(Argument::as_expression);
        match call.callee.get_inner_expression() {
            Expression::Identifier(callee) if self.is_global(callee) => match callee.name.as_str() {
                "String" | "encodeURIComponent" | "decodeURIComponent" | "encodeURI" | "decodeURI" | "btoa"
                | "atob" => Shape::is(Kind::String),
                "Number" | "parseInt" | "parseFloat" => Shape::is(Kind::Number),
                "Boolean" | "isNaN" | "isFinite" => Shape::is(Kind::Boolean),
                _ => Shape::Unknown,
            },
            Expression::Identifier(callee) => match self.imported.get(callee.name.as_str()) {
                Some(&"cell") => self.made_cell(call.type_arguments.as_deref()),
                _ => Shape::Unknown,
            },
            Expression::StaticMemberExpression(member) => {
                let method = member.property.name.as_str();
                if let Expression::Identifier(object) = &member.object {
                    if method == "of" && matches!(self.imported.get(object.name.as_str()), Some(&("Cell" | "Writable")))
                    {
                        return self.made_cell(call.type_arguments.as_deref());
                    }
                    if self.is_global(object) {
                        return of_global(object.name.as_str(), method);
                    }
                }
                match (self.shape(&member.object), method) {
                    (Shape::Cell(schema), "get") => Shape::of(schema),
                    (whole @ Shape::Cell(_), "key") => first.map_or(Shape::Unknown, |key| self.at(&whole, key)),
                    (Shape::Cell(_), _) => Shape::Unknown,
                    (object, method) => {
                        if method == "toISOString" && is_date(&member.object) {
                            return Shape::is(Kind::String);
                        }
                        of_method(&object, method, &self.budget)
                    }
                }
            }
            _ => Shape::Unknown,
        }
    }

    fn instance(&self, new: &NewExpression<'a>) -> Shape {
        match self.callee(&new.callee) {
            Some("Cell" | "Writable") => self.made_cell(new.type_arguments.as_deref()),
            _ => Shape::Unknown,
        }
    }

    fn made_cell(&self, types: Option<&TSTypeParameterInstantiation<'a>>) -> Shape {
        types.and_then(|types| types.params.first()).map_or(Shape::Unknown, |ty| Shape::Cell(self.schema(ty)))
    }

    /// What a cell begins with.
    pub(super) fn initial(
        &mut self,
        callee: &Expression<'a>,
        types: Option<&TSTypeParameterInstantiation<'a>>,
        arguments: &[Argument<'a>],
        at: Span,
    ) {
        let is_cell = match callee.get_inner_expression() {
            Expression::StaticMemberExpression(member) if member.property.name == "of" => {
                matches!(self.callee(&member.object), Some("Cell" | "Writable"))
            }
            callee => matches!(self.callee(callee), Some("cell" | "Cell" | "Writable")),
        };
        let value = arguments.first().and_then(Argument::as_expression);
        if let (true, Some(types), Some(value)) = (is_cell, types, value)
            && let Shape::Cell(schema) = self.made_cell(Some(types))
        {
            self.check(value, &schema, at, "");
        }
    }
}

fn is_date(expression: &Expression<'_>) -> bool {
    let Expression::NewExpression(new) = expression.get_inner_expression() else { return false };
    matches!(&new.callee, Expression::Identifier(callee) if callee.name == "Date")
}

/// What functions of the language's objects return.
fn of_global(object: &str, function: &str) -> Shape {
    match (object, function) {
        ("Math", _) | ("Date", "now" | "parse" | "UTC") | ("Number", "parseInt" | "parseFloat") => {
            Shape::is(Kind::Number)
        }
        ("String", "fromCharCode" | "fromCodePoint" | "raw") => Shape::is(Kind::String),
        ("Object", "keys" | "values" | "entries" | "getOwnPropertyNames") | ("Array", "from" | "of") => {
            Shape::is(Kind::Array)
        }
        ("Array", "isArray") | ("Number", "isInteger" | "isFinite" | "isNaN" | "isSafeInteger") => {
            Shape::is(Kind::Boolean)
        }
        _ => Shape::Unknown,
    }
}

/// What methods of arrays, strings and numbers return.
fn of_method(object: &Shape, method: &str, budget: &Budget) -> Shape {
    const SAME: [&str; 8] = ["filter", "reverse", "slice", "sort", "splice", "toReversed", "toSorted", "toSpliced"];
    let known = ["push", "unshift", "indexOf", "lastIndexOf", "findIndex", "findLastIndex", "search", "splice"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("a method");
    match (object.kind(budget), method) {
        (Some(Kind::Array), "push" | "unshift" | "indexOf" | "lastIndexOf" | "findIndex" | "findLastIndex")
        | (Some(Kind::String), "indexOf" | "lastIndexOf" | "search" | "localeCompare" | "charCodeAt") => {
            Shape::is(Kind::Number).by(known)
        }
        (Some(Kind::Array), "includes" | "some" | "every")
        | (Some(Kind::String), "includes" | "startsWith" | "endsWith" | "isWellFormed") => Shape::is(Kind::Boolean),
        (Some(Kind::Array), "join" | "toString" | "toLocaleString")
        | (
            Some(Kind::String),
            "trim" | "trimStart" | "trimEnd" | "toUpperCase" | "toLowerCase" | "slice" | "substring" | "substr"
            | "replace" | "replaceAll" | "padStart" | "padEnd" | "repeat" | "concat" | "charAt" | "normalize"
            | "toString",
        )
        | (Some(Kind::Number), "toFixed" | "toString" | "toLocaleString" | "toPrecision" | "toExponential")
        | (Some(Kind::Boolean), "toString") => Shape::is(Kind::String),
        (Some(Kind::Array), same) if SAME.contains(&same) => match object {
            Shape::Of(_) => object.clone(),
            _ => Shape::is(Kind::Array),
        },
        (Some(Kind::Array), "map" | "flatMap" | "concat" | "flat" | "with" | "fill")
        | (Some(Kind::String), "split") => Shape::is(Kind::Array),
        _ => Shape::Unknown,
    }
}
