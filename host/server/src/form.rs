//! The body of the original's registration: `{"charmId": "baedrei…", "space": "did:key:z6Mk…", "integration": "name"}`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bg_identity::{CharmId, IntegrationId, SpaceDid};
use bg_poller::CharmRef;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A registration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RegistrationForm {
    pub(crate) charm: CharmRef,
    pub(crate) integration: IntegrationId,
}

impl JsonSchema for RegistrationForm {
    fn schema_name() -> Cow<'static, str> {
        "RegistrationForm".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let charm = generator.subschema_for::<CharmId>();
        json_schema!({
            "type": "object",
            "description": "A charm to register, by either name of its ID, or by both if they are the same. Other \
             members are ignored.",
            "properties": {
                "charmId": charm,
                "pieceId": charm,
                "space": generator.subschema_for::<SpaceDid>(),
                "integration": generator.subschema_for::<IntegrationId>(),
            },
            "required": ["space", "integration"],
            "anyOf": [{ "required": ["charmId"] }, { "required": ["pieceId"] }],
        })
    }
}

/// What is wrong with a body, and what is expected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the body is not the expected JSON: {0}; expected {EXAMPLE}")]
    NotJson(String),
    #[error("{field} is missing; expected {expected}")]
    Missing { field: &'static str, expected: &'static str },
    #[error("{field} is {found}; expected {expected}")]
    WrongType { field: String, found: &'static str, expected: &'static str },
    #[error("{field} is given more than once; give it once")]
    Duplicate { field: String },
    #[error("charmId and pieceId differ; give one of them, or the same ID in both")]
    TwoCharms,
    #[error("{field}: {problem}")]
    Malformed { field: String, problem: String },
}

const EXAMPLE: &str = r#"{"charmId": "baedrei…", "space": "did:key:z6Mk…", "integration": "name"}"#;

const SPACE: &str = "the DID of the charm's space, a string like \"did:key:z6Mk…\"";
const CHARM: &str = "the ID of the charm, a string like \"baedrei…\" or \"fid1:…\"";
const INTEGRATION: &str = "the name of an integration, a string like \"gmail\"";

impl RegistrationForm {
    /// Parses a body. Unknown fields are ignored, as in the original.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, FormError> {
        let fields: Fields = serde_json::from_slice(body).map_err(|error| FormError::NotJson(error.to_string()))?;
        let charm = match (fields.read::<CharmId>("charmId", CHARM)?, fields.read::<CharmId>("pieceId", CHARM)?) {
            (Some(charm), Some(piece)) if charm != piece => return Err(FormError::TwoCharms),
            (Some(charm), _) | (None, Some(charm)) => charm,
            (None, None) => return Err(FormError::Missing { field: "charmId", expected: CHARM }),
        };
        let space: Option<SpaceDid> = fields.read("space", SPACE)?;
        let integration: Option<IntegrationId> = fields.read("integration", INTEGRATION)?;
        Ok(Self {
            charm: CharmRef { space: space.ok_or(FormError::Missing { field: "space", expected: SPACE })?, charm },
            integration: integration.ok_or(FormError::Missing { field: "integration", expected: INTEGRATION })?,
        })
    }
}

/// The members of a JSON object, duplicates and all.
struct Fields(Vec<(String, Value)>);

impl Fields {
    fn read<T>(&self, field: &str, expected: &'static str) -> Result<Option<T>, FormError>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let field = field.to_owned();
        let mut values = self.0.iter().filter(|(name, _)| *name == field).map(|(_, value)| value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(FormError::Duplicate { field });
        }
        let Value::String(text) = value else {
            return Err(FormError::WrongType { field, found: kind_of(value), expected });
        };
        text.parse().map(Some).map_err(|problem: T::Err| FormError::Malformed { field, problem: problem.to_string() })
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "baedreiew6ioyvfnvp2bdvmgkkz64ffk6gssvgmibh7yaw43yqhtv2nq75a";
    const DID: &str = "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo";

    /// `@` stands for a valid charm ID, `%` for a valid DID.
    fn parse(body: &str) -> Result<RegistrationForm, FormError> {
        RegistrationForm::parse(body.replace('@', ID).replace('%', DID).as_bytes())
    }

    #[test]
    fn good_bodies_are_read() {
        for body in [
            r#"{"charmId":"@","space":"%","integration":"my-test"}"#,
            r#"{"pieceId":"@","space":"%","integration":"my-test"}"#,
            r#"{"charmId":"@","pieceId":"@","space":"%","integration":"my-test"}"#,
            " {\"integration\" : \"my-test\",\n\"more\":{\"a\":[1]}, \"space\":\"%\", \"charmId\":\"@\"} ",
        ] {
            let form = parse(body).unwrap();
            assert_eq!(form.charm.to_string(), format!("{DID}/{ID}"));
            assert_eq!(form.integration.to_string(), "my-test");
        }
    }

    #[test]
    fn errors_name_the_field_and_what_is_expected() {
        for (body, parts) in [
            ("", &["not the expected JSON", "EOF", "charmId"][..]),
            ("charm=1", &["line 1 column 1"]),
            ("[]", &["a JSON object", "space"]),
            ("\"text\"", &["a JSON object"]),
            ("{\"space\":\"%\"", &["EOF"]),
            ("{} {}", &["trailing characters"]),
            ("{}", &["charmId is missing", "baedrei…"]),
            (r#"{"charmId":"@","integration":"a"}"#, &["space is missing", "did:key:z6Mk…"]),
            (r#"{"charmId":"@","space":"%"}"#, &["integration is missing"]),
            (r#"{"charmId":7,"space":"%","integration":"a"}"#, &["charmId is a number", "string"]),
            (r#"{"pieceId":null,"space":"%","integration":"a"}"#, &["pieceId is null", "string"]),
            (r#"{"charmId":"@","space":["%"],"integration":"a"}"#, &["space is an array", "string"]),
            (r#"{"charmId":"@","space":"%","integration":{}}"#, &["integration is an object", "string"]),
            (r#"{"charmId":"@","space":"%","space":"%","integration":"a"}"#, &["space is given more than once"]),
            (r#"{"charmId":"@","pieceId":"fid1:x","space":"%","integration":"a"}"#, &["charmId and pieceId differ"]),
            (r#"{"charmId":"baedrei","space":"%","integration":"a"}"#, &["charmId: ", "59"]),
            (r#"{"charmId":"@","space":"my-space","integration":"a"}"#, &["space: ", "did:key:"]),
            (r#"{"charmId":"@","space":"did:web:x","integration":"a"}"#, &["space: ", "did:key:"]),
            (r#"{"charmId":"@","space":"%","integration":"../a"}"#, &["integration: "]),
            (r#"{"charmId":"@","space":"%","integration":""}"#, &["integration: "]),
        ] {
            let error = parse(body).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{body}: {error} has no {part}");
            }
        }
    }

    #[test]
    fn json_that_is_nested_too_deep_or_not_utf_8_is_refused() {
        assert!(parse(&format!("{{\"charmId\":{}", "[".repeat(60_000))).is_err());
        assert!(RegistrationForm::parse(b"{\"charmId\":\"\xff\"}").is_err());
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = RegistrationForm::parse(&body);
        }

        #[test]
        fn no_json_makes_it_panic(
            charm in ".*", space in ".*", integration in ".*", key in "[a-zA-Z]{0,12}", value in ".*",
        ) {
            let body = serde_json::json!({ "charmId": charm, "space": space, "integration": integration, key: value });
            let _ = RegistrationForm::parse(body.to_string().as_bytes());
        }
    }
}
