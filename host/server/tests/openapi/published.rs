//! What was published of the API stays: `published.json` is the document without its texts, as it was, and the server's
//! document may add to it and take nothing away. `PUBLISH_API=1 cargo test --test openapi published` writes what was
//! added, for a release.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bg_server::openapi;
use serde_json::{Map, Value, json};

/// Texts for people.
const TEXTS: [&str; 4] = ["description", "title", "summary", "example"];

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi/published.json")
}

/// A document without texts for people. A member of that name is not a text.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, value)| !(TEXTS.contains(&name.as_str()) && value.is_string()));
            kept.map(|(name, value)| (name.clone(), bare(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(bare).collect(),
        other => other.clone(),
    }
}

/// The paths and schemas of a document, without texts.
fn contract(document: &Value) -> Value {
    json!({"paths": bare(&document["paths"]), "schemas": bare(&document["components"]["schemas"])})
}

/// With a line for each path and schema.
fn written(contract: &Value) -> String {
    let parts = members(contract).map(|(part, rows)| {
        let rows: Vec<String> = members(rows).map(|(name, value)| format!("{}: {value}", json!(name))).collect();
        format!("{}: {{\n{}\n}}", json!(part), rows.join(",\n"))
    });
    format!("{{\n{}\n}}\n", parts.collect::<Vec<_>>().join(",\n"))
}

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From a client, which may be old: nothing new may be required.
    In,
    /// To a client: nothing that it may read is gone.
    Out,
}

/// Finds changes that a client would notice.
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    seen: BTreeSet<(String, String)>,
    problems: Vec<String>,
}

/// What a reference leads to; anything else is itself.
fn followed<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let name = value["$ref"].as_str().and_then(|text| text.strip_prefix("#/components/schemas/"));
    name.map_or(value, |name| &document["schemas"][name])
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

impl<'a> Comparison<'a> {
    fn of(old: &'a Value, new: &'a Value) -> Vec<String> {
        let mut comparison = Self { old, new, seen: BTreeSet::new(), problems: Vec::new() };
        for (path, operations) in members(&old["paths"]) {
            for (method, operation) in members(operations) {
                let at = format!("{} {path}", method.to_uppercase());
                comparison.operation(&at, operation, &new["paths"][path][method]);
            }
        }
        comparison.problems
    }

    fn problem(&mut self, at: &str, what: impl AsRef<str>) {
        self.problems.push(format!("{at}: {}", what.as_ref()));
    }

    fn operation(&mut self, at: &str, old: &'a Value, new: &'a Value) {
        if new.is_null() {
            return self.problem(at, "is gone");
        }
        if old["security"] != new["security"] {
            self.problem(at, "is for others");
        }
        let named = |of: &'a Value, like: &Value| {
            items(&of["parameters"]).iter().find(|other| other["name"] == like["name"] && other["in"] == like["in"])
        };
        for parameter in items(&old["parameters"]) {
            let at = format!("{at}, parameter {}", parameter["name"]);
            match named(new, parameter) {
                None => self.problem(&at, "is gone"),
                Some(now) => {
                    if now["required"] == true && parameter["required"] != true {
                        self.problem(&at, "is required");
                    }
                    self.schema(&at, &parameter["schema"], &now["schema"], Way::In);
                }
            }
        }
        for parameter in items(&new["parameters"]) {
            if parameter["required"] == true && named(old, parameter).is_none() {
                self.problem(at, format!("requires a new parameter {}", parameter["name"]));
            }
        }
        self.contents(&format!("{at}, body"), &old["requestBody"], &new["requestBody"], Way::In);
        for (status, answer) in members(&old["responses"]) {
            self.contents(&format!("{at}, answer {status}"), answer, &new["responses"][status], Way::Out);
        }
    }

    fn contents(&mut self, at: &str, old: &'a Value, new: &'a Value, way: Way) {
        if new.is_null() != old.is_null() {
            return self.problem(at, "is gone, or new");
        }
        for (kind, content) in members(&old["content"]) {
            self.schema(&format!("{at}, {kind}"), &content["schema"], &new["content"][kind]["schema"], way);
        }
    }

    fn schema(&mut self, at: &str, old: &'a Value, new: &'a Value, way: Way) {
        if let (Some(old), Some(new)) = (old["$ref"].as_str(), new["$ref"].as_str())
            && !self.seen.insert((format!("{old} {}", way == Way::In), new.to_owned()))
        {
            return;
        }
        let (old, new) = (followed(self.old, old), followed(self.new, new));
        let (Some(before), Some(now)) = (old.as_object(), new.as_object()) else {
            if old != new {
                self.problem(at, format!("was {old}, and is {new}"));
            }
            return;
        };
        for (word, value) in before {
            let now = &new[word];
            match word.as_str() {
                "properties" => {
                    for (name, property) in members(value) {
                        if now[name].is_null() {
                            self.problem(at, format!("has no {name}"));
                        } else {
                            self.schema(&format!("{at}.{name}"), property, &now[name], way);
                        }
                    }
                }
                "required" => {}
                "enum" => {
                    if let Some(gone) = items(value).iter().find(|value| !items(now).contains(value)) {
                        self.problem(at, format!("is never {gone}"));
                    }
                }
                "oneOf" | "anyOf" => {
                    for alternative in items(value) {
                        if !items(now).iter().any(|other| self.is_kept(alternative, other, way)) {
                            self.problem(at, format!("is never {alternative}"));
                        }
                    }
                }
                "items" | "additionalProperties" => self.schema(&format!("{at}[]"), value, now, way),
                _ if value != now => self.problem(at, format!("{word} was {value}, and is {now}")),
                _ => {}
            }
        }
        let (less, more) = if way == Way::In { (new, old) } else { (old, new) };
        for name in items(&less["required"]) {
            if !items(&more["required"]).contains(name) {
                self.problem(at, format!("{name} is required now, or may be absent now"));
            }
        }
        for word in now.keys().filter(|word| way == Way::In && !before.contains_key(*word)) {
            if !["properties", "required"].contains(&word.as_str()) {
                self.problem(at, format!("{word} is new"));
            }
        }
    }

    fn is_kept(&self, old: &'a Value, new: &'a Value, way: Way) -> bool {
        let mut tried = Self { old: self.old, new: self.new, seen: self.seen.clone(), problems: Vec::new() };
        tried.schema("", old, new, way);
        tried.problems.is_empty()
    }
}

