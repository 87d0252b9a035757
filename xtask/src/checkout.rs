//! Which folder is ours, which files in it are, and where builds go.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A working copy of the repository.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    root: PathBuf,
    target: PathBuf,
}

impl Checkout {
    /// The working copy that `cargo xtask` was called in.
    pub(crate) fn of_this_program() -> Result<Checkout> {
        match env::var_os("CARGO_MANIFEST_DIR") {
            Some(xtask) => Checkout::at(&Path::new(&xtask).join("..")),
            None => Checkout::at(Path::new(".")),
        }
    }

    pub(crate) fn at(root: &Path) -> Result<Checkout> {
        let root = root.canonicalize().with_context(|| {
            format!("no checkout at {}: call me as `cargo xtask`", root.display())
        })?;
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(set) => env::current_dir()?.join(set),
            None => root.join("target"),
        };
        Ok(Checkout { root, target })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds, and where all of our own scratch lives.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Every file of the project, relative to the root, sorted: what is there now and not ignored,
    /// committed or not. Asks no git, so that an unpacked archive works too.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let walk = ignore::WalkBuilder::new(&self.root)
            .hidden(false)
            .parents(false)
            .ignore(false)
            .git_global(false)
            .require_git(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        let mut files = Vec::new();
        for entry in walk {
            let entry = entry?;
            if entry.file_type().is_some_and(|kind| !kind.is_dir()) {
                files.push(entry.path().strip_prefix(&self.root)?.to_owned());
            }
        }
        files.sort();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::Checkout;
    use std::fs;
    use std::path::PathBuf;

    #[test]
    fn files_are_what_git_would_not_ignore() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            (".gitignore", "/target\n"),
            (".ci/run", ""),
            ("a.rs", ""),
            ("target/x", ""),
            (".git/HEAD", ""),
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files = Checkout::at(dir.path()).unwrap().files().unwrap();
        assert_eq!(files, [".ci/run", ".gitignore", "a.rs"].map(PathBuf::from));
    }
}
