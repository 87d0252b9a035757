//! `cargo xtask faults`: each fault behind each wall, and the page that says what their callers see.

use anyhow::Result;

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

/// What the test writes the page for.
const WRITE: &str = "RINGBOX_FAULTS_WRITE";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Write `docs/faults.md` anew, in place of comparing it.
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let test = ["test", "--package", "ringbox-faults", "--test", "table"];
    let mut command = cmd::cargo(checkout.root(), test);
    if args.write {
        command.env(WRITE, "1");
    }
    cmd::run(&mut command)?;
    Ok(Verdict::Good)
}
