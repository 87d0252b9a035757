//! A soak of some seconds: nothing is left over. (How memory goes shows in longer ones.)

#![cfg(target_os = "linux")]

use ringbox_faults::soak::{Options, soak};
use std::time::Duration;

#[test]
fn a_few_seconds_among_hostile_plugins_leave_nothing_behind() {
    let options = Options { duration: Duration::from_secs(8), seed: 1 };
    if let Err(wrong) = soak(options, |line| eprintln!("{line}")) {
        panic!("{}", wrong.join("\n"));
    }
}
