//! Compiled components in a directory, for the next process.
//!
//! ```text
//! DIRECTORY/            0700, of this user, no link
//!   key                 0600, 32 random bytes, made once
//!   HEX.cwasm           0600: magic, key of the code, length, MAC, the code
//! ```
//!
//! The code is run as it is found, so it is believed only if its MAC is right: whoever can make
//! one can read the key, and so is this user anyway. The MAC covers what the code is filed under,
//! so that one component's file can't be put in the place of another's.

use super::code::Code;
use super::error::CacheError;
use super::key::Key;
use crate::sys;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

const MAGIC: [u8; 16] = *b"ringbox-cwasm-1\n";
const MAC_BYTES: usize = 32;
/// Magic, key, length, MAC.
const HEAD: usize = MAGIC.len() + 32 + 8 + MAC_BYTES;
/// A file beyond this is none of ours.
const MOST_BYTES: u64 = 1 << 30;

const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;

pub(super) struct Directory {
    path: PathBuf,
    secret: [u8; KEY_BYTES],
}

/// What was found under a key.
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// Something that is not what was put there. It is gone now.
    Rejected(&'static str),
    /// The code.
    Code(Code),
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, CacheError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(path)(error));
            }
            _ => {}
        }
        let metadata = fs::symlink_metadata(path).map_err(failed(path))?;
        if !metadata.is_dir() {
            return Err(CacheError::NotADirectory { path: path.to_owned() });
        }
        private(path, &metadata, 0o700)?;
        // From here on links on the way there make no difference.
        let path = fs::canonicalize(path).map_err(failed(path))?;
        let secret = secret(&path)?;
        Ok(Self { path, secret })
    }

    /// The code under a key. A file that isn't what was put there is removed.
    pub(super) fn get(&self, key: &Key) -> Found {
        let path = self.file(key);
        let rejected = match self.read(key, &path) {
            Ok(Some(code)) => return Found::Code(code),
            Ok(None) => return Found::Nothing,
            Err(reason) => reason,
        };
        self.remove(key);
        Found::Rejected(rejected)
    }

    /// Removes what is under a key, if that can be done. If it can't, it is refused again next time.
    pub(super) fn remove(&self, key: &Key) {
        drop(fs::remove_file(self.file(key)));
    }

    /// Puts code under a key. Whoever looks meanwhile finds the file whole, or not at all.
    pub(super) fn put(&self, key: &Key, code: &Code) -> io::Result<()> {
        let code = code.bytes();
        // Made with 0600.
        let mut file = NamedTempFile::with_prefix_in(".new-", &self.path)?;
        let length = (code.len() as u64).to_le_bytes();
        let mac = self.mac(key, length, code).finalize().into_bytes();
        for part in [&MAGIC[..], key.bytes(), &length, &mac, code] {
            file.write_all(part)?;
        }
        file.persist(self.file(key)).map_err(|error| error.error)?;
        Ok(())
    }

    fn file(&self, key: &Key) -> PathBuf {
        self.path.join(format!("{key}.cwasm"))
    }

    fn read(&self, key: &Key, path: &Path) -> Result<Option<Code>, &'static str> {
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) => return Err("it cannot be opened"),
        };
        let metadata = file.metadata().map_err(|_| "it cannot be read")?;
        if !metadata.is_file() || metadata.len() > MOST_BYTES {
            return Err("it is no file of ours");
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|_| "it cannot be read")?;
        self.authentic(key, bytes).map(Some)
    }

    fn authentic(&self, key: &Key, file: Vec<u8>) -> Result<Code, &'static str> {
        let (head, code) = file.split_at_checked(HEAD).ok_or("it is cut off")?;
        let (magic, head) = head.split_at(MAGIC.len());
        let (filed_under, head) = head.split_at(key.bytes().len());
        let (length, mac) = head.split_at(8);
        if magic != MAGIC {
            return Err("it is of another version");
        }
        if filed_under != key.bytes() {
            return Err("it is another component's");
        }
        let wanted = (code.len() as u64).to_le_bytes();
        if length != wanted {
            return Err("its length is wrong");
        }
        self.mac(key, wanted, code).verify_slice(mac).map_err(|_| "its MAC is wrong")?;
        Ok(Code::authentic(file, HEAD))
    }

    fn mac(&self, key: &Key, length: [u8; 8], code: &[u8]) -> Hmac<Sha256> {
        // A key is filled up with zeroes to a block of the hash: that is how HMAC is defined.
        let mut block = [0; 64];
        block[..KEY_BYTES].copy_from_slice(&self.secret);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        for part in [&MAGIC[..], key.bytes(), &length, code] {
            mac.update(part);
        }
        mac
    }
}

/// The key of the directory, made if there is none.
fn secret(directory: &Path) -> Result<[u8; KEY_BYTES], CacheError> {
    let path = directory.join(KEY_FILE);
    if let Some(secret) = read_secret(&path)? {
        return Ok(secret);
    }
    let mut secret = [0; KEY_BYTES];
    getrandom::fill(&mut secret).map_err(CacheError::NoRandom)?;
    // Written whole (O_EXCL, 0600), then given its name unless somebody was faster: nobody ever
    // reads half a key, and all read the same.
    let mut file = NamedTempFile::with_prefix_in(".key-", directory).map_err(failed(&path))?;
    file.write_all(&secret).map_err(failed(&path))?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(secret),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            read_secret(&path)?.ok_or(CacheError::BadKey { path })
        }
        Err(error) => Err(failed(&path)(error.error)),
    }
}

fn read_secret(path: &Path) -> Result<Option<[u8; KEY_BYTES]>, CacheError> {
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(CacheError::BadKey { path: path.to_owned() });
        }
        Err(error) => return Err(failed(path)(error)),
    };
    let metadata = file.metadata().map_err(failed(path))?;
    // A second name could be in a directory that others read.
    if !metadata.is_file() || metadata.nlink() != 1 || metadata.len() != KEY_BYTES as u64 {
        return Err(CacheError::BadKey { path: path.to_owned() });
    }
    private(path, &metadata, 0o600)?;
    let mut secret = [0; KEY_BYTES];
    let mut file = file;
    file.read_exact(&mut secret).map_err(failed(path))?;
    Ok(Some(secret))
}

/// Whether something is this user's, and nobody else's.
fn private(path: &Path, metadata: &fs::Metadata, wanted: u32) -> Result<(), CacheError> {
    let (owner, user) = (metadata.uid(), sys::user());
    if owner != user {
        return Err(CacheError::ForeignOwner { path: path.to_owned(), owner, user });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(CacheError::Open { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn failed(path: &Path) -> impl Fn(io::Error) -> CacheError {
    move |source| CacheError::Io { path: path.to_owned(), source }
}
