//! `cargo xtask sanitize`: the tests of the routing core and of the native loader, watched.

use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum as _;

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Who watches. All of them unless given.
    #[arg(value_enum)]
    by: Vec<By>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Memory: bounds, lifetimes. AddressSanitizer, of a nightly Rust.
    Address,
    /// Races. ThreadSanitizer, of a nightly Rust.
    Thread,
    /// Memory, also of what the compiler did not make. Valgrind.
    Valgrind,
}

impl By {
    const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Thread => "thread",
            Self::Valgrind => "valgrind",
        }
    }

    /// How the tests are run, and what is left out.
    fn command(self, checkout: &Checkout, std: bool) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(checkout.root());
        if self != Self::Valgrind {
            command.arg("+nightly");
        }
        command.args(["test", "--no-fail-fast", "--lib", "--tests"]);
        command.args(["--package", "ringbox-native"]);
        command.arg("--target-dir").arg(checkout.target().join("sanitize").join(self.name()));
        match self {
            Self::Valgrind => {
                let watched = "valgrind --quiet --error-exitcode=9 --fair-sched=yes";
                command.args(["--target", HERE]).env(RUNNER, watched);
            }
            Self::Address | Self::Thread => {
                command.args(["--package", "ringbox-abi", "--package", "ringbox-ring"]);
                command.args(["--target", HERE]);
                let mut flags = format!("-Zsanitizer={}", self.name());
                if std {
                    command.arg("-Zbuild-std");
                } else {
                    flags += " -Cunsafe-allow-abi-mismatch=sanitizer";
                }
                command.env("RUSTFLAGS", flags);
                // What a plugin was handed is kept for as long as its code is mapped, mostly for ever, so
                // it is no leak; and a test asks for more memory than there is.
                let told = "detect_odr_violation=0:detect_leaks=0:allocator_may_return_null=1";
                command.env("ASAN_OPTIONS", told);
            }
        }
        command
    }
}

const HERE: &str = "x86_64-unknown-linux-gnu";
const RUNNER: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER";

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        bail!("the sanitizers are set up for {HERE} only");
    }
    let by = if args.by.is_empty() { By::value_variants() } else { &args.by };
    let std = std_is_here();
    if !std {
        println!(
            "The nightly Rust has no sources of std (`rustup component add rust-src --toolchain \
             nightly`): std itself isn't watched."
        );
    }
    let mut good = true;
    for by in by {
        if *by == By::Thread && !std {
            println!(
                "thread: NOT run. Without std it doesn't see std's locks, and reports what they order."
            );
            continue;
        }
        if let Err(error) = cmd::run(&mut by.command(checkout, std)) {
            println!("{}: {error}", by.name());
            good = false;
        }
    }
    Ok(Verdict::good_if(good))
}

/// Whether std can be built, so that it is watched too.
fn std_is_here() -> bool {
    let sysroot = cmd::read(Command::new("rustc").args(["+nightly", "--print", "sysroot"]));
    let library = "lib/rustlib/src/rust/library/Cargo.lock";
    sysroot.is_ok_and(|path| std::path::Path::new(path.trim_end()).join(library).is_file())
}
