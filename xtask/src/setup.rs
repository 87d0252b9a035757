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
        install: None,
    },
    Tool {
        name: "Rust's targets for components",
        need: Need::Build,
        find: targets::find,
        purpose: "plugins that run in the sandbox, and the tests that build some",
        get: "`cargo xtask setup`",
        install: Some(targets::install),
    },
    Tool {
        name: "rustfmt and clippy",
        need: Need::Ci,
        find: rustfmt_and_clippy,
        purpose: "the checks of style and the lints",
        get: "`rustup component add rustfmt clippy`",
        install: None,
    },
    Tool {
        name: "a C compiler",
        need: Need::Ci,
        find: c_compiler,
        purpose: "the tests that compare the C header with the Rust types, and plugins in C",
        get: "for example `apt install gcc`, or name one in $CC",
        install: None,
    },
    Tool {
        name: "cargo-deny",
        need: Need::Ci,
        find: cargo_deny,
        purpose: "the check of dependencies: licences, sources, known vulnerabilities",
        get: "`cargo xtask setup --ci`",
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

fn install_cargo_deny(_: &Checkout) -> Result<()> {
    // Not the calling cargo's settings: a tool is built by its own lock file, in its own folder.
    let mut command = Command::new("cargo");
    command.args(["install", "cargo-deny", "--locked", "--version", CARGO_DENY]);
    command.env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    cmd::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn releases_compare_by_number() {
        assert!(release("1.100.0") > release("1.95"));
        assert_eq!(release("1.95.0-nightly"), Some((1, 95)));
        assert_eq!(release("unknown"), None);
    }
}
