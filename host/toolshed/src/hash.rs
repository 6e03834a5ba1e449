//! The hash of a value, by which the original names documents and signs.

use std::fmt;

use base64::Engine as _;
use sha2::{Digest, Sha256};

use crate::tagged::{BASE64, Kind, Tagged};
use crate::value::Value;

/// The SHA-256 of a value, as the original computes it. As text, it is base64url with a prefix: `fid1:…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

/// Texts above this length are hashed by their own hash.
const MAX_DIRECT: usize = 64;

impl Hash {
    /// What the text starts with.
    pub const PREFIX: &str = "fid1:";

    /// The hash of a value.
    pub fn of(value: &Value) -> Self {
        let mut hasher = Sha256::new();
        feed(&mut hasher, value);
        Self(hasher.finalize().into())
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The text without its prefix.
    pub fn bare(&self) -> String {
        BASE64.encode(self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.bare())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hasher.update([0x20]),
        Value::Undefined => hasher.update([0x21]),
        Value::Bool(value) => hasher.update([0x22, u8::from(*value)]),
        Value::Number(number) => {
            // There are many NaN, and one hash of them.
            let bits = if number.is_nan() { 0x7ff8_0000_0000_0000 } else { number.to_bits() };
            hasher.update([0x23]);
            hasher.update(bits.to_be_bytes());
        }
        Value::Text(text) => feed_text(hasher, text),
        Value::Bytes(bytes) => feed_bytes(hasher, 0x25, bytes),
        Value::List(elements) => {
            hasher.update([0x10]);
            elements.iter().for_each(|element| feed(hasher, element));
            hasher.update([0]);
        }
        Value::Holes(count) => {
            hasher.update([0x01]);
            feed_length(hasher, count.get() as usize);
        }
        Value::Object(entries) => {
            hasher.update([0x11]);
            for (key, value) in entries {
                feed_text(hasher, key);
                feed(hasher, value);
            }
            hasher.update([0]);
        }
        Value::Tagged(tagged) => feed_tagged(hasher, tagged),
    }
}

fn feed_tagged(hasher: &mut Sha256, tagged: &Tagged) {
    let state = tagged.state();
    let part = |name| state.get(name).and_then(Value::as_str).unwrap_or_default();
    // `Tagged` has read every base64 once already, except that of keys, which is a text to it.
    let decoded = |text: &str| BASE64.decode(text).unwrap_or_default();
    match tagged.kind() {
        Kind::Integer(byte) => feed_bytes(hasher, byte, &decoded(state.as_str().unwrap_or_default())),
        Kind::Symbol => {
            hasher.update([0x2a]);
            feed(hasher, state);
        }
        Kind::Hash => {
            hasher.update([0x29]);
            feed_text(hasher, part("tag"));
            let bytes = decoded(part("hash"));
            feed_length(hasher, bytes.len());
            hasher.update(bytes);
        }
        Kind::RegExp => {
            hasher.update([0x2b]);
            ["source", "flags", "flavor"].into_iter().for_each(|name| feed_text(hasher, part(name)));
        }
        Kind::KeyPair => {
            hasher.update([0x2c]);
            feed_text(hasher, part("algorithm"));
            ["publicKey", "privateKey"].into_iter().for_each(|name| feed_bytes(hasher, 0x25, &decoded(part(name))));
        }
        Kind::Instance => {
            hasher.update([0x12]);
            feed_text(hasher, tagged.tag());
            feed(hasher, state);
        }
    }
}

fn feed_text(hasher: &mut Sha256, text: &str) {
    if text.len() <= MAX_DIRECT {
        feed_bytes(hasher, 0x24, text.as_bytes());
    } else {
        hasher.update([0xf0]);
        hasher.update(Sha256::digest(text.as_bytes()));
    }
}

fn feed_bytes(hasher: &mut Sha256, tag: u8, bytes: &[u8]) {
    hasher.update([tag]);
    feed_length(hasher, bytes.len());
    hasher.update(bytes);
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn feed_length(hasher: &mut Sha256, mut length: usize) {
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            return hasher.update([low]);
        }
        hasher.update([low | 0x80]);
    }
}
