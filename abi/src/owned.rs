//! Bytes that change hands, and buffers that are lent.
//!
//! [`NrVec`], [`NrOwnedBytes`] and [`NrBufferLease`] are what travels: plain data that frees
//! nothing. [`OwnedBytes`] is what a receiver makes of it, and it frees exactly once, with the
//! function that the maker sent along, so that no allocator ever sees another's memory.

#![expect(unsafe_code, reason = "adopts foreign memory and calls the function that frees it")]

use std::{ffi::c_void, fmt, mem::ManuallyDrop, ops::Deref, ptr, slice};

use crate::{
    v1::{NrBytes, NrHeader},
    view::{ViewError, checked_len},
};

/// A key and a value: the same layout and the same use as version 1's header.
pub type NrKV = NrHeader;

/// The `release` of an [`NrVec`].
pub type ReleaseVec = unsafe extern "C" fn(ptr: *mut u8, len: u64, cap: u64);

/// The `release` of an [`NrOwnedBytes`].
pub type ReleaseOwned = unsafe extern "C" fn(owner_ctx: *mut c_void, ptr: *const u8, len: u64);

/// Bytes with the capacity they were allocated with and the function that frees them.
///
/// The layout is that of published nylon-ring 0.2's `NrVec<u8>` (40 bytes), so one way of adopting
/// serves both. `owned` is 1 when the bytes are given away; anything else lends them for the call,
/// and the receiver copies. Who receives an owned one calls `release` once, from any thread, also
/// when `len` is 0. A null `ptr` or `release` means that nothing is to be freed.
#[repr(C)]
#[derive(Debug)]
#[must_use = "owned bytes that are dropped raw are never freed"]
pub struct NrVec {
    /// The first byte.
    pub ptr: *mut u8,
    /// How many bytes are initialized.
    pub len: u64,
    /// How many bytes were allocated.
    pub cap: u64,
    /// 1: given away. Anything else: lent for the call.
    pub owned: u8,
    /// Zero.
    pub _reserved: [u8; 7],
    /// Frees the bytes.
    pub release: Option<ReleaseVec>,
}

impl NrVec {
    /// Nothing, with nothing to free.
    pub const EMPTY: Self =
        Self { ptr: ptr::null_mut(), len: 0, cap: 0, owned: 0, _reserved: [0; 7], release: None };

    /// Lends `bytes` for the length of a call.
    pub const fn lend(bytes: &[u8]) -> Self {
        let ptr = bytes.as_ptr().cast_mut();
        Self { ptr, len: bytes.len() as u64, ..Self::EMPTY }
    }
}

/// Bytes with a context of their owner's and the function that frees them.
///
/// The layout is that of published nylon-ring 0.2's type of this name (32 bytes).
#[repr(C)]
#[derive(Debug)]
#[must_use = "owned bytes that are dropped raw are never freed"]
pub struct NrOwnedBytes {
    /// The first byte.
    pub ptr: *const u8,
    /// How many.
    pub len: u64,
    /// Handed to `release`.
    pub owner_ctx: *mut c_void,
    /// Frees the bytes, once, from any thread. Null: nothing to free.
    pub release: Option<ReleaseOwned>,
}

impl NrOwnedBytes {
    /// Nothing, with nothing to free.
    pub const EMPTY: Self =
        Self { ptr: ptr::null(), len: 0, owner_ctx: ptr::null_mut(), release: None };
}

/// A buffer that the host lends a plugin to write an answer into.
///
/// The buffer stays valid until the lease is committed or released, or the plugin is shut down; the
/// end of the call it was taken for does not free it, for the plugin may be writing just then.
#[repr(C)]
#[derive(Debug)]
#[must_use = "a lease is given back by committing or releasing it"]
pub struct NrBufferLease {
    /// The first byte; null when there is no lease.
    pub ptr: *mut u8,
    /// How many bytes may be written.
    pub cap: u64,
    /// Names the lease to the host.
    pub token: u64,
}

