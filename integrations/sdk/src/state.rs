//! A small durable key-value store, private to this integration: at most 1,000 keys of 256 bytes, 64 KiB per value, 1
//! MiB in all.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::commontools::background::state as host;

/// Why a value can't be stored or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// Over one of the limits; says which.
    TooLarge(String),
    /// The store did not answer.
    Unavailable(String),
    /// The value cannot be written as JSON, or the stored JSON does not have the expected form.
    Json {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(reason) => write!(f, "too large to keep: {reason}"),
            Self::Unavailable(reason) => write!(f, "the integration's store is unavailable: {reason}"),
            Self::Json { key, reason } => write!(f, "what is kept as {key:?}: {reason}"),
        }
    }
}

impl std::error::Error for StateError {}

impl From<host::StateError> for StateError {
    fn from(from: host::StateError) -> Self {
        match from {
            host::StateError::TooLarge(reason) => Self::TooLarge(reason),
            host::StateError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

/// The bytes stored under a key, or `None`.
pub fn get_bytes(key: &str) -> Result<Option<Vec<u8>>, StateError> {
    Ok(host::get(key)?)
}

/// Stores bytes under a key.
pub fn set_bytes(key: &str, value: &[u8]) -> Result<(), StateError> {
    Ok(host::set(key, value)?)
}

/// The value stored under a key by [`set`], or `None`.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, StateError> {
    get_bytes(key)?.map(|bytes| decode(key, &bytes)).transpose()
}

/// Stores a value under a key, as JSON.
pub fn set<T: Serialize>(key: &str, value: &T) -> Result<(), StateError> {
    let json = serde_json::to_vec(value)
        .map_err(|error| StateError::Json { key: key.to_owned(), reason: error.to_string() })?;
    set_bytes(key, &json)
}

/// Removes a key; no error if it does not exist.
pub fn delete(key: &str) -> Result<(), StateError> {
    Ok(host::delete(key)?)
}

/// All keys, sorted.
pub fn keys() -> Result<Vec<String>, StateError> {
    Ok(host::keys()?)
}

fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(bytes).map_err(|error| StateError::Json { key: key.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_another_form_is_an_error_that_names_the_key() {
        assert_eq!(decode::<u32>("cursor", b"7"), Ok(7));
        let error = decode::<u32>("cursor", b"{}").unwrap_err();
        assert!(error.to_string().starts_with("what is kept as \"cursor\""), "{error}");
    }
}
