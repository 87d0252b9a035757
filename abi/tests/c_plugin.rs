//! A plugin in C, loaded as a library: a status without a name arrives as the number that it is.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "loads a library and calls what it exports")]
#![expect(dead_code, unreachable_pub, reason = "the small host is shared between test programs")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod support;

use std::{
    env,
    ffi::{CString, c_char, c_int, c_void},
    path::Path,
    process::Command,
};

use ringbox_abi::{PLUGIN_EXT_V1_SYMBOL, PLUGIN_V1_SYMBOL, RawStatus, Status, v1};
use support::{Loaded, seen};

#[link(name = "dl")]
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, symbol: *const c_char) -> *mut c_void;
}

#[test]
fn a_status_without_a_name_arrives_from_c() {
    let cc = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if Command::new(&cc).arg("--version").output().is_err() {
        println!("SKIPPED: no C compiler here, so the plugin in C was NOT built");
        return;
    }
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libplugin_c.so");
    let output = Command::new(&cc)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC", "-I"])
        .arg(crate_dir.join("include"))
        .arg(crate_dir.join("tests/fixtures/plugin.c"))
        .arg("-o")
        .arg(&library)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let path = CString::new(library.to_str().unwrap()).unwrap();
    // SAFETY: the library was built just above and runs no code on being loaded.
    let library = unsafe { dlopen(path.as_ptr(), 2) };
    assert!(!library.is_null());
    // SAFETY: a loaded library and a terminated name.
    let ext = unsafe { dlsym(library, PLUGIN_EXT_V1_SYMBOL.as_ptr()) };
    assert!(ext.is_null(), "plain version 1");
    // SAFETY: as above.
    let symbol = unsafe { dlsym(library, PLUGIN_V1_SYMBOL.as_ptr()) };
    assert!(!symbol.is_null());
    // SAFETY: the library defines it with this signature.
    let getter = unsafe {
        std::mem::transmute::<*mut c_void, extern "C" fn() -> *const v1::NrPluginInfo>(symbol)
    };

    let plugin = Loaded::started(getter(), None);
    assert_eq!(plugin.call(5, "any", b"abc"), RawStatus::OK);
    assert_eq!(plugin.host.next(), seen("send_result", 5, RawStatus(9), b"abc"));
    assert_eq!(plugin.call(6, "", b"").meaning(), Status::Unknown(99));
    plugin.shutdown();
}
