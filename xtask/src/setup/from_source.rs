//! Builds std for a target, as Rust's own distribution does it, and puts it beside the others.
//!
//! ```text
//! rust-src of the same release (the toolchain's own, or a Debian package) --+
//! wasi-libc (a Debian package, for the WASI targets)  ----------------------+> cargo build > sysroot
//! the crates that std depends on (crates.io, by std's own lock file)  ------+
//! ```
//!
//! Std is not stable to build, so the compiler has to be of exactly the sources' release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::debian::Archive;
use super::targets::{compiler, said, writable};
use crate::cmd;

/// A compiler, as far as std has to match it.
struct Toolchain {
    sysroot: PathBuf,
    release: String,
    commit: String,
}

impl Toolchain {
    fn of_this_build() -> Result<Toolchain> {
        let sysroot = cmd::read(Command::new(compiler()).args(["--print", "sysroot"]))?;
        let version = cmd::read(Command::new(compiler()).arg("-vV"))?;
        let release = said(&version, "release").context("rustc doesn't say its release")?;
        let commit = said(&version, "commit-hash").unwrap_or("unknown");
        Ok(Toolchain {
            sysroot: sysroot.trim_end().into(),
            release: release.to_owned(),
            commit: commit.to_owned(),
        })
    }

    fn rustlib(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib")
    }
}

/// Makes std for these targets, in `scratch`, and installs it into the compiler's own folder.
pub(super) fn install(targets: &[&str], scratch: &Path) -> Result<()> {
    let toolchain = Toolchain::of_this_build()?;
    let rustlib = toolchain.rustlib();
    ensure!(
        writable(&rustlib),
        "{} cannot be written to: run this as whoever installed Rust, or install std for {} \
         with the tool that installed Rust",
        rustlib.display(),
        targets.join(", "),
    );
    fs::create_dir_all(scratch)?;
    let library = library(&toolchain, scratch)?;
    let libc = match targets.iter().any(|target| is_wasi(target)) {
        true => Some(wasi_libc(scratch)?),
        false => None,
    };
    let built = build(&toolchain, &library, libc.as_deref(), targets, scratch)?;
    for target in targets {
        let libc = libc.as_deref().filter(|_| is_wasi(target));
        place(&rustlib, target, &built.join(target).join("dist/deps"), libc)
            .with_context(|| format!("cannot install std for {target}"))?;
        println!("std for {target} is installed");
    }
    Ok(())
}

fn is_wasi(target: &str) -> bool {
    target.contains("-wasi")
}

/// The sources of std: the folder `library` of Rust's repository.
fn library(toolchain: &Toolchain, scratch: &Path) -> Result<PathBuf> {
    let own = toolchain.rustlib().join("src/rust/library");
    if own.join("Cargo.lock").is_file() {
        return Ok(own);
    }
    let folder = scratch.join(format!("rust-{}", toolchain.release));
    let library = folder.join("library");
    if !library.join("Cargo.lock").is_file() {
        let starts = ["+", "-"].map(|then| format!("{}{then}", toolchain.release));
        let found = Archive::of_this_machine(scratch)?
            .package(&["rust-src", "rust-web-src"], |version| {
                starts.iter().any(|start| version.starts_with(start))
            });
        let package = found.with_context(|| {
            format!("no sources of Rust {}: try `rustup component add rust-src`", toolchain.release)
        })?;
        package.unpack(&folder)?;
        let unpacked = only_folder(&folder.join("usr/src"))?;
        fs::rename(unpacked.join("library"), &library)?;
    }
    Ok(library)
}

/// The C library for the WASI targets: `usr/lib/<target>` in the folder.
fn wasi_libc(scratch: &Path) -> Result<PathBuf> {
    let folder = scratch.join("wasi-libc");
    if !folder.join("usr/lib").is_dir() {
        // Those before 2024 know no wasip2.
        let package = Archive::of_this_machine(scratch)?
            .package(&["wasi-libc"], |version| {
                version.starts_with("0.0~git202") && version > "0.0~git2024"
            })
            .context("no C library for WASI")?;
        package.unpack(&folder)?;
    }
    Ok(folder)
}

