//! The schemas of what handlers read and write.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use crate::endpoint::SchemaOf;

/// Collects the schemas of a document. What is read may lack members that have a default; what is written may not.
pub(super) struct Schemas {
    reading: SchemaGenerator,
    writing: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "/components/schemas".into())
            .with_transform(WithoutLinks)
            .with_transform(RecursiveTransform(with_maximum));
        Self { reading: settings.clone().for_deserialize().into(), writing: settings.for_serialize().into() }
    }

    /// The schema of something that handlers read.
    pub(super) fn read(&mut self, schema: SchemaOf) -> Value {
        whole(&mut self.reading, schema)
    }

    /// The schema of something that handlers write.
    pub(super) fn written(&mut self, schema: SchemaOf) -> Value {
        whole(&mut self.writing, schema)
    }

    /// The definitions, by name. A type that is both read and written has one schema; a test checks that the two are
    /// the same.
    pub(super) fn into_definitions(mut self) -> Map<String, Value> {
        let mut all = self.reading.take_definitions(true);
        all.extend(self.writing.take_definitions(true));
        all
    }

    #[cfg(test)]
    pub(super) fn by_use(mut self) -> [Map<String, Value>; 2] {
        [self.reading.take_definitions(true), self.writing.take_definitions(true)]
    }
}

/// A schema for the document. The definitions that it refers to are added with the others.
fn whole(generator: &mut SchemaGenerator, schema: SchemaOf) -> Value {
    let mut schema = schema(generator);
    generator.transforms_mut().for_each(|change| change.transform(&mut schema));
    schema.to_value()
}

/// Adds the maximum that the format implies, because every tool honours a maximum.
fn with_maximum(schema: &mut Schema) {
    if schema.get("format").is_some_and(|format| format == "uint64") && schema.get("maximum").is_none() {
        schema.insert("maximum".to_owned(), u64::MAX.into());
    }
}

/// Removes links from descriptions that come from Rust documentation: ``[`Text`](target)`` becomes its text.
#[derive(Clone, Copy, Debug)]
struct WithoutLinks;

impl Transform for WithoutLinks {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = without_links(text);
        }
        transform_subschemas(self, schema);
    }
}

fn without_links(text: &str) -> String {
    let mut left = String::new();
    let mut rest = text;
    while let Some((before, (label, after))) =
        rest.split_once('[').and_then(|(before, link)| Some((before, link.split_once("](")?)))
        && let Some((_, after)) = after.split_once(')')
    {
        left.extend([before, label]);
        rest = after;
    }
    left.push_str(rest);
    left.replace('\n', " ")
}
