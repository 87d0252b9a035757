//! The targets that plugins are built for as components: std for them, beside that of the machine.
//!
//! `rustup target add` has them. A machine that cannot reach rustup's servers builds them from the
//! sources that its distribution has of the same release: [`from_source`].

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::from_source;
use crate::checkout::Checkout;
use crate::cmd;

/// What is wanted. The tests say which of them they use for what.
const TARGETS: &[&str] = &["wasm32-unknown-unknown", "wasm32-wasip1", "wasm32-wasip2"];

/// How long to wait for rustup's servers.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);

/// The compiler that cargo will use, and where it keeps what it compiles against.
pub(super) fn compiler() -> String {
    std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into())
}

pub(super) fn find() -> Option<String> {
    missing().is_empty().then(|| TARGETS.join(", "))
}

pub(super) fn install(checkout: &Checkout) -> Result<()> {
    if !from_rustup(&missing()) {
        println!("rustup cannot add them, so std is built from source: that takes some minutes");
        from_source::install(&missing(), &checkout.target().join("setup"))?;
    }
    let missing = missing();
    ensure!(missing.is_empty(), "this Rust still cannot build for {}", missing.join(", "));
    Ok(())
}

fn missing() -> Vec<&'static str> {
    TARGETS.iter().copied().filter(|target| !builds_for(target)).collect()
}

/// Asks the compiler itself: files may be there and be another release's.
fn builds_for(target: &str) -> bool {
    // Of an empty program, so there is nothing to print. It wants its std all the same.
    let args = ["--target", target, "--crate-type", "lib", "--emit", "mir=-", "-"];
    cmd::read(Command::new(compiler()).args(args)).is_ok()
}

/// Whether rustup made them available to the compiler that cargo will use.
fn from_rustup(targets: &[&str]) -> bool {
    if cmd::version_of("rustup", &["--version"]).is_none() {
        return false;
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add"]).args(targets);
    let added = cmd::watch(&mut add, RUSTUP_LIMIT).is_ok_and(|done| done.success());
    added && missing().is_empty()
}

/// What the compiler says of itself after this label, by `rustc -vV`.
pub(super) fn said<'a>(version: &'a str, label: &str) -> Option<&'a str> {
    version.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(": "))
}

/// Whether the folder is one that we may write to.
pub(super) fn writable(folder: &Path) -> bool {
    let probe = folder.join(".ringbox-setup");
    let made = std::fs::create_dir(&probe).is_ok();
    made && std::fs::remove_dir(&probe).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{builds_for, said};

    #[test]
    fn a_target_that_nobody_has_is_missing() {
        assert!(!builds_for("wasm32-nowhere"));
    }

    #[test]
    fn the_compilers_words_are_found_by_their_label() {
        let version = "rustc 1.95.0 (abc 2026-01-01)\nhost: here\nrelease: 1.95.0\n";
        assert_eq!(said(version, "release"), Some("1.95.0"));
        assert_eq!(said(version, "commit-hash"), None);
    }
}