/// The one folder in a folder.
fn only_folder(parent: &Path) -> Result<PathBuf> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            folders.push(path);
        }
    }
    match <[PathBuf; 1]>::try_from(folders) {
        Ok([folder]) => Ok(folder),
        Err(folders) => bail!("{} folders in {}", folders.len(), parent.display()),
    }
}

/// What Rust's own bootstrap does for a release. Returns where it was built to.
fn build(
    toolchain: &Toolchain,
    library: &Path,
    libc: Option<&Path>,
    targets: &[&str],
    scratch: &Path,
) -> Result<PathBuf> {
    let Toolchain { sysroot, release, commit } = toolchain;
    let built = scratch.join(format!("std-{release}"));
    let own = sysroot.join("bin/cargo");
    let mut command = Command::new(if own.is_file() { own } else { "cargo".into() });
    command
        .current_dir(library)
        .args(["build", "--profile", "dist", "--features", "backtrace"])
        .args(["--manifest-path", "sysroot/Cargo.toml"])
        .env("RUSTC", compiler())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_DEFAULT_LIB_METADATA", format!("stablestd{release}"))
        .env("CARGO_TARGET_DIR", &built)
        .env("CARGO_INCREMENTAL", "0");
    for set in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET"] {
        command.env_remove(set);
    }
    for target in targets {
        let mut flags = format!(
            "-Zforce-unstable-if-unmarked -Clto=off --remap-path-prefix={}=/rustc/{commit}/library",
            library.display()
        );
        if let Some(libc) = libc.filter(|_| is_wasi(target)) {
            flags += &format!(" -Lnative={}", libc.join("usr/lib").join(target).display());
        }
        let name = target.to_uppercase().replace('-', "_");
        command.args(["--target", target]).env(format!("CARGO_TARGET_{name}_RUSTFLAGS"), flags);
    }
    println!("building std {release} for {}", targets.join(", "));
    cmd::run(&mut command)?;
    Ok(built)
}

/// Puts what was built where the compiler looks, all of it at once.
fn place(rustlib: &Path, target: &str, built: &Path, libc: Option<&Path>) -> Result<()> {
    let fresh = rustlib.join(format!(".{target}.new"));
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    let lib = fresh.join("lib");
    fs::create_dir_all(&lib)?;
    copy_all(built, &lib, |name| name.ends_with(".rlib"))?;
    if let Some(libc) = libc {
        let own = lib.join("self-contained");
        fs::create_dir_all(&own)?;
        let wanted = ["crt1-command.o", "crt1-reactor.o", "libc.a"];
        copy_all(&libc.join("usr/lib").join(target), &own, |name| wanted.contains(&name))?;
    }
    let place = rustlib.join(target);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::rename(fresh, place)?;
    Ok(())
}

/// Copies the files whose name is wanted. There is at least one.
fn copy_all(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let mut copied = 0;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&wanted) {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
            copied += 1;
        }
    }
    ensure!(copied > 0, "{} has nothing of what is needed", from.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::place;
    use std::fs;

    #[test]
    fn what_was_there_gives_way_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (rustlib, built) = (folder.path().join("rustlib"), folder.path().join("built"));
        fs::create_dir_all(rustlib.join("some-target/lib")).unwrap();
        fs::write(rustlib.join("some-target/lib/libcore-old.rlib"), "").unwrap();
        fs::create_dir_all(&built).unwrap();
        for name in ["libcore-new.rlib", "libcore-new.rmeta"] {
            fs::write(built.join(name), "").unwrap();
        }
        place(&rustlib, "some-target", &built, None).unwrap();
        let lib = fs::read_dir(rustlib.join("some-target/lib")).unwrap();
        let names: Vec<_> = lib.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["libcore-new.rlib"]);
        assert_eq!(fs::read_dir(&rustlib).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn nothing_built_is_an_error_and_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let (rustlib, built) = (folder.path().join("rustlib"), folder.path().join("built"));
        fs::create_dir_all(rustlib.join("some-target/lib")).unwrap();
        fs::create_dir_all(&built).unwrap();
        assert!(place(&rustlib, "some-target", &built, None).is_err());
        assert!(rustlib.join("some-target/lib").is_dir());
    }
}
