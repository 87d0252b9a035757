//! Plugins built for both walls.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

pub mod pair;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

/// What components are built for: they import nothing from WASI.
pub const BARE: &str = "wasm32-unknown-unknown";

/// A plugin, built for both walls of one source.
pub struct Built {
    pub native: PathBuf,
    pub component: PathBuf,
}

/// The plugin of this name in `fixtures/plugins`.
pub fn plugin(name: &str) -> Built {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !*built {
        build(&target, &[]);
        build(&target, &["--release", "--target", BARE]);
        *built = true;
    }
    Built {
        native: target.join("debug").join(format!("lib{name}.so")),
        component: target.join(BARE).join("release").join(format!("{name}.wasm")),
    }
}

/// Builds all of them. What is needed is fetched only where it isn't there yet.
fn build(target: &Path, args: &[&str]) {
    let mut output = cargo(target, args, &["--offline"]);
    if !output.status.success() {
        output = cargo(target, args, &[]);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let targets_missing = said.contains("target may not be installed");
    assert!(!targets_missing, "this Rust cannot build components yet: run `cargo xtask setup`");
    assert!(output.status.success(), "{said}");
}

fn cargo(target: &Path, args: &[&str], more: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .args(["build", "--locked", "--target-dir"])
        .arg(target)
        .args(args)
        .args(more)
        // Its settings are in a folder of its own, and what the tests themselves are built with is
        // none of its business.
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plugins"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .output()
        .unwrap()
}

/// Waits for what needs no executor.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
