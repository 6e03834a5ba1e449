//! Values of types that have no variant of their own.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::value::Value;

/// Written without padding, read with or without, whatever the unused bits are: as the original does.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A value of another type: its type and version, `Name@1`, and its state.
///
/// The types that are known here have states of the form that the original demands. Every other type is kept as it came,
/// so that writing a document back loses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    tag: String,
    state: Value,
}

/// How the original's hash treats a type.
pub(crate) enum Kind {
    /// A whole number: this byte, then its bytes.
    Integer(u8),
    /// A name that is unique by itself.
    Symbol,
    /// The hash of something.
    Hash,
    /// A regular expression.
    RegExp,
    /// Two keys.
    KeyPair,
    /// A type and a state, known or not.
    Instance,
}

impl Tagged {
    /// A value of a type; nothing if the tag is not one, or the state not one of that type.
    pub fn new(tag: &str, state: Value) -> Option<Self> {
        if !is_tag(tag) {
            return None;
        }
        let state = match kind(tag) {
            Kind::Integer(_) => integer(&state)?,
            Kind::Symbol => state.as_str()?.into(),
            Kind::Hash => {
                let (tag, hash) = (state.get("tag")?.as_str()?, state.get("hash")?.as_str()?);
                let hash = BASE64.encode(BASE64.decode(hash).ok()?);
                Value::object([("hash", hash.into()), ("tag", tag.into())])
            }
            Kind::RegExp => {
                state.as_object()?;
                let part = |name, default: &str| match state.get(name) {
                    None => Some((name, default.into())),
                    Some(value) => value.as_str().map(|text| (name, text.into())),
                };
                Value::object([part("flags", "")?, part("flavor", "es2025")?, part("source", "")?])
            }
            Kind::KeyPair => {
                let part = |name| state.get(name).and_then(Value::as_str).map(|text| (name, text.into()));
                Value::object([part("algorithm")?, part("privateKey")?, part("publicKey")?])
            }
            Kind::Instance => state,
        };
        Some(Self { tag: tag.to_owned(), state })
    }

    /// The type and its version: `Name@1`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// What the value consists of.
    pub fn state(&self) -> &Value {
        &self.state
    }

    pub(crate) fn kind(&self) -> Kind {
        kind(&self.tag)
    }
}

fn kind(tag: &str) -> Kind {
    match tag {
        "BigInt@1" => Kind::Integer(0x26),
        "EpochNsec@1" => Kind::Integer(0x27),
        "EpochDay@1" => Kind::Integer(0x28),
        "Symbol@1" => Kind::Symbol,
        "Hash@1" => Kind::Hash,
        "RegExp@1" => Kind::RegExp,
        "KeyPair@1" => Kind::KeyPair,
        _ => Kind::Instance,
    }
}

/// An upper-case letter, letters and digits, `@`, and a number without a leading zero.
fn is_tag(text: &str) -> bool {
    let Some((name, version)) = text.split_once('@') else { return false };
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
        && version.starts_with(|c: char| matches!(c, '1'..='9'))
        && version.bytes().all(|b| b.is_ascii_digit())
}

/// The shortest two's complement, big-endian, as base64.
fn integer(state: &Value) -> Option<Value> {
    let bytes = BASE64.decode(state.as_str()?).ok()?;
    let redundant = bytes
        .windows(2)
        .take_while(|pair| matches!(pair, [0, next] if *next < 0x80) || matches!(pair, [0xff, next] if *next >= 0x80))
        .count();
    (!bytes.is_empty()).then(|| BASE64.encode(&bytes[redundant..]).into())
}
