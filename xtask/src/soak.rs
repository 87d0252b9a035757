//! `cargo xtask soak`: healthy and hostile plugins side by side, for minutes.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// So long. From ten on, each kind of fault has to come a thousand times behind each wall.
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "quick")]
    minutes: u64,
    /// What the dice begin with. Unless given, the time.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// One minute, built as tests are: good for a look, and a step of `cargo xtask ci`.
    #[arg(long)]
    quick: bool,
}

/// How it is built.
#[derive(Clone, Copy)]
pub(crate) enum Build {
    /// As tests are, so there is little to build.
    Quick,
    /// Optimized, with what asserts itself: most of the time goes into compiling components.
    Long,
}

impl Build {
    const fn profile(self) -> &'static str {
        match self {
            Self::Quick => "dev",
            Self::Long => "soak",
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::Quick => "debug",
            Self::Long => "soak",
        }
    }
}

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let (seconds, how) =
        if args.quick { (60, Build::Quick) } else { (args.minutes * 60, Build::Long) };
    cmd::run(&mut build(checkout, how))?;
    cmd::run(&mut program(checkout, how, seconds, args.seed))?;
    Ok(Verdict::Good)
}

pub(crate) fn build(checkout: &Checkout, how: Build) -> Command {
    let what = ["build", "--package", "ringbox-faults", "--bin", "soak", "--profile"];
    cmd::cargo(checkout.root(), what.into_iter().chain([how.profile()]))
}

/// What it has to say it says on stdout. Plugins that panic on purpose say so on stderr, thousands
/// of times.
pub(crate) fn program(checkout: &Checkout, how: Build, seconds: u64, seed: Option<u64>) -> Command {
    let mut command = Command::new(checkout.target().join(how.folder()).join("soak"));
    command.args(["--seconds", &seconds.to_string()]).stderr(Stdio::null());
    if let Some(seed) = seed {
        command.args(["--seed", &seed.to_string()]);
    }
    command
}
