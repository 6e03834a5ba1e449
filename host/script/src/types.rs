//! Declared types of cells, and what is written to them.
//!
//! A value is read once, as the JSON text that is stored, and nothing is made of it. Of several types that a value may
//! have, those that its own kind rules out are left out; what is left of them holds for its parts. So a value that
//! meets one of them is never found to contradict them all.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How much of a text a finding repeats, in characters.
const MAX_TEXT: usize = 120;
/// How deep schemas nest.
const MAX_DEPTH: usize = 100;

/// What JSON Schema calls the kinds of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Null,
    Array,
    Object,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::String, Self::Integer, Self::Number, Self::Boolean, Self::Null, Self::Array, Self::Object];

    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Null => "null",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// An integer is a number, too.
    fn is(self, declared: Self) -> bool {
        self == declared || self == Self::Integer && declared == Self::Number
    }
}

/// A declared type: what a value may be, or anything.
#[derive(Debug, Default)]
pub(crate) struct Type(Option<Vec<Choice>>);

/// One of the types that a value may have.
#[derive(Debug)]
struct Choice {
    kinds: Vec<Kind>,
    /// Values without parts that are all that there may be.
    only: Option<Vec<Value>>,
    items: Type,
    first_items: Vec<Type>,
    properties: HashMap<String, Type>,
    others: Type,
}

/// A step on the way to a part of a value.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Index(usize),
    Key(String),
    /// A key that no type names: it is the charm's data.
    AnyKey,
}

/// What contradicts a type.
#[derive(Debug, Default)]
pub(crate) struct Contradiction {
    /// The way to it, the last step first.
    steps: Vec<Step>,
    /// What is there, and what the type says, in words.
    written: String,
    declared: String,
}

impl Type {
    /// The type that a schema describes; none if it takes everything, or says what is not understood.
    pub(crate) fn of(schema: &Value) -> Option<Self> {
        choices(schema, 0).map(|choices| Self(Some(choices)))
    }

    /// The type of what is at a path of a value, whose steps are numbers and texts.
    fn at<'t>(&'t self, path: &[Value]) -> Types<'t> {
        let mut types = self.choices();
        for step in path {
            let index = step.as_u64().and_then(|index| usize::try_from(index).ok());
            types = match (index, step.as_str()) {
                (Some(index), _) => types.only(Kind::Array).item(index),
                (None, Some("*")) => types.only(Kind::Array).item(usize::MAX),
                (None, Some(key)) => types.only(Kind::Object).property(key).0,
                (None, None) => Types(None),
            };
        }
        types
    }

    fn choices(&self) -> Types<'_> {
        Types(self.0.as_ref().map(|choices| choices.iter().collect()))
    }

    /// What of a JSON text that is written at a path contradicts this, if something does.
    pub(crate) fn contradiction(&self, path: &[Value], text: &str) -> Option<Contradiction> {
        let types = self.at(path);
        types.0.as_ref()?;
        let mut found = None;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        // An error is what ends the reading once something is found; the text itself is JSON.
        let _ = Check { types, found: &mut found }.deserialize(&mut deserializer);
        found
    }

    /// A path as it is reported, and the same for all items of an array. Keys that no type names are left out.
    pub(crate) fn spelled(&self, path: &[Value]) -> [String; 2] {
        [true, false].map(|exact| self.spelled_as(path, exact))
    }

    fn spelled_as(&self, path: &[Value], exact: bool) -> String {
        let spelled = path.iter().enumerate().map(|(at, step)| match (step.as_u64(), step.as_str()) {
            (Some(number), _) if exact => format!("[{number}]"),
            (Some(_), _) => "[*]".into(),
            (None, Some(key)) if self.at(&path[..at]).property(key).1 => format!(".{key}"),
            _ => ".*".into(),
        });
        spelled.collect()
    }
}

impl Contradiction {
    /// The way to it as it is reported, and the same for all items of an array.
    pub(crate) fn ways(&self) -> [String; 2] {
        [true, false].map(|exact| {
            let spelled = self.steps.iter().rev().map(|step| match step {
                Step::Index(index) if exact => format!("[{index}]"),
                Step::Index(_) => "[*]".into(),
                Step::Key(key) => format!(".{key}"),
                Step::AnyKey => ".*".into(),
            });
            spelled.collect()
        })
    }

