//! The suite that every backend passes, asked of plugins in the sandbox.

mod support;

use ringbox_conformance::{Ability, Column, LoadFailure, Setup};
use ringbox_ring::Attached;
use ringbox_wasm::{Mode, Policy, WasmLimits, WasmOptions, load};
use std::time::Duration;
use support::{BARE, WASI, guest};

ringbox_conformance::suite!(wasm, Sandboxed(BARE));
ringbox_conformance::suite!(wasm_with_std, Sandboxed(WASI));
ringbox_conformance::suite!(wasm_base, Base);
ringbox_conformance::suite!(wasm_pool, Many(Policy::Pool(4)));
ringbox_conformance::suite!(wasm_per_call, Many(Policy::PerCall(64)));
ringbox_conformance::suite!(wasm_runner, Runner);

use Ability::{
    Backpressure, CancelNotice, Data, Inside, Keeps, KeepsAbandoned, KeepsStateInPanic, Later,
    Numbers, OneInstance, Reentry, State, Threads, UnknownStatus,
};

/// A component with the extension, built for this target.
struct Sandboxed(&'static str);

impl Column for Sandboxed {
    fn name(&self) -> &'static str {
        "wasm"
    }

    fn lacks(&self) -> &'static [Ability] {
        &[KeepsStateInPanic, Threads, UnknownStatus, KeepsAbandoned, Reentry]
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        load_guest("conforming", self.0, WasmOptions::new(), setup)
    }
}

/// The same plugin where its calls never run on their caller's thread.
struct Runner;

impl Column for Runner {
    fn name(&self) -> &'static str {
        "wasm-runner"
    }

    fn lacks(&self) -> &'static [Ability] {
        &[KeepsStateInPanic, Threads, UnknownStatus, KeepsAbandoned, Reentry, Inside]
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        load_guest("conforming", WASI, WasmOptions::new().mode(Mode::Cooperative), setup)
    }
}

/// The same plugin with several instances.
struct Many(Policy);

impl Column for Many {
    fn name(&self) -> &'static str {
        "wasm-many"
    }

    fn lacks(&self) -> &'static [Ability] {
        &[KeepsStateInPanic, Threads, UnknownStatus, KeepsAbandoned, Reentry, OneInstance]
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        load_guest("conforming", BARE, WasmOptions::new().policy(self.0), setup)
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
        load_guest("base", BARE, WasmOptions::new(), setup)
    }
}

fn load_guest(
    name: &str,
    target: &str,
    options: WasmOptions,
    setup: Setup,
) -> Result<Attached, LoadFailure> {
    let Setup { limits, hook, .. } = setup;
    // The suite is not about these: it asks for answers of 64 MiB, and for thousands of calls.
    let wasm_limits = WasmLimits::default()
        .memory_bytes(1 << 30)
        .budget(Duration::from_secs(5))
        .queued_calls(10_000);
    let options = options.limits(limits).wasm_limits(wasm_limits).host_function(
        "ringbox:conformance/hook@0.1.0",
        "call",
        move |bytes| hook(bytes),
    );
    Ok(load(&guest(name, target), name, &options)?.into_attached())
}
