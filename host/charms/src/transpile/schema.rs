//! From the TypeScript types of a file to JSON Schema, as far as a charm's cells need it.
//!
//! What is understood: primitives, literals, arrays, objects, records, unions, intersections of objects, aliases and interfaces of
//! the same file (also generic ones), `Partial`, `Required`, `Readonly`, `Pick`, `Omit`, and the types of `commontools`:
//! `Cell`, `Writable`, `OpaqueRef`, `Stream`, `Default`, `Secret`, `Confidential`. Anything else is `{}`, which any value fits.

use std::collections::HashMap;

use oxc::ast::ast::{
    Declaration, Expression, Program, PropertyKey, Statement, TSEnumDeclaration, TSInterfaceDeclaration, TSLiteral, TSSignature, TSTupleElement, TSType,
    TSTypeAliasDeclaration, TSTypeName, TSTypeOperatorOperator, TSTypeParameterDeclaration, TSTypeParameterInstantiation,
    TSTypeReference, UnaryOperator,
};
use serde_json::{Map, Value, json};

/// How much one type may unfold to, in schemas and in 32 bytes of text. Aliases that name one another can describe far more than
/// they spell out.
const MAX_NODES: usize = 10_000;
/// How deep schemas nest; deeper is `{}`.
const MAX_DEPTH: usize = 64;

/// A type that unfolds to more than [`MAX_NODES`] schemas.
#[derive(Debug)]
pub(super) struct TooLarge;

/// A named type of the file.
#[derive(Clone, Copy)]
enum Named<'p, 'a> {
    Alias(&'p TSTypeAliasDeclaration<'a>),
    Interface(&'p TSInterfaceDeclaration<'a>),
    Enum(&'p TSEnumDeclaration<'a>),
}

/// The named types of a program.
pub(super) struct Types<'p, 'a> {
    named: HashMap<&'a str, Vec<Named<'p, 'a>>>,
}

/// What type parameters stand for.
type Bindings<'a> = HashMap<&'a str, Value>;

/// One unfolding of a type.
struct Unfolding<'a> {
    /// Aliases and interfaces that are being unfolded: one that comes up within itself is `{}`.
    open: Vec<&'a str>,
    nodes: usize,
    depth: usize,
}

impl Unfolding<'_> {
    fn spend(&mut self, nodes: usize) -> Result<(), TooLarge> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES { Err(TooLarge) } else { Ok(()) }
    }
}

