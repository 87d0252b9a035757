//! The suite that every backend passes, asked of a plugin behind the native wall.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "the plugin gets the suite's hook as a C function")]

mod support;

use ringbox_abi::v1::NrBytes;
use ringbox_abi::{NrVec, OwnedBytes};
use ringbox_conformance::{Ability, Column, Hook, LoadFailure, Setup};
use ringbox_native::Options;
use ringbox_ring::Attached;
use std::ffi::c_void;
use support::{cargo_build, told, try_load};

ringbox_conformance::suite!(native, Native);
ringbox_conformance::suite!(defined, Defined);
ringbox_conformance::suite!(native_v1, NativeV1);

/// A plugin with the extension.
struct Native;

impl Column for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        load("conforming", setup)
    }
}

/// The same by `define_plugin!`: it can all that plugins by hand can.
struct Defined;

impl Column for Defined {
    fn name(&self) -> &'static str {
        "native"
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        load("written", setup)
    }
}

/// The same plugin without the extension: version 1 and nothing more.
struct NativeV1;

impl Column for NativeV1 {
    fn name(&self) -> &'static str {
        "native-v1"
    }

    fn lacks(&self) -> &'static [Ability] {
        use Ability::{Backpressure, CancelNotice, Data, Numbers, State};
        &[Numbers, Backpressure, Data, CancelNotice, State]
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        load("plain", setup)
    }
}

fn load(library: &str, setup: Setup) -> Result<Attached, LoadFailure> {
    let path = cargo_build("tests/fixtures/rust", library);
    let plugin = try_load(&path, &Options::new().limits(setup.limits))?;
    // The plugin may call it for as long as it is mapped, which is for ever.
    let hook: &'static Hook = Box::leak(Box::new(setup.hook));
    let call: unsafe extern "C" fn(*const c_void, NrBytes) -> NrVec = call_hook;
    let words = [call as usize, std::ptr::from_ref(hook) as usize];
    told(plugin.link(), "hook", &words.map(usize::to_ne_bytes).concat());
    Ok(plugin.into_attached())
}

unsafe extern "C" fn call_hook(hook: *const c_void, bytes: NrBytes) -> NrVec {
    // SAFETY: the address of a leaked hook, which the plugin hands back.
    let hook = unsafe { &*hook.cast::<Hook>() };
    // SAFETY: the plugin's view, borrowed for this call.
    let bytes = unsafe { bytes.as_slice() }.unwrap();
    OwnedBytes::from(hook(bytes)).into_raw()
}
