//! Values to text.

use std::fmt::Write as _;

use base64::Engine as _;

use crate::decode::TAG;
use crate::tagged::BASE64;
use crate::value::Value;

/// The text of a value: [`TAG`] and JSON.
///
/// It is the text that the original writes for the same value, byte for byte; a precondition on the hash of a document
/// is one on the hash of this text.
pub fn encode(value: &Value) -> String {
    let mut out = TAG.to_owned();
    write(&mut out, value);
    out
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Undefined => out.push_str(r#"{"/Undefined@1":null}"#),
        Value::Number(number) if special(*number).is_some() => {
            let text = special(*number).unwrap_or_default();
            let _ = write!(out, r#"{{"/SpecialNumber@1":"{text}"}}"#);
        }
        Value::Bytes(bytes) => {
            let _ = write!(out, r#"{{"/Bytes@1":"{}"}}"#, BASE64.encode(bytes));
        }
        Value::Holes(count) => {
            let _ = write!(out, r#"{{"/hole":{count}}}"#);
        }
        Value::Tagged(tagged) => {
            let _ = write!(out, r#"{{"/{}":"#, tagged.tag());
            write(out, tagged.state());
            out.push('}');
        }
        Value::Object(entries) if entries.keys().any(|key| key.starts_with('/')) => {
            // Literal, if everything within can be literal; else its entries are read as values.
            let is_literal = entries.values().all(is_literal);
            out.push_str(if is_literal { r#"{"/quote":"# } else { r#"{"/object":"# });
            write_object(out, value, if is_literal { write_literal } else { write });
            out.push('}');
        }
        Value::Object(_) => write_object(out, value, write),
        Value::List(_) => write_list(out, value, write),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => write_simple(out, value),
    }
}

/// Whether a value is written in the same way within a quotation: no special value is in it.
fn is_literal(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Text(_) => true,
        Value::Number(number) => special(*number).is_none(),
        Value::List(elements) => elements.iter().all(is_literal),
        Value::Object(entries) => entries.values().all(is_literal),
        Value::Undefined | Value::Bytes(_) | Value::Holes(_) | Value::Tagged(_) => false,
    }
}

/// Writes JSON without special values.
fn write_literal(out: &mut String, value: &Value) {
    match value {
        Value::Object(_) => write_object(out, value, write_literal),
        Value::List(_) => write_list(out, value, write_literal),
        _ => write_simple(out, value),
    }
}

fn write_object(out: &mut String, value: &Value, write: fn(&mut String, &Value)) {
    let Value::Object(entries) = value else { return };
    // JavaScript puts keys that are indices before all others, by their number.
    let mut indices: Vec<_> = entries.iter().filter_map(|(key, value)| Some((index(key)?, key, value))).collect();
    indices.sort_unstable_by_key(|(index, ..)| *index);
    let others = entries.iter().filter(|(key, _)| index(key).is_none());
    let mut separator = '{';
    for (key, value) in indices.into_iter().map(|(_, key, value)| (key, value)).chain(others) {
        out.push(separator);
        separator = ',';
        write_text(out, key);
        out.push(':');
        write(out, value);
    }
    if separator == '{' {
        out.push('{');
    }
    out.push('}');
}

fn write_list(out: &mut String, value: &Value, write: fn(&mut String, &Value)) {
    out.push('[');
    for (place, element) in value.as_list().unwrap_or_default().iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write(out, element);
    }
    out.push(']');
}

fn write_simple(out: &mut String, value: &Value) {
    match value {
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => write_number(out, *number),
        Value::Text(text) => write_text(out, text),
        _ => out.push_str("null"),
    }
}

fn write_text(out: &mut String, text: &str) {
    // A text always has a JSON form, which escapes what JavaScript escapes.
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// What JSON has no number for.
fn special(number: f64) -> Option<&'static str> {
    match number {
        _ if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ if number == 0.0 && number.is_sign_negative() => Some("-0"),
        _ => None,
    }
}

/// A number as JavaScript writes it: the shortest digits that read back as it, with an exponent only if it is very large
/// or very small.
fn write_number(out: &mut String, number: f64) {
    let magnitude = number.abs();
    if number == 0.0 || (1e-6..1e21).contains(&magnitude) {
        let _ = write!(out, "{number}");
    } else {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        let _ = write!(out, "{digits}e{sign}{exponent}");
    }
}

/// The number of a key that is an index of JavaScript: below 2^32 - 1, and written as numbers are.
fn index(key: &str) -> Option<u32> {
    let number = key.parse::<u32>().ok().filter(|number| *number < u32::MAX)?;
    let is_canonical = key == "0" || key.starts_with(|c: char| matches!(c, '1'..='9'));
    is_canonical.then_some(number)
}
