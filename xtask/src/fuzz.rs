//! `cargo xtask fuzz`: all fuzz targets side by side, for minutes.
//!
//! ```text
//! fuzz/corpus/<target>           seeds, which are kept: read
//! target/fuzz/corpus/<target>    what the fuzzer comes upon: read and written
//! fuzz/artifacts/<target>/       what it breaks the target with
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};
use crate::group::{self, Finished, Output};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// So long, all of them at the same time.
    #[arg(long, value_name = "N", default_value_t = 15, conflicts_with = "seconds")]
    minutes: u64,
    /// The same in seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Only this target. May be given several times.
    #[arg(long, value_name = "TARGET")]
    only: Vec<String>,
}

/// The one that has libFuzzer's and the sanitizers' switches.
const TOOLCHAIN: &str = "+nightly";

/// Compiling takes its time in a build that watches each branch.
const HANGS: &str = "-timeout=120";

/// How much longer than it was told a target may take.
const MERCY: Duration = Duration::from_secs(180);

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let targets = targets(checkout.root())?;
    let unknown = args.only.iter().find(|name| !targets.contains(name));
    if let Some(unknown) = unknown {
        bail!("there is no target `{unknown}`, but {}", targets.join(", "));
    }
    let chosen = targets.iter().filter(|name| args.only.is_empty() || args.only.contains(name));
    let seconds = args.seconds.unwrap_or(args.minutes * 60);
    let target = checkout.target().join("fuzz");
    cmd::run(&mut build(checkout.root(), &target))?;
    let running = chosen.map(|name| {
        let mut command = fuzz(checkout.root(), &target, name, seconds)?;
        println!("$ {}", cmd::shown(&command));
        let limit = Duration::from_secs(seconds) + MERCY;
        let fuzzing = thread::spawn(move || group::run(&mut command, Output::Kept, limit));
        Ok((name, fuzzing))
    });
    let mut good = true;
    for (name, fuzzing) in running.collect::<Result<Vec<_>>>()? {
        let done = fuzzing.join().map_err(|_| anyhow::anyhow!("`{name}` was not watched"))??;
        let log = target.join(format!("{name}.log"));
        fs::write(&log, &done.output)?;
        good &= tell(name, &done, &log);
    }
    Ok(Verdict::good_if(good))
}

/// The names of all targets, which are files.
fn targets(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    names.sort();
    ensure!(!names.is_empty(), "there are no fuzz targets");
    Ok(names)
}

fn build(root: &Path, target: &Path) -> Command {
    let mut command = Command::new("cargo");
    // Optimized, with what asserts itself.
    command.current_dir(root).args([TOOLCHAIN, "fuzz", "build", "--release", "--debug-assertions"]);
    // One unit a crate is a third faster, and builds for half an hour.
    command.args(["--codegen-units", "16", "--target-dir"]).arg(target);
    command
}

fn fuzz(root: &Path, target: &Path, name: &str, seconds: u64) -> Result<Command> {
    let found = target.join("corpus").join(name);
    let artifacts = root.join("fuzz/artifacts").join(name);
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = Command::new(program(target, name)?);
    command.current_dir(root).arg(format!("-max_total_time={seconds}"));
    command.args([HANGS, "-rss_limit_mb=4096", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(found).arg(root.join("fuzz/corpus").join(name));
    // The engine switches stacks, and makes code, both of which the sanitizer doesn't know.
    command.env("ASAN_OPTIONS", "detect_odr_violation=0:detect_leaks=0");
    Ok(command)
}

/// Where cargo puts it, below the folder of whatever machine this is.
fn program(target: &Path, name: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(target)? {
        let path = entry?.path().join("release").join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("`{name}` was not built in {}", target.display())
}

fn tell(name: &str, done: &Finished, log: &Path) -> bool {
    let runs = stat(&done.output, "stat::number_of_executed_units:").unwrap_or("no");
    let found = stat(&done.output, "Test unit written to");
    let cov = done.output.rsplit_once(" cov: ").and_then(|(_, rest)| rest.split(' ').next());
    println!("{name:<10} {runs:>10} executions, {} edges", cov.unwrap_or("no"));
    match (done.success(), found) {
        (true, _) => return true,
        (_, Some(found)) => println!("           FOUND {found}"),
        (_, None) => println!("           FAILED: {:?}", done.status),
    }
    println!("           {}", log.display());
    false
}

/// What the fuzzer says after these words.
fn stat<'a>(output: &'a str, words: &str) -> Option<&'a str> {
    let line = output.lines().find(|line| line.contains(words))?;
    Some(line.split_once(words)?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::{stat, targets};
    use std::path::Path;

    #[test]
    fn the_fuzzers_last_words_are_read() {
        let output = "#12 DONE cov: 7\nstat::number_of_executed_units: 12\nstat::x: 3\n";
        assert_eq!(stat(output, "stat::number_of_executed_units:"), Some("12"));
        assert_eq!(stat(output, "Test unit written to"), None);
    }

    #[test]
    fn each_target_has_seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for name in targets(&root).unwrap() {
            assert!(root.join("fuzz/corpus").join(&name).is_dir(), "{name}");
        }
    }
}
