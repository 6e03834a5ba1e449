//! What of WebAssembly guests may use.

use wasmparser::WasmFeatures;

/// What guests may not use: nothing in Rust, C, Python or JavaScript needs it, so it would only be more to trust.
pub(crate) const UNUSED: [WasmFeatures; 8] = [
    WasmFeatures::THREADS,
    WasmFeatures::GC_TYPES,
    WasmFeatures::MEMORY64,
    WasmFeatures::RELAXED_SIMD,
    WasmFeatures::TAIL_CALL,
    WasmFeatures::FUNCTION_REFERENCES,
    WasmFeatures::GC,
    WasmFeatures::EXCEPTIONS,
];

/// What guests may use.
pub(crate) fn features() -> WasmFeatures {
    UNUSED.into_iter().fold(WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL, WasmFeatures::difference)
}