/// What a value costs of [`MAX_NODES`].
fn cost(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len() / 32,
        Value::Array(items) => 1 + items.iter().map(cost).sum::<usize>(),
        Value::Object(entries) => 1 + entries.iter().map(|(key, value)| key.len() / 32 + cost(value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

impl<'p, 'a> Types<'p, 'a> {
    /// Collects the types that `program` declares at its top level.
    pub(super) fn of(program: &'p Program<'a>) -> Self {
        let mut types = Self { named: HashMap::new() };
        for statement in &program.body {
            match statement {
                Statement::TSTypeAliasDeclaration(alias) => types.add(alias.id.name.as_str(), Named::Alias(alias)),
                Statement::TSInterfaceDeclaration(interface) => types.add(interface.id.name.as_str(), Named::Interface(interface)),
                Statement::TSEnumDeclaration(declaration) => types.add(declaration.id.name.as_str(), Named::Enum(declaration)),
                Statement::ExportDeclaration(export) => match &export.declaration {
                    Declaration::TSTypeAliasDeclaration(alias) => types.add(alias.id.name.as_str(), Named::Alias(alias)),
                    Declaration::TSInterfaceDeclaration(interface) => types.add(interface.id.name.as_str(), Named::Interface(interface)),
                    Declaration::TSEnumDeclaration(declaration) => types.add(declaration.id.name.as_str(), Named::Enum(declaration)),
                    _ => {}
                },
                _ => {}
            }
        }
        types
    }

    fn add(&mut self, name: &'a str, named: Named<'p, 'a>) {
        self.named.entry(name).or_default().push(named);
    }

    /// The schema of `ty`.
    pub(super) fn schema(&self, ty: &TSType<'a>) -> Result<Value, TooLarge> {
        let mut unfolding = Unfolding { open: Vec::new(), nodes: 0, depth: 0 };
        self.convert(ty, &Bindings::new(), &mut unfolding)
    }

    fn convert(&self, ty: &TSType<'a>, bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Result<Value, TooLarge> {
        unfolding.spend(1)?;
        if unfolding.depth >= MAX_DEPTH {
            return Ok(json!({}));
        }
        unfolding.depth += 1;
        let schema = self.convert_one(ty, bound, unfolding);
        unfolding.depth -= 1;
        schema
    }

    fn convert_one(&self, ty: &TSType<'a>, bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Result<Value, TooLarge> {
        Ok(match ty {
            TSType::TSStringKeyword(_) | TSType::TSTemplateLiteralType(_) => json!({"type": "string"}),
            TSType::TSNumberKeyword(_) => json!({"type": "number"}),
            TSType::TSBooleanKeyword(_) => json!({"type": "boolean"}),
            TSType::TSNullKeyword(_) => json!({"type": "null"}),
            TSType::TSObjectKeyword(_) => json!({"type": "object"}),
            TSType::TSLiteralType(literal) => match literal_value(&literal.literal) {
                Some(value) => {
                    unfolding.spend(cost(&value))?;
                    json!({"const": value})
                }
                None => json!({}),
            },
            TSType::TSParenthesizedType(inner) => self.convert(&inner.type_annotation, bound, unfolding)?,
            TSType::TSTypeOperatorType(operator) if operator.operator == TSTypeOperatorOperator::Readonly => {
                self.convert(&operator.type_annotation, bound, unfolding)?
            }
            TSType::TSArrayType(array) => {
                json!({"type": "array", "items": self.convert(&array.element_type, bound, unfolding)?})
            }
            TSType::TSTupleType(_) => json!({"type": "array"}),
            TSType::TSTypeLiteral(literal) => self.object(&literal.members, bound, unfolding)?,
            TSType::TSUnionType(union) => self.union(&union.types, bound, unfolding)?,
            TSType::TSIntersectionType(intersection) => {
                let mut merged = json!({"type": "object"});
                for part in &intersection.types {
                    let part = self.convert(part, bound, unfolding)?;
                    if !merge_objects(&mut merged, part) {
                        return Ok(json!({}));
                    }
                }
                merged
            }
            TSType::TSTypeReference(reference) => self.reference(reference, bound, unfolding)?,
            _ => json!({}),
        })
    }

    fn object(
        &self,
        members: &[TSSignature<'a>],
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Value, TooLarge> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut schema = json!({"type": "object"});
        for member in members {
            match member {
                TSSignature::TSPropertySignature(property) => {
                    // A key of that name in a literal would set the schema's prototype.
                    let Some(name) = key_name(&property.key).filter(|name| name != "__proto__") else { continue };
                    unfolding.spend(name.len() / 32)?;
                    let value = match &property.type_annotation {
                        Some(annotation) => self.convert(&annotation.type_annotation, bound, unfolding)?,
                        None => json!({}),
                    };
                    if !property.optional {
                        required.push(Value::from(name.clone()));
                    }
                    properties.insert(name, value);
                }
                TSSignature::TSIndexSignature(index) => {
                    schema["additionalProperties"] = self.convert(&index.type_annotation.type_annotation, bound, unfolding)?;
                }
                _ => {}
            }
        }
        schema["properties"] = properties.into();
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        Ok(schema)
    }

    fn union(&self, types: &[TSType<'a>], bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Result<Value, TooLarge> {
        let mut parts = Vec::new();
        for ty in types {
            if matches!(ty, TSType::TSUndefinedKeyword(_) | TSType::TSVoidKeyword(_)) {
                continue;
            }
            let part = self.convert(ty, bound, unfolding)?;
            if part.as_object().is_some_and(Map::is_empty) {
                return Ok(json!({}));
            }
            parts.push(part);
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        if parts.iter().all(|part| part.get("const").is_some() && part.as_object().is_some_and(|part| part.len() == 1)) {
            let values: Vec<_> = parts.iter_mut().map(|part| part["const"].take()).collect();
            return Ok(json!({"enum": values}));
        }
        Ok(json!({"anyOf": parts}))
    }

    fn reference(
        &self,
        reference: &TSTypeReference<'a>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Value, TooLarge> {
        let TSTypeName::IdentifierReference(identifier) = &reference.type_name else { return Ok(json!({})) };
        let name = identifier.name.as_str();
        if let Some(schema) = bound.get(name) {
            unfolding.spend(cost(schema))?;
            return Ok(schema.clone());
        }
        let arguments = reference.type_arguments.as_deref();
        if let Some(named) = self.named.get(name) {
            return self.unfold(name, named, arguments, bound, unfolding);
        }
        let argument = |index: usize| arguments.and_then(|arguments| arguments.params.get(index));
        let Some(first) = argument(0) else { return Ok(json!({})) };
        let marked = |mark: &str, mark_value: Value, unfolding: &mut Unfolding<'a>| {
            let mut schema = self.convert(first, bound, unfolding)?;
            if let Some(object) = schema.as_object_mut() {
                object.insert(mark.into(), mark_value);
            }
            Ok(schema)
        };
        match name {
            "Cell" | "Writable" | "OpaqueRef" => marked("asCell", true.into(), unfolding),
            "Stream" => marked("asStream", true.into(), unfolding),
            "Secret" | "Confidential" => marked("ifc", json!({"classification": ["secret"]}), unfolding),
            "Default" => match argument(1).and_then(|value| self.value(value)) {
                Some(value) => {
                    unfolding.spend(cost(&value))?;
                    marked("default", value, unfolding)
                }
                None => self.convert(first, bound, unfolding),
            },
            "Array" | "ReadonlyArray" => Ok(json!({"type": "array", "items": self.convert(first, bound, unfolding)?})),
            "Record" => match argument(1) {
                Some(value) => Ok(json!({"type": "object", "additionalProperties": self.convert(value, bound, unfolding)?})),
                None => Ok(json!({})),
            },
            "Readonly" | "NonNullable" => self.convert(first, bound, unfolding),
            "Partial" => {
                let mut schema = self.convert(first, bound, unfolding)?;
                schema.as_object_mut().map(|schema| schema.remove("required"));
                Ok(schema)
            }
            "Required" => {
                let mut schema = self.convert(first, bound, unfolding)?;
                if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                    schema["required"] = properties.keys().cloned().collect::<Vec<_>>().into();
                }
                Ok(schema)
            }
            "Pick" | "Omit" => {
                let mut schema = self.convert(first, bound, unfolding)?;
                let keys = match argument(1) {
                    Some(keys) => self.convert(keys, bound, unfolding)?,
                    None => json!({}),
                };
                retain_properties(&mut schema, &keys, name == "Pick");
                Ok(schema)
            }
            _ => Ok(json!({})),
        }
    }

    /// The schema of a type of this file, its parameters bound to `arguments`.
    fn unfold(
        &self,
        name: &'a str,
        named: &[Named<'p, 'a>],
        arguments: Option<&TSTypeParameterInstantiation<'a>>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Value, TooLarge> {
        if unfolding.open.contains(&name) {
            return Ok(json!({}));
        }
        let mut given = Vec::new();
        for argument in arguments.map_or(&[][..], |arguments| arguments.params.as_slice()) {
            given.push(self.convert(argument, bound, unfolding)?);
        }
        unfolding.open.push(name);
        let mut merged: Option<Value> = None;
        for one in named {
            let schema = match one {
                Named::Alias(alias) => {
                    let bound = self.bind(alias.type_parameters.as_deref(), &given, unfolding)?;
                    self.convert(&alias.type_annotation, &bound, unfolding)?
                }
                Named::Interface(interface) => self.interface(interface, &given, unfolding)?,
                Named::Enum(declaration) => enum_schema(declaration),
            };
            match &mut merged {
                None => merged = Some(schema),
                // Interfaces of one name add up.
                Some(merged) => {
                    merge_objects(merged, schema);
                }
            }
        }
        unfolding.open.pop();
        Ok(merged.unwrap_or_else(|| json!({})))
    }

    fn interface(
        &self,
        interface: &TSInterfaceDeclaration<'a>,
        given: &[Value],
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Value, TooLarge> {
        let bound = self.bind(interface.type_parameters.as_deref(), given, unfolding)?;
        let mut schema = json!({"type": "object"});
        for parent in &interface.extends {
            let TSTypeName::IdentifierReference(identifier) = &parent.type_name else { return Ok(json!({})) };
            let name = identifier.name.as_str();
            let Some(named) = self.named.get(name) else { return Ok(json!({})) };
            let parent = self.unfold(name, named, parent.type_arguments.as_deref(), &bound, unfolding)?;
            if !merge_objects(&mut schema, parent) {
                return Ok(json!({}));
            }
        }
        let own = self.object(&interface.body.body, &bound, unfolding)?;
        merge_objects(&mut schema, own);
        Ok(schema)
    }

    fn bind(
        &self,
        parameters: Option<&TSTypeParameterDeclaration<'a>>,
        given: &[Value],
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Bindings<'a>, TooLarge> {
        let mut bound = Bindings::new();
        for (index, parameter) in parameters.map_or(&[][..], |list| list.params.as_slice()).iter().enumerate() {
            let schema = match (given.get(index), &parameter.default) {
                (Some(given), _) => given.clone(),
                (None, Some(default)) => self.convert(default, &bound, unfolding)?,
                (None, None) => json!({}),
            };
            bound.insert(parameter.name.name.as_str(), schema);
        }
        Ok(bound)
    }

    /// The value that a type of literals spells, as the second argument of `Default` does.
    fn value(&self, ty: &TSType<'a>) -> Option<Value> {
        match ty {
            TSType::TSLiteralType(literal) => literal_value(&literal.literal),
            TSType::TSNullKeyword(_) => Some(Value::Null),
            TSType::TSParenthesizedType(inner) => self.value(&inner.type_annotation),
            TSType::TSTupleType(tuple) => tuple.element_types.iter().map(|element| self.element_value(element)).collect(),
            TSType::TSTypeLiteral(literal) => {
                let mut object = Map::new();
                for member in &literal.members {
                    let TSSignature::TSPropertySignature(property) = member else { return None };
                    let name = key_name(&property.key).filter(|name| name != "__proto__")?;
                    object.insert(name, self.value(&property.type_annotation.as_ref()?.type_annotation)?);
                }
                Some(object.into())
            }
            TSType::TSTypeReference(reference) if reference.type_arguments.is_none() => {
                let TSTypeName::IdentifierReference(identifier) = &reference.type_name else { return None };
                match self.named.get(identifier.name.as_str())?.first()? {
                    // One step only: an alias of an alias could go round in a circle.
                    Named::Alias(alias) if !matches!(alias.type_annotation, TSType::TSTypeReference(_)) => {
                        self.value(&alias.type_annotation)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn element_value(&self, element: &TSTupleElement<'a>) -> Option<Value> {
        match element {
            TSTupleElement::TSOptionalType(_) | TSTupleElement::TSRestType(_) => None,
            element => self.value(element.as_ts_type()?),
        }
    }
}

fn key_name(key: &PropertyKey<'_>) -> Option<String> {
    key.static_name().map(|name| name.into_owned())
}

fn literal_value(literal: &TSLiteral<'_>) -> Option<Value> {
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
fn number(value: f64) -> Option<Value> {
    // 2^53: up to there every integer is a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT && !(value == 0.0 && value.is_sign_negative()) {
        #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 53 bits")]
        return Some((value as i64).into());
    }
    serde_json::Number::from_f64(value).map(Value::Number)
}

fn enum_schema(declaration: &TSEnumDeclaration<'_>) -> Value {
    let strings = declaration.body.members.iter().all(|member| matches!(member.initializer, Some(Expression::StringLiteral(_))));
    json!({"type": if strings { "string" } else { "number" }})
}

/// Adds the properties of `from` to `into`; false if one of them is no plain object.
fn merge_objects(into: &mut Value, from: Value) -> bool {
    let Value::Object(from) = from else { return false };
    let Some(into) = into.as_object_mut() else { return false };
    if from.get("type").and_then(Value::as_str) != Some("object") || into.get("type").and_then(Value::as_str) != Some("object") {
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
fn retain_properties(schema: &mut Value, keys: &Value, keep: bool) {
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
