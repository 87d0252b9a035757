//! The whole of `cargo xtask mutants`, on a project made up for it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const MANIFEST: &str = r#"
[package]
name = "victim"
version = "0.0.0"
edition = "2024"

[workspace]
"#;

const SOURCE: &str = "\
/// Twice `n`.
pub fn double(n: u32) -> u32 {
    n * 2
}

/// Counts up to `n`.
pub fn count(n: u32) -> u32 {
    let mut i = 0;
    while i < n {
        i += 1;
    }
    i
}

const _: () = assert!(size_of::<Wire>() == 4);
/// Four bytes.
pub struct Wire(pub u32);
";

const TESTS: &str = "\
#[test]
fn two_is_twice_one() {
    assert_eq!(victim::double(1), 2);
}

#[test]
fn it_counts_to_three() {
    assert_eq!(victim::count(3), 3);
}
";

/// A patch of one line of `src/lib.rs`, with the lines above and below it as context.
fn patch(header: &str, from: &str, to: &str) -> String {
    let lines: Vec<_> = SOURCE.lines().collect();
    let at = lines.iter().position(|line| *line == from).expect("the line is in the source");
    let (above, below) = (lines[at - 1], lines[at + 1]);
    format!(
        "Promise: It holds.\n{header}\n\ndiff --git a/src/lib.rs b/src/lib.rs\n\
         --- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -{0},3 +{0},3 @@\n \
         {above}\n-{from}\n+{to}\n {below}\n",
        at
    )
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, "Cargo.toml", MANIFEST);
    write(root, ".gitignore", "/target\n");
    write(root, "src/lib.rs", SOURCE);
    write(root, "tests/all.rs", TESTS);

    let double = "Test: -p victim --test all two_is_twice_one";
    let count = "Test: -p victim --test all it_counts_to_three";
    let proof = "const _: () = assert!(size_of::<Wire>() == 4);";
    for (name, text) in [
        ("dies", patch(double, "    n * 2", "    n * 3")),
        ("survives", patch(double, "    n * 2", "    n + n")),
        ("does_not_compile", patch(double, "    n * 2", "    n * \"2\"")),
        ("hangs", patch(count, "        i += 1;", "        i += 0;")),
        ("is_refused", patch("Compile: -p victim", proof, &proof.replace("== 4", "== 5"))),
        ("is_not_refused", patch("Compile: -p victim", proof, "")),
        ("names_nobody", patch(&double.replace("twice", "thrice"), "    n * 2", "    n * 3")),
        (
            "has_no_place",
            patch(double, "    n * 2", "    n * 3").replace(" pub fn double", " fn double"),
        ),
    ] {
        write(root, &format!("mutants/{name}.patch"), &text);
    }
    dir
}

fn mutants(root: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["mutants", "--limit", "3", "--root"])
        .arg(root)
        .args(args)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap()
}

#[test]
fn each_mutant_is_told_what_became_of_it() {
    let dir = project();
    let begun = Instant::now();
    let output = mutants(dir.path(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    for (word, name, detail) in [
        ("died", "dies", "two_is_twice_one failed"),
        ("SURVIVED", "survives", "its test passes"),
        ("INVALID", "does_not_compile", "does not compile: error[E0277]"),
        ("died", "hangs", "hung: stopped after 3s"),
        ("died", "is_refused", "does not compile: error[E0080]"),
        ("SURVIVED", "is_not_refused", "it compiles"),
        ("INVALID", "names_nobody", "unbroken, two_is_thrice_one does not run"),
        ("INVALID", "has_no_place", "patch failed: src/lib.rs:2; src/lib.rs: patch does not apply"),
    ] {
        let told = text.lines().any(|line| {
            line.trim_start().starts_with(word) && line.contains(&format!(" {name}: {detail}"))
        });
        assert!(told, "{name} should be told: {word}, {detail}\n{text}");
    }
    assert_eq!(text.lines().last(), Some("3 passed, 5 failed"));
    assert!(!output.status.success());
    assert!(begun.elapsed() < Duration::from_secs(120));
    let source = fs::read_to_string(dir.path().join("src/lib.rs")).unwrap();
    assert_eq!(source, SOURCE, "the working copy is not touched");
}

#[test]
fn what_is_not_committed_counts_and_one_mutant_can_be_run() {
    let dir = project();
    let first = mutants(dir.path(), &["--only", "survives"]);
    assert!(!first.status.success());
    write(dir.path(), "tests/all.rs", &TESTS.replace("double(1), 2)", "double(1), 5)"));
    let broken = mutants(dir.path(), &["--only", "survives"]);
    let text = String::from_utf8(broken.stdout).unwrap();
    assert!(text.contains("unbroken, two_is_twice_one fails too"), "{text}");
    write(dir.path(), "tests/all.rs", TESTS);
    let again = mutants(dir.path(), &["--only", "dies"]);
    assert!(again.status.success());
    assert!(String::from_utf8(again.stdout).unwrap().ends_with("\n1 passed, 0 failed\n"));
}

#[test]
fn the_list_names_promises_and_runs_nothing() {
    let dir = project();
    let output = mutants(dir.path(), &["--list", "--slice", "1/8"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "dies\n    It holds.\n");
    assert!(!dir.path().join("target").exists());
}
