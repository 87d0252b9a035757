//! A file's bytes, without reading more than a component may have.

use super::error::{Bound, InspectError};
use super::limits::ComponentLimits;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads a file that is at most as large as a component may be. A larger one is refused by its
/// length, before it is read or room is made for it.
///
/// # Errors
///
/// [`InspectError::Open`], [`InspectError::NotAFile`], [`InspectError::TooLarge`].
pub fn read(path: &Path, limits: &ComponentLimits) -> Result<Vec<u8>, InspectError> {
    // Opening a pipe would wait for somebody to write to it.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(InspectError::Open)?;
    let metadata = file.metadata().map_err(InspectError::Open)?;
    if !metadata.is_file() {
        return Err(InspectError::NotAFile);
    }
    check_length(metadata.len(), limits)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // The file may grow while it is read, and says nothing of its length in some file systems.
    let most = limits.bytes.saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(InspectError::Open)?;
    check_length(bytes.len() as u64, limits)?;
    Ok(bytes)
}

/// Holds a length against the limit.
pub(super) fn check_length(len: u64, limits: &ComponentLimits) -> Result<(), InspectError> {
    if len > limits.bytes {
        return Err(InspectError::TooLarge { bound: Bound::Bytes, found: len, most: limits.bytes });
    }
    Ok(())
}