impl NrBufferLease {
    /// No lease.
    pub const NONE: Self = Self { ptr: ptr::null_mut(), cap: 0, token: 0 };
}

/// Bytes of this module or of a foreign one, freed exactly once by whoever made them.
///
/// ```
/// use ringbox_abi::OwnedBytes;
/// let bytes = OwnedBytes::from(b"hello".to_vec());
/// let travelling = bytes.into_raw();
/// // SAFETY: just made, adopted once.
/// let back = unsafe { OwnedBytes::adopt(travelling, 1 << 20) }.unwrap();
/// assert_eq!(&*back, b"hello");
/// ```
pub struct OwnedBytes {
    repr: Repr,
}

enum Repr {
    Ours(Vec<u8>),
    Foreign(Foreign),
}

/// Invariant: `ptr` and `len` have passed `checked_len`, the bytes are this value's alone, and
/// `release` has not been called.
struct Foreign {
    ptr: *const u8,
    len: usize,
    release: Release,
}

/// How to free, with what its function wants beside pointer and length.
#[derive(Clone, Copy)]
enum Release {
    Nothing,
    Vec { claimed: u64, cap: u64, release: ReleaseVec },
    Owned { claimed: u64, owner_ctx: *mut c_void, release: ReleaseOwned },
}

// SAFETY: by contract of `NrVec` and `NrOwnedBytes` the bytes may be read and released from any
// thread; a `Vec<u8>` may anyway.
unsafe impl Send for OwnedBytes {}
// SAFETY: shared access only reads, and the contract has the bytes unchanged until their release.
unsafe impl Sync for OwnedBytes {}

impl OwnedBytes {
    /// Takes over what came as an [`NrVec`]. Lent bytes are copied, given ones are not.
    ///
    /// Ownership passes before anything is checked: after an error the bytes have been released.
    ///
    /// # Errors
    ///
    /// [`ViewError::NullPointer`] for a null pointer with a length (there is nothing to release
    /// then, and nothing is), [`ViewError::TooLong`] for more than `limit` bytes.
    ///
    /// # Safety
    ///
    /// A non-null `ptr` must have `len` initialized bytes behind it, if `len` is at most `limit` and
    /// `isize::MAX`: for this call when lent, until their release when given. A given one must be
    /// adopted only once, and its `release` must be right for it.
    #[expect(clippy::needless_pass_by_value, reason = "taken by value: it is used up")]
    pub unsafe fn adopt(raw: NrVec, limit: u64) -> Result<Self, ViewError> {
        let NrVec { ptr, len, cap, owned, release, .. } = raw;
        if owned != 1 {
            check_limit(len, limit)?;
            let view = NrBytes { ptr, len };
            // SAFETY: `len` bytes behind `ptr` are readable for this call, says the contract.
            let lent = unsafe { view.as_slice() }?;
            return Ok(Self::from(lent.to_vec()));
        }
        let release = match release {
            Some(release) if !ptr.is_null() => Release::Vec { claimed: len, cap, release },
            _ => Release::Nothing,
        };
        Self::take(ptr, len, limit, release)
    }

    /// Takes over what came as an [`NrOwnedBytes`].
    ///
    /// Ownership passes before anything is checked: after an error the bytes have been released.
    ///
    /// # Errors
    ///
    /// As [`OwnedBytes::adopt`], except that `release` is called for a null pointer too, because its
    /// context may own something.
    ///
    /// # Safety
    ///
    /// As [`OwnedBytes::adopt`] for bytes that are given.
    #[expect(clippy::needless_pass_by_value, reason = "taken by value: it is used up")]
    pub unsafe fn adopt_owned(raw: NrOwnedBytes, limit: u64) -> Result<Self, ViewError> {
        let NrOwnedBytes { ptr, len, owner_ctx, release } = raw;
        let release = match release {
            Some(release) => Release::Owned { claimed: len, owner_ctx, release },
            None => Release::Nothing,
        };
        Self::take(ptr, len, limit, release)
    }

