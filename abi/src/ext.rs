//! The extension: what version 1 lacks, in two tables beside it.
//!
//! ```text
//!   host                                            plugin
//!   NrHostExt  ---- attach(plugin_ctx, host_ctx, &NrHostExt) ---->   nylon_ring_get_plugin_ext_v1
//!     send_frame, send_owned, leases, host_call,                       NrPluginExt: resolve_entry,
//!     wake_after, log, state        <-------- calls ---------          handle_entry, stream_data, ..
//! ```
//!
//! Both tables begin with `struct_size` and `version`. They grow at the end only: a reader looks at
//! no byte beyond the other side's `struct_size`, and finds `None` in a field that isn't there.
//! [`ExtView`] is that reader. `version` changes only if a field's meaning does, which it should
//! never.

#![expect(unsafe_code, reason = "copies a foreign table, as much of it as its size says")]

use std::{
    error::Error,
    ffi::{CStr, c_void},
    fmt,
    mem::MaybeUninit,
    ops::Deref,
    ptr,
};

use crate::{
    owned::{NrBufferLease, NrVec},
    status::RawStatus,
    v1::{NrBytes, NrStr},
};

/// The version of both tables.
pub const NR_EXT_VERSION: u32 = 1;

/// What `resolve_entry` answers for a name that isn't an entry.
pub const NR_NO_ENTRY: u32 = u32::MAX;

/// The symbol that a plugin with the extension exports.
pub const PLUGIN_EXT_V1_SYMBOL: &CStr = c"nylon_ring_get_plugin_ext_v1";

/// What a plugin may ask of its host. Lives as long as the process; callable from any thread.
///
/// `host_ctx` is the one that came with `attach`. Views are borrowed for the call.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct NrHostExt {
    /// The size of the host's table in bytes.
    pub struct_size: u32,
    /// [`NR_EXT_VERSION`].
    pub version: u32,
    /// Answers `sid`, or sends a frame of its stream. Ok: taken. Backpressure: the stream's queue is
    /// full, send it again later. Invalid: `sid` is over, or not this plugin's.
    pub send_frame: Option<
        unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            status: RawStatus,
            payload: NrBytes,
        ) -> RawStatus,
    >,
    /// As `send_frame`, without a copy. The host owns the bytes whatever it returns.
    pub send_owned: Option<
        unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            status: RawStatus,
            payload: NrVec,
        ) -> RawStatus,
    >,
    /// Lends a buffer of at least `capacity` bytes for an answer to `sid`. `*out` is written on Ok
    /// only.
    pub acquire_buffer: Option<
        unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            capacity: u64,
            out: *mut NrBufferLease,
        ) -> RawStatus,
    >,
    /// Answers with the first `len` bytes of a lent buffer, which the plugin has written. Ok: done.
    /// Anything else: not sent; on Backpressure and on a `len` over the capacity (Invalid) the lease
    /// still lives, otherwise it is over.
    pub commit_buffer: Option<
        unsafe extern "C" fn(
            host_ctx: *mut c_void,
            lease: NrBufferLease,
            status: RawStatus,
            len: u64,
        ) -> RawStatus,
    >,
    /// Calls the host's function `name` on behalf of `sid`. On Ok `*token_out` names the call, and
    /// `host_call_done` brings what it came to, never before this function has returned.
    pub host_call: Option<
        unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            name: NrStr,
            payload: NrBytes,
            token_out: *mut u64,
        ) -> RawStatus,
    >,
    /// Has the plugin's `wake(token)` called after `nanos` nanoseconds, at once for 0. The token is
    /// the plugin's own.
    pub wake_after:
        Option<unsafe extern "C" fn(host_ctx: *mut c_void, token: u64, nanos: u64) -> RawStatus>,
    /// Writes to the host's log. Levels as in [`LogLevel`].
    pub log: Option<unsafe extern "C" fn(host_ctx: *mut c_void, level: u32, message: NrStr)>,
    /// Keeps a value for as long as `sid` lasts. Invalid: `sid` is over, or not this plugin's.
    pub state_set: Option<
        unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            key: NrStr,
            value: NrBytes,
        ) -> RawStatus,
    >,
    /// Gives a copy of a kept value, which the plugin then owns. Invalid: there is none. `*out` is
    /// written on Ok only.
    pub state_get: Option<
        unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            key: NrStr,
            out: *mut NrVec,
        ) -> RawStatus,
    >,
    /// Gives a lent buffer back unused. Answers nothing.
    pub release_buffer:
        Option<unsafe extern "C" fn(host_ctx: *mut c_void, lease: NrBufferLease) -> RawStatus>,
}

