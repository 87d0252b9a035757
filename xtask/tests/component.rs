//! The whole of `cargo xtask component`. What it makes of which module is tested beside the program
//! that does it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A plugin that asks for a timer, by hand: its functions do nothing.
const MODULE: &str = r#"(module
    (import "nylon:ring-ext/timers@0.1.0" "wake-after" (func (param i64 i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "nylon:ring/guest@1.0.0#init") (result i32) i32.const 0)
    (func (export "nylon:ring/guest@1.0.0#handle")
        (param i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "nylon:ring/guest@1.0.0#shutdown"))
)"#;

/// A world that is nobody else's.
const WORLD: &str = "package my:plugin;\n\nworld plugin {\n  include nylon:ring/plugin@1.0.0;\n  \
                     import nylon:ring-ext/timers@0.1.0;\n}\n";

/// Runs it in this folder, on this checkout.
fn component(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.current_dir(folder).args(["component", "--root"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).args(args);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn a_module_becomes_a_component_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.core.wasm"), wat::parse_str(MODULE).unwrap()).unwrap();
    fs::write(dir.path().join("mine.wit"), WORLD).unwrap();

    // The world of all plugins has no timers.
    let output = component(dir.path(), &["mine.core.wasm"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("nylon:ring-ext/timers"), "{}", said(&output));
    assert!(!dir.path().join("mine.wasm").exists());

    let args = ["mine.core.wasm", "--world", "my:plugin/plugin", "--wit", "mine.wit"];
    let output = component(dir.path(), &args);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    let bytes = fs::read(dir.path().join("mine.wasm")).unwrap();
    assert!(text.contains(&format!("mine.wasm: {} bytes\n", bytes.len())), "{text}");
    assert!(text.contains("  imports  nylon:ring-ext/timers@0.1.0: wake-after\n"), "{text}");
    assert!(text.contains("  exports  nylon:ring/guest@1.0.0: init, handle, shutdown\n"), "{text}");
}

#[test]
fn a_component_takes_what_it_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let component_bytes = wat::parse_str("(component)").unwrap();
    fs::write(dir.path().join("x.wasm"), &component_bytes).unwrap();
    fs::write(dir.path().join("ask.txt"), "clocks\n").unwrap();
    let output = component(dir.path(), &["x.wasm"]);
    assert!(said(&output).contains("it is one already"), "{}", said(&output));
    let output = component(dir.path(), &["x.wasm", "--ask", "ask.txt", "-o", "y.wasm"]);
    assert!(output.status.success(), "{}", said(&output));
    let section = b"\x00\x13\x0bringbox:askclocks\n";
    assert_eq!(
        fs::read(dir.path().join("y.wasm")).unwrap(),
        [&component_bytes, &section[..]].concat()
    );
}

#[test]
fn the_module_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x.wasm"), "mine").unwrap();
    let output = component(dir.path(), &["x.wasm", "--output", "x.wasm"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("name an `--output`"), "{}", said(&output));
    assert_eq!(fs::read(dir.path().join("x.wasm")).unwrap(), b"mine");
}
