//! Schemas as expressions of JavaScript.

use serde_json::Value;

/// The key under which a schema names a constant of the file that is a schema itself, as `Schema<typeof Name>` does.
pub(super) const CONSTANT: &str = "\0constant";

/// A schema as an expression, on one line.
pub(crate) fn spell(schema: &Value) -> String {
    let mut text = String::new();
    write(schema, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(entries) => {
            text.push('{');
            if let Some(constant) = entries.get(CONSTANT).and_then(Value::as_str) {
                text.extend(["...", constant, ", "]);
            }
            for (key, item) in entries.iter().filter(|(key, _)| *key != CONSTANT) {
                text.push_str(&literal(&Value::from(key.as_str())));
                text.push_str(": ");
                write(item, text);
                text.push_str(", ");
            }
            text.push('}');
        }
        value => text.push_str(&literal(value)),
    }
}

/// JSON but for two characters, which end a line in a program.
fn literal(value: &Value) -> String {
    value.to_string().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}