    /// Guards first, checks after: every way out of here frees or owns.
    fn take(ptr: *const u8, len: u64, limit: u64, release: Release) -> Result<Self, ViewError> {
        let mut foreign = Foreign { ptr, len: 0, release };
        check_limit(len, limit)?;
        foreign.len = checked_len(ptr, len)?;
        Ok(Self { repr: Repr::Foreign(foreign) })
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.repr {
            Repr::Ours(bytes) => bytes,
            Repr::Foreign(foreign) => foreign.as_slice(),
        }
    }

    /// Makes it ready to travel. Whoever adopts it frees it.
    pub fn into_raw(self) -> NrVec {
        match self.repr {
            Repr::Ours(bytes) => {
                let mut bytes = ManuallyDrop::new(bytes);
                NrVec {
                    ptr: bytes.as_mut_ptr(),
                    len: bytes.len() as u64,
                    cap: bytes.capacity() as u64,
                    owned: 1,
                    _reserved: [0; 7],
                    release: Some(release_vec),
                }
            }
            Repr::Foreign(Foreign { release: Release::Nothing, .. }) => {
                Self::from(self.as_slice().to_vec()).into_raw()
            }
            Repr::Foreign(Foreign { release: Release::Owned { .. }, .. }) => {
                Self::from(self.as_slice().to_vec()).into_raw()
            }
            Repr::Foreign(foreign) => {
                let foreign = ManuallyDrop::new(foreign);
                let Release::Vec { claimed, cap, release } = foreign.release else {
                    unreachable!("the other two are handled above")
                };
                NrVec {
                    ptr: foreign.ptr.cast_mut(),
                    len: claimed,
                    cap,
                    owned: 1,
                    _reserved: [0; 7],
                    release: Some(release),
                }
            }
        }
    }

    /// The bytes as a vector of this module's: the very one when they were ours, else a copy.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self.repr {
            Repr::Ours(bytes) => bytes,
            Repr::Foreign(foreign) => foreign.as_slice().to_vec(),
        }
    }

    /// Whether a foreign module's code still has to run to free them. While such a value lives, the
    /// module must stay mapped.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        match &self.repr {
            Repr::Ours(_) => false,
            Repr::Foreign(foreign) => {
                !matches!(foreign.release, Release::Nothing) || foreign.len > 0
            }
        }
    }
}

fn check_limit(len: u64, limit: u64) -> Result<(), ViewError> {
    if len > limit { Err(ViewError::TooLong { len, limit }) } else { Ok(()) }
}

impl Foreign {
    fn as_slice(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the invariant has `ptr` non-null and `len` in range; the bytes live unchanged
        // until `release`, which only this value's drop calls, after every borrow of it.
        unsafe { slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        match self.release {
            Release::Nothing => {}
            Release::Vec { claimed, cap, release } => {
                // SAFETY: `adopt` was promised that this function is right for these very
                // arguments; a value is dropped once, and `into_raw` forgoes the drop.
                unsafe { release(self.ptr.cast_mut(), claimed, cap) };
            }
            Release::Owned { claimed, owner_ctx, release } => {
                // SAFETY: as above, of `adopt_owned`.
                unsafe { release(owner_ctx, self.ptr, claimed) };
            }
        }
    }
}

/// Frees what [`OwnedBytes::into_raw`] sent away.
unsafe extern "C" fn release_vec(ptr: *mut u8, len: u64, cap: u64) {
    if ptr.is_null() {
        return;
    }
    // SAFETY: only `into_raw` hands this function out, beside the parts of a vector it has leaked;
    // the receiver returns the same parts, once.
    drop(unsafe { Vec::from_raw_parts(ptr, len as usize, cap as usize) });
}

impl From<Vec<u8>> for OwnedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self { repr: Repr::Ours(bytes) }
    }
}

impl Deref for OwnedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for OwnedBytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for OwnedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedBytes")
            .field("len", &self.as_slice().len())
            .field("foreign", &self.is_foreign())
            .finish()
    }
}
