use std::collections::BTreeSet;

use bg_identity::Identity;
use boon::Compiler;

use super::*;
use crate::routes::{endpoints, openapi};

#[test]
fn a_type_that_is_read_and_written_has_one_schema() {
    let mut schemas = Schemas::new();
    for endpoint in endpoints() {
        if let Some(operation) = &endpoint.operation {
            describe(&endpoint, operation, &mut schemas);
        }
    }
    let [read, written] = schemas.by_use();
    let both = read.iter().filter_map(|(name, schema)| Some((name, schema, written.get(name)?)));
    let mut checked = 0;
    for (name, schema, other) in both {
        assert_eq!(schema, other, "{name}");
        checked += 1;
    }
    assert!(checked > 3, "{checked}");
}

/// Every value of a key, wherever it is.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(key));
            members.values().for_each(|member| all(member, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        _ => {}
    }
}

/// What pages of a browser call to sign in, in the original's forms: no part of the API that clients are written for.
const OF_PAGES: [&str; 7] = [
    "/ct-google-oauth.js",
    "/oauth-done.js",
    "/api/integrations/{id}/login",
    "/api/integrations/{id}/callback",
    "/api/integrations/{id}/done",
    "/api/integrations/{id}/refresh",
    "/api/integrations/{id}/logout",
];

#[test]
fn the_document_is_valid_openapi() {
    let document = openapi();
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    for reference in references {
        let place = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
    let mut ids = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap();
    let is_page =
        |path: &str| ["/", "/admin"].contains(&path) || path.starts_with("/admin/") || OF_PAGES.contains(&path);
    for endpoint in endpoints().into_iter().filter(|endpoint| !is_page(endpoint.path)) {
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let operation = &paths[endpoint.path][&method];
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert_eq!(operation["requestBody"].is_object(), endpoint.json, "{id}");
        let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named: Vec<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(named, names(endpoint.path).collect::<Vec<_>>(), "{id}");
        assert!(parameters.iter().all(|it| it["schema"].is_object() != it["content"].is_object()), "{id}");
        let responses = operation["responses"].as_object().unwrap();
        assert_eq!(responses.keys().filter(|status| status.starts_with('2')).count(), 1, "{id}");
        assert!(responses.values().all(|response| response["description"].is_string()), "{id}");
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        let security = operation["security"].as_array().unwrap();
        assert!(security.iter().flat_map(|one| one.as_object().unwrap().keys()).all(|name| schemes.contains_key(name)));
    }
    assert_eq!(ids.len(), paths.values().map(|methods| methods.as_object().unwrap().len()).sum::<usize>());
}

#[test]
fn descriptions_are_for_people_who_write_clients_in_any_language() {
    let document = openapi();
    let mut texts = Vec::new();
    all(&document, "description", &mut texts);
    for text in texts.into_iter().filter_map(Value::as_str) {
        assert!(!text.contains("](") && !text.contains("::") && !text.contains('\n'), "{text}");
        assert!(text.ends_with('.'), "{text}");
    }
}

#[test]
fn names_have_the_patterns_that_the_document_gives_them() {
    const DOCUMENT: &str = "http://server.example/openapi.json";
    let mut compiler = Compiler::new();
    compiler.add_resource(DOCUMENT, openapi()).unwrap();
    let mut schemas = boon::Schemas::new();
    let [did, subject, charm, integration] = ["SpaceDid", "Subject", "CharmId", "IntegrationId"]
        .map(|name| compiler.compile(&format!("{DOCUMENT}#/components/schemas/{name}"), &mut schemas).unwrap());
    for number in 0..500 {
        let text = Value::from(Identity::from_passphrase(&number.to_string()).did().as_str());
        assert!(schemas.validate(&text, did).is_ok() && schemas.validate(&text, subject).is_ok(), "{text}");
        let text = Value::from(CharmId::for_content(number.to_string().as_bytes()).as_str());
        assert!(schemas.validate(&text, charm).is_ok(), "{text}");
    }
    for (text, schema, is_one) in [
        ("*", subject, true),
        ("*", did, false),
        ("did:key:z6Mk", did, false),
        ("did:web:example.com", did, false),
        ("fid1:a-B_7", charm, true),
        ("fid1:", charm, false),
        ("baedrei", charm, false),
        ("Google.Calendar_v2", integration, true),
        ("-rf", integration, false),
        ("a/b", integration, false),
        ("a\n", integration, false),
    ] {
        assert_eq!(schemas.validate(&Value::from(text), schema).is_ok(), is_one, "{text}");
    }
    assert!("a\n".parse::<IntegrationId>().is_err() && "a".parse::<SpaceDid>().is_err());
}
