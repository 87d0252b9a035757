//! The suite that every backend passes, asked of plugins in the sandbox.

mod support;

use ringbox_conformance::{Ability, Column, LoadFailure, Setup};
use ringbox_ring::Attached;
use ringbox_wasm::{Policy, WasmLimits, WasmOptions, load};
use support::{BARE, WASI, guest};

ringbox_conformance::suite!(wasm, Sandboxed(WasmOptions::new(), BARE));
ringbox_conformance::suite!(wasm_with_std, Sandboxed(WasmOptions::new(), WASI));
ringbox_conformance::suite!(wasm_base, Base);

use Ability::{
    Backpressure, CancelNotice, Data, Keeps, KeepsAbandoned, KeepsStateInPanic, Later, Numbers,
    Reentry, State, Threads, UnknownStatus,
};

/// A component with the extension, built for this target.
struct Sandboxed(WasmOptions, &'static str);

impl Column for Sandboxed {
    fn name(&self) -> &'static str {
        "wasm"
    }

    fn lacks(&self) -> &'static [Ability] {
        &[KeepsStateInPanic, Threads, UnknownStatus, KeepsAbandoned, Reentry]
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        let Self(options, target) = self;
        load_guest("conforming", target, options, setup)
    }
}

/// The same plugin without the extension.
struct Base;

impl Column for Base {
    fn name(&self) -> &'static str {
        "wasm-base"
    }

    #[rustfmt::skip]
    fn lacks(&self) -> &'static [Ability] {
        &[
            KeepsStateInPanic, Threads, UnknownStatus, KeepsAbandoned, Reentry,
            Later, Keeps, Numbers, Backpressure, Data, CancelNotice, State,
        ]
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        load_guest("base", BARE, &WasmOptions::new(), setup)
    }
}

fn load_guest(
    name: &str,
    target: &str,
    options: &WasmOptions,
    setup: Setup,
) -> Result<Attached, LoadFailure> {
    let Setup { limits, hook, .. } = setup;
    // The suite asks for answers of 64 MiB, and for thousands of open calls.
    let wasm_limits = WasmLimits::default().memory_bytes(1 << 30).kept_calls(10_000);
    let options = options.clone().limits(limits).wasm_limits(wasm_limits).host_function(
        "ringbox:conformance/hook@0.1.0",
        "call",
        move |bytes| hook(bytes),
    );
    Ok(load(&guest(name, target), name, &options)?.into_attached())
}
