//! Runs nylon-ring plugins that are WebAssembly components, in wasmtime.
