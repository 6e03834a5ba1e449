//! From the TypeScript types of a charm's files to JSON Schema, as far as its cells need it.
//!
//! What is understood: primitives, literals, arrays, tuples, objects, records, unions, intersections, `keyof`, `typeof`
//! a constant, parts of types (`T["key"]`), mapped and conditional types, aliases, interfaces and enums of the charm's
//! files (also generic ones), `Partial`, `Required`, `Readonly`, `Pick`, `Omit`, and the types of `commontools`.
//! Functions and symbols are left out: no cell holds one. Anything else is refused by name: cells are made from these types, and
//! what is not understood could hide a secret or a default. Only of events everything is taken, since they come from
//! outside.

mod builtin;
mod computed;
mod constants;
mod declared;
mod intersection;
mod literals;
mod marks;
mod named;
mod spell;
mod values;

use std::cell::Cell;
use std::collections::HashMap;

use oxc::ast::ast::{Program, TSSignature, TSTupleElement, TSType, TSTypeOperatorOperator};
use oxc::span::{GetSpan, Span};
use serde_json::{Map, Value, json};

use declared::Declared;
use intersection::intersect;
use marks::secret;
pub(super) use spell::{length, spell};
pub(super) use values::cost;
use values::{function, has_secret, is_function, key_name, literal_value};

/// How much one type may unfold to, in schemas and in 32 bytes of text. Aliases that name one another can describe far
/// more than they spell out.
const MAX_NODES: usize = 10_000;
/// How deep schemas nest.
const MAX_DEPTH: usize = 64;

/// What is said where functions or symbols are all that a cell would hold.
const NO_DATA: &str = "a cell can't hold a function, or a symbol";

/// Why a type has no schema.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It unfolds to more than [`MAX_NODES`] schemas or than is left for it, or deeper than [`MAX_DEPTH`].
    TooLarge,
    /// A part of it is not understood.
    Unsupported {
        /// The number of the file that has that part.
        file: usize,
        /// Where in it.
        span: Span,
        /// What it is, and what to write instead.
        message: String,
    },
}

/// What a type is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Cells are made from it.
    Cells,
    /// It describes what comes from outside.
    Event,
}

/// The types of a charm's files.
pub(super) struct Types<'a> {
    files: Vec<Declared<'a>>,
}

/// What type parameters stand for.
type Bindings<'a> = HashMap<&'a str, Value>;

type Converted = Result<Value, Refusal>;

/// One unfolding of a type.
struct Unfolding<'a> {
    /// The file in which the schema will stand.
    home: usize,
    /// The file that has the type which is being read.
    file: usize,
    purpose: Use,
    /// Aliases and interfaces that are being unfolded: one that comes up within itself is `{}`.
    open: Vec<(usize, &'a str)>,
    /// Whether one has.
    recursive: bool,
    /// Whether what was converted last may also be `undefined`, of which an array's item makes null.
    absent: bool,
    nodes: usize,
    /// How many nodes are left for this type and others.
    left: usize,
    depth: usize,
}

impl Unfolding<'_> {
    fn spend(&mut self, nodes: usize) -> Result<(), Refusal> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES.min(self.left) { Err(Refusal::TooLarge) } else { Ok(()) }
    }

    /// Does what reads a part of what is being read.
    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Converted) -> Converted {
        self.spend(1)?;
        if self.depth >= MAX_DEPTH {
            return Err(Refusal::TooLarge);
        }
        self.depth += 1;
        let schema = read(self);
        self.depth -= 1;
        schema
    }

    /// Refuses what is not understood, unless it does not matter.
    fn unsupported(&self, span: Span, what: &str) -> Converted {
        match self.purpose {
            Use::Event => Ok(json!({})),
            Use::Cells => Err(Refusal::Unsupported {
                file: self.file,
                span,
                message: format!("{what}; a cell's type is spelled out with objects, arrays, unions and literals"),
            }),
        }
    }
}

