//! `cargo xtask mutants`: break one promise at a time and see that its test notices.
//!
//! ```text
//! mutants/<name>.patch > patch.rs   what it breaks and how it must die
//!                        slice.rs   which of them run now
//!                        tree.rs    a copy of the checkout to break and to mend again
//!                        lab.rs     build, run, judge
//! ```

mod lab;
mod patch;
mod slice;
mod tree;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::checkout::Checkout;
use crate::cmd::Verdict;
use lab::{Lab, Outcome};
use patch::{Build, Patch};
pub(crate) use slice::Slice;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Run only the mutants that have this in their name.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Run only the K-th of N equal parts, counted from 1.
    #[arg(long, value_name = "K/N")]
    slice: Option<Slice>,
    /// Name the mutants and the promises that they break, and run nothing.
    #[arg(long)]
    list: bool,
    /// Compile with at most this many jobs at once. The mutants run one after the other.
    #[arg(long, value_name = "N")]
    jobs: Option<u32>,
    /// Stop a test after this many seconds. A mutant that hangs has died of it.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    limit: u64,
}

/// A mutant and what became of it.
struct Row {
    name: String,
    promise: String,
    outcome: Outcome,
    took: Duration,
}

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let patches = select(patch::read_all(checkout.root())?, args)?;
    if args.list {
        patches.iter().for_each(|patch| println!("{}\n    {}", patch.name, patch.promise));
        return Ok(Verdict::Good);
    }
    let lab = Lab::new(checkout, args.jobs, Duration::from_secs(args.limit))?;
    let mut rows = Vec::new();
    for (build, group) in by_build(patches) {
        println!("{build}");
        run_group(&lab, &build, group, &mut rows)?;
    }
    Ok(report(&rows))
}

/// How many mutants there are.
pub(crate) fn count(checkout: &Checkout) -> Result<usize> {
    Ok(patch::read_all(checkout.root())?.len())
}

/// Runs one slice, with everything else as it is by default.
pub(crate) fn run_slice(checkout: &Checkout, slice: Slice) -> Result<Verdict> {
    run(checkout, &Args { only: None, slice: Some(slice), list: false, jobs: None, limit: 120 })
}

fn select(mut patches: Vec<Patch>, args: &Args) -> Result<Vec<Patch>> {
    if let Some(name) = &args.only {
        patches.retain(|patch| patch.name.contains(name.as_str()));
        if patches.is_empty() {
            bail!("no mutant has `{name}` in its name; `cargo xtask mutants --list` names all");
        }
    }
    Ok(match args.slice {
        Some(slice) => slice.of(patches),
        None => patches,
    })
}

/// Mutants whose tests are built the same way share one run of those tests unbroken.
fn by_build(patches: Vec<Patch>) -> BTreeMap<Build, Vec<Patch>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for patch in patches {
        groups.entry(patch.death.build().clone()).or_default().push(patch);
    }
    groups
}

fn run_group(lab: &Lab, build: &Build, group: Vec<Patch>, rows: &mut Vec<Row>) -> Result<()> {
    let names = group.iter().flat_map(|patch| patch.death.tests().iter().cloned()).collect();
    let begun = Instant::now();
    let baseline = lab.baseline(build, &names)?;
    println!("  {:<9} {:6.1} s  unbroken: {baseline}", "", begun.elapsed().as_secs_f64());
    for patch in group {
        let begun = Instant::now();
        let outcome = match baseline.objection(patch.death.tests()) {
            Some(why) => Outcome::Invalid { why },
            None => lab.judge(&patch)?,
        };
        let Patch { name, promise, .. } = patch;
        let row = Row { name, promise, outcome, took: begun.elapsed() };
        print_row(&row);
        rows.push(row);
    }
    Ok(())
}

fn print_row(row: &Row) {
    let Row { name, outcome, took, .. } = row;
    println!("  {:<9} {:6.1} s  {name}: {}", outcome.word(), took.as_secs_f64(), outcome.detail());
}

fn report(rows: &[Row]) -> Verdict {
    let (died, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.outcome.is_death());
    if !rows.is_empty() {
        println!("\nAll mutants:");
        for row in died.iter().chain(&others) {
            print_row(row);
            println!("                      {}", row.promise);
        }
    }
    println!("\n{} passed, {} failed", died.len(), others.len());
    Verdict::good_if(others.is_empty())
}
