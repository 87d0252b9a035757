//! Views: made from Rust values without risk, read back with everything checked that can be.
//!
//! A view is a pointer and a length that somebody else wrote. Whether the memory behind it lives is
//! the one thing a reader cannot check, so that is the one thing its `unsafe` asks for. A null
//! pointer with a length, a length that no Rust slice can have, text that isn't UTF-8: each is a
//! [`ViewError`].

#![expect(unsafe_code, reason = "turns foreign pointers and lengths into slices, once, here")]

use std::{error::Error, fmt, slice, str};

use crate::v1::{NrBytes, NrHeader, NrStr};

/// The most bytes that a Rust slice can have.
const SLICE_LIMIT: u64 = isize::MAX as u64;

impl NrStr {
    /// The view of nothing: null and 0.
    pub const EMPTY: Self = Self { ptr: std::ptr::null(), len: 0 };

    /// A view of `text`, for as long as `text` lives.
    ///
    /// The view carries no lifetime. Making one is safe; reading it through [`NrStr::as_str`] is
    /// what needs care.
    ///
    /// # Panics
    ///
    /// If `text` has 4 GiB or more, which the 32-bit length can't say. See [`NrStr::try_from_str`].
    #[inline]
    #[must_use]
    pub const fn from_str(text: &str) -> Self {
        match Self::try_from_str(text) {
            Ok(view) => view,
            Err(_) => panic!("a string view holds less than 4 GiB"),
        }
    }

    /// A view of `text`, for as long as `text` lives.
    ///
    /// # Errors
    ///
    /// [`ViewError::TooLong`] when the 32-bit length can't say how long `text` is.
    #[inline]
    pub const fn try_from_str(text: &str) -> Result<Self, ViewError> {
        let len = text.len();
        if len > u32::MAX as usize {
            return Err(ViewError::TooLong { len: len as u64, limit: u32::MAX as u64 });
        }
        Ok(Self { ptr: text.as_ptr(), len: len as u32 })
    }

    /// The bytes of the view, not yet known to be text.
    ///
    /// # Errors
    ///
    /// [`ViewError::NullPointer`].
    ///
    /// # Safety
    ///
    /// If `ptr` isn't null, `len` bytes behind it must be initialized, readable and unchanged for
    /// all of `'a`.
    #[inline]
    pub unsafe fn as_bytes<'a>(self) -> Result<&'a [u8], ViewError> {
        let bytes = NrBytes { ptr: self.ptr, len: u64::from(self.len) };
        // SAFETY: the same pointer and length, of which the caller promises what is asked for here.
        unsafe { bytes.as_slice() }
    }

    /// The text of the view.
    ///
    /// # Errors
    ///
    /// [`ViewError::NullPointer`], [`ViewError::InvalidUtf8`].
    ///
    /// # Safety
    ///
    /// As [`NrStr::as_bytes`].
    #[inline]
    pub unsafe fn as_str<'a>(self) -> Result<&'a str, ViewError> {
        // SAFETY: this function asks its caller for what `as_bytes` asks for.
        let bytes = unsafe { self.as_bytes() }?;
        str::from_utf8(bytes)
            .map_err(|error| ViewError::InvalidUtf8 { valid_up_to: error.valid_up_to() })
    }
}

impl NrBytes {
    /// The view of nothing: null and 0.
    pub const EMPTY: Self = Self { ptr: std::ptr::null(), len: 0 };

    /// A view of `bytes`, for as long as `bytes` live.
    #[inline]
    #[must_use]
    pub const fn from_slice(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() as u64 }
    }

    /// The bytes of the view. A length of 0 is the empty slice, whatever the pointer.
    ///
    /// # Errors
    ///
    /// [`ViewError::NullPointer`], [`ViewError::TooLong`].
    ///
    /// # Safety
    ///
    /// If `ptr` isn't null and `len` is at most `isize::MAX`, `len` bytes behind it must be
    /// initialized, readable and unchanged for all of `'a`.
    #[inline]
    pub unsafe fn as_slice<'a>(self) -> Result<&'a [u8], ViewError> {
        let len = checked_len(self.ptr, self.len)?;
        if len == 0 {
            return Ok(&[]);
        }
        // SAFETY: the pointer isn't null and the length at most isize::MAX (checked just above); a
        // byte needs no alignment; that the bytes live and rest for 'a is the caller's promise.
        Ok(unsafe { slice::from_raw_parts(self.ptr, len) })
    }
}

impl NrHeader {
    /// A view of one header, for as long as both strings live.
    ///
    /// # Panics
    ///
    /// If one of them has 4 GiB or more.
    #[inline]
    #[must_use]
    pub const fn new(key: &str, value: &str) -> Self {
        Self { key: NrStr::from_str(key), value: NrStr::from_str(value) }
    }
}

/// Checks all of a view that can be checked; the length as Rust counts.
#[inline]
pub(crate) const fn checked_len(ptr: *const u8, len: u64) -> Result<usize, ViewError> {
    if len == 0 {
        return Ok(0);
    }
    if ptr.is_null() {
        return Err(ViewError::NullPointer { len });
    }
    if len > SLICE_LIMIT {
        return Err(ViewError::TooLong { len, limit: SLICE_LIMIT });
    }
    Ok(len as usize)
}

/// Why a view can't be read.
#[non_exhaustive]
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum ViewError {
    /// A null pointer, and yet a length.
    NullPointer {
        /// The length that came with it.
        len: u64,
    },
    /// More than is allowed or than can be.
    TooLong {
        /// The length that was claimed.
        len: u64,
        /// The greatest length that is taken.
        limit: u64,
    },
    /// Bytes that should be text are not UTF-8.
    InvalidUtf8 {
        /// So many bytes from the start are fine.
        valid_up_to: usize,
    },
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NullPointer { len } => write!(f, "null pointer with a length of {len}"),
            Self::TooLong { len, limit } => write!(f, "length {len} is over the limit {limit}"),
            Self::InvalidUtf8 { valid_up_to } => {
                write!(f, "not UTF-8 after the first {valid_up_to} bytes")
            }
        }
    }
}

impl Error for ViewError {}
