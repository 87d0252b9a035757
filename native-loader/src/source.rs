//! The file, read while it held still.

use crate::error::LoadError;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A file's clock may tick this slowly: two writes within a tick leave the same time.
const TICK: Duration = Duration::from_millis(20);

/// Reads the whole file, and makes sure that nobody wrote to it, or replaced it, meanwhile.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Source, LoadError> {
    // Opening a pipe would wait for its other end.
    let mut file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(LoadError::Open)?;
    let before = file.metadata().map_err(LoadError::Open)?;
    if !before.is_file() {
        return Err(LoadError::NotAFile);
    }
    settle(&before);
    let len = before.len();
    if len > limit {
        return Err(LoadError::TooLarge { len, limit });
    }
    let mut bytes = Vec::new();
    let room = usize::try_from(len).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(room).map_err(|_| LoadError::TooLarge { len, limit })?;
    // One byte more than there should be, so that a file that grows is noticed and not followed.
    file.by_ref().take(len.saturating_add(1)).read_to_end(&mut bytes).map_err(LoadError::Open)?;
    let stamp = Stamp::of(&before);
    let after = file.metadata().map_err(LoadError::Open)?;
    if bytes.len() as u64 != len || stamp != Stamp::of(&after) {
        return Err(LoadError::Changing);
    }
    let source = Source { bytes, stamp };
    source.check_still(path)?;
    Ok(source)
}

/// A library's bytes.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) bytes: Vec<u8>,
    pub(crate) stamp: Stamp,
}

impl Source {
    /// Whether the file that was read is still the one at this path, and as it was.
    pub(crate) fn check_still(&self, path: &Path) -> Result<(), LoadError> {
        let there = std::fs::metadata(path).map_err(|_| LoadError::Changing)?;
        if self.stamp == Stamp::of(&there) { Ok(()) } else { Err(LoadError::Changing) }
    }
}

/// What changes when a file does.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    len: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            len: file.len(),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// Waits until a write that comes now would show.
fn settle(file: &Metadata) {
    let Ok(written) = file.modified() else { return };
    let Ok(age) = SystemTime::now().duration_since(written) else { return };
    if let Some(rest) = TICK.checked_sub(age) {
        std::thread::sleep(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_changes_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "before").unwrap();
        let source = read(&path, 100).unwrap();
        assert_eq!(source.bytes, b"before");
        source.check_still(&path).unwrap();
        fs::write(&path, "behind").unwrap();
        assert!(matches!(source.check_still(&path), Err(LoadError::Changing)), "written to");
        let source = read(&path, 100).unwrap();
        let other = folder.path().join("other");
        fs::copy(&path, &other).unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(matches!(source.check_still(&path), Err(LoadError::Changing)), "replaced");
    }
}