    /// Without the value itself, which may be secret.
    pub(crate) fn words(&self) -> String {
        format!("is {}, and its declared type is {}", self.written, short(&self.declared))
    }
}

/// A text, cut if it is long.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn choices(schema: &Value, depth: usize) -> Option<Vec<Choice>> {
    const UNDERSTOOD: [&str; 14] = [
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "ifc",
        "items",
        "oneOf",
        "prefixItems",
        "properties",
        "required",
        "title",
        "type",
    ];
    let schema = schema.as_object().filter(|_| depth < MAX_DEPTH)?;
    if schema.keys().any(|key| !UNDERSTOOD.contains(&key.as_str())) {
        return None;
    }
    let says = |key: &str| schema.contains_key(key);
    match (schema.get("anyOf"), schema.get("oneOf")) {
        (Some(Value::Array(parts)), None) | (None, Some(Value::Array(parts))) if !says("type") => {
            let parts: Option<Vec<_>> = parts.iter().map(|part| choices(part, depth + 1)).collect();
            parts.map(|parts| parts.into_iter().flatten().collect())
        }
        (None, None) => choice(schema, depth).map(|choice| vec![choice]),
        _ => None,
    }
}

fn choice(schema: &Map<String, Value>, depth: usize) -> Option<Choice> {
    let kind = |name: &Value| Kind::ALL.into_iter().find(|kind| name.as_str() == Some(kind.name()));
    let only = match (schema.get("const"), schema.get("enum")) {
        (Some(only), _) => Some(vec![only.clone()]),
        (None, Some(Value::Array(all))) => Some(all.clone()),
        _ => None,
    };
    // What objects are equal to is not looked at.
    if only.iter().flatten().any(|one| one.is_object() || one.is_array()) {
        return None;
    }
    let kinds = match (schema.get("type"), &only) {
        (Some(Value::Array(names)), _) => names.iter().map(kind).collect::<Option<Vec<_>>>()?,
        (Some(name), _) => vec![kind(name)?],
        (None, Some(all)) => all.iter().map(kind_of).collect(),
        (None, None) => return None,
    };
    let part = |schema: Option<&Value>| Type(schema.and_then(|schema| choices(schema, depth + 1)));
    let first_items = schema.get("prefixItems").and_then(Value::as_array);
    let properties = schema.get("properties").and_then(Value::as_object);
    Some(Choice {
        kinds,
        only,
        items: part(schema.get("items")),
        first_items: first_items.into_iter().flatten().map(|item| part(Some(item))).collect(),
        properties: properties.into_iter().flatten().map(|(key, schema)| (key.clone(), part(Some(schema)))).collect(),
        others: part(schema.get("additionalProperties")),
    })
}

fn kind_of(value: &Value) -> Kind {
    match value {
        Value::String(_) => Kind::String,
        Value::Number(_) => Kind::Number,
        Value::Bool(_) => Kind::Boolean,
        Value::Null => Kind::Null,
        Value::Array(_) => Kind::Array,
        Value::Object(_) => Kind::Object,
    }
}

/// The types that a value may have, or none if it may have any.
struct Types<'t>(Option<Vec<&'t Choice>>);

impl<'t> Types<'t> {
    fn only(self, kind: Kind) -> Self {
        let fit = |choice: &&Choice| choice.kinds.iter().any(|declared| kind.is(*declared));
        Self(self.0.map(|choices| choices.into_iter().filter(fit).collect()))
    }

