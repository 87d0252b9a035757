//! The plugins, built when they are first needed: those of the loaders' own tests, in the folders
//! where these tests build them too.

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The target of components that need nothing of the system.
pub const BARE: &str = "wasm32-unknown-unknown";

/// The target of components that use std as any program does.
pub const WASI: &str = "wasm32-wasip2";

/// The flag for a C plugin with the extension.
pub const EXT: &str = "-DEXT=sizeof(NrPluginExt)";

/// The shared library of this name: `conforming`, `plain`, `written`, `everyday`.
#[must_use]
pub fn library(name: &str) -> PathBuf {
    let target = target().join("tmp/tests-fixtures-rust");
    build("native-loader/tests/fixtures/rust", &target, &["build", "--locked"]);
    target.join(format!("debug/lib{name}.so"))
}

/// The component of this name, for this target: `conforming`, `base`, `crashing`, `ordinary`.
#[must_use]
pub fn component(name: &str, built_for: &str) -> PathBuf {
    let target = target().join("tmp/guests");
    let args = ["build", "--release", "--locked", "--target", BARE, "--target", WASI];
    build("wasm-loader/tests/fixtures/guests", &target, &args);
    target.join(built_for).join(format!("release/{name}.wasm"))
}

/// The shared library of this name that is written with the SDK: `conforming`.
#[must_use]
pub fn sdk_library(name: &str) -> PathBuf {
    let target = target().join("tmp/plugins");
    build(SDK, &target, &["build", "--locked"]);
    target.join(format!("debug/lib{name}.so"))
}

/// The same source as a component.
#[must_use]
pub fn sdk_component(name: &str) -> PathBuf {
    let target = target().join("tmp/plugins");
    build(SDK, &target, &["build", "--release", "--locked", "--target", BARE]);
    target.join(BARE).join(format!("release/{name}.wasm"))
}

const SDK: &str = "wasm-guest-sdk/tests/fixtures/plugins";

/// The plugin in C with these flags, into this folder. None where there is no C compiler.
#[must_use]
pub fn c_library(folder: &Path, flags: &[&str]) -> Option<PathBuf> {
    let cc = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let library = folder.join("libfixture.so");
    let output = Command::new(cc)
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Wno-unused", "-fPIC", "-pthread", "-shared"])
        .arg("-I")
        .arg(root().join("abi/include"))
        .arg(root().join("native-loader/tests/fixtures/plugin.c"))
        .args(flags)
        .arg("-o")
        .arg(&library)
        .output()
        .ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(library)
}

/// The checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a checkout")
}

/// Where cargo builds: the folder that this program lies in.
fn target() -> PathBuf {
    let program = env::current_exe().expect("this program has a path");
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    let target = program.ancestors().find(marked).expect("this program was built by cargo");
    target.to_owned()
}

/// Runs cargo in a workspace of plugins, once.
fn build(workspace: &str, target: &Path, args: &[&str]) {
    static BUILT: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.get_or_insert_default().insert(format!("{workspace} {}", args.join(" "))) {
        return;
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let run = |offline: &[&str]| {
        Command::new(&cargo)
            .args(args)
            .arg("--target-dir")
            .arg(target)
            .args(offline)
            // The workspace's own settings are in its folder, and what we are built with is none of
            // its business.
            .current_dir(root().join(workspace))
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .output()
            .expect("cargo runs")
    };
    // What is needed is fetched only where it isn't there yet.
    let mut output = run(&["--offline"]);
    if !output.status.success() {
        output = run(&[]);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let missing = said.contains("target may not be installed");
    assert!(!missing, "this Rust cannot build components yet: run `cargo xtask setup`");
    assert!(output.status.success(), "{said}");
}
