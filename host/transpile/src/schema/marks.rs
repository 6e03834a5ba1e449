//! Marks on types: names that say that something is secret, and what a schema says then.

use serde_json::{Value, json};

/// Whether a type of that name marks what it wraps as secret.
pub(super) fn is_mark(name: &str) -> bool {
    matches!(name, "Secret" | "Confidential" | "CFC" | "Cfc")
}

/// The schema, marked as secret.
pub(super) fn secret(schema: Value) -> Value {
    with(schema, "ifc", json!({"classification": ["secret"]}))
}

/// The schema with one more entry.
pub(super) fn with(mut schema: Value, mark: &str, value: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.insert(mark.into(), value);
    }
    schema
}
