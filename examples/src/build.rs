//! Builds the example plugins, as a program needs them. Each says what it runs, on stderr.

use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Builds a package of this workspace that is a plugin, the way this program was built, and returns
/// its library.
///
/// # Errors
/// Cargo isn't there, or the package doesn't build.
pub fn build_rust(package: &str) -> Result<PathBuf> {
    let mut command = cargo_build(package);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = built(&mut command)?;
    ensure!(output.status.success(), "{package} doesn't build: see above");
    library_of(package, output)
}

/// What components are built for: they need nothing of the system.
const COMPONENTS: &str = "wasm32-unknown-unknown";

/// Builds the same package as a component. None, and a line that says so, where this Rust lacks what
/// it takes.
///
/// # Errors
/// Cargo isn't there, or the package doesn't build.
pub fn build_component(package: &str) -> Result<Option<PathBuf>> {
    if !builds_components()? {
        skipped(&format!("this Rust builds no components, so {package} is NOT built as one"));
        eprintln!("         `cargo xtask setup` adds what is missing");
        return Ok(None);
    }
    let mut command = cargo_build(package);
    // The host may be built with flags that are not for this target.
    command.args(["--profile", "component", "--target", COMPONENTS]).env_remove("RUSTFLAGS");
    let output = built(&mut command)?;
    ensure!(output.status.success(), "{package} doesn't build as a component: see above");
    library_of(package, output).map(Some)
}

/// Asks the compiler itself, about an empty program.
fn builds_components() -> Result<bool> {
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--target", COMPONENTS, "--crate-type", "lib", "--emit", "mir=-", "-"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status().context("rustc can't be run")?.success())
}

fn cargo_build(package: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(["build", "--quiet", "--package", package]);
    command
}

fn built(command: &mut Command) -> Result<Output> {
    tell(command);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    command.output().context("cargo can't be run")
}

fn library_of(package: &str, output: Output) -> Result<PathBuf> {
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(library)
        .next_back()
        .with_context(|| format!("cargo builds no library for {package}"))
}

/// The library that a message of cargo's speaks of. Messages come in the order of what is built, so
/// the last one is of the package itself.
fn library(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let kinds = message["target"]["kind"].as_array()?;
    let is_library = message["reason"] == "compiler-artifact" && kinds.contains(&"cdylib".into());
    let file = message["filenames"].as_array().filter(|_| is_library)?.first()?.as_str()?;
    Some(file.into())
}

/// A language whose plugins need nothing but the C header.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Language {
    /// C11.
    C,
    /// C++17.
    Cpp,
}

impl Language {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::Cpp => "C++",
        }
    }

    fn compiler(self) -> OsString {
        let (variable, program) = match self {
            Self::C => ("CC", "cc"),
            Self::Cpp => ("CXX", "c++"),
        };
        env::var_os(variable).unwrap_or_else(|| program.into())
    }

    const fn source(self) -> &'static str {
        match self {
            Self::C => "examples/plugins/c/seed.c",
            Self::Cpp => "examples/plugins/cpp/seed.cpp",
        }
    }

    const fn standard(self) -> &'static str {
        match self {
            Self::C => "-std=c11",
            Self::Cpp => "-std=c++17",
        }
    }
}

/// Builds the seed plugin in that language. None, and a line that says so, where its compiler is
/// missing.
///
/// # Errors
/// The compiler has something to say.
pub fn build_foreign(language: Language) -> Result<Option<PathBuf>> {
    let compiler = language.compiler();
    if Command::new(&compiler).arg("--version").output().is_err() {
        skipped(&format!("no {} compiler here, so that plugin is NOT built", language.name()));
        return Ok(None);
    }
    let folder = scratch()?;
    let library = folder.join(match language {
        Language::C => "libseed_c.so",
        Language::Cpp => "libseed_cpp.so",
    });
    let mut command = Command::new(&compiler);
    command.current_dir(root()).arg(language.standard());
    command.args([
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-shared",
        "-fPIC",
        "-pthread",
    ]);
    command.args(["-I", "abi/include", language.source(), "-o"]).arg(&library);
    tell(&command);
    let output = command.output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Some(library))
}

/// A folder of this process' own, beside this program, where cargo has room for it.
fn scratch() -> Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let program = env::current_exe()?;
    let beside = program.parent().context("programs lie in folders")?;
    let folder = beside.join("plugins").join(format!("{}-{number}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Says loudly that something was left out: a test that passes would say it to nobody otherwise.
pub(crate) fn skipped(what: &str) {
    // A test's own output is kept back. Where nobody listens at all, there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn tell(command: &Command) {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
    eprintln!("$ {} {}", program.display(), args.join(" "));
}