/// What a host may ask of a plugin beyond version 1. `plugin_ctx` is the one of the plugin's info.
///
/// None of them may block. The statuses that they return are about the contract; what a request
/// comes to travels by an answer.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct NrPluginExt {
    /// The size of the plugin's table in bytes.
    pub struct_size: u32,
    /// [`NR_EXT_VERSION`].
    pub version: u32,
    /// Hands over the host's table. Called once, before `init`; anything but Ok fails the load.
    pub attach: Option<
        unsafe extern "C" fn(
            plugin_ctx: *mut c_void,
            host_ctx: *mut c_void,
            host_ext: *const NrHostExt,
        ) -> RawStatus,
    >,
    /// The number of an entry, the same for as long as the plugin is loaded; [`NR_NO_ENTRY`] for a
    /// name that isn't one.
    pub resolve_entry: Option<unsafe extern "C" fn(plugin_ctx: *mut c_void, name: NrStr) -> u32>,
    /// `handle` for an entry by its number. Invalid for a number that was never given out.
    pub handle_entry: Option<
        unsafe extern "C" fn(
            plugin_ctx: *mut c_void,
            entry: u32,
            sid: u64,
            payload: NrBytes,
        ) -> RawStatus,
    >,
    /// The caller sends data into the stream `sid`.
    pub stream_data:
        Option<unsafe extern "C" fn(plugin_ctx: *mut c_void, sid: u64, data: NrBytes) -> RawStatus>,
    /// The caller will send no more.
    pub stream_close: Option<unsafe extern "C" fn(plugin_ctx: *mut c_void, sid: u64) -> RawStatus>,
    /// Nobody waits for `sid` any more. Advice: a late answer is dropped.
    pub cancel: Option<unsafe extern "C" fn(plugin_ctx: *mut c_void, sid: u64)>,
    /// What `wake_after` asked for.
    pub wake: Option<unsafe extern "C" fn(plugin_ctx: *mut c_void, token: u64)>,
    /// What a `host_call` came to. Once for each token.
    pub host_call_done: Option<
        unsafe extern "C" fn(
            plugin_ctx: *mut c_void,
            token: u64,
            status: RawStatus,
            payload: NrBytes,
        ),
    >,
    /// 1 when no thread of the plugin's own can run its code any more, so that it may be unmapped;
    /// else 0. Asked after `shutdown` too.
    pub quiescent: Option<unsafe extern "C" fn(plugin_ctx: *mut c_void) -> u32>,
}

impl NrHostExt {
    /// A table with every function absent, to be filled with `..`.
    pub const EMPTY: Self = Self {
        struct_size: size_of::<Self>() as u32,
        version: NR_EXT_VERSION,
        send_frame: None,
        send_owned: None,
        acquire_buffer: None,
        commit_buffer: None,
        host_call: None,
        wake_after: None,
        log: None,
        state_set: None,
        state_get: None,
        release_buffer: None,
    };
}

impl NrPluginExt {
    /// A table with every function absent, to be filled with `..`.
    pub const EMPTY: Self = Self {
        struct_size: size_of::<Self>() as u32,
        version: NR_EXT_VERSION,
        attach: None,
        resolve_entry: None,
        handle_entry: None,
        stream_data: None,
        stream_close: None,
        cancel: None,
        wake: None,
        host_call_done: None,
        quiescent: None,
    };
}

