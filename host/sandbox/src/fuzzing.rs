//! The way in for `tests/fuzz` to checks that are private otherwise. Nothing else uses it.

use wasmparser::WasmFeatures;

use crate::{ComponentInfo, World, WorldError};

/// What of WebAssembly is enabled, for every validator.
pub fn features() -> WasmFeatures {
    crate::engine::features()
}

/// Whether a component fits a world by name.
pub fn check_world(world: World, info: &ComponentInfo) -> Result<(), WorldError> {
    world.check(info)
}

/// Whether a guest's text is JSON that everybody here can read.
pub fn check_json(text: &str) -> Result<(), serde_json::Error> {
    crate::json::check(text)
}
