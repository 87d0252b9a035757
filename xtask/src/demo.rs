//! `cargo xtask demo`: the program to see first.

use anyhow::Result;

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

pub(crate) fn run(checkout: &Checkout) -> Result<Verdict> {
    println!(
        "Building the demo in release mode (a minute or two the first time), then running it."
    );
    cmd::run(&mut cmd::cargo(
        checkout.root(),
        ["run", "--release", "--package", "ringbox-examples", "--example", "demo"],
    ))?;
    Ok(Verdict::Good)
}