/// How much a line of the log matters.
#[non_exhaustive]
#[derive(Debug, Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum LogLevel {
    /// Something failed.
    Error = 1,
    /// Something is odd.
    Warn = 2,
    /// Something happened.
    Info = 3,
    /// For whoever looks for a mistake.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

impl LogLevel {
    /// The level of a number; [`LogLevel::Info`] for one without a name.
    #[must_use]
    pub const fn from_raw(level: u32) -> Self {
        match level {
            1 => Self::Error,
            2 => Self::Warn,
            4 => Self::Debug,
            5 => Self::Trace,
            _ => Self::Info,
        }
    }

    /// The number that travels.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self as u32
    }
}

mod sealed {
    /// # Safety
    ///
    /// `repr(C)`, two `u32` and then only pointer-sized `Option`s of functions: all zeros is a valid
    /// value.
    pub unsafe trait Table: Copy {}
}

// SAFETY: the struct is declared above as the trait wants it; `layout.rs` has its offsets.
unsafe impl sealed::Table for NrHostExt {}
// SAFETY: as above.
unsafe impl sealed::Table for NrPluginExt {}

/// One of the two extension tables.
pub trait ExtTable: sealed::Table {}
impl ExtTable for NrHostExt {}
impl ExtTable for NrPluginExt {}

/// A copy of the other side's table, in which a field that it doesn't have reads as `None`.
#[derive(Debug, Copy, Clone)]
pub struct ExtView<T: ExtTable> {
    table: T,
}

/// The two words that both tables begin with.
const PREFIX: usize = 8;

impl<T: ExtTable> ExtView<T> {
    /// Copies the table, no byte beyond its `struct_size`. A function pointer that the size cuts
    /// through counts as absent.
    ///
    /// # Errors
    ///
    /// [`ExtError`] says why it is no such table.
    ///
    /// # Safety
    ///
    /// A `table` that is neither null nor misaligned must point to a readable `struct_size` and
    /// `version`, and to as many bytes as `struct_size` says, where each whole field that both sides
    /// know is null or such a function.
    pub unsafe fn read(table: *const T) -> Result<Self, ExtError> {
        if table.is_null() {
            return Err(ExtError::Null);
        }
        if !table.is_aligned() {
            return Err(ExtError::Misaligned);
        }
        // SAFETY: not null, aligned (checked); the first word is readable by contract.
        let size = unsafe { table.cast::<u32>().read() } as usize;
        if size < PREFIX {
            return Err(ExtError::TooSmall { found: size as u32 });
        }
        let known = size.min(size_of::<T>()) / PREFIX * PREFIX;
        let mut copy = MaybeUninit::<T>::zeroed();
        // SAFETY: `known` is at most the table's own size, so that much is readable there, and at
        // most the size of `copy`, so that much is writable here; a local overlaps nothing foreign.
        unsafe { ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast(), known) };
        // SAFETY: `Table` says that zeros are valid, and each whole field over them is null or a
        // function of its type by contract.
        let table = unsafe { copy.assume_init() };
        // SAFETY: `copy` is initialized, and begins with two `u32`, as every table does.
        let [_, version] = unsafe { copy.as_ptr().cast::<[u32; 2]>().read() };
        if version == 0 {
            return Err(ExtError::Version { found: version });
        }
        Ok(Self { table })
    }
}

impl<T: ExtTable> Deref for ExtView<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.table
    }
}

/// Why an extension table can't be used.
#[non_exhaustive]
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum ExtError {
    /// A null pointer.
    Null,
    /// An address where no such table can be.
    Misaligned,
    /// Smaller than its own first two words.
    TooSmall {
        /// The table's size.
        found: u32,
    },
    /// There is no such version.
    Version {
        /// The table's version.
        found: u32,
    },
}

impl fmt::Display for ExtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("the extension table is a null pointer"),
            Self::Misaligned => f.write_str("the extension table is not aligned"),
            Self::TooSmall { found } => {
                write!(f, "the extension table says it has {found} bytes, at least 8 are needed")
            }
            Self::Version { found } => write!(f, "there is no version {found} of the extension"),
        }
    }
}

impl Error for ExtError {}