    /// The types of a part, of which each type says one.
    fn parts(&self, part: impl Fn(&'t Choice) -> &'t Type) -> Self {
        let Some(choices) = self.0.as_ref().filter(|choices| !choices.is_empty()) else { return Self(None) };
        let mut types = Vec::new();
        for choice in choices {
            match &part(choice).0 {
                Some(more) => types.extend(more),
                None => return Self(None),
            }
        }
        Self(Some(types))
    }

    fn item(&self, index: usize) -> Self {
        self.parts(|choice| choice.first_items.get(index).unwrap_or(&choice.items))
    }

    /// The types of what is at a key, and whether one of them names the key.
    fn property(&self, key: &str) -> (Self, bool) {
        let names = self.0.iter().flatten().any(|choice| choice.properties.contains_key(key));
        (self.parts(|choice| choice.properties.get(key).unwrap_or(&choice.others)), names)
    }

    /// In words.
    fn declared(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for choice in self.0.iter().flatten() {
            let of = match &choice.only {
                Some(only) => only.iter().map(Value::to_string).collect(),
                None => choice.kinds.iter().map(|kind| kind.name().to_owned()).collect::<Vec<_>>(),
            };
            words.extend(of);
        }
        words.dedup();
        words.join(" | ")
    }
}

/// Reads a value of some types.
struct Check<'t, 'f> {
    types: Types<'t>,
    found: &'f mut Option<Contradiction>,
}

/// What ends the reading.
fn ended<E: Error>() -> E {
    E::custom("a contradiction")
}

impl Check<'_, '_> {
    /// A value without parts.
    fn check<E: Error>(self, kind: Kind, is: impl Fn(&Value) -> bool) -> Result<(), E> {
        let Some(choices) = &self.types.0 else { return Ok(()) };
        let mut of_kind =
            choices.iter().filter(|choice| choice.kinds.iter().any(|declared| kind.is(*declared))).peekable();
        let other = of_kind.peek().is_some();
        if of_kind.any(|choice| choice.only.as_ref().is_none_or(|only| only.iter().any(&is))) {
            return Ok(());
        }
        let written = match (kind, other) {
            (Kind::Null, _) => "null".to_owned(),
            (kind, true) => format!("another {}", name(kind)),
            (Kind::Array | Kind::Object, false) => format!("an {}", name(kind)),
            (kind, false) => format!("a {}", name(kind)),
        };
        let declared = self.types.declared();
        *self.found = Some(Contradiction { steps: Vec::new(), written, declared });
        Err(ended())
    }
}

fn name(kind: Kind) -> &'static str {
    if kind == Kind::Integer { Kind::Number.name() } else { kind.name() }
}

impl<'de> DeserializeSeed<'de> for Check<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.types.0 {
            Some(_) => deserializer.deserialize_any(self),
            None => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
        }
    }
}

