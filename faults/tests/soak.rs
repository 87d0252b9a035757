//! A soak of some seconds: nothing is left over. (How memory goes shows in longer ones.)

#![cfg(target_os = "linux")]

use ringbox::{Host, LoadOptions};
use ringbox_faults::soak::{Options, soak};
use ringbox_faults::{Wall, fixtures};
use std::fs;
use std::time::Duration;

#[test]
fn a_few_seconds_among_hostile_plugins_leave_nothing_behind() {
    let options = Options { duration: Duration::from_secs(8), seed: 1 };
    if let Err(wrong) = soak(options, |line| eprintln!("{line}")) {
        panic!("{}", wrong.join("\n"));
    }
}

#[test]
fn a_host_that_is_dropped_unmaps_what_it_was_to() {
    let folder = tempfile::tempdir().unwrap();
    let library = fixtures::c_library(folder.path(), &[fixtures::EXT]).unwrap();
    let dropped = folder.path().join("libdropped.so");
    fs::rename(&library, &dropped).unwrap();
    let mapped = || fs::read_to_string("/proc/self/maps").unwrap().contains("libdropped.so");
    let host = Host::new();
    let options = LoadOptions::new().unmap();
    let plugin = host.load_with("dropped", Wall::Native.source(&dropped), options).unwrap();
    assert!(mapped() && plugin.is_loaded());
    drop(host);
    assert!(!mapped() && !plugin.is_loaded());
}
