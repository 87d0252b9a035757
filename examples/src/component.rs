//! Builds the example plugins that are components, as their authors would.

use crate::build::{root, skipped, tell};
use anyhow::{Context, Result, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What makes a component.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Maker {
    /// Cargo, for `wasm32-wasip2`: of `plugins/wit-rust`.
    Cargo,
    /// `cargo component`: of `plugins/wit-rust`, too.
    CargoComponent,
    /// Clang, and `cargo xtask component` after it: of `plugins/wit-c`.
    Clang,
}

impl Maker {
    /// What is missing here without which nothing is made.
    fn missing(self) -> Option<&'static str> {
        let runs = |program: &str, args: &[&str]| {
            let mut command = Command::new(program);
            command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        match self {
            Self::Cargo => None,
            Self::CargoComponent => {
                (!runs("cargo", &["component", "--version"])).then_some("cargo-component")
            }
            Self::Clang if !runs(&clang(), &["--version"]) => Some("clang"),
            Self::Clang => (!runs("wasm-ld", &["--version"])).then_some("wasm-ld (of lld)"),
        }
    }
}

/// Builds the component, in this folder. None, and a line that says so, where what makes it is missing.
///
/// # Errors
/// It doesn't build.
pub fn make_component(maker: Maker, folder: &Path) -> Result<Option<PathBuf>> {
    if let Some(missing) = maker.missing() {
        skipped(&format!("no {missing} here, so that component is NOT built"));
        return Ok(None);
    }
    match maker {
        Maker::Cargo => {
            let build = ["build", "--release", "--locked", "--target", "wasm32-wasip2"];
            rust(&build, folder, "wasm32-wasip2").context("`cargo xtask setup` adds the target")
        }
        Maker::CargoComponent => {
            rust(&["component", "build", "--release", "--locked"], folder, "wasm32-wasip1")
        }
        Maker::Clang => c(folder),
    }
    .map(Some)
}

fn rust(build: &[&str], folder: &Path, target: &str) -> Result<PathBuf> {
    let mut command = cargo(build);
    command.current_dir(root().join("examples/plugins/wit-rust"));
    command.arg("--target-dir").arg(folder);
    // What this program is built with is none of the plugin's business.
    for set in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(set);
    }
    run(&mut command)?;
    Ok(folder.join(target).join("release/wit_rust.wasm"))
}

fn c(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let module = folder.join("wit_c.core.wasm");
    let mut compile = Command::new(clang());
    compile.current_dir(root()).args(["--target=wasm32", "-std=c11", "-O2", "-nostdlib"]);
    compile.args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wl,--no-entry", "-o"]).arg(&module);
    run(compile.arg("examples/plugins/wit-c/plugin.c"))?;

    let component = folder.join("wit_c.wasm");
    let mut make = cargo(&["xtask", "component"]);
    run(make.current_dir(root()).arg(module).arg("--output").arg(&component))?;
    Ok(component)
}

fn clang() -> String {
    env::var("CLANG").unwrap_or_else(|_| "clang".into())
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

fn run(command: &mut Command) -> Result<()> {
    tell(command);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
