//! The suite that every backend passes, asked of one plugin's source behind both walls.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "the native plugin gets the suite's hook as a C function")]

mod support;

use ringbox_abi::v1::NrBytes;
use ringbox_abi::{NrVec, OwnedBytes};
use ringbox_conformance::{Ability, Column, Hook, LoadFailure, Setup};
use ringbox_native::Options;
use ringbox_ring::{Attached, Invocation};
use ringbox_wasm::{WasmLimits, WasmOptions};
use std::ffi::c_void;
use std::time::Duration;
use support::plugin;

ringbox_conformance::suite!(sdk_native, Native);
ringbox_conformance::suite!(sdk_wasm, Sandboxed);

use Ability::{KeepsAbandoned, KeepsStateInPanic, Reentry, Threads, UnknownStatus};

/// The plugin as a shared library.
struct Native;

impl Column for Native {
    fn name(&self) -> &'static str {
        "sdk-native"
    }

    fn lacks(&self) -> &'static [Ability] {
        &[UnknownStatus]
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        let options = Options::new().limits(setup.limits);
        // SAFETY: the library was built from a source in this folder, which does nothing but what
        // its tests ask of it.
        let loaded = unsafe { ringbox_native::load(&plugin("conforming").native, "sdk", &options) };
        let loaded = loaded?;
        // The plugin may call it for as long as it is mapped, which is for ever.
        let hook: &'static Hook = Box::leak(Box::new(setup.hook));
        let call: unsafe extern "C" fn(*const c_void, NrBytes) -> NrVec = call_hook;
        let words = [call as usize, std::ptr::from_ref(hook) as usize];
        let words = words.map(usize::to_ne_bytes).concat();
        let reply = loaded.link().call(&Invocation::entry("hook", &words))?.wait()?;
        assert_eq!(reply.status(), ringbox_ring::Status::Ok);
        drop(reply);
        Ok(loaded.into_attached())
    }
}

unsafe extern "C" fn call_hook(hook: *const c_void, bytes: NrBytes) -> NrVec {
    // SAFETY: the address of a leaked hook, which the plugin hands back.
    let hook = unsafe { &*hook.cast::<Hook>() };
    // SAFETY: the plugin's view, borrowed for this call.
    let bytes = unsafe { bytes.as_slice() }.unwrap();
    OwnedBytes::from(hook(bytes)).into_raw()
}

/// The same as a component.
struct Sandboxed;

impl Column for Sandboxed {
    fn name(&self) -> &'static str {
        "sdk-wasm"
    }

    fn lacks(&self) -> &'static [Ability] {
        &[KeepsStateInPanic, Threads, UnknownStatus, KeepsAbandoned, Reentry]
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        let Setup { limits, hook, .. } = setup;
        // The suite is not about these: it asks for answers of 64 MiB, and for thousands of calls.
        let wasm_limits = WasmLimits::default()
            .memory_bytes(1 << 30)
            .budget(Duration::from_secs(5))
            .queued_calls(10_000);
        let options = WasmOptions::new().limits(limits).wasm_limits(wasm_limits);
        let options =
            options
                .host_function("ringbox:conformance/hook@0.1.0", "call", move |bytes| hook(bytes));
        let component = plugin("conforming").component;
        Ok(ringbox_wasm::load(&component, "sdk", &options)?.into_attached())
    }
}
