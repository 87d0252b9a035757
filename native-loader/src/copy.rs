//! A private copy of a library, so that each load is a library of its own.
//!
//! The system's loader knows libraries by name and by inode, and gives a second load of either the
//! first one's image, globals and all. So a copy keeps its file's name, for those who read
//! backtraces, but lies in a folder that was never there before and never will be again.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use thiserror::Error;

/// Why no private copy could be made.
#[derive(Debug, Error)]
#[error("cannot make a private copy in {}: {source}", folder.display())]
#[non_exhaustive]
pub struct CopyError {
    /// Where it should have been made.
    pub folder: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// A private copy. Dropping it removes the file and its folder; what is mapped stays mapped.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
    _folder: TempDir,
}

/// Copies made so far: with the process' number, a part of a folder's name that never comes back.
static MADE: AtomicU64 = AtomicU64::new(0);

impl Copy {
    pub(crate) fn make(
        bytes: &[u8],
        original: &Path,
        within: Option<&Path>,
    ) -> Result<Self, CopyError> {
        let within = within.map_or_else(std::env::temp_dir, Path::to_owned);
        Self::write(bytes, original, &within).map_err(|source| CopyError { folder: within, source })
    }

    fn write(bytes: &[u8], original: &Path, within: &Path) -> io::Result<Self> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let within = within.canonicalize()?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("ringbox-{}-{number}-", std::process::id()))
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(within)?;
        let name = original.file_name().unwrap_or("plugin.so".as_ref());
        let path = folder.path().join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(bytes)?;
        Ok(Self { path, _folder: folder })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_private_and_goes_with_its_folder() {
        let original = Path::new("/somewhere/libname.so.3");
        let one = Copy::make(b"x", original, None).unwrap();
        let two = Copy::make(b"x", original, None).unwrap();
        let folder = one.path().parent().unwrap().to_owned();
        assert_eq!(one.path().file_name(), original.file_name());
        assert_ne!(one.path(), two.path());
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(one);
        assert!(!folder.exists());
    }
}
