//! Where mutants are built, run and judged.

use std::collections::BTreeSet;
use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::patch::{Build, Death, Patch};
use super::tree::Tree;
use crate::checkout::Checkout;
use crate::group::{self, Finished, Output};
use crate::libtest::Report;
use crate::{cmd, loom};

/// A build that takes longer hangs.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What became of a mutant.
#[derive(Debug)]
pub(super) enum Outcome {
    /// As it should: its test noticed, or it did not compile and was not meant to.
    Died { how: String },
    /// The promise was broken and nobody noticed.
    Survived { how: &'static str },
    /// It shows nothing: the mutant or its test has to be repaired.
    Invalid { why: String },
}

impl Outcome {
    pub(super) fn is_death(&self) -> bool {
        matches!(self, Outcome::Died { .. })
    }

    pub(super) fn word(&self) -> &str {
        match self {
            Outcome::Died { .. } => "died",
            Outcome::Survived { .. } => "SURVIVED",
            Outcome::Invalid { .. } => "INVALID",
        }
    }

    pub(super) fn detail(&self) -> &str {
        match self {
            Outcome::Died { how } => how,
            Outcome::Survived { how } => how,
            Outcome::Invalid { why } => why,
        }
    }
}

/// How the tests of one build went with nothing broken.
pub(super) enum Baseline {
    Ran(Report),
    DidNotBuild(String),
    DidNotEnd(Duration),
}

impl Baseline {
    /// Why these tests cannot judge a mutant.
    pub(super) fn objection(&self, tests: &[String]) -> Option<String> {
        let report = match self {
            Baseline::Ran(report) => report,
            other => return Some(format!("unbroken, {other}")),
        };
        let missing = tests.iter().find(|test| !report.ok.contains(*test))?;
        Some(if report.broken.contains(missing) {
            format!("unbroken, {missing} fails too")
        } else {
            format!("unbroken, {missing} does not run: is that its whole name?")
        })
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Baseline::Ran(report) => report.fmt(f),
            Baseline::DidNotBuild(error) => write!(f, "it does not compile: {error}"),
            Baseline::DidNotEnd(limit) => write!(f, "it runs longer than {limit:?}"),
        }
    }
}

pub(super) struct Lab {
    tree: Tree,
    checkout: Checkout,
    jobs: Option<u32>,
    limit: Duration,
}

impl Lab {
    pub(super) fn new(checkout: &Checkout, jobs: Option<u32>, limit: Duration) -> Result<Lab> {
        let tree = Tree::copy(checkout, checkout.target().join("mutants/tree"))?;
        Ok(Lab { tree, checkout: checkout.clone(), jobs, limit })
    }

    /// Runs the tests with nothing broken.
    pub(super) fn baseline(&self, build: &Build, tests: &BTreeSet<String>) -> Result<Baseline> {
        let built = self.build(build)?;
        if !built.success() {
            return Ok(Baseline::DidNotBuild(first_error(&built)));
        }
        if tests.is_empty() {
            return Ok(Baseline::Ran(Report::default()));
        }
        // Each test by itself is allowed the limit, and here they run together.
        let limit = self.limit.saturating_mul(u32::try_from(tests.len())?);
        let ran = self.test(build, tests, limit)?;
        Ok(match ran.status {
            Some(_) => Baseline::Ran(Report::read(&ran.output)),
            None => Baseline::DidNotEnd(limit),
        })
    }

    /// Breaks the promise, looks who notices, and mends it again.
    pub(super) fn judge(&self, patch: &Patch) -> Result<Outcome> {
        let _broken = match self.tree.apply(&patch.path)? {
            Ok(broken) => broken,
            Err(why) => return Ok(Outcome::Invalid { why }),
        };
        let built = self.build(patch.death.build())?;
        let error = (!built.success()).then(|| first_error(&built));
        Ok(match (&patch.death, error) {
            (Death::Compile { .. }, Some(error)) => {
                Outcome::Died { how: format!("does not compile: {error}") }
            }
            (Death::Compile { .. }, None) => {
                Outcome::Survived { how: "it compiles: the promise is not proved" }
            }
            (Death::Test { .. }, Some(error)) => {
                Outcome::Invalid { why: format!("does not compile: {error}") }
            }
            (Death::Test { build, tests }, None) => {
                let tests = tests.iter().cloned().collect();
                self.verdict(&self.test(build, &tests, self.limit)?, &tests)
            }
        })
    }

    fn verdict(&self, ran: &Finished, tests: &BTreeSet<String>) -> Outcome {
        let report = Report::read(&ran.output);
        let Some(status) = ran.status else {
            return Outcome::Died { how: format!("hung: stopped after {:?}", self.limit) };
        };
        if !status.success() {
            let broken: Vec<_> = report.broken.into_iter().collect();
            let how = match broken.is_empty() {
                false => format!("{} failed", broken.join(", ")),
                true => format!("the test's process ended: {}", last_error(ran)),
            };
            return Outcome::Died { how };
        }
        match tests.iter().find(|test| !report.ok.contains(*test)) {
            Some(gone) => Outcome::Invalid { why: format!("the patch took {gone} away") },
            None => Outcome::Survived { how: "its test passes: the promise is not tested" },
        }
    }

    fn build(&self, build: &Build) -> Result<Finished> {
        group::run(self.cargo(build).arg("--no-run"), Output::Kept, BUILD_LIMIT)
    }

    fn test(&self, build: &Build, tests: &BTreeSet<String>, limit: Duration) -> Result<Finished> {
        let mut cargo = self.cargo(build);
        cargo.args(["--no-fail-fast", "--", "--exact"]).args(tests);
        group::run(&mut cargo, Output::Kept, limit)
    }

    fn cargo(&self, build: &Build) -> Command {
        let scratch = self.checkout.target().join("mutants");
        let mut cargo = match build {
            Build::Plain(flags) => {
                let mut cargo = cmd::cargo(self.tree.root(), ["test"]);
                cargo.args(flags).env("CARGO_TARGET_DIR", scratch.join("target"));
                cargo
            }
            Build::Loom => loom::test(self.tree.root(), &scratch.join("loom")),
        };
        if let Some(jobs) = self.jobs {
            cargo.args(["--jobs", &jobs.to_string()]);
        }
        cargo
    }
}

fn first_error(built: &Finished) -> String {
    if built.status.is_none() {
        return format!("the build hangs: stopped after {BUILD_LIMIT:?}");
    }
    let mut errors = built.output.lines().filter(|line| line.starts_with("error"));
    errors.next().unwrap_or("cargo gives no reason").to_owned()
}

fn last_error(ran: &Finished) -> String {
    let reason = |line: &&str| line.contains("signal:") || line.starts_with("error");
    let line = ran.output.lines().rfind(reason).unwrap_or("cargo gives no reason");
    line.trim().to_owned()
}
