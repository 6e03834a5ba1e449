//! Types that are computed from others: mapped and conditional ones.

use oxc::ast::ast::{
    TSConditionalType, TSInferType, TSMappedType, TSMappedTypeModifierOperator, TSType, TSTypeName,
    TSTypeParameterInstantiation,
};
use oxc::ast_visit::Visit;
use serde_json::{Map, Value, json};

use super::intersection::{is_open, kind};
use super::values::{cost, is_function};
use super::{Bindings, Converted, Refusal, Types, Unfolding, union_of};

impl<'a> Types<'a> {
    /// `{ [K in Keys]: T }`
    pub(super) fn mapped(
        &self,
        ty: &TSMappedType<'a>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        let keys = self.convert(&ty.constraint, bound, unfolding)?;
        // Those of `keyof T` keep what T says of them.
        let of = match &ty.constraint {
            TSType::TSTypeOperatorType(operator) => self.convert(&operator.type_annotation, bound, unfolding)?,
            _ => Value::Null,
        };
        unfolding.spend(bound.values().map(cost).sum())?;
        let mut inner = bound.clone();
        let mut value_at = |key: Value, unfolding: &mut Unfolding<'a>| match &ty.type_annotation {
            Some(annotation) => {
                inner.insert(ty.key.name.as_str(), key);
                Ok(self.apart(annotation, &inner, unfolding)?.0)
            }
            None => Ok(json!({})),
        };
        let Some(names) = names_of(&keys) else {
            let value = value_at(json!({"type": "string"}), unfolding)?;
            return Ok(json!({"type": "object", "additionalProperties": value}));
        };
        if ty.name_type.is_some() {
            // What the keys become is not followed.
            return Ok(json!({"type": "object"}));
        }
        let was_required = |name: &String| match of.get("required").and_then(Value::as_array) {
            Some(required) => required.iter().any(|one| one == name),
            None => of.get("properties").is_none(),
        };
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for name in names {
            let value = value_at(json!({"const": name}), unfolding)?;
            if is_function(&value) {
                continue;
            }
            let is_required = match ty.optional {
                Some(TSMappedTypeModifierOperator::Minus) => true,
                Some(_) => false,
                None => was_required(&name),
            };
            if is_required {
                required.push(Value::from(name.clone()));
            }
            properties.insert(name, value);
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        Ok(schema)
    }

    /// `T extends U ? X : Y`. Where it is not known which, it is either.
    pub(super) fn conditional(
        &self,
        ty: &TSConditionalType<'a>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        let checked = self.convert(&ty.check_type, bound, unfolding)?;
        // A type parameter that stands for one of several types stands for each by itself.
        let parameter = match &ty.check_type {
            TSType::TSTypeReference(reference) => match &reference.type_name {
                TSTypeName::IdentifierReference(name) => bound.get_key_value(name.name.as_str()).map(|(name, _)| *name),
                _ => None,
            },
            _ => None,
        };
        let parts = if parameter.is_some() { parts_of(&checked) } else { vec![checked] };
        let mut found = Vec::new();
        for part in parts {
            unfolding.spend(1 + bound.values().map(cost).sum::<usize>())?;
            let mut inner = bound.clone();
            inner.extend(parameter.map(|name| (name, part.clone())));
            let mut inferred = Inferred::default();
            inferred.visit_ts_type(&ty.extends_type);
            inner.extend(inferred.names.into_iter().map(|name| (name, json!({}))));
            let does = self.extends(&part, &ty.extends_type, &mut inner, unfolding)?;
            let branches = [(&ty.true_type, does != Some(false)), (&ty.false_type, does != Some(true))];
            for (branch, _) in branches.into_iter().filter(|(branch, may_be)| *may_be && !is_never(branch)) {
                found.push(self.convert(branch, &inner, unfolding)?);
            }
        }
        found.dedup();
        Ok(union_of(found))
    }

