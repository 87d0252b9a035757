//! Every example runs to its end, the way its readers run it.

use std::process::{Command, Output};

/// Runs an example, built the way this test was.
fn run(example: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["run", "--quiet"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.args(["--example", example, "--"]).args(args).output().expect("cargo can be run")
}

/// What an example says that has to succeed.
#[track_caller]
fn says(example: &str, args: &[&str]) -> String {
    let output = run(example, args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example} fails:\n{said}\n{complaints}");
    said
}

#[test]
fn the_least_backend_answers() {
    assert!(says("backend", &[]).contains("HELLO"));
}

#[test]
fn the_demo_runs() {
    let said = says("demo", &[]);
    assert!(said.contains("OK: GET /hello"), "{said}");
}

#[test]
fn a_hundred_calls_take_as_long_as_one() {
    let said = says("concurrent", &[]);
    assert!(said.contains("OK: GET /call/99\n100 calls of two seconds each took"), "{said}");
}

#[test]
fn the_stress_loses_nothing() {
    for batch in ["1", "50"] {
        let said = says("stress", &["--seconds", "1", "--threads", "3", "--batch", batch]);
        assert!(said.contains("calls/s"), "{said}");
    }
}

#[test]
fn the_host_loads_what_it_is_told() {
    let greeter = ringbox_examples::build_rust("ringbox-example-greeter").expect("it builds");
    let greeter = greeter.to_str().expect("a path of ours");
    let said = says("host", &[greeter, "--trust", "--entry", "greet", "--payload", "World"]);
    assert!(said.contains("status    ok\nanswer    Hello, World!"), "{said}");
    let said = says("host", &[greeter, "--trust", "--path", "/x"]);
    assert!(said.contains("answer    OK: POST /x"), "{said}");

    let said = says("host", &[greeter, "--inspect"]);
    assert!(said.starts_with("a plugin: a shared library"), "{said}");
    let output = run("host", &[greeter, "--entry", "greet"]);
    assert!(!output.status.success(), "nobody vouched for the library");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--trust"));

    let output = run("host", &["/nowhere.so"]);
    assert!(!output.status.success(), "there is nothing to load");
}

#[test]
fn those_that_take_arguments_explain_them() {
    for example in ["host", "concurrent", "stress"] {
        assert!(says(example, &["--help"]).contains("Usage:"));
    }
}
