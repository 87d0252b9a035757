//! Which WebAssembly there is.

use wasmparser::WasmFeatures;

/// The wasm that plugins may be made of: what the engine runs, and the validation before it.
///
/// WebAssembly 3.0 without what this build of the engine leaves out (garbage collection,
/// exceptions, threads), without memories and tables of 64 bits, which components have no use for,
/// and components.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::WASM3
        .difference(WasmFeatures::GC_TYPES)
        .difference(WasmFeatures::EXCEPTIONS)
        .difference(WasmFeatures::THREADS)
        .difference(WasmFeatures::MEMORY64)
        .union(WasmFeatures::COMPONENT_MODEL)
}
