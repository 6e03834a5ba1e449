//! Values that the operator has set for this integration.

use crate::Error;
use crate::bindings::commontools::background::config as host;

/// The value of a key, or its default from the manifest, or `None`.
pub fn get(key: &str) -> Option<String> {
    host::get(key)
}

/// The value of a required key; an error if it is not set.
pub fn required(key: &str) -> Result<String, Error> {
    get(key).ok_or_else(|| Error::Permanent(format!("the config value {key} is missing")))
}
