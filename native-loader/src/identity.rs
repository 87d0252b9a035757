//! What was loaded.

use std::fmt;

/// What a plugin says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Its name.
    pub name: Box<str>,
    /// Its version.
    pub version: Box<str>,
}

/// The generation of the ABI that a plugin was loaded as.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Generation {
    /// Version 1 without the extension.
    V1,
    /// Version 1 with the extension.
    V1Extended,
    /// Published nylon-ring 0.2.x.
    NylonRing02,
    /// Published nylon-ring 0.1.x.
    NylonRing01,
}

impl Generation {
    /// How many bytes its table of functions has.
    pub(crate) const fn vtable_bytes(self) -> u64 {
        match self {
            Self::V1 | Self::V1Extended => 24,
            Self::NylonRing02 => 56,
            Self::NylonRing01 => 40,
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "version 1",
            Self::V1Extended => "version 1 with the extension",
            Self::NylonRing02 => "nylon-ring 0.2",
            Self::NylonRing01 => "nylon-ring 0.1",
        })
    }
}

/// The SHA-256 of a library's bytes, as they were when it was loaded.
///
/// ```
/// use ringbox_native::Sha256;
/// assert!(Sha256::of(b"").to_string().starts_with("e3b0c44298fc1c14"));
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// That of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}
