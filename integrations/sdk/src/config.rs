//! Values that the operator has set for this integration.

use crate::bindings::commontools::background::config as host;

/// The value of a key, or its default from the manifest, or none.
pub fn get(key: &str) -> Option<String> {
    host::get(key)
}
