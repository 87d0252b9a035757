//! The steps of `cargo xtask ci`. The cheap ones come first.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use super::{first_plugin, pages, words};
use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};
use crate::group::Finished;
use crate::mutants::{self, Slice};
use crate::setup::{self, Need};
use crate::{libtest, loom, soak};

/// A step that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(50 * 60);

/// Asking the network for the list of known vulnerabilities may fail: it is not ours.
const FETCH_LIMIT: Duration = Duration::from_secs(90);

/// So much of what a failed command said is said again below the table.
const LAST_LINES: usize = 20;

/// About how many mutants a run of the steps has time for.
const MUTANTS_AT_ONCE: usize = 8;

/// What a step works on.
pub(super) struct Work<'a> {
    pub(super) checkout: &'a Checkout,
    pub(super) slice: Option<Slice>,
}

/// Something that must hold.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) holds: &'static str,
    /// Checks it. `Ok` is a note for the summary.
    pub(super) run: fn(&Work<'_>) -> Result<String>,
}

pub(super) const STEPS: &[Step] = &[
    Step { name: "tools", holds: "this machine has what the steps need", run: tools },
    Step { name: "words", holds: "no file speaks of one machine only", run: no_machine_words },
    Step { name: "pages", holds: "what the .md files name is there", run: pages_are_true },
    Step { name: "fmt", holds: "the code is formatted", run: fmt },
    Step { name: "clippy", holds: "no lint has a complaint", run: clippy },
    Step { name: "clippy-loom", holds: "nor about the loom models", run: clippy_loom },
    Step { name: "doc", holds: "the docs build, and their links lead somewhere", run: doc },
    Step { name: "test", holds: "the README's test command passes", run: readme_test },
    Step { name: "demo", holds: "the README's demo command works", run: readme_demo },
    Step {
        name: "first-plugin",
        holds: "the page about the first plugin can be followed",
        run: page_first_plugin,
    },
    Step { name: "soak", holds: "a minute among hostile plugins leaves nothing behind", run: soak },
    Step { name: "loom", holds: "no interleaving breaks the routing core", run: loom_models },
    Step { name: "deny", holds: "dependencies are licensed, known and ours to use", run: deny },
    Step { name: "advisories", holds: "no dependency has a known hole", run: advisories },
    Step { name: "package", holds: "each crate builds from what would be published", run: package },
    Step { name: "mutants", holds: "a broken promise fails its test", run: some_mutants },
];

fn tools(_: &Work<'_>) -> Result<String> {
    ensure!(setup::check(Need::Ci), "tools are missing: see above");
    Ok(String::new())
}

fn no_machine_words(work: &Work<'_>) -> Result<String> {
    words::check(work.checkout)
}

fn pages_are_true(work: &Work<'_>) -> Result<String> {
    pages::check(work.checkout)
}

fn fmt(work: &Work<'_>) -> Result<String> {
    cargo(work, "fmt --all --check")
}

/// Also of the host without its sandbox, in the same target folder.
fn clippy(work: &Work<'_>) -> Result<String> {
    cargo(work, "clippy --workspace --all-targets -- -D warnings")?;
    cargo(work, "clippy --package ringbox --no-default-features --all-targets -- -D warnings")
}

fn clippy_loom(work: &Work<'_>) -> Result<String> {
    let args = "clippy --package ringbox-ring --tests -- -D warnings";
    let mut command = cmd::cargo(work.checkout.root(), args.split(' '));
    loom::configure(&mut command, &work.checkout.target().join("loom"));
    quiet(&mut command)
}

