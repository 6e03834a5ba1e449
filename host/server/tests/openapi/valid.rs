//! Values that a schema lets through.

use serde_json::{Map, Value, json};

use crate::document::Document;
use crate::random::Random;

/// Makes values. Where a schema alone would hardly ever give a value that means something, such as a charm that is
/// there, it chooses one of these.
pub struct Valid<'a> {
    pub document: &'a Document,
    /// The operation that the values are for.
    pub operation: &'a str,
    /// Names of members and parameters, or of schemas (with a dot before them), with good values; the first of them in
    /// most cases. Before others go those for one operation, whose name is before a slash.
    pub known: &'a [(&'static str, Vec<Value>)],
}

impl Valid<'_> {
    /// A value for a member or parameter of that name.
    pub fn value(&self, name: &str, schema: &Value, random: &mut Random) -> Value {
        let schema_name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        let known = |name: &str| self.known.iter().find(|(known, _)| *known == name);
        let values = known(&format!("{}/{name}", self.operation))
            .or_else(|| schema_name.and_then(|name| known(&format!(".{name}"))))
            .or_else(|| known(name));
        if let Some((_, values)) = values {
            return if random.once_in(4) { random.one_of(values).clone() } else { values[0].clone() };
        }
        let schema = self.document.resolve(schema);
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(values) = schema["enum"].as_array() {
            return random.one_of(values).clone();
        }
        match &schema["type"] {
            Value::String(kind) => self.of_type(kind, schema, random),
            Value::Array(kinds) => self.of_type(random.one_of(kinds).as_str().unwrap(), schema, random),
            _ => match schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
                Some(choices) => self.value(name, random.one_of(choices), random),
                None => anything(3, random),
            },
        }
    }

    fn of_type(&self, kind: &str, schema: &Value, random: &mut Random) -> Value {
        match kind {
            "null" => Value::Null,
            "boolean" => random.once_in(2).into(),
            "string" => random.text().into(),
            "integer" => {
                let [least, most] = [("minimum", 0), ("maximum", u64::MAX)]
                    .map(|(name, otherwise)| schema[name].as_u64().unwrap_or(otherwise));
                let any = 1 << random.below(64);
                (*random.one_of(&[least, most, 1_000, any])).clamp(least, most).into()
            }
            "array" => (0..random.below(4)).map(|_| self.value("", &schema["items"], random)).collect(),
            "object" => Value::Object(self.object(schema, random)),
            other => panic!("values of the type {other} are not made"),
        }
    }

    fn object(&self, schema: &Value, random: &mut Random) -> Map<String, Value> {
        let none = Map::new();
        let mut required: Vec<&str> = strings(&schema["required"]);
        if let Some(choices) = schema["anyOf"].as_array() {
            required.extend(strings(&random.one_of(choices)["required"]));
        }
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let mut object = Map::new();
        for (name, schema) in properties {
            if required.contains(&name.as_str()) || random.once_in(2) {
                object.insert(name.clone(), self.value(name, schema, random));
            }
        }
        match &schema["additionalProperties"] {
            more @ (Value::Object(_) | Value::Bool(true)) if random.once_in(4) => {
                object.insert(random.text(), self.value("", more, random));
            }
            _ => {}
        }
        object
    }
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Any JSON.
fn anything(depth: usize, random: &mut Random) -> Value {
    match random.below(if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => true.into(),
        2 => random.next().into(),
        3 => json!(-1.5e300),
        4 | 5 => random.text().into(),
        6 => (0..random.below(3)).map(|_| anything(depth - 1, random)).collect(),
        _ => json!({ random.text(): anything(depth - 1, random) }),
    }
}
