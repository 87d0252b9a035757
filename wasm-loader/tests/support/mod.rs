//! Components built for the tests.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// For what needs nothing of the system: such a component imports nothing from WASI.
pub const BARE: &str = "wasm32-unknown-unknown";

/// For what uses std as any program does: it imports from WASI whatever std might want.
pub const WASI: &str = "wasm32-wasip2";

/// The component of this name in `fixtures/guests`, built for this target.
pub fn guest(name: &str, target: &str) -> PathBuf {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let built_to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !*built {
        build(&built_to);
        *built = true;
    }
    built_to.join(target).join("release").join(format!("{name}.wasm"))
}

/// The bytes of the component that it names.
pub fn guest_bytes(name: &str, target: &str) -> Vec<u8> {
    std::fs::read(guest(name, target)).unwrap()
}

/// Builds the whole workspace of guests for both targets.
fn build(target_folder: &Path) {
    // The host's tests use this file too.
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let workspace = crates.join("wasm-loader/tests/fixtures/guests");
    let build = |offline: &[&str]| {
        Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--target", BARE, "--target", WASI])
            .arg("--target-dir")
            .arg(target_folder)
            .args(offline)
            // Its settings are in a folder of its own, and what the tests themselves are built with
            // is none of its business.
            .current_dir(&workspace)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .output()
            .unwrap()
    };
    // What is needed is fetched only where it isn't there yet.
    let mut output = build(&["--offline"]);
    if !output.status.success() {
        output = build(&[]);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let targets_missing = said.contains("target may not be installed");
    assert!(!targets_missing, "this Rust cannot build components yet: run `cargo xtask setup`");
    assert!(output.status.success(), "{said}");
}
