//! Text to values.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use base64::Engine as _;
use bg_identity::{Lines, Most, excerpt};

use crate::plain;
use crate::tagged::{BASE64, Tagged};
use crate::value::Value;

/// What every text of this format starts with. The digit is the format's version.
pub const TAG: &str = "fvj1:";

/// A text that is not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is in another format, or in another version of this one.
    #[error("it starts with \"{0}\" instead of \"{TAG}\"")]
    Format(String),
    /// It is not JSON, is nested too deeply, or is too large.
    #[error("it is not JSON as it must be: {0}")]
    Json(String),
    /// A special value is not as it must be.
    #[error("it contains a \"{0}\" that is malformed")]
    Special(String),
    /// An object has keys that only special values have.
    #[error("it contains an object with the reserved key \"{0}\"")]
    Reserved(String),
    /// A list is longer than lists can be.
    #[error("it contains a list of more than 4294967295 elements")]
    TooLong,
}

/// Reads a text: [`TAG`] and JSON.
///
/// The input may be a stranger's: its depth and its number of values are bounded, and what is malformed is an error.
pub fn decode(text: &str) -> Result<Value, DecodeError> {
    let json = text.strip_prefix(TAG).ok_or_else(|| DecodeError::Format(shown(text.get(..5).unwrap_or(text))))?;
    decode_json(json)
}

/// Reads what follows the tag, or a part of it.
pub(crate) fn decode_json(json: &str) -> Result<Value, DecodeError> {
    special(plain::parse(json).map_err(|error| DecodeError::Json(shown(&error.to_string())))?)
}

fn shown(text: &str) -> String {
    excerpt(text, Lines::Escaped, Most::Chars(80))
}

/// Reads the special values in JSON.
fn special(plain: Value) -> Result<Value, DecodeError> {
    match plain {
        Value::List(elements) => list(elements),
        Value::Object(entries) => match only_entry(entries) {
            Ok((tag, state)) => one(&tag, state),
            Err(entries) => match entries.keys().find(|key| key.starts_with('/')) {
                Some(key) => Err(DecodeError::Reserved(shown(key))),
                None => object(entries),
            },
        },
        simple => Ok(simple),
    }
}

/// The tag and the state of an object that has one entry, with `/` before its key.
fn only_entry(mut entries: BTreeMap<String, Value>) -> Result<(String, Value), BTreeMap<String, Value>> {
    match entries.first_key_value().map(|(key, _)| key.strip_prefix('/').map(str::to_owned)) {
        Some(Some(tag)) if entries.len() == 1 => match entries.pop_first() {
            Some((_, state)) => Ok((tag, state)),
            None => Err(entries),
        },
        _ => Err(entries),
    }
}

fn one(tag: &str, state: Value) -> Result<Value, DecodeError> {
    let malformed = || DecodeError::Special(shown(tag));
    match (tag, state) {
        ("quote", state) => Ok(state),
        ("object", Value::Object(entries)) => object(entries),
        ("Undefined@1", Value::Null) => Ok(Value::Undefined),
        ("Bytes@1", Value::Text(text)) => BASE64.decode(text).map(Value::Bytes).map_err(|_| malformed()),
        ("SpecialNumber@1", Value::Text(text)) => match text.as_str() {
            "-0" => Ok(Value::Number(-0.0)),
            "NaN" => Ok(Value::Number(f64::NAN)),
            "+Infinity" => Ok(Value::Number(f64::INFINITY)),
            "-Infinity" => Ok(Value::Number(f64::NEG_INFINITY)),
            _ => Err(malformed()),
        },
        ("object" | "hole" | "Undefined@1" | "Bytes@1" | "SpecialNumber@1", _) => Err(malformed()),
        (_, state) => {
            Tagged::new(tag, special(state)?).map(|tagged| Value::Tagged(Box::new(tagged))).ok_or_else(malformed)
        }
    }
}

fn object(entries: BTreeMap<String, Value>) -> Result<Value, DecodeError> {
    entries.into_iter().map(|(key, value)| Ok((key, special(value)?))).collect::<Result<_, _>>().map(Value::Object)
}

fn list(elements: Vec<Value>) -> Result<Value, DecodeError> {
    let mut list = Vec::with_capacity(elements.len());
    let mut length: u64 = 0;
    for element in elements {
        let Some(state) = hole(&element) else {
            list.push(special(element)?);
            length += 1;
            continue;
        };
        let count = state.as_f64().and_then(positive).ok_or_else(|| DecodeError::Special("hole".to_owned()))?;
        length += u64::from(count.get());
        match list.last_mut() {
            // Two runs beside each other are one.
            Some(Value::Holes(run)) => *run = run.checked_add(count.get()).ok_or(DecodeError::TooLong)?,
            _ => list.push(Value::Holes(count)),
        }
    }
    if length > u32::MAX.into() {
        return Err(DecodeError::TooLong);
    }
    Ok(Value::List(list))
}

fn hole(element: &Value) -> Option<&Value> {
    let entries = element.as_object()?;
    entries.get("/hole").filter(|_| entries.len() == 1)
}

fn positive(number: f64) -> Option<NonZeroU32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the result is compared with the number"
    )]
    let count = number as u32;
    NonZeroU32::new(count).filter(|_| f64::from(count).to_bits() == number.to_bits())
}
