//! What the compiler says of a plugin that cannot be one: each program in `fixtures/messages` begins
//! with the lines that its author has to read.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages")
}

/// Checks all of them at once. What is needed is fetched only where it isn't there yet.
fn check() -> Vec<serde_json::Value> {
    let run = |more: &[&str]| -> Output {
        Command::new(env!("CARGO"))
            .args(["check", "--bins", "--keep-going", "--message-format=json", "--locked"])
            .arg("--target-dir")
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages"))
            .args(more)
            .current_dir(folder())
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .output()
            .unwrap()
    };
    let mut output = run(&["--offline"]);
    if output.stdout.is_empty() {
        output = run(&[]);
    }
    let messages = String::from_utf8(output.stdout).unwrap();
    assert!(!messages.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    messages.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The errors of each program, by its name.
fn errors() -> BTreeMap<String, String> {
    let mut errors = BTreeMap::<String, String>::new();
    for message in check() {
        if message["reason"] == "compiler-message" && message["message"]["level"] == "error" {
            let program = message["target"]["name"].as_str().unwrap();
            let text = message["message"]["rendered"].as_str().unwrap();
            errors.entry(program.to_owned()).or_default().push_str(text);
        }
    }
    errors
}

#[test]
fn a_mistake_is_told_in_words_that_its_author_knows() {
    let errors = errors();
    let mut programs = 0;
    for program in fs::read_dir(folder().join("src/bin")).unwrap() {
        let path = program.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let source = fs::read_to_string(&path).unwrap();
        let expected: Vec<_> = source.lines().map_while(|line| line.strip_prefix("//~ ")).collect();
        let said = errors.get(name).map_or("", String::as_str);
        assert_eq!(said.is_empty(), expected.is_empty(), "{name}: {said}");
        for text in expected {
            assert!(said.contains(text), "{name} says nothing of: {text}\n{said}");
        }
        programs += 1;
    }
    assert_eq!(programs, 13);
}
