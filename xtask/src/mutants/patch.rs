//! A mutant on disk: a header of `Key: value` lines, then a diff.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// One promise, broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Patch {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) promise: String,
    pub(super) death: Death,
}

/// How a mutant must die.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Death {
    /// It builds, and one of these tests fails.
    Test { build: Build, tests: Vec<String> },
    /// A proof at compile time refuses it.
    Compile { build: Build },
}

impl Death {
    pub(super) fn build(&self) -> &Build {
        match self {
            Death::Test { build, .. } | Death::Compile { build } => build,
        }
    }

    pub(super) fn tests(&self) -> &[String] {
        match self {
            Death::Test { tests, .. } => tests,
            Death::Compile { .. } => &[],
        }
    }
}

/// What has to be built to see it die.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Build {
    /// `cargo test` with these flags.
    Plain(Vec<String>),
    /// The loom models.
    Loom,
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Build::Plain(flags) => write!(f, "cargo test {}", flags.join(" ")),
            Build::Loom => f.write_str("the loom models"),
        }
    }
}

/// All mutants of a checkout, by name.
pub(super) fn read_all(root: &Path) -> Result<Vec<Patch>> {
    let folder = root.join("mutants");
    let mut patches = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            patches.push(read(&path).with_context(|| path.display().to_string())?);
        }
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(patches)
}

fn read(path: &Path) -> Result<Patch> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    parse(&name, path, &fs::read_to_string(path)?)
}

fn parse(name: &str, path: &Path, text: &str) -> Result<Patch> {
    let mut promise = None;
    let mut death = None;
    for (key, value) in header(text)? {
        let first = match key {
            "Promise" => promise.replace(value).is_none(),
            "Test" => death.replace(parse_test(&value)?).is_none(),
            "Loom" => {
                let tests = words(&value);
                ensure!(!tests.is_empty(), "`Loom:` names no model");
                death.replace(Death::Test { build: Build::Loom, tests }).is_none()
            }
            "Compile" => death.replace(parse_compile(&value)?).is_none(),
            _ => bail!("unknown key `{key}`: there are Promise, Test, Loom and Compile"),
        };
        ensure!(first, "`{key}:` says again what was said before");
    }
    Ok(Patch {
        name: name.to_owned(),
        path: path.to_owned(),
        promise: promise.context("no `Promise:` line says what it breaks")?,
        death: death.context("no `Test:`, `Loom:` or `Compile:` line says how it must die")?,
    })
}

/// The keys and values above the diff. An indented line goes on with the value above it.
fn header(text: &str) -> Result<Vec<(&str, String)>> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with("diff --git ") || line.starts_with("--- ") {
            return Ok(fields);
        }
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with(char::is_whitespace) {
            let (_, value) = fields.last_mut().context("the first line is indented")?;
            value.push(' ');
            value.push_str(line.trim());
        } else {
            let (key, value) = line
                .split_once(':')
                .with_context(|| format!("`{line}` is not a `Key: value` line"))?;
            fields.push((key, value.trim().to_owned()));
        }
    }
    bail!("there is no diff below the header")
}

fn parse_test(value: &str) -> Result<Death> {
    let (flags, tests) = split(value)?;
    ensure!(!tests.is_empty(), "`Test:` names no test after the flags");
    Ok(Death::Test { build: Build::Plain(flags), tests })
}

fn parse_compile(value: &str) -> Result<Death> {
    let (flags, tests) = split(value)?;
    ensure!(tests.is_empty(), "`Compile:` takes flags only, not `{}`", tests.join(" "));
    Ok(Death::Compile { build: Build::Plain(flags) })
}

/// Flags for `cargo test`, then names of tests.
fn split(value: &str) -> Result<(Vec<String>, Vec<String>)> {
    let mut words = words(value).into_iter().peekable();
    let mut flags = Vec::new();
    while let Some(flag) = words.next_if(|word| word.starts_with('-')) {
        let takes_value = match flag.as_str() {
            "-p" | "--package" | "--test" | "--bin" | "--example" | "-F" | "--features" => true,
            "--lib"
            | "--bins"
            | "--tests"
            | "--examples"
            | "--all-targets"
            | "--release"
            | "--all-features"
            | "--no-default-features" => false,
            _ => bail!("flag `{flag}` is not one that a mutant may use"),
        };
        flags.push(flag.clone());
        if takes_value {
            flags.push(words.next().with_context(|| format!("`{flag}` lacks its value"))?);
        }
    }
    ensure!(
        flags.iter().any(|flag| flag == "-p" || flag == "--package"),
        "name the package: -p <package>"
    );
    let tests: Vec<_> = words.collect();
    if let Some(late) = tests.iter().find(|test| test.starts_with('-')) {
        bail!("flag `{late}` comes after a test's name");
    }
    Ok((flags, tests))
}

fn words(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{Build, Death, Patch};
    use std::path::Path;

    fn parse(header: &str) -> anyhow::Result<Patch> {
        let text =
            format!("{header}\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\nOops: not a header\n");
        super::parse("late", Path::new("mutants/late.patch"), &text)
    }

    fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
        words.map(str::to_owned).to_vec()
    }

    #[test]
    fn a_test_is_flags_then_names() {
        let patch = parse(
            "Promise: A late answer reaches\n  nobody.\nTest: -p ringbox-ring --test answers late twice",
        )
        .unwrap();
        assert_eq!(patch.name, "late");
        assert_eq!(patch.promise, "A late answer reaches nobody.");
        let flags = strings(["-p", "ringbox-ring", "--test", "answers"]);
        let tests = strings(["late", "twice"]);
        assert_eq!(patch.death, Death::Test { build: Build::Plain(flags), tests });
    }

    #[test]
    fn loom_names_models_and_compile_only_a_package() {
        let loom = parse("Promise: p\nLoom: two_answers").unwrap().death;
        assert_eq!(loom, Death::Test { build: Build::Loom, tests: strings(["two_answers"]) });
        let compile = parse("Promise: p\nCompile: -p ringbox-abi").unwrap().death;
        let flags = strings(["-p", "ringbox-abi"]);
        assert_eq!(compile, Death::Compile { build: Build::Plain(flags) });
    }

    #[test]
    fn a_header_that_leaves_something_open_is_refused() {
        for (header, why) in [
            ("Test: -p a t", "no `Promise:`"),
            ("Promise: p", "says how it must die"),
            ("Promise: p\nTest: -p a", "names no test"),
            ("Promise: p\nTest: t", "name the package"),
            ("Promise: p\nTest: -p a t --lib", "after a test's name"),
            ("Promise: p\nTest: -p a --no-fail-fast t", "not one that a mutant may use"),
            ("Promise: p\nTest: -p", "lacks its value"),
            ("Promise: p\nTest: -p a t\nLoom: m", "says again"),
            ("Promise: p\nLoom:", "names no model"),
            ("Promise: p\nCompile: -p a t", "takes flags only"),
            ("Promise: p\nTests: -p a t", "unknown key `Tests`"),
            ("It breaks a promise", "is not a `Key: value` line"),
        ] {
            let error = format!("{:#}", parse(header).unwrap_err());
            assert!(error.contains(why), "{header:?}: {error}");
        }
        let no_diff = super::parse("x", Path::new("x.patch"), "Promise: p\nLoom: m\n");
        assert!(no_diff.unwrap_err().to_string().contains("no diff"));
    }
}
