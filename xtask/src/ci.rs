//! `cargo xtask ci`: the steps that must hold, and the table at the end.
//!
//! ```text
//! steps.rs         the steps, in order, as data
//! pages.rs         what the .md files name is there
//! first_plugin.rs  the page about the first plugin, followed
//! words.rs         no file speaks of one machine only
//! ```

mod first_plugin;
mod pages;
mod steps;
mod words;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::checkout::Checkout;
use crate::cmd::Verdict;
use crate::mutants::Slice;
use steps::{STEPS, Step, Work};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Run only this step; may be given several times.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Name the steps and run nothing.
    #[arg(long)]
    list: bool,
    /// Run this part of the mutants (1/1 is all). Unless given, the commit decides: a few at a
    /// time, and all of them over time.
    #[arg(long, value_name = "K/N")]
    slice: Option<Slice>,
}

/// How a step went.
struct Row {
    name: &'static str,
    /// What there is to say about it, or why it failed.
    result: Result<String>,
    took: Duration,
}

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let steps = select(&args.only)?;
    if args.list {
        steps.iter().for_each(|step| println!("{:<14}{}", step.name, step.holds));
        return Ok(Verdict::Good);
    }
    let work = Work { checkout, slice: args.slice };
    let rows: Vec<_> = steps.iter().map(|step| run_step(step, &work)).collect();
    Ok(report(&rows))
}

fn select(only: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|step| step.name != *name)) {
        bail!("there is no step `{unknown}`; `cargo xtask ci --list` names all");
    }
    let wanted = |step: &&Step| only.is_empty() || only.iter().any(|name| step.name == name);
    Ok(STEPS.iter().filter(wanted).collect())
}

fn run_step(step: &Step, work: &Work<'_>) -> Row {
    println!("\n=== {}: {}", step.name, step.holds);
    let begun = Instant::now();
    let result = (step.run)(work);
    let took = begun.elapsed();
    if let Err(error) = &result {
        println!("FAILED: {}", first_line(error));
    }
    println!("=== {} took {:.1} s", step.name, took.as_secs_f64());
    Row { name: step.name, result, took }
}

fn report(rows: &[Row]) -> Verdict {
    println!("\n=== summary");
    for Row { name, result, took } in rows {
        let seconds = took.as_secs_f64();
        match result {
            Ok(note) => println!("  ok      {seconds:7.1} s  {name:<14}{note}"),
            Err(error) => println!("  FAILED  {seconds:7.1} s  {name:<14}{}", first_line(error)),
        }
    }
    let failed = rows.iter().filter(|row| row.result.is_err()).count();
    let total: Duration = rows.iter().map(|row| row.took).sum();
    println!("          {:7.1} s  in all", total.as_secs_f64());
    for row in rows {
        // Here too: the log of a long run is often cut in its middle.
        if let Err(error) = &row.result {
            println!("\n=== {} failed: {error:#}", row.name);
        }
    }
    println!("\n{} passed, {failed} failed", rows.len() - failed);
    Verdict::good_if(failed == 0)
}

fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}
