//! Machine code: compiled from components, and turned back into components.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::Cache;
use super::error::LoadError;
use super::inspect::ComponentInfo;
use crate::text;

/// The longest text of wasmtime's that is shown, in bytes: it may quote names of the component.
pub(super) const PROBLEM_BYTES: usize = 2048;

/// Looks for the machine code of a component in the cache. The file is mapped: only code that runs takes memory.
pub(crate) fn cached(engine: &Engine, cache: &Cache, info: &ComponentInfo) -> Option<Component> {
    let file = cache.get(&info.sha256)?;
    // SAFETY: as in `activate`: the file was just checked, and files of the cache are replaced, never written to.
    #[allow(unsafe_code, reason = "the only way to use compiled code again")]
    let mapped = unsafe { Component::deserialize_file(engine, &file.path) };
    let component = mapped.or_else(|error| {
        // Happens if the cache is on a disk mounted `noexec`.
        tracing::debug!(%error, "a cached component cannot be mapped; it is read into memory");
        activate(engine, &file.read().map_err(|error| LoadError::Compile(error.to_string()))?)
    });
    component
        .inspect_err(|error| {
            tracing::warn!(sha256 = info.sha256, %error, "a cached component does not load; compiling it again");
        })
        .ok()
}

/// Compiles a valid component to machine code. Keeps one processor busy.
pub(crate) fn compile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, String> {
    engine.precompile_component(component).map_err(|error| text::one_line(&format!("{error:#}"), PROBLEM_BYTES))
}

/// Turns machine code into a component.
pub(crate) fn activate(engine: &Engine, code: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: `deserialize` trusts that wasmtime made `code` and that nobody changed it. It comes from `compile` above,
    // from a process that this same program started for it, or from the cache. The cache returns only code of these
    // two, for an engine like this one: the folder and the file are private to us, and the code has the SHA-256
    // recorded when it was written.
    #[allow(unsafe_code, reason = "the only way to use compiled code again")]
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| LoadError::Compile(text::one_line(&format!("{error:#}"), PROBLEM_BYTES)))
}
