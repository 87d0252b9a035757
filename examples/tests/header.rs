//! The C header is also what Go's cgo and Zig read. C and C++ compile it with the plugins.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../abi/include")
        .canonicalize()
        .expect("it is there")
}

/// A folder of this test's own.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("header-{name}"));
    fs::create_dir_all(&folder).expect("cargo's folder can be written");
    folder
}

/// Whether there is such a program. Says so where there is none.
fn is_here(program: &str) -> bool {
    let here = Command::new(program).arg("version").output().is_ok_and(|out| out.status.success());
    if !here {
        println!("SKIPPED: no {program} here, so it has NOT read the header");
    }
    here
}

#[track_caller]
fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn go_sees_the_sizes_that_rust_does() {
    if !is_here("go") {
        return;
    }
    let folder = scratch("go");
    let program = format!(
        "package main\n\n// #cgo CFLAGS: -I{}\n// #include \"nylon_ring.h\"\nimport \"C\"\n\n\
         func main() {{\n\tprintln(C.sizeof_NrRequest, C.sizeof_NrHostExt, C.NR_STATUS_PANIC)\n}}\n",
        include().display()
    );
    fs::write(folder.join("main.go"), program).expect("it can be written");
    let output = Command::new("go")
        .current_dir(&folder)
        .args(["run", "main.go"])
        .env("CGO_ENABLED", "1")
        .env("GO111MODULE", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOCACHE", folder.join("cache"))
        .output()
        .expect("go can be run");
    stdout(&output);
    // Go's own `println` writes there.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.trim().ends_with("72 88 5"), "{said}");
}

#[test]
fn zig_understands_every_table() {
    if !is_here("zig") {
        return;
    }
    let output = Command::new("zig")
        .arg("translate-c")
        .arg("-lc")
        .arg(include().join("nylon_ring.h"))
        .env("ZIG_LOCAL_CACHE_DIR", scratch("zig"))
        .env("ZIG_GLOBAL_CACHE_DIR", scratch("zig"))
        .output()
        .expect("zig can be run");
    let said = stdout(&output);
    for table in
        ["NrRequest", "NrHostVTable", "NrPluginVTable", "NrPluginInfo", "NrHostExt", "NrPluginExt"]
    {
        // What it doesn't understand becomes `opaque`.
        assert!(said.contains(&format!("struct_{table} = extern struct")), "{table}:\n{said}");
    }
}
