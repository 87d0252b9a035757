//! A copy of the checkout that may be broken, and mended again.
//!
//! Cargo compares modification times, so a file is written only where its text changes: what did
//! not change is not rebuilt, and what was broken or mended is.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::checkout::Checkout;
use crate::cmd;

pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Makes `root` a copy of the checkout as it is now.
    pub(super) fn copy(checkout: &Checkout, root: PathBuf) -> Result<Tree> {
        fs::create_dir_all(&root)?;
        let files: BTreeSet<_> = checkout.files()?.into_iter().collect();
        for stale in Checkout::at(&root)?.files()?.iter().filter(|file| !files.contains(*file)) {
            fs::remove_file(root.join(stale))?;
        }
        for file in &files {
            update(&checkout.root().join(file), &root.join(file))
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
        Ok(Tree { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Applies a patch, every line of its context as it stands in the patch. Dropping what this
    /// returns takes it back. The inner error is git's word on why the patch does not apply.
    pub(super) fn apply(&self, patch: &Path) -> Result<Result<Broken, String>> {
        let numbers = match cmd::read(self.git(&["--numstat", "-z"]).arg(patch)) {
            Ok(numbers) => numbers,
            Err(error) => return Ok(Err(reason(&error))),
        };
        let mut before = Vec::new();
        // Each record is `added TAB removed TAB path`.
        for record in numbers.split_terminator('\0') {
            let path = record.splitn(3, '\t').nth(2).context("git names no file")?;
            ensure!(!path.is_empty(), "a mutant must not rename files");
            let path = self.root.join(path);
            before.push((path.clone(), fs::read(&path).ok()));
        }
        let broken = Broken { before };
        match cmd::read(self.git(&["--whitespace=nowarn"]).arg(patch)) {
            Ok(_) => Ok(Ok(broken)),
            Err(error) => Ok(Err(reason(&error))),
        }
    }

    /// `git apply` here. Were git to find the repository that our scratch folder lies in, it would
    /// take the patch's paths for paths of that repository and skip them without a word.
    fn git(&self, args: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.current_dir(&self.root).arg("apply").args(args);
        git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
        git.env("GIT_CEILING_DIRECTORIES", self.root.parent().unwrap_or(&self.root));
        git
    }
}

/// The files that a patch changed, and their text before it. Dropped, they have it again.
#[must_use]
pub(super) struct Broken {
    before: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl Drop for Broken {
    fn drop(&mut self) {
        for (path, text) in &self.before {
            let mended = match text {
                Some(text) => fs::write(path, text),
                None if path.exists() => fs::remove_file(path),
                None => Ok(()),
            };
            if let Err(error) = mended {
                eprintln!("cannot mend {}: {error}", path.display());
            }
        }
    }
}

/// What git says, in a line.
fn reason(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let reasons: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("error: ").map(str::trim)).collect();
    if reasons.is_empty() { text } else { reasons.join("; ") }
}

fn update(from: &Path, to: &Path) -> Result<()> {
    if from.is_symlink() {
        return update_link(from, to);
    }
    let text = fs::read(from)?;
    if to.is_symlink() {
        fs::remove_file(to)?;
    }
    if fs::read(to).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    fs::write(to, text)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    Ok(())
}

/// A link leads to the copy of what it leads to here, if it is of the checkout and relative.
fn update_link(from: &Path, to: &Path) -> Result<()> {
    let leads_to = fs::read_link(from)?;
    if fs::read_link(to).is_ok_and(|old| old == leads_to) {
        return Ok(());
    }
    if to.exists() || to.is_symlink() {
        fs::remove_file(to)?;
    }
    fs::create_dir_all(to.parent().context("a link has a folder")?)?;
    symlink(leads_to, to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Checkout, Tree};
    use std::fs;

    const PATCH: &str = "Promise: p\n\ndiff --git a/src/a.rs b/src/a.rs\n\
                         --- a/src/a.rs\n+++ b/src/a.rs\n@@ -1 +1 @@\n-one\n+two\n\
                         diff --git a/new.rs b/new.rs\nnew file mode 100644\n\
                         --- /dev/null\n+++ b/new.rs\n@@ -0,0 +1 @@\n+new\n";

    #[test]
    fn a_patch_applies_and_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::create_dir_all(source.join("src")).unwrap();
        fs::write(source.join("src/a.rs"), "one\n").unwrap();
        let patch = dir.path().join("m.patch");
        fs::write(&patch, PATCH).unwrap();

        let copy = dir.path().join("copy");
        fs::create_dir_all(&copy).unwrap();
        fs::write(copy.join("left_over.rs"), "").unwrap();
        let tree = Tree::copy(&Checkout::at(&source).unwrap(), copy).unwrap();
        assert!(!tree.root().join("left_over.rs").exists());

        let changed = tree.root().join("src/a.rs");
        let broken = tree.apply(&patch).unwrap().unwrap();
        assert_eq!(fs::read_to_string(&changed).unwrap(), "two\n");
        assert!(tree.root().join("new.rs").exists());
        let Err(why) = tree.apply(&patch).unwrap() else { panic!("applied twice") };
        assert!(why.contains("does not apply") || why.contains("already exists"), "{why}");

        drop(broken);
        assert_eq!(fs::read_to_string(&changed).unwrap(), "one\n");
        assert!(!tree.root().join("new.rs").exists());
        assert_eq!(fs::read_to_string(source.join("src/a.rs")).unwrap(), "one\n");
    }

    #[test]
    fn a_link_stays_one_and_leads_into_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::create_dir_all(source.join("wit")).unwrap();
        fs::create_dir_all(source.join("guest")).unwrap();
        fs::write(source.join("wit/a.wit"), "one").unwrap();
        super::symlink("../wit", source.join("guest/wit")).unwrap();
        let checkout = Checkout::at(&source).unwrap();
        let copy = dir.path().join("copy");
        for _ in 0..2 {
            Tree::copy(&checkout, copy.clone()).unwrap();
            fs::write(copy.join("wit/a.wit"), "broken").unwrap();
            assert_eq!(fs::read_to_string(copy.join("guest/wit/a.wit")).unwrap(), "broken");
            assert_eq!(fs::read_to_string(source.join("wit/a.wit")).unwrap(), "one");
        }

        // What was a link becomes a file: what it led to is left alone.
        fs::remove_file(source.join("guest/wit")).unwrap();
        fs::write(source.join("guest/wit"), "a file").unwrap();
        Tree::copy(&checkout, copy.clone()).unwrap();
        assert_eq!(fs::read_to_string(copy.join("guest/wit")).unwrap(), "a file");
        assert_eq!(fs::read_to_string(copy.join("wit/a.wit")).unwrap(), "one");
    }
}
