//! What a document contains.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::tagged::Tagged;

/// A value of the original's data model: JSON, and what JSON lacks.
///
/// Objects are sorted by the bytes of their keys, as the original's hash walks them.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`.
    Null,
    /// The absence of a value, which the original keeps apart from `null`.
    Undefined,
    /// A truth value.
    Bool(bool),
    /// A number, with `-0`, infinities and NaN.
    Number(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An array.
    List(Vec<Value>),
    /// Elements that are absent from the list that this stands in. It means nothing elsewhere.
    Holes(NonZeroU32),
    /// An object.
    Object(BTreeMap<String, Value>),
    /// A value of another type, known or not, as it came.
    Tagged(Box<Tagged>),
}

impl Value {
    /// An object of these entries.
    pub fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The entry of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries.get(key),
            _ => None,
        }
    }

    /// What is at the end of a path of keys, and of indices into lists.
    pub fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |value, key| match value {
            Self::Object(entries) => entries.get(key),
            Self::List(elements) => elements.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements, if this is a list. A run of holes is one element here.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries, if this is an object.
    pub fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(entries) => Some(entries),
            _ => None,
        }
    }
}

/// Numbers are equal if their bits are: `-0` is not `0`, and every NaN is the same.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Undefined, Self::Undefined) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a.is_nan() && b.is_nan() || a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Holes(a), Self::Holes(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            (Self::Tagged(a), Self::Tagged(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// Counts and times, which are below 2^53: a larger number is rounded.
impl From<u64> for Value {
    #[expect(clippy::cast_precision_loss, reason = "the protocol has no other numbers")]
    fn from(number: u64) -> Self {
        Self::Number(number as f64)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::List(elements)
    }
}
