//! `cargo xtask soak`: healthy and hostile plugins side by side, for minutes.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// So long.
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "quick")]
    minutes: u64,
    /// What the dice begin with. Unless given, the time.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// One minute: good for a look, and a step of `cargo xtask ci`.
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let seconds = if args.quick { 60 } else { args.minutes * 60 };
    cmd::run(&mut build(checkout))?;
    cmd::run(&mut program(checkout, seconds, args.seed))?;
    Ok(Verdict::Good)
}

/// As tests are built: with what asserts itself.
pub(crate) fn build(checkout: &Checkout) -> Command {
    cmd::cargo(checkout.root(), ["build", "--package", "ringbox-faults", "--bin", "soak"])
}

/// What it has to say it says on stdout. Plugins that panic on purpose say so on stderr, thousands
/// of times.
pub(crate) fn program(checkout: &Checkout, seconds: u64, seed: Option<u64>) -> Command {
    let mut command = Command::new(checkout.target().join("debug/soak"));
    command.args(["--seconds", &seconds.to_string()]).stderr(Stdio::null());
    if let Some(seed) = seed {
        command.args(["--seed", &seed.to_string()]);
    }
    command
}
