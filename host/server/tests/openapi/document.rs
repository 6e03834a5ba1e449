//! The document that the server gives of itself.

use std::cell::RefCell;
use std::collections::HashMap;

use bg_test_support::HttpReply;
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

const ADDRESS: &str = "http://server.example/api/openapi.json";

/// The document, and its schemas as they are needed.
pub struct Document {
    json: Value,
    compiler: RefCell<(Compiler, Schemas, HashMap<String, SchemaIndex>)>,
}

/// An operation of the document.
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub parameters: Vec<Parameter>,
    /// The schema of the body.
    pub body: Option<Value>,
    /// Where its schema is in the document.
    pub body_at: String,
    /// Who may do it: anybody, anyone who signs, the operator.
    pub open: bool,
    pub signed: bool,
    pub token: bool,
    responses: Value,
    at: String,
}

pub struct Parameter {
    pub name: String,
    pub in_path: bool,
    pub required: bool,
    /// Whether it is written as JSON.
    pub json: bool,
    pub schema: Value,
}

impl Document {
    pub fn new(json: Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.add_resource(ADDRESS, json.clone()).unwrap();
        Self { json, compiler: RefCell::new((compiler, Schemas::new(), HashMap::new())) }
    }

    pub fn operations(&self) -> Vec<Operation> {
        let paths = self.json["paths"].as_object().unwrap();
        let methods = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
        });
        methods.map(|(path, method, operation)| Operation::read(path, method, operation)).collect()
    }

    /// Resolves a reference; other schemas are returned unchanged.
    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.json.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
            None => schema,
        }
    }

    /// What is wrong with a value, by the schema at a place of the document.
    pub fn problem(&self, place: &str, value: &Value) -> Option<String> {
        let (compiler, schemas, known) = &mut *self.compiler.borrow_mut();
        let index = *known.entry(place.to_owned()).or_insert_with(|| {
            let fragment = place.replace('{', "%7B").replace('}', "%7D").replace(' ', "%20");
            compiler.compile(&format!("{ADDRESS}#{fragment}"), schemas).unwrap_or_else(|error| panic!("{error:#}"))
        });
        schemas.validate(value, index).err().map(|error| error.to_string())
    }

    /// What is wrong with a response, according to the operation.
    pub fn wrong(&self, operation: &Operation, reply: &HttpReply) -> Option<String> {
        let status = reply.status.to_string();
        let Some(described) = operation.responses.get(&status) else {
            return Some(format!("the status {status} is not documented"));
        };
        if let Some(problem) = self.wrong_headers(operation, described, reply) {
            return Some(problem);
        }
        let media_type = reply.header("content-type");
        let Some(content) = described["content"].as_object() else {
            return (media_type.is_some() || !reply.body.is_empty()).then(|| "it has a body".to_owned());
        };
        let Some((media_type, _)) = media_type.and_then(|media_type| content.get_key_value(media_type)) else {
            return Some(format!("its Content-Type {media_type:?} is not documented"));
        };
        let value = if media_type.contains("json") {
            match serde_json::from_slice(&reply.body) {
                Ok(value) => value,
                Err(error) => return Some(format!("it is not JSON: {error}")),
            }
        } else {
            Value::from(reply.text())
        };
        if media_type == "application/problem+json" && value["status"] != reply.status {
            return Some("its status is another than the answer's".to_owned());
        }
        let place = format!("{}/responses/{status}/content/{}/schema", operation.at, media_type.replace('/', "~1"));
        self.problem(&place, &value)
    }

    /// What is wrong with the headers of an answer that are described.
    fn wrong_headers(&self, operation: &Operation, described: &Value, reply: &HttpReply) -> Option<String> {
        described["headers"].as_object()?.iter().find_map(|(name, header)| {
            let Some(text) = reply.header(&name.to_ascii_lowercase()) else {
                return (header["required"] == true).then(|| format!("it has no header {name}"));
            };
            let value = text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from);
            let place = format!("{}/responses/{}/headers/{name}/schema", operation.at, reply.status);
            self.problem(&place, &value).map(|problem| format!("its header {name}: {text}: {problem}"))
        })
    }
}

impl Operation {
    fn read(path: &str, method: &str, described: &Value) -> Self {
        let parameters = described["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let body = described.pointer("/requestBody/content/application~1json/schema").cloned();
        let at = format!("/paths/{}/{method}", path.replace('/', "~1"));
        let allowed = described["security"].as_array().unwrap();
        Self {
            id: described["operationId"].as_str().unwrap().to_owned(),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            parameters: parameters.iter().map(Parameter::read).collect(),
            body,
            body_at: format!("{at}/requestBody/content/application~1json/schema"),
            open: allowed.is_empty() || allowed.contains(&json!({})),
            signed: allowed.iter().any(|one| one.get("messageSignature").is_some()),
            token: allowed.iter().any(|one| one.get("loginToken").is_some()),
            responses: described["responses"].clone(),
            at,
        }
    }

    /// The one status that means that it is done.
    pub fn success(&self) -> u16 {
        let statuses = self.responses.as_object().unwrap().keys();
        statuses.filter_map(|status| status.parse().ok()).find(|status| (200..300).contains(status)).unwrap()
    }
}

impl Parameter {
    fn read(described: &Value) -> Self {
        let json = described.pointer("/content/application~1json/schema");
        Self {
            name: described["name"].as_str().unwrap().to_owned(),
            in_path: described["in"] == "path",
            required: described["required"] == true,
            json: json.is_some(),
            schema: json.unwrap_or(&described["schema"]).clone(),
        }
    }
}
