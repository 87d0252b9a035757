//! `cargo xtask loom`: the routing core's models, built with `--cfg loom`.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

/// What the models have in their names, and the other tests of the library don't.
pub(crate) const MODELS: &str = "models::";

const PREEMPTIONS: &str = "LOOM_MAX_PREEMPTIONS";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Run only the models that have this in their name.
    name: Option<String>,
}

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let mut command = test(checkout.root(), &checkout.target().join("loom"));
    command.args(["--", args.name.as_deref().unwrap_or(MODELS)]);
    cmd::run(&mut command)?;
    Ok(Verdict::Good)
}

/// `cargo test` of the models, without a word yet on which. Optimized, for a model is millions of
/// runs, but neither slowly linked nor without its assertions.
pub(crate) fn test(dir: &Path, target: &Path) -> Command {
    let mut command = cmd::cargo(dir, ["test", "--package", "ringbox-ring", "--release"]);
    for setting in ["lto=false", "codegen-units=16", "debug-assertions=true"] {
        command.args(["--config", &format!("profile.release.{setting}")]);
    }
    command.arg("--lib");
    configure(&mut command, target);
    if env::var_os(PREEMPTIONS).is_none() {
        command.env(PREEMPTIONS, "3");
    }
    command
}

/// Builds with `--cfg loom`, in a folder of its own: other flags would rebuild everything.
pub(crate) fn configure(command: &mut Command, target: &Path) {
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    command.env("RUSTFLAGS", format!("{flags} --cfg loom").trim_start());
    command.env("CARGO_TARGET_DIR", target);
}