#[test]
fn nothing_that_was_published_is_missing_or_requires_more() {
    let now = contract(&openapi());
    let published: Value = match std::fs::read_to_string(file()) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        // Before the first release.
        Err(_) if std::env::var_os("PUBLISH_API").is_some() => now.clone(),
        Err(error) => panic!("{error}: PUBLISH_API=1 writes {}", file().display()),
    };
    let problems = Comparison::of(&published, &now);
    assert!(problems.is_empty(), "clients of the published API would notice:\n{}", problems.join("\n"));
    if std::env::var_os("PUBLISH_API").is_some() {
        std::fs::write(file(), written(&now)).unwrap();
    }
}

#[test]
fn a_change_that_a_client_would_notice_is_found() {
    let old = contract(&openapi());
    assert_eq!(Comparison::of(&old, &old), Vec::<String>::new());
    let (registrations, charm) = ("/api/v1/registrations", "/api/v1/charms/{space}/{charm}");
    let schemas: Vec<String> = members(&old["schemas"]).map(|(name, _)| name.clone()).collect();
    let mut changes: Vec<Value> = Vec::new();
    let mut change = |edit: &dyn Fn(&mut Value)| {
        let mut new = old.clone();
        edit(&mut new);
        changes.push(new);
    };
    change(&|new| drop(new["paths"].as_object_mut().unwrap().remove(registrations)));
    change(&|new| drop(new["paths"][registrations].as_object_mut().unwrap().remove("post")));
    change(&|new| drop(new["paths"][charm]["get"]["responses"].as_object_mut().unwrap().remove("404")));
    change(&|new| {
        let parameter = json!({"name": "color", "in": "query", "required": true, "schema": {"type": "string"}});
        new["paths"][charm]["get"]["parameters"].as_array_mut().unwrap().push(parameter);
    });
    change(&|new| drop(new["paths"][charm]["get"]["parameters"].as_array_mut().unwrap().remove(0)));
    // A member of each schema that has one, and one that is required in addition.
    change(&|new| {
        for name in &schemas {
            if let Some(properties) = new["schemas"][name]["properties"].as_object_mut() {
                properties.clear();
            }
        }
    });
    change(&|new| {
        for name in &schemas {
            if new["schemas"][name]["properties"].is_object() {
                new["schemas"][name]["required"] = json!(["color"]);
            }
        }
    });
    for (number, new) in changes.iter().enumerate() {
        assert!(!Comparison::of(&old, new).is_empty(), "change {number}");
    }
    // An addition is not a breaking change.
    let mut new = old.clone();
    new["paths"]["/api/v1/colors"] = json!({"get": {"responses": {"200": {}}}});
    for name in &schemas {
        if let Some(properties) = new["schemas"][name]["properties"].as_object_mut() {
            properties.insert("color".into(), json!({"type": "string"}));
        }
    }
    assert_eq!(Comparison::of(&old, &new), Vec::<String>::new());
}
