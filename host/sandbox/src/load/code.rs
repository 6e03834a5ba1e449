//! Machine code: made of components, and made components again.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::Cache;
use super::error::LoadError;
use super::inspect::ComponentInfo;
use crate::text;

/// The longest text of wasmtime's that is shown: it may quote names of the component, bytes.
pub(super) const PROBLEM_BYTES: usize = 2048;

/// Looks for the machine code of a component in the cache. It stays in its file, which is mapped: only what is run takes memory.
pub(crate) fn cached(engine: &Engine, cache: &Cache, info: &ComponentInfo) -> Option<Component> {
    let file = cache.get(&info.sha256)?;
    // SAFETY: as in `activate`: the file was just checked, and files of the cache are never written to, but replaced.
    #[allow(unsafe_code, reason = "the only way to use compiled code again")]
    let mapped = unsafe { Component::deserialize_file(engine, &file.path) };
    let component = mapped.or_else(|error| {
        // Where the cache is on a disk that nothing may be run from.
        tracing::debug!(%error, "a cached component cannot be mapped; it is read into memory");
        activate(engine, &file.read().map_err(|error| LoadError::Compile(error.to_string()))?)
    });
    component
        .inspect_err(|error| {
            tracing::warn!(sha256 = info.sha256, %error, "a cached component does not load; compiling it again");
        })
        .ok()
}

/// From a valid component to machine code. Takes a processor for as long as that takes.
pub(crate) fn compile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, String> {
    engine.precompile_component(component).map_err(|error| text::one_line(&format!("{error:#}"), PROBLEM_BYTES))
}

/// From machine code to a component.
pub(crate) fn activate(engine: &Engine, code: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: `deserialize` trusts that wasmtime made `code` and nobody changed it. It comes from `compile` above, from a
    // process that this very program started for it, or from the cache, which hands out only what these made for an engine
    // like this one: the folder and the file are ours alone, and the code has the SHA-256 that was noted when it was written.
    #[allow(unsafe_code, reason = "the only way to use compiled code again")]
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| LoadError::Compile(text::one_line(&format!("{error:#}"), PROBLEM_BYTES)))
}