impl<'de> Visitor<'de> for Check<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.check(Kind::Boolean, |only| *only == value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.check(Kind::Integer, |only| only.as_i64() == Some(value) || is_number(only, value.to_string().parse()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.check(Kind::Integer, |only| only.as_u64() == Some(value) || is_number(only, value.to_string().parse()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let kind = if value.fract() == 0.0 { Kind::Integer } else { Kind::Number };
        self.check(kind, |only| is_number(only, Ok(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.check(Kind::String, |only| *only == value)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.check(Kind::Null, Value::is_null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self = self.within(Kind::Array)?;
        for index in 0.. {
            let check = Check { types: self.types.item(index), found: &mut *self.found };
            match items.next_element_seed(check) {
                Ok(Some(())) => {}
                Ok(None) => break,
                Err(error) => return self.below(Step::Index(index), error),
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut parts: A) -> Result<(), A::Error> {
        let mut first = true;
        while let Some(key) = parts.next_key::<std::borrow::Cow<'de, str>>()? {
            // A link: what it leads to has a type of its own.
            if first && key == "/" {
                while parts.next_value::<IgnoredAny>().is_ok() && parts.next_key::<IgnoredAny>()?.is_some() {}
                return Ok(());
            }
            if first {
                self = self.within(Kind::Object)?;
            }
            first = false;
            let (types, is_named) = self.types.property(&key);
            if let Err(error) = parts.next_value_seed(Check { types, found: &mut *self.found }) {
                let step = if is_named { Step::Key(key.into_owned()) } else { Step::AnyKey };
                return self.below(step, error);
            }
        }
        if first { self.within(Kind::Object).map(drop) } else { Ok(()) }
    }
}

impl Check<'_, '_> {
    /// The same for the parts of a value of that kind.
    fn within<E: Error>(self, kind: Kind) -> Result<Self, E> {
        let Self { types, found } = self;
        Check { types: Types(types.0.clone()), found: &mut *found }.check(kind, |_| true)?;
        Ok(Self { types: types.only(kind), found })
    }

    fn below<E: Error>(self, step: Step, error: E) -> Result<(), E> {
        if let Some(found) = self.found {
            found.steps.push(step);
        }
        Err(error)
    }
}

fn is_number(only: &Value, value: Result<f64, std::num::ParseFloatError>) -> bool {
    value.is_ok_and(|value| only.as_f64() == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(schema: &Value, path: &Value, value: &Value) -> Option<String> {
        let ty = Type::of(schema)?;
        let path = path.as_array().expect("steps");
        let found = ty.contradiction(path, &value.to_string())?;
        Some(format!("{}{} {}", ty.spelled(path)[0], found.ways()[0], found.words()))
    }

    #[test]
    fn what_contradicts_a_type_is_found_with_its_place_and_without_its_value() {
        let reading = json!({ "type": "object", "required": ["at"], "properties": {
            "at": { "type": "string" }, "n": { "type": "integer" }, "kind": { "enum": ["a", "b", 3] }, "tags": { "type": "array", "items": { "type": "string" } },
            "extra": { "type": "object", "additionalProperties": { "anyOf": [{ "type": "number" }, { "type": "null" }] } },
        } });
        let list = json!({ "type": "array", "items": reading });
        for (schema, path, value, expected) in [
            (&list, json!([]), json!(5), " is a number, and its declared type is array"),
            (
                &list,
                json!([]),
                json!([{ "at": "" }, { "at": 5 }]),
                "[1].at is a number, and its declared type is string",
            ),
            (&list, json!(["*"]), json!({ "tags": ["", null] }), ".*.tags[1] is null, and its declared type is string"),
            (&list, json!([3]), json!({ "at": {} }), "[3].at is an object, and its declared type is string"),
            (&list, json!([3, "at"]), json!([]), "[3].at is an array, and its declared type is string"),
            (&list, json!([0, "n"]), json!(1.5), "[0].n is a number, and its declared type is integer"),
            (
                &list,
                json!([0, "kind"]),
                json!("secret"),
                r#"[0].kind is another string, and its declared type is "a" | "b" | 3"#,
            ),
            (
                &list,
                json!([0, "kind"]),
                json!(true),
                r#"[0].kind is a boolean, and its declared type is "a" | "b" | 3"#,
            ),
            (
                &list,
                json!([0, "extra"]),
                json!({ "secret": "x" }),
                "[0].extra.* is a string, and its declared type is number | null",
            ),
            (
                &list,
                json!([0, "extra", "secret"]),
                json!(true),
                "[0].extra.* is a boolean, and its declared type is number | null",
            ),
            (
                &json!({ "anyOf": [reading, { "type": "string" }] }),
                json!([]),
                json!({ "at": 1 }),
                ".at is a number, and its declared type is string",
            ),
            (
                &json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "const": 1 }] }),
                json!([]),
                json!(["", 2]),
                "[1] is another number, and its declared type is 1",
            ),
        ] {
            assert_eq!(found(schema, &path, &value).as_deref(), Some(expected), "{value}");
        }
        let long = json!({ "enum": (0..1000).map(|n| format!("{n:032}")).collect::<Vec<_>>() });
        assert!(found(&long, &json!([]), &json!(1)).is_some_and(|found| found.len() < 2 * MAX_TEXT));
    }

    #[test]
    fn what_may_meet_a_type_is_not_found() {
        let object = json!({ "type": "object", "properties": { "n": { "type": "number" } } });
        for (schema, values) in [
            (json!({}), json!([1, null, [], {}])),
            (json!({ "type": "number" }), json!([1, 1.5, -1, 1e300])),
            (json!({ "type": "integer" }), json!([1, 2.0, -5, 1e300])),
            (json!({ "type": "array" }), json!([[], [1, ""], [null]])),
            (
                object.clone(),
                json!([{}, { "n": 1 }, { "more": [] }, { "n": { "/": { "link@1": { "id": "of:n", "path": [] } } } }]),
            ),
            (json!({ "type": "number", "asCell": true }), json!(["", { "/": {} }])),
            (json!({ "anyOf": [{ "type": "string" }, {}] }), json!([1, []])),
            (
                json!({ "anyOf": [object, { "type": "object", "properties": { "n": { "type": "string" } } }] }),
                json!([{ "n": 1 }, { "n": "" }]),
            ),
            (json!({ "oneOf": [{ "const": 1 }, { "enum": ["a", null] }] }), json!([1, 1.0, "a", null])),
            (json!({ "type": "object", "allOf": [] }), json!([1])),
            (json!({ "type": ["number", "string"] }), json!([1, ""])),
            (json!({ "const": { "a": 1 } }), json!([{ "b": 1 }, 1])),
        ] {
            for value in values.as_array().expect("values") {
                assert_eq!(found(&schema, &json!([]), value), None, "{schema}: {value}");
            }
        }
    }
}
