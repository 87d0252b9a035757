//! Version 1 is kept letter by letter, and a plugin needs nothing else.

#![expect(unsafe_code, reason = "plays the host, which calls what the plugin exports")]
#![expect(dead_code, unreachable_pub, reason = "the small host is shared between test programs")]

mod support;

use ringbox_abi::{RawStatus, Request, v1::NrBytes};
use support::{Loaded, seen};

/// The definitions as they were given, and after them a plugin.
#[expect(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "as C would"
)]
mod plain {
    include!("fixtures/abi-v1.rs");
    include!("fixtures/plugin_v1.rs");
}

/// The same plugin over the crate's own copy.
#[expect(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "as C would"
)]
mod over_v1 {
    use ringbox_abi::v1::*;
    use std::ffi::c_void;
    include!("fixtures/plugin_v1.rs");
}

#[test]
fn version_1_is_kept_letter_by_letter() {
    let given = include_bytes!("fixtures/abi-v1.rs");
    let kept = include_bytes!("../src/v1.rs");
    assert!(given == kept, "src/v1.rs differs from the definitions that were given");
}

#[test]
fn a_plugin_of_nothing_but_the_given_text_works() {
    drive(plain::nylon_ring_get_plugin_v1().cast());
}

#[test]
fn a_plugin_of_nothing_but_the_crates_v1_works() {
    drive(over_v1::nylon_ring_get_plugin_v1());
}

fn drive(info: *const ringbox_abi::v1::NrPluginInfo) {
    let plugin = Loaded::started(info, None);
    // SAFETY: static text of the plugin.
    assert_eq!(unsafe { plugin.info.identity() }.unwrap().name, "plain");
    assert_eq!(plugin.call(7, "echo", b"abc"), RawStatus::OK);
    assert_eq!(plugin.host.next(), seen("send_result", 7, RawStatus::OK, b"abc"));
    assert_eq!(plugin.call(8, "nobody", b""), RawStatus::UNSUPPORTED);
    assert_eq!(plugin.handle_raw(9, std::ptr::null(), NrBytes::EMPTY), RawStatus::INVALID);
    let empty = Request::call("echo").unwrap();
    assert_eq!(plugin.handle_raw(10, empty.as_raw(), NrBytes::EMPTY), RawStatus::OK);
    assert_eq!(plugin.host.next(), seen("send_result", 10, RawStatus::OK, b""));
    plugin.shutdown();
}
