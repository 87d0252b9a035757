//! `cargo xtask bench`: builds the benchmark programs, runs one after the other, and tells of all
//! rows together.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

/// The workspace in which the project is compared with its peers, from the root.
const COMPARE: &str = "benches/compare";

/// The components that the project's tests are made with. Two of them are measured.
const GUESTS: &str = "wasm-loader/tests/fixtures/guests";
const BARE: &str = "wasm32-unknown-unknown";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Measure for a shorter time: good for a look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// Also write the results to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only what has this in its name.
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
}

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    println!("building the routing core's benchmark, the comparison and its plugins");
    let target = checkout.target().join("compare");
    // First what may lack something, and then what takes ten minutes.
    let guests = checkout.root().join(GUESTS);
    let mut build =
        cmd::cargo(&guests, ["build", "--profile", "component", "--locked", "--target", BARE]);
    build.args(["--package", "bench", "--package", "bench-sdk"]);
    cmd::run(build.arg("--target-dir").arg(target.join("guests")))
        .context("the component was not built: `cargo xtask setup` adds what it needs")?;
    let bench = ["bench", "--package", "ringbox-benches", "--bench", "ring"];
    cmd::run(cmd::cargo(checkout.root(), bench).arg("--no-run"))?;
    let compare = checkout.root().join(COMPARE);
    let build = ["build", "--release", "--locked", "--workspace"];
    cmd::run(cmd::cargo(&compare, build).arg("--target-dir").arg(&target))?;

    let scratch = checkout.target().join("bench");
    fs::create_dir_all(&scratch)?;
    let mut rows = measure(cmd::cargo(checkout.root(), bench).arg("--"), args, &scratch)?;
    let mut program = Command::new(target.join("release/compare"));
    rows.extend(measure(program.current_dir(checkout.root()), args, &scratch)?);

    rows.sort_by_cached_key(|row| (text(row, "name").to_owned(), text(row, "peer").to_owned()));
    println!();
    rows.iter().for_each(|row| println!("{}", line(row)));
    if rows.is_empty() {
        println!("no row's name contains {:?}", args.only.as_deref().unwrap_or(""));
    }
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&rows)? + "\n";
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
        println!("{} rows written to {}", rows.len(), file.display());
    }
    Ok(Verdict::good_if(!rows.is_empty()))
}

/// Runs a benchmark program and reads the rows that it leaves in a file.
fn measure(program: &mut Command, args: &Args, scratch: &Path) -> Result<Vec<Value>> {
    let file = scratch.join("rows.json");
    program.arg("--json").arg(&file);
    if args.quick {
        program.arg("--quick");
    }
    if let Some(pattern) = &args.only {
        program.args(["--only", pattern]);
    }
    cmd::run(program)?;
    let json = fs::read(&file).with_context(|| format!("no rows in {}", file.display()))?;
    Ok(serde_json::from_slice(&json)?)
}

fn line(row: &Value) -> String {
    let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
    format!(
        "{:<44} {:>8.1} ns   {:<17} {:>8.1} ns   ratio {:>6.3}  (95 % below {:.3})",
        text(row, "name"),
        number("ours_ns"),
        text(row, "peer"),
        number("peer_ns"),
        number("ratio"),
        number("ratio_ci95_hi"),
    )
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::line;
    use serde_json::json;

    #[test]
    fn a_row_is_one_line() {
        let row = json!({
            "name": "native/unary/0B", "peer": "ffi", "ours_ns": 14.04, "peer_ns": 2.0,
            "ratio": 7.02, "ratio_ci95_hi": 7.1, "rounds": 31, "commit": "abc",
        });
        let line = line(&row);
        assert!(line.starts_with("native/unary/0B "), "{line}");
        assert!(line.ends_with("2.0 ns   ratio  7.020  (95 % below 7.100)"), "{line}");
    }
}
