//! Values that the operator has set for this integration.

use crate::Error;
use crate::bindings::commontools::background::config as host;

/// The value of a key, or its default from the manifest, or none.
pub fn get(key: &str) -> Option<String> {
    host::get(key)
}

/// The same for a value that the integration cannot do without.
pub fn required(key: &str) -> Result<String, Error> {
    get(key).ok_or_else(|| Error::Permanent(format!("the config value {key} is missing")))
}
