//! Which WebAssembly there is.

use wasmparser::WasmFeatures;

/// The wasm that plugins may be made of: what the engine runs, and the validation before it.
///
/// WebAssembly 3.0 without what this build of the engine leaves out (garbage collection,
/// exceptions, threads), and components.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::WASM3
        .difference(WasmFeatures::GC_TYPES)
        .difference(WasmFeatures::EXCEPTIONS)
        .difference(WasmFeatures::THREADS)
        .union(WasmFeatures::COMPONENT_MODEL)
}
