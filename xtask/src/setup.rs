//! `cargo xtask setup`: is this machine ready, and for what?
//!
//! Each [`Tool`] says how to find itself, what it is for and how to get it.
//!
//! ```text
//! targets.rs       std for components: is it there, can rustup bring it?
//! from_source.rs   else it is built
//! debian.rs        of what the distribution has
//! ```

mod debian;
mod from_source;
mod targets;

use std::env;
use std::process::Command;

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

/// `cargo xtask ci` is only as repeatable as the tools that it runs.
const CARGO_DENY: &str = "0.20.2";
const CARGO_COMPONENT: &str = "0.21.1";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Also install what `cargo xtask ci` needs and this machine lacks. Takes minutes.
    #[arg(long)]
    ci: bool,
}

/// Who cannot do without a tool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Need {
    /// Everyone: something doesn't build otherwise, or isn't tested.
    Build,
    /// `cargo xtask ci`; elsewhere, what it is for is left out.
    Ci,
}

struct Tool {
    name: &'static str,
    need: Need,
    /// What this machine has of it.
    find: fn() -> Option<String>,
    purpose: &'static str,
    get: &'static str,
    /// What `cargo xtask test` leaves out without it.
    untested: Option<&'static str>,
    /// Installs it, where that needs nothing but what is there already.
    install: Option<fn(&Checkout) -> Result<()>>,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"), " or newer"),
        need: Need::Build,
        find: rustc,
        purpose: "everything",
        get: "https://rustup.rs, or `rustup update stable`",
        untested: None,
        install: None,
    },
    Tool {
        name: "Rust's targets for components",
        need: Need::Build,
        find: targets::find,
        purpose: "plugins that run in the sandbox, and the tests that build some",
        get: "`cargo xtask setup`",
        untested: None,
        install: Some(targets::install),
    },
    Tool {
        name: "rustfmt and clippy",
        need: Need::Ci,
        find: rustfmt_and_clippy,
        purpose: "the checks of style and the lints",
        get: "`rustup component add rustfmt clippy`",
        untested: None,
        install: None,
    },
    Tool {
        name: "a C compiler",
        need: Need::Ci,
        find: c_compiler,
        purpose: "the tests that compare the C header with the Rust types, and plugins in C",
        get: "for example `apt install gcc`, or name one in $CC",
        untested: Some("the C header, and plugins in C and C++"),
        install: None,
    },
    Tool {
        name: "clang and wasm-ld",
        need: Need::Ci,
        find: clang,
        purpose: "the component that is written in C",
        get: "for example `apt install clang lld`, or name a clang in $CLANG",
        untested: Some("the component in C"),
        install: None,
    },
    Tool {
        name: "cargo-component",
        need: Need::Ci,
        find: cargo_component,
        purpose: "the test that builds a component with it",
        get: "`cargo xtask setup --ci`",
        untested: Some("the component that `cargo component` makes"),
        install: Some(install_cargo_component),
    },
    Tool {
        name: "cargo-deny",
        need: Need::Ci,
        find: cargo_deny,
        purpose: "the check of dependencies: licences, sources, known vulnerabilities",
        get: "`cargo xtask setup --ci`",
        untested: None,
        install: Some(install_cargo_deny),
    },
];

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let need = if args.ci { Need::Ci } else { Need::Build };
    for tool in TOOLS.iter().filter(|tool| tool.need <= need) {
        if let (Some(install), None) = (tool.install, (tool.find)()) {
            println!("{}: missing, installing", tool.name);
            install(checkout).with_context(|| format!("{}: not installed", tool.name))?;
        }
    }
    Ok(Verdict::good_if(check(need)))
}

/// Says what is there and what is not. True when nothing is missing that `need` asks for.
pub(crate) fn check(need: Need) -> bool {
    let mut ready = true;
    for tool in TOOLS {
        match (tool.find)() {
            Some(found) => println!("  ok       {}: {found}", tool.name),
            None => {
                let required = tool.need <= need;
                ready &= !required;
                let word = if required { "MISSING" } else { "without" };
                println!("  {word}  {}", tool.name);
                println!("           is for: {}", tool.purpose);
                println!("           get it: {}", tool.get);
            }
        }
    }
    if ready {
        println!("Ready.");
    } else {
        println!("Not ready: see MISSING above.");
    }
    ready
}

/// A line for each thing that the tests left out, since what it needs is missing.
pub(crate) fn untested() -> Vec<String> {
    let missing = TOOLS.iter().filter(|tool| tool.untested.is_some() && (tool.find)().is_none());
    let line = |tool: &Tool| {
        let what = tool.untested.unwrap_or_default();
        format!("SKIPPED, NOT tested: {what}. There is no {}; get it: {}", tool.name, tool.get)
    };
    missing.map(line).collect()
}

/// Whether this Rust lacks a target that components are built for.
pub(crate) fn targets_missing() -> bool {
    targets::find().is_none()
}

fn rustc() -> Option<String> {
    let version = cmd::version_of(&targets::compiler(), &["--version"])?;
    let number = version.split_whitespace().nth(1)?;
    (release(number)? >= release(env!("CARGO_PKG_RUST_VERSION"))?).then_some(version)
}

/// `1.95.0-nightly` is (1, 95).
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn rustfmt_and_clippy() -> Option<String> {
    let rustfmt = cmd::version_of("cargo", &["fmt", "--version"])?;
    let clippy = cmd::version_of("cargo", &["clippy", "--version"])?;
    Some(format!("{rustfmt}; {clippy}"))
}

fn c_compiler() -> Option<String> {
    let named = env::var("CC").ok();
    let names = named.as_deref().map_or(vec!["cc", "gcc", "clang"], |name| vec![name]);
    names.iter().find_map(|name| cmd::version_of(name, &["--version"]))
}

fn cargo_deny() -> Option<String> {
    cmd::version_of("cargo", &["deny", "--version"])
}

fn clang() -> Option<String> {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let clang = cmd::version_of(&clang, &["--version"])?;
    let linker = cmd::version_of("wasm-ld", &["--version"])?;
    Some(format!("{clang}; {linker}"))
}

fn cargo_component() -> Option<String> {
    cmd::version_of("cargo", &["component", "--version"])
}

fn install_cargo_deny(_: &Checkout) -> Result<()> {
    cmd::run(&mut cargo_install("cargo-deny", CARGO_DENY))
}

/// It makes one small component, so it needs no optimizing, which would take most of the time.
fn install_cargo_component(_: &Checkout) -> Result<()> {
    let mut command = cargo_install("cargo-component", CARGO_COMPONENT);
    cmd::run(command.arg("--debug").env("CARGO_PROFILE_DEV_DEBUG", "0"))
}

fn cargo_install(tool: &str, version: &str) -> Command {
    // Not the calling cargo's settings: a tool is built by its own lock file, in its own folder.
    let mut command = Command::new("cargo");
    command.args(["install", tool, "--locked", "--version", version]);
    command.env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    command
}

#[cfg(test)]
mod tests {
    use super::{TOOLS, release};

    #[test]
    fn what_the_tests_may_leave_out_ci_has() {
        let skipping = TOOLS.iter().filter(|tool| tool.untested.is_some());
        assert!(skipping.clone().all(|tool| tool.need == super::Need::Ci));
        assert_eq!(skipping.count(), 3);
    }

    #[test]
    fn releases_compare_by_number() {
        assert!(release("1.100.0") > release("1.95"));
        assert_eq!(release("1.95.0-nightly"), Some((1, 95)));
        assert_eq!(release("unknown"), None);
    }
}
