//! Types by name: those of the charm's files, of `commontools` and of the language.

use oxc::ast::ast::{TSType, TSTypeName, TSTypeParameterInstantiation, TSTypeQueryExprName, TSTypeReference};
use oxc::span::{GetSpan, Span};
use serde_json::{Value, json};

use super::computed::parts_of;
use super::constants::Reader;
use super::declared::{Meaning, meaning};
use super::marks::{is_mark, secret, with};
use super::spell::CONSTANT;
use super::values::{cost, has_secret, is_function, retain_properties};
use super::{Bindings, Converted, NO_DATA, Types, Unfolding, union_of};

/// Labels that say that everybody may know. Any other makes a secret.
const PUBLIC: [&str; 2] = ["public", "unclassified"];

/// Types that say something of another one, and leave its values as they are: who may write them, where they come from,
/// and for whom they are. A charm here has one user.
const WRAPPERS: [&str; 14] = [
    "AddIntegrity",
    "AuthoredByCurrentUser",
    "ExactCopy",
    "Integrity",
    "MaxConfidentiality",
    "PerSession",
    "PerSpace",
    "PerUser",
    "RepresentsCurrentUser",
    "RequiresIntegrity",
    "TrustedActionUiContract",
    "TrustedActionWrite",
    "TrustedActionWriteWithIntegrity",
    "WriteAuthorizedBy",
];

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
            // Files that declare these as aliases of what they wrap, so that a compiler is content, mean them all the
            // same.
            Meaning::Declared(_, [one, ..]) if is_mark(one.name()) && first.is_some() => {
                self.classified(one.name(), arguments, bound, unfolding)
            }
            Meaning::Declared(file, named) => self.unfold(file, name, named, arguments, bound, unfolding),
            Meaning::Imported(name) => match self.known(name, reference.span, arguments, bound, unfolding)? {
                Some(schema) => Ok(schema),
                // Other types of the module are of pages, and of what comes and goes. What they say of a secret is not
                // known.
                None => Ok(if self.any_secret(arguments, bound, unfolding)? { secret(json!({})) } else { json!({}) }),
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

    /// `Secret<T>`, `Confidential<T, …>`, `CFC<T, "secret">`, and `Cfc<T, { confidentiality: […] }>`.
    pub(super) fn classified(
        &self,
        name: &str,
        arguments: Option<&TSTypeParameterInstantiation<'a>>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        let Some(arguments) = arguments else { return Ok(json!({})) };
        let Some(first) = arguments.params.first() else { return Ok(json!({})) };
        let schema = self.convert(first, bound, unfolding)?;
        let label = match arguments.params.get(1) {
            // A label is never a part of a cell.
            Some(label) if matches!(name, "CFC" | "Cfc") => self.convert_event(label, bound, unfolding)?,
            _ => json!({}),
        };
        let marked = match name {
            "CFC" => !is_public(&label),
            "Cfc" => match label.get("properties") {
                Some(labels) => {
                    ["confidentiality", "classification"].iter().filter_map(|key| labels.get(*key)).any(|labels| {
                        labels.get("prefixItems").and_then(Value::as_array).is_none_or(|all| !all.iter().all(is_public))
                    })
                }
                None => true,
            },
            _ => true,
        };
        Ok(if marked { secret(schema) } else { schema })
    }

    /// The schema of a type of which everything is taken.
    fn convert_event(&self, ty: &TSType<'a>, bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Converted {
        let purpose = std::mem::replace(&mut unfolding.purpose, super::Use::Event);
        let schema = self.convert(ty, bound, unfolding);
        unfolding.purpose = purpose;
        schema
    }

    fn any_secret(
        &self,
        arguments: Option<&TSTypeParameterInstantiation<'a>>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<bool, super::Refusal> {
        for argument in arguments.map_or(&[][..], |arguments| arguments.params.as_slice()) {
            if has_secret(&self.convert_event(argument, bound, unfolding)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A type that `commontools` or the language has.
    pub(super) fn known(
        &self,
        name: &str,
        span: Span,
        arguments: Option<&TSTypeParameterInstantiation<'a>>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Option<Value>, super::Refusal> {
        let argument = |index: usize| arguments.and_then(|arguments| arguments.params.get(index));
        let Some(first) = argument(0) else {
            return Ok(match name {
                "Cell" | "Writable" => Some(json!({"asCell": true})),
                "Stream" => Some(json!({"asStream": true})),
                _ => None,
            });
        };
        Ok(Some(match name {
            _ if is_mark(name) => self.classified(name, arguments, bound, unfolding)?,
            _ if WRAPPERS.contains(&name) => self.convert(first, bound, unfolding)?,
            "Cell" | "Writable" | "OpaqueRef" | "OpaqueCell" | "ReadonlyCell" | "WriteonlyCell" => {
                let schema = self.convert(first, bound, unfolding)?;
                if is_function(&schema) {
                    return unfolding.unsupported(first.span(), NO_DATA).map(Some);
                }
                with(schema, "asCell", true.into())
            }
            "Stream" => with(self.convert_event(first, bound, unfolding)?, "asStream", true.into()),
            "Default" if matches!(argument(1), Some(TSType::TSUndefinedKeyword(_))) => {
                self.convert(first, bound, unfolding)?
            }
            "Default" => {
                let (schema, value) = match argument(1) {
                    Some(value) => (self.convert(first, bound, unfolding)?, value),
                    None => (json!({}), first),
                };
                let Some(value) = self.value(unfolding.file, value, &mut Reader::default()) else {
                    return unfolding.unsupported(span, "a default is spelled out as literals").map(Some);
                };
                unfolding.spend(cost(&value))?;
                with(schema, "default", value)
            }
            "Schema" | "SchemaWithoutCell" => return constant(first, span, unfolding).map(Some),
            "Exclude" | "Extract" => {
                let all = self.convert(first, bound, unfolding)?;
                let some = match argument(1) {
                    Some(some) => self.convert_event(some, bound, unfolding)?,
                    None => json!({}),
                };
                let (some, keep) = (parts_of(&some), name == "Extract");
                let parts = parts_of(&all).into_iter().filter(|part| some.contains(part) == keep).collect();
                union_of(parts)
            }
            "ReturnType" | "InstanceType" | "Parameters" => json!({}),
            "Uppercase" | "Lowercase" | "Capitalize" | "Uncapitalize" => json!({"type": "string"}),
            "Array" | "ReadonlyArray" => json!({"type": "array", "items": self.item(first, bound, unfolding)?}),
            "Record" => match argument(1) {
                Some(value) => {
                    let value = self.apart(value, bound, unfolding)?.0;
                    if is_function(&value) {
                        return Ok(Some(json!({"type": "object"})));
                    }
                    json!({"type": "object", "additionalProperties": value})
                }
                None => json!({"type": "object"}),
            },
            "Awaited" | "Mutable" | "NoInfer" | "NonNullable" | "Opaque" | "Readonly" | "Stripped" => {
                self.convert(first, bound, unfolding)?
            }
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

/// Whether the schema of a label says that everybody may know.
fn is_public(label: &Value) -> bool {
    label.get("const").and_then(Value::as_str).is_some_and(|label| PUBLIC.contains(&label))
}