    /// Whether a type extends another, if that is known; what is inferred of it is added to what is bound.
    fn extends(
        &self,
        schema: &Value,
        ty: &TSType<'a>,
        bound: &mut Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Option<bool>, Refusal> {
        match ty {
            TSType::TSParenthesizedType(inner) => {
                return self.extends(schema, &inner.type_annotation, bound, unfolding);
            }
            TSType::TSInferType(infer) => {
                bound.insert(infer.type_parameter.name.name.as_str(), schema.clone());
                return Ok(Some(true));
            }
            TSType::TSArrayType(array) => return self.array_extends(schema, &array.element_type, bound, unfolding),
            TSType::TSFunctionType(_) | TSType::TSConstructorType(_) => {
                return Ok((!is_open(schema)).then(|| is_function(schema)));
            }
            TSType::TSNeverKeyword(_) | TSType::TSUndefinedKeyword(_) | TSType::TSVoidKeyword(_) => {
                return Ok((!is_open(schema)).then_some(false));
            }
            TSType::TSAnyKeyword(_) | TSType::TSUnknownKeyword(_) => return Ok(Some(true)),
            TSType::TSTypeReference(reference) => {
                if let (TSTypeName::IdentifierReference(name), Some(first)) =
                    (&reference.type_name, first(reference.type_arguments.as_deref()))
                {
                    match name.name.as_str() {
                        "Array" | "ReadonlyArray" => return self.array_extends(schema, first, bound, unfolding),
                        "Cell" | "Writable" | "Stream" | "OpaqueRef" => {
                            let mark = if name.name == "Stream" { "asStream" } else { "asCell" };
                            let mut value = schema.clone();
                            if value.as_object_mut().and_then(|value| value.remove(mark)).is_none() {
                                return Ok((!is_open(schema)).then_some(false));
                            }
                            return self.extends(&value, first, bound, unfolding);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        let other = self.convert(ty, bound, unfolding)?;
        if is_open(&other) || *schema == other {
            return Ok(Some(true));
        }
        if is_open(schema) {
            return Ok(None);
        }
        match (kind(schema), kind(&other)) {
            (Some(one), Some(two)) if one != two => Ok(Some(false)),
            // A literal extends the type of its kind, and no other literal.
            (Some("object" | "array"), _) => Ok(None),
            (Some(_), Some(_)) => {
                let [one, two] = [schema, &other].map(literals_of);
                Ok(match (one, two) {
                    (_, None) => Some(true),
                    (Some(one), Some(two)) if one.iter().all(|value| two.contains(value)) => Some(true),
                    (Some(one), Some(two)) if !one.iter().any(|value| two.contains(value)) => Some(false),
                    _ => None,
                })
            }
            _ => Ok(None),
        }
    }

    fn array_extends(
        &self,
        schema: &Value,
        item: &TSType<'a>,
        bound: &mut Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Option<bool>, Refusal> {
        if is_open(schema) {
            return Ok(None);
        }
        if kind(schema) != Some("array") {
            return Ok(Some(false));
        }
        let items = match schema.get("prefixItems").and_then(Value::as_array) {
            Some(items) => union_of(items.clone()),
            None => schema.get("items").cloned().unwrap_or_else(|| json!({})),
        };
        self.extends(&items, item, bound, unfolding)
    }
}

fn first<'t, 'a>(arguments: Option<&'t TSTypeParameterInstantiation<'a>>) -> Option<&'t TSType<'a>> {
    arguments?.params.first()
}

/// The names that a type infers.
#[derive(Default)]
struct Inferred<'a> {
    names: Vec<&'a str>,
}

impl<'a> Visit<'a> for Inferred<'a> {
    fn visit_ts_infer_type(&mut self, infer: &TSInferType<'a>) {
        self.names.push(infer.type_parameter.name.name.as_str());
    }
}

/// The types that a union is made of.
pub(super) fn parts_of(schema: &Value) -> Vec<Value> {
    if let Some(parts) = schema.get("anyOf").and_then(Value::as_array) {
        return parts.clone();
    }
    match schema.get("enum").and_then(Value::as_array) {
        Some(values) => values.iter().map(|value| json!({"const": value})).collect(),
        None => vec![schema.clone()],
    }
}

/// The texts that a schema of keys allows, if it names them.
fn names_of(schema: &Value) -> Option<Vec<String>> {
    let names = literals_of(schema)?.into_iter().map(|value| match value {
        Value::String(name) => name,
        value => value.to_string(),
    });
    Some(names.filter(|name| name != "__proto__").collect())
}

fn literals_of(schema: &Value) -> Option<Vec<Value>> {
    match schema.get("const") {
        Some(value) => Some(vec![value.clone()]),
        None => schema.get("enum")?.as_array().cloned(),
    }
}

/// Whether no value is of a type.
fn is_never(ty: &TSType<'_>) -> bool {
    match ty {
        TSType::TSNeverKeyword(_) => true,
        TSType::TSParenthesizedType(inner) => is_never(&inner.type_annotation),
        _ => false,
    }
}
