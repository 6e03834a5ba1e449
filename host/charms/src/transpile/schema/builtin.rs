//! Types by name: those of the charm's files, of `commontools` and of the language.

use oxc::ast::ast::{
    TSLiteral, TSType, TSTypeName, TSTypeParameterInstantiation, TSTypeQueryExprName, TSTypeReference,
};
use oxc::span::Span;
use serde_json::{Value, json};

use super::declared::{Meaning, meaning};
use super::spell::CONSTANT;
use super::values::{cost, retain_properties};
use super::{Bindings, Converted, Types, Unfolding};

/// What marks a type as secret, in `ifc.classification`.
const SECRET: [&str; 2] = ["secret", "confidential"];

/// Types of the language whose values become something else in JSON, or nothing.
const NOT_JSON: [&str; 16] = [
    "ArrayBuffer",
    "Blob",
    "Date",
    "Error",
    "File",
    "Function",
    "Headers",
    "Map",
    "Promise",
    "RegExp",
    "Request",
    "Response",
    "Set",
    "URL",
    "Uint8Array",
    "WeakMap",
];

impl<'a> Types<'a> {
    pub(super) fn reference(
        &self,
        reference: &TSTypeReference<'a>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        let TSTypeName::IdentifierReference(identifier) = &reference.type_name else {
            return unfolding.unsupported(reference.span, "a type of a namespace is not understood here");
        };
        let name = identifier.name.as_str();
        if let Some(schema) = bound.get(name) {
            unfolding.spend(cost(schema))?;
            return Ok(schema.clone());
        }
        let arguments = reference.type_arguments.as_deref();
        let first = arguments.and_then(|arguments| arguments.params.first());
        match meaning(&self.files, unfolding.file, name) {
            // Files that declare these as aliases of what they wrap, so that a compiler is content, mean them all the same.
            Meaning::Declared(..) if matches!(name, "Secret" | "Confidential" | "CFC") && first.is_some() => {
                self.classified(name, arguments, bound, unfolding)
            }
            Meaning::Declared(file, named) => self.unfold(file, name, named, arguments, bound, unfolding),
            Meaning::Imported(name) => match self.known(name, reference.span, arguments, bound, unfolding)? {
                Some(schema) => Ok(schema),
                // Other types of the module are of pages, and of what comes and goes.
                None => Ok(json!({})),
            },
            Meaning::Global(name) => {
                if let Some(schema) = self.known(name, reference.span, arguments, bound, unfolding)? {
                    return Ok(schema);
                }
                let what = if NOT_JSON.contains(&name) {
                    format!("a cell holds JSON, and `{name}` is none: write what it becomes, such as a string")
                } else if self.files.iter().any(|file| file.has_class(name)) {
                    format!(
                        "a cell holds JSON, and an object of the class `{name}` would not come back as one: write an interface"
                    )
                } else {
                    format!("the type `{name}` is declared in none of the charm's files")
                };
                unfolding.unsupported(reference.span, &what)
            }
        }
    }

    /// `Secret<T>`, `Confidential<T>`, and `CFC<T, "secret">`.
    fn classified(
        &self,
        name: &str,
        arguments: Option<&TSTypeParameterInstantiation<'a>>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        let Some(arguments) = arguments else { return Ok(json!({})) };
        let Some(first) = arguments.params.first() else { return Ok(json!({})) };
        let schema = self.convert(first, bound, unfolding)?;
        let second = arguments.params.get(1);
        let marked = match second {
            Some(TSType::TSLiteralType(literal)) if name == "CFC" => {
                matches!(&literal.literal, TSLiteral::StringLiteral(text) if SECRET.contains(&text.value.as_str()))
            }
            _ => name != "CFC",
        };
        Ok(if marked { with(schema, "ifc", json!({"classification": ["secret"]})) } else { schema })
    }

    /// A type that `commontools` or the language has.
    fn known(
        &self,
        name: &str,
        span: Span,
        arguments: Option<&TSTypeParameterInstantiation<'a>>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Option<Value>, super::Refusal> {
        let argument = |index: usize| arguments.and_then(|arguments| arguments.params.get(index));
        let Some(first) = argument(0) else { return Ok(None) };
        Ok(Some(match name {
            "Secret" | "Confidential" | "CFC" => self.classified(name, arguments, bound, unfolding)?,
            "Cell" | "Writable" | "OpaqueRef" | "OpaqueCell" | "ReadonlyCell" | "WriteonlyCell" => {
                with(self.convert(first, bound, unfolding)?, "asCell", true.into())
            }
            "Stream" => {
                let purpose = std::mem::replace(&mut unfolding.purpose, super::Use::Event);
                let schema = self.convert(first, bound, unfolding);
                unfolding.purpose = purpose;
                with(schema?, "asStream", true.into())
            }
            "Default" if matches!(argument(1), Some(TSType::TSUndefinedKeyword(_))) => {
                self.convert(first, bound, unfolding)?
            }
            "Default" => {
                let (schema, value) = match argument(1) {
                    Some(value) => (self.convert(first, bound, unfolding)?, value),
                    None => (json!({}), first),
                };
                let Some(value) = self.value(unfolding.file, value) else {
                    return unfolding.unsupported(span, "a default is spelled out as literals").map(Some);
                };
                unfolding.spend(cost(&value))?;
                with(schema, "default", value)
            }
            "Schema" | "SchemaWithoutCell" => return constant(first, span, unfolding).map(Some),
            "Array" | "ReadonlyArray" => json!({"type": "array", "items": self.convert(first, bound, unfolding)?}),
            "Record" => match argument(1) {
                Some(value) => {
                    json!({"type": "object", "additionalProperties": self.convert(value, bound, unfolding)?})
                }
                None => json!({"type": "object"}),
            },
            "Readonly" | "NonNullable" | "Mutable" | "Opaque" | "Stripped" => self.convert(first, bound, unfolding)?,
            "Partial" => {
                let mut schema = self.convert(first, bound, unfolding)?;
                schema.as_object_mut().map(|schema| schema.remove("required"));
                schema
            }
            "Required" => {
                let mut schema = self.convert(first, bound, unfolding)?;
                if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                    schema["required"] = properties.keys().cloned().collect::<Vec<_>>().into();
                }
                schema
            }
            "Pick" | "Omit" => {
                let mut schema = self.convert(first, bound, unfolding)?;
                let keys = match argument(1) {
                    Some(keys) => self.convert(keys, bound, unfolding)?,
                    None => json!({}),
                };
                retain_properties(&mut schema, &keys, name == "Pick");
                schema
            }
            _ => return Ok(None),
        }))
    }
}

/// `Schema<typeof Name>`: the schema is the constant of that name.
fn constant(ty: &TSType<'_>, span: Span, unfolding: &Unfolding<'_>) -> Converted {
    if let TSType::TSTypeQuery(query) = ty
        && let TSTypeQueryExprName::IdentifierReference(constant) = &query.expr_name
    {
        if unfolding.file == unfolding.home {
            let mut schema = serde_json::Map::new();
            schema.insert(CONSTANT.into(), constant.name.as_str().into());
            return Ok(schema.into());
        }
        return unfolding.unsupported(span, "`Schema<typeof …>` of another file: declare the type beside its use");
    }
    unfolding.unsupported(span, "`Schema<…>` of what is not `typeof` a constant")
}

fn with(mut schema: Value, mark: &str, value: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.insert(mark.into(), value);
    }
    schema
}