/// Twice: what users read must not link to private items, and what we read between ourselves may,
/// but must not link to nowhere.
fn doc(work: &Work<'_>) -> Result<String> {
    for args in ["doc --workspace --no-deps", "doc --workspace --no-deps --document-private-items"]
    {
        let mut command = cmd::cargo(work.checkout.root(), args.split(' '));
        quiet(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(String::new())
}

fn readme_test(work: &Work<'_>) -> Result<String> {
    let done = readme(work, "test")?;
    let report = libtest::Report::read(&done.output);
    ensure!(report.passed > 0, "no test ran");
    without_sandbox(work)?;
    Ok(report.to_string())
}

/// What the host is when it is built without its sandbox.
fn without_sandbox(work: &Work<'_>) -> Result<()> {
    let args = "test --package ringbox --no-default-features --test no_sandbox";
    let done = must_pass(&mut cmd::cargo(work.checkout.root(), args.split(' ')))?;
    ensure!(libtest::Report::read(&done.output).passed > 0, "no test ran without the sandbox");
    Ok(())
}

fn readme_demo(work: &Work<'_>) -> Result<String> {
    readme(work, "demo").map(|_| String::new())
}

fn page_first_plugin(work: &Work<'_>) -> Result<String> {
    let done = must_pass(&mut first_plugin::follow(work.checkout)?)?;
    first_plugin::check(&done.output)?;
    Ok(libtest::Report::read(&done.output).to_string())
}

/// Runs a command of the README exactly as it stands there.
fn readme(work: &Work<'_>, marker: &str) -> Result<Finished> {
    let script = pages::readme_command(work.checkout, marker)?;
    let mut command = Command::new("bash");
    command.current_dir(work.checkout.root()).args(["-euo", "pipefail", "-c", script.trim()]);
    must_pass(&mut command)
}

fn soak(work: &Work<'_>) -> Result<String> {
    let quick = soak::Build::Quick;
    quiet(&mut soak::build(work.checkout, quick))?;
    quiet(&mut soak::program(work.checkout, quick, 60, Some(seed(work.checkout))))
}

fn loom_models(work: &Work<'_>) -> Result<String> {
    let mut command = loom::test(work.checkout.root(), &work.checkout.target().join("loom"));
    command.args(["--", loom::MODELS]);
    let report = libtest::Report::read(&must_pass(&mut command)?.output);
    ensure!(report.passed > 0, "no model ran");
    Ok(report.to_string())
}

fn deny(work: &Work<'_>) -> Result<String> {
    cargo(work, "deny --workspace --all-features check bans licenses sources")
}

fn advisories(work: &Work<'_>) -> Result<String> {
    let mut fetch = cmd::cargo(work.checkout.root(), ["deny", "fetch", "db"]);
    if !cmd::watch(&mut fetch, FETCH_LIMIT)?.success() {
        println!("\n!!! SKIPPED: the list of known vulnerabilities cannot be fetched from here,");
        println!("!!! so nobody has looked for holes in the dependencies.\n");
        return Ok("SKIPPED: the list of known vulnerabilities cannot be fetched".to_owned());
    }
    cargo(work, "deny --workspace --all-features check --disable-fetch advisories")
}

/// Also what is not committed yet: a change is checked before it is committed.
fn package(work: &Work<'_>) -> Result<String> {
    let metadata = ["metadata", "--format-version=1", "--no-deps", "--quiet"];
    let metadata = cmd::read(&mut cmd::cargo(work.checkout.root(), metadata))?;
    let kept_here = unpublished(&metadata).context("cannot read what cargo metadata says")?;
    let mut command =
        cmd::cargo(work.checkout.root(), ["package", "--workspace", "--allow-dirty", "--quiet"]);
    for name in &kept_here {
        command.args(["--exclude", name]);
    }
    // In a folder of its own, empty: cargo builds a name and version once.
    let target = work.checkout.target().join("packaged");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    forget_unpacked()?;
    quiet(command.arg("--target-dir").arg(target))
}

/// Cargo checks a crate with its siblings as it unpacked them, and unpacks a name and version once too: so
/// the next check would be made with the last one's. What is published is unpacked elsewhere.
fn forget_unpacked() -> Result<()> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let Some(Ok(sources)) = home.map(|home| fs::read_dir(home.join("registry/src"))) else {
        return Ok(());
    };
    for source in sources {
        let source = source?;
        // One that has no host's name is a folder's, such as that of a check.
        if !source.file_name().to_string_lossy().starts_with('-') {
            continue;
        }
        for unpacked in fs::read_dir(source.path())? {
            let unpacked = unpacked?;
            if unpacked.file_name().to_string_lossy().starts_with("ringbox") {
                fs::remove_dir_all(unpacked.path())?;
            }
        }
    }
    Ok(())
}

/// The members with `publish = false`.
fn unpublished(metadata: &str) -> Option<Vec<String>> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    let stays =
        |package: &&serde_json::Value| package["publish"].as_array().is_some_and(Vec::is_empty);
    let name = |package: &serde_json::Value| Some(package["name"].as_str()?.to_owned());
    metadata["packages"].as_array()?.iter().filter(stays).map(name).collect()
}

fn some_mutants(work: &Work<'_>) -> Result<String> {
    let count = mutants::count(work.checkout)?;
    let slice = match work.slice {
        Some(slice) => slice,
        None => Slice::of_seed(seed(work.checkout), count.div_ceil(MUTANTS_AT_ONCE)),
    };
    println!(
        "Slice {slice} of {count} mutants; `cargo xtask mutants --slice {slice}` runs the same."
    );
    match mutants::run_slice(work.checkout, slice)? {
        Verdict::Good => Ok(format!("slice {slice} of {count} mutants")),
        Verdict::Bad => bail!("slice {slice} of {count} mutants: see above"),
    }
}

/// Differs from commit to commit and is the same for each of them, so that a failure comes back.
/// Without a commit, from day to day.
fn seed(checkout: &Checkout) -> u64 {
    let mut git = Command::new("git");
    git.current_dir(checkout.root()).args(["rev-parse", "HEAD"]);
    let commit = cmd::read(&mut git).ok();
    let commit = commit.and_then(|hash| u64::from_str_radix(hash.get(..12)?, 16).ok());
    commit.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_secs() / (24 * 60 * 60)
    })
}

/// Runs cargo with these words.
fn cargo(work: &Work<'_>, args: &str) -> Result<String> {
    quiet(&mut cmd::cargo(work.checkout.root(), args.split(' ')))
}

/// Runs a command about which there is nothing to say when it passes.
fn quiet(command: &mut Command) -> Result<String> {
    must_pass(command).map(|_| String::new())
}

fn must_pass(command: &mut Command) -> Result<Finished> {
    let done = cmd::watch(command, LIMIT)?;
    let why = match done.status {
        Some(status) if status.success() => return Ok(done),
        Some(status) => format!("failed ({status})"),
        None => format!("hangs: stopped after {LIMIT:?}"),
    };
    bail!("`{}` {why}\n{}", cmd::shown(command), last_lines(&done.output))
}

/// What a command said last on stdout. Why it failed is most often there.
fn last_lines(output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::{LAST_LINES, last_lines, unpublished};

    #[test]
    fn the_last_lines_are_told_again() {
        assert_eq!(last_lines(""), "");
        assert_eq!(last_lines("one\ntwo\n"), "one\ntwo");
        let many: String = (0..=LAST_LINES).map(|n| format!("{n}\n")).collect();
        assert!(last_lines(&many).starts_with("1\n2\n"));
    }

    #[test]
    fn members_that_are_not_published_are_found() {
        let metadata = r#"{"packages": [
            {"name": "kept", "publish": []},
            {"name": "public", "publish": null},
            {"name": "elsewhere", "publish": ["a-registry"]}]}"#;
        assert_eq!(unpublished(metadata).unwrap(), ["kept"]);
    }
}
