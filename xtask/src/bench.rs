//! `cargo xtask bench`: hands its flags to the benchmark program.

use std::path::{self, PathBuf};

use anyhow::Result;

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Measure for a shorter time: good for a look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// Also write the results to this file, with the machine they came from.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only what has this in its name.
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
}

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let mut command = cmd::cargo(
        checkout.root(),
        ["bench", "--package", "ringbox-benches", "--bench", "ring", "--"],
    );
    if args.quick {
        command.arg("--quick");
    }
    if let Some(file) = &args.json {
        // cargo starts a benchmark in its package's folder, and the file was named from here.
        command.arg("--json").arg(path::absolute(file)?);
    }
    if let Some(pattern) = &args.only {
        command.args(["--only", pattern]);
    }
    cmd::run(&mut command)?;
    Ok(Verdict::Good)
}
