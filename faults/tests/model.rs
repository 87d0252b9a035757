//! The same random calls behind every wall: what callers see is what they see without one.

#![cfg(target_os = "linux")]

use ringbox_faults::Wall;
use ringbox_faults::model::{Plan, Subject, check};
use std::env;
use std::time::{Duration, Instant};

/// A plan's seed, to run it alone.
const SEED: &str = "RINGBOX_MODEL_SEED";

/// How long each wall is asked, in seconds.
const SECONDS: &str = "RINGBOX_MODEL_SECONDS";

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

fn same_as_the_oracle(subject: Subject) {
    let _ = Wall::ALL.map(Wall::file);
    let one = number(SEED);
    let first = one.unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(number(SECONDS).unwrap_or(8));
    let mut seed = first;
    // Some plans are tried however slow the machine is.
    while seed < first + 5 || Instant::now() < end {
        if let Err(difference) = check(subject, &Plan::new(seed)) {
            panic!("{SEED}={seed}: {difference}");
        }
        seed += 1;
        if one.is_some() {
            break;
        }
    }
    eprintln!("{} plans", seed - first);
}

#[test]
fn a_library_is_the_same_to_its_callers() {
    same_as_the_oracle(Subject::Native);
}

#[test]
fn a_component_is_the_same_to_its_callers() {
    same_as_the_oracle(Subject::Wasm);
}

#[test]
fn a_component_on_runners_is_the_same_to_its_callers() {
    same_as_the_oracle(Subject::Runner);
}

/// Were the oracle's own traces not the same each time, comparing would say nothing.
#[test]
fn the_oracle_is_the_same_each_time() {
    for seed in 0..20 {
        assert!(check(Subject::Inline, &Plan::new(seed)).is_ok(), "{SEED}={seed}");
    }
}

#[test]
fn smaller_plans_get_to_nothing() {
    let mut plan = Plan::new(3);
    let mut steps = 0;
    while let Some(smaller) = plan.smaller().into_iter().next() {
        plan = smaller;
        steps += 1;
        assert!(steps < 1_000, "it gets no smaller: {plan:?}");
    }
    assert_eq!(plan, Plan(Vec::new()));
}
