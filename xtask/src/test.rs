//! `cargo xtask test`: every test, and one line at the end that says how it went.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};
use crate::libtest::Report;
use crate::setup;

/// Building included. Whoever waits longer waits for a test that hangs.
const LIMIT: Duration = Duration::from_secs(45 * 60);

pub(crate) fn run(checkout: &Checkout) -> Result<Verdict> {
    let begun = Instant::now();
    let done = cmd::watch(
        &mut cmd::cargo(checkout.root(), ["test", "--workspace", "--no-fail-fast"]),
        LIMIT,
    )?;
    let report = Report::read(&done.output);
    let seconds = begun.elapsed().as_secs_f64();
    let word = match (done.success(), done.status) {
        (true, _) => "all tests passed",
        (false, Some(_)) if report.failed > 0 => "tests FAILED",
        (false, Some(_)) => "FAILED: see the errors above",
        (false, None) => "FAILED: stopped, a test hangs",
    };
    println!();
    setup::untested().iter().for_each(|line| println!("!!! {line}"));
    println!("{word}: {report} in {seconds:.1} s");
    Ok(Verdict::good_if(done.success()))
}
