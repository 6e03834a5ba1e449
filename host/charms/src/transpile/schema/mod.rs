//! From the TypeScript types of a file to JSON Schema, as far as a charm's cells need it.
//!
//! What is understood: primitives, literals, arrays, objects, records, unions, intersections of objects, aliases and interfaces of
//! the same file (also generic ones), `Partial`, `Required`, `Readonly`, `Pick`, `Omit`, and the types of `commontools`:
//! `Cell`, `Writable`, `OpaqueRef`, `Stream`, `Default`, `Secret`, `Confidential`. Anything else is `{}`, which any value fits.

mod named;
mod values;

use std::collections::HashMap;

use oxc::ast::ast::{
    Declaration, Program, Statement, TSEnumDeclaration, TSInterfaceDeclaration, TSSignature, TSType,
    TSTypeAliasDeclaration, TSTypeName, TSTypeOperatorOperator, TSTypeReference,
};
use serde_json::{Map, Value, json};

use values::{cost, key_name, literal_value, merge_objects, retain_properties};

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

impl<'p, 'a> Types<'p, 'a> {
    /// Collects the types that `program` declares at its top level.
    pub(super) fn of(program: &'p Program<'a>) -> Self {
        let mut types = Self { named: HashMap::new() };
        for statement in &program.body {
            let declaration = match statement {
                Statement::ExportDeclaration(export) => Some(&export.declaration),
                statement => statement.as_declaration(),
            };
            let (name, named) = match declaration {
                Some(Declaration::TSTypeAliasDeclaration(alias)) => (&alias.id.name, Named::Alias(alias)),
                Some(Declaration::TSInterfaceDeclaration(interface)) => {
                    (&interface.id.name, Named::Interface(interface))
                }
                Some(Declaration::TSEnumDeclaration(one)) => (&one.id.name, Named::Enum(one)),
                _ => continue,
            };
            types.named.entry(name.as_str()).or_default().push(named);
        }
        types
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

    fn convert_one(
        &self,
        ty: &TSType<'a>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Value, TooLarge> {
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
                    schema["additionalProperties"] =
                        self.convert(&index.type_annotation.type_annotation, bound, unfolding)?;
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

    fn union(
        &self,
        types: &[TSType<'a>],
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Value, TooLarge> {
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
        if parts.iter().all(|part| part.get("const").is_some() && part.as_object().is_some_and(|part| part.len() == 1))
        {
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
                Some(value) => {
                    Ok(json!({"type": "object", "additionalProperties": self.convert(value, bound, unfolding)?}))
                }
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
}