impl<'a> Types<'a> {
    /// Collects the types of `programs`; `index` returns the number of the file that an import of another names.
    pub(super) fn of(programs: &[&Program<'a>], index: impl Fn(usize, &str) -> Option<usize>) -> Self {
        let files = programs.iter().enumerate();
        Self { files: files.map(|(file, program)| Declared::of(program, |source| index(file, source))).collect() }
    }

    /// Whether a type of one of the files may mark secrets.
    pub(super) fn have_marks(&self) -> bool {
        self.files.iter().any(Declared::has_marks)
    }

    /// The schema of `ty`, which stands in that file, within functions and classes whose type parameters stand for
    /// these. Takes what it unfolds to from what is `left`.
    pub(super) fn schema(
        &self,
        file: usize,
        ty: &TSType<'a>,
        purpose: Use,
        generics: &[(&'a str, Value)],
        left: &Cell<usize>,
    ) -> Converted {
        let mut unfolding = Unfolding {
            home: file,
            file,
            purpose,
            open: Vec::new(),
            recursive: false,
            absent: false,
            nodes: 0,
            left: left.get(),
            depth: 0,
        };
        let schema = self.convert(ty, &generics.iter().cloned().collect(), &mut unfolding);
        left.set(left.get().saturating_sub(unfolding.nodes));
        let schema = schema?;
        if is_function(&schema) {
            return unfolding.unsupported(ty.span(), NO_DATA);
        }
        if unfolding.recursive && has_secret(&schema) {
            return unfolding.unsupported(ty.span(), "a type that contains itself can't have secrets in it");
        }
        Ok(schema)
    }

    fn convert(&self, ty: &TSType<'a>, bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Converted {
        unfolding.deeper(|unfolding| self.convert_one(ty, bound, unfolding))
    }

    fn convert_one(&self, ty: &TSType<'a>, bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Converted {
        Ok(match ty {
            TSType::TSStringKeyword(_) | TSType::TSTemplateLiteralType(_) => json!({"type": "string"}),
            TSType::TSNumberKeyword(_) => json!({"type": "number"}),
            TSType::TSBooleanKeyword(_) => json!({"type": "boolean"}),
            TSType::TSNullKeyword(_) => json!({"type": "null"}),
            TSType::TSObjectKeyword(_) => json!({"type": "object"}),
            TSType::TSAnyKeyword(_)
            | TSType::TSUnknownKeyword(_)
            | TSType::TSNeverKeyword(_)
            | TSType::TSVoidKeyword(_)
            | TSType::TSUndefinedKeyword(_) => json!({}),
            TSType::TSLiteralType(literal) => match literal_value(&literal.literal) {
                Some(value) => {
                    unfolding.spend(cost(&value))?;
                    json!({"const": value})
                }
                None => return unfolding.unsupported(literal.span, "this literal is no JSON"),
            },
            TSType::TSParenthesizedType(inner) => self.convert(&inner.type_annotation, bound, unfolding)?,
            TSType::TSTypeOperatorType(operator) => match operator.operator {
                TSTypeOperatorOperator::Readonly => self.convert(&operator.type_annotation, bound, unfolding)?,
                TSTypeOperatorOperator::Keyof => {
                    let keys = self.convert(&operator.type_annotation, bound, unfolding)?;
                    match keys.get("properties").and_then(Value::as_object) {
                        Some(properties) => json!({"enum": properties.keys().collect::<Vec<_>>()}),
                        None => json!({"type": "string"}),
                    }
                }
                TSTypeOperatorOperator::Unique => function(),
            },
            TSType::TSArrayType(array) => {
                json!({"type": "array", "items": self.item(&array.element_type, bound, unfolding)?})
            }
            TSType::TSTupleType(tuple) => {
                let items = tuple.element_types.iter().map(|element| self.element(element, bound, unfolding));
                json!({"type": "array", "prefixItems": items.collect::<Result<Vec<_>, _>>()?})
            }
            TSType::TSNamedTupleMember(member) => self.element(&member.element_type, bound, unfolding)?,
            TSType::TSTypeLiteral(literal) => self.object(&literal.members, bound, unfolding)?,
            TSType::TSUnionType(union) => self.union(&union.types, bound, unfolding)?,
            TSType::TSIntersectionType(intersection) => {
                let mut all = json!({});
                for part in &intersection.types {
                    let converted = self.convert(part, bound, unfolding)?;
                    match intersect(all, converted) {
                        Some(both) => all = both,
                        None => {
                            return unfolding
                                .unsupported(part.span(), "an intersection of what no value can be at once");
                        }
                    }
                }
                all
            }
            TSType::TSFunctionType(_) | TSType::TSConstructorType(_) | TSType::TSSymbolKeyword(_) => function(),
            TSType::TSInferType(infer) => {
                bound.get(infer.type_parameter.name.name.as_str()).cloned().unwrap_or_else(|| json!({}))
            }
            TSType::TSTypeQuery(query) => self.query(query, bound, unfolding)?,
            TSType::TSMappedType(mapped) => self.mapped(mapped, bound, unfolding)?,
            TSType::TSConditionalType(conditional) => self.conditional(conditional, bound, unfolding)?,
            TSType::TSIndexedAccessType(access) => {
                let whole = self.convert(&access.object_type, bound, unfolding)?;
                let index = self.convert(&access.index_type, bound, unfolding)?;
                match part_of(&whole, &index) {
                    // A part of a secret is one, too.
                    Some(part) if whole.get("ifc").is_some() => secret(part),
                    Some(part) => part,
                    None => return unfolding.unsupported(access.span, "this part of a type is not there"),
                }
            }
            TSType::TSTypeReference(reference) => self.reference(reference, bound, unfolding)?,
            _ => return unfolding.unsupported(ty.span(), unknown(ty)),
        })
    }

    fn element(&self, element: &TSTupleElement<'a>, bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Converted {
        match element {
            TSTupleElement::TSOptionalType(optional) => self.item(&optional.type_annotation, bound, unfolding),
            TSTupleElement::TSRestType(rest) => unfolding.unsupported(rest.span, "a rest element of a tuple"),
            element => match element.as_ts_type() {
                Some(ty) => self.item(ty, bound, unfolding),
                None => Ok(json!({})),
            },
        }
    }

    /// The schema of what is a part of something else, and whether it may also be `undefined`.
    fn apart(
        &self,
        ty: &TSType<'a>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Result<(Value, bool), Refusal> {
        let outer = std::mem::take(&mut unfolding.absent);
        let schema = self.convert(ty, bound, unfolding)?;
        Ok((schema, std::mem::replace(&mut unfolding.absent, outer)))
    }

    /// The schema of an array's item: JSON has null where it is `undefined`.
    fn item(&self, ty: &TSType<'a>, bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Converted {
        let (schema, absent) = self.apart(ty, bound, unfolding)?;
        if is_function(&schema) {
            return Ok(json!({}));
        }
        let is_plain = ["asCell", "asStream", "default"].iter().all(|mark| schema.get(mark).is_none())
            && schema.as_object().is_some_and(|schema| !schema.is_empty());
        if absent && is_plain && !has_secret(&schema) {
            return Ok(json!({"anyOf": [schema, {"type": "null"}]}));
        }
        Ok(schema)
    }

    fn object(&self, members: &[TSSignature<'a>], bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Converted {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut schema = json!({"type": "object"});
        for member in members {
            match member {
                TSSignature::TSPropertySignature(property) => {
                    // A key of that name in a literal would set the schema's prototype. Symbols are not stored.
                    let Some(name) = key_name(&property.key).filter(|name| name != "__proto__") else { continue };
                    unfolding.spend(name.len() / 32)?;
                    let value = match &property.type_annotation {
                        Some(annotation) => self.apart(&annotation.type_annotation, bound, unfolding)?.0,
                        None => json!({}),
                    };
                    if is_function(&value) {
                        continue;
                    }
                    if !property.optional {
                        required.push(Value::from(name.clone()));
                    }
                    properties.insert(name, value);
                }
                TSSignature::TSIndexSignature(index) => {
                    let value = self.apart(&index.type_annotation.type_annotation, bound, unfolding)?.0;
                    if !is_function(&value) {
                        schema["additionalProperties"] = value;
                    }
                }
                // Methods are no part of what is stored.
                TSSignature::TSMethodSignature(_)
                | TSSignature::TSCallSignatureDeclaration(_)
                | TSSignature::TSConstructSignatureDeclaration(_) => {}
            }
        }
        schema["properties"] = properties.into();
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        Ok(schema)
    }

    fn union(&self, types: &[TSType<'a>], bound: &Bindings<'a>, unfolding: &mut Unfolding<'a>) -> Converted {
        let (mut parts, mut default, mut functions) = (Vec::new(), None, 0);
        for ty in types {
            if matches!(ty, TSType::TSUndefinedKeyword(_) | TSType::TSVoidKeyword(_)) {
                unfolding.absent = true;
                continue;
            }
            let mut part = self.convert(ty, bound, unfolding)?;
            // `number | Default<0>`: the second says nothing but the default of the first.
            if let Some(object) = part.as_object_mut().filter(|part| part.len() == 1)
                && let Some(value) = object.remove("default")
            {
                default = Some(value);
                continue;
            }
            if is_function(&part) {
                functions += 1;
                continue;
            }
            parts.push(part);
        }
        if parts.is_empty() && functions > 0 {
            return Ok(function());
        }
        let mut schema = union_of(parts);
        if let (Some(default), Some(object)) = (default, schema.as_object_mut()) {
            object.insert("default".into(), default);
        }
        Ok(schema)
    }
}

fn union_of(mut parts: Vec<Value>) -> Value {
    if parts.iter().any(|part| part.as_object().is_some_and(Map::is_empty)) && !parts.iter().any(has_secret) {
        return json!({});
    }
    if parts.len() == 1 {
        return parts.remove(0);
    }
    if !parts.is_empty()
        && parts.iter().all(|part| part.get("const").is_some() && part.as_object().is_some_and(|part| part.len() == 1))
    {
        let values: Vec<_> = parts.iter_mut().map(|part| part["const"].take()).collect();
        return json!({"enum": values});
    }
    if parts.is_empty() { json!({}) } else { json!({"anyOf": parts}) }
}

/// The schema of a part of what a schema describes.
fn part_of(whole: &Value, index: &Value) -> Option<Value> {
    // Of what may be anything, a part may.
    if whole.as_object().is_some_and(Map::is_empty) {
        return Some(json!({}));
    }
    if let Some(parts) = whole.get("anyOf").and_then(Value::as_array) {
        let parts: Vec<_> = parts.iter().filter_map(|part| part_of(part, index)).collect();
        return (!parts.is_empty()).then(|| union_of(parts));
    }
    if let Some(keys) = index.get("enum").and_then(Value::as_array) {
        let mut parts = Vec::new();
        for key in keys {
            let part = part_of(whole, &json!({"const": key}))?;
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        return Some(union_of(parts));
    }
    if index.get("type").and_then(Value::as_str) == Some("number") {
        return match whole.get("prefixItems").and_then(Value::as_array) {
            Some(items) => Some(union_of(items.clone())),
            None => whole.get("items").cloned(),
        };
    }
    if index.get("type").and_then(Value::as_str) == Some("string") {
        return whole.get("additionalProperties").cloned();
    }
    let key = index.get("const")?;
    if let Some(name) = key.as_str() {
        return whole.get("properties")?.get(name).or_else(|| whole.get("additionalProperties")).cloned();
    }
    let items = whole.get("prefixItems");
    items.and_then(|items| items.get(usize::try_from(key.as_u64()?).ok()?)).or_else(|| whole.get("items")).cloned()
}

/// What a type is called that is not understood.
fn unknown(ty: &TSType<'_>) -> &'static str {
    match ty {
        TSType::TSBigIntKeyword(_) => "a bigint is no JSON",
        TSType::TSImportType(_) => "the type `import(…)` is not understood here",
        _ => "this type is not understood here",
    }
}
