//! The directories that a plugin is granted, opened once for all of its instances.
//!
//! A path is looked up as often as it is opened, and a plugin that may write to a part of it could
//! have put a link there since. So what was there at load is what every instance gets; and what a
//! plugin may write to has nothing else in it that is granted, which it could have led elsewhere
//! before it was loaded again.

use super::GrantError;
use crate::grants::{Access, Directory, Effective};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{self, Path, PathBuf};

/// The granted directories in their order: opened now, or when this was first asked.
pub(super) fn open(effective: &Effective) -> Result<&[File], GrantError> {
    if let Some(opened) = effective.opened.get() {
        return Ok(opened);
    }
    not_within_another(&effective.directories)?;
    let opened = effective.directories.iter().map(|one| open_one(&one.host).map_err(at(one)));
    let opened = opened.collect::<Result<_, _>>()?;
    Ok(effective.opened.get_or_init(|| opened))
}

fn open_one(path: &Path) -> io::Result<File> {
    let flags = libc::O_DIRECTORY | libc::O_PATH | libc::O_CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// A path that leads to what is open, wherever it has been moved, and whatever is in its place.
pub(super) fn path(opened: &File) -> PathBuf {
    format!("/proc/self/fd/{}", opened.as_raw_fd()).into()
}

/// Refuses a directory whose path leads through another one that the plugin may write to.
fn not_within_another(directories: &[Directory]) -> Result<(), GrantError> {
    let writable = directories.iter().filter(|one| one.access == Access::Write);
    for outer in writable {
        let within = fs::canonicalize(&outer.host).map_err(at(outer))?;
        for inner in directories {
            if leads_through(&inner.host, &within).map_err(at(inner))? {
                let (path, within) = (inner.host.clone(), outer.host.clone());
                return Err(GrantError::Nested { path, within });
            }
        }
    }
    Ok(())
}

/// Whether one of the directories on the way to `path` is `outer` or in it, or where the path ends
/// is in it. The same directory may be granted twice.
fn leads_through(path: &Path, outer: &Path) -> io::Result<bool> {
    let path = path::absolute(path)?;
    let end = fs::canonicalize(&path)?;
    if end != outer && end.starts_with(outer) {
        return Ok(true);
    }
    for above in path.ancestors().skip(1) {
        if fs::canonicalize(above)?.starts_with(outer) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn at(directory: &Directory) -> impl FnOnce(io::Error) -> GrantError {
    let path = directory.host.clone();
    |source| GrantError::Directory { path, source }
}
