//! The tables of published nylon-ring, 0.2 and 0.1, for hosts that load its plugins as they are.
//!
//! Only layout and signatures, read off what those versions exchange; statuses are
//! [`RawStatus`](crate::RawStatus).
//! Both generations take the entry as a string instead of a request, and neither hands a plugin's
//! context to its functions.
//!
//! | | [`v02`] | [`v01`] | [`crate::v1`] |
//! |---|---|---|---|
//! | symbol | `nylon_ring_get_plugin` | `nylon_ring_get_plugin_v1` | `nylon_ring_get_plugin_v1` |
//! | `abi_version`, `struct_size` | 2, 56 | 1, 56 | 1, 56 |
//! | the plugin's vtable | 7 slots | 5 slots | 3 slots |
//! | the host's vtable | 4 slots | 1 slot | 1 slot |
//!
//! Nothing in the tables themselves tells `v01` from `v1`: somebody has to say which it is.

#![expect(unsafe_code, reason = "reads the table that a plugin's exported function points at")]

use std::{ffi::c_void, fmt};

use crate::{
    raw::{Identity, InfoError, PluginInfo},
    v1::{self, NrBytes},
};

/// A string as published nylon-ring has it: its padding has a name and is zero.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct Str {
    /// The first byte.
    pub ptr: *const u8,
    /// How many.
    pub len: u32,
    /// Zero.
    pub _reserved: u32,
}

impl Str {
    /// The view of nothing.
    pub const EMPTY: Self = Self { ptr: std::ptr::null(), len: 0, _reserved: 0 };
}

impl From<v1::NrStr> for Str {
    #[inline]
    fn from(view: v1::NrStr) -> Self {
        Self { ptr: view.ptr, len: view.len, _reserved: 0 }
    }
}

impl From<Str> for v1::NrStr {
    #[inline]
    fn from(view: Str) -> Self {
        Self { ptr: view.ptr, len: view.len }
    }
}

/// A plugin's info, alike in both generations but for the vtable.
#[repr(C)]
pub struct Info<V> {
    /// 2 for 0.2, 1 for 0.1.
    pub abi_version: u32,
    /// The size of this struct in bytes.
    pub struct_size: u32,
    /// The plugin's name.
    pub name: Str,
    /// The plugin's version.
    pub version: Str,
    /// Kept for its maker; no function is given it.
    pub plugin_ctx: *mut c_void,
    /// The plugin's functions.
    pub vtable: *const V,
}

// SAFETY: plain data. Sharing it shares addresses only; whoever follows one needs `unsafe` for it.
unsafe impl<V> Sync for Info<V> {}
// SAFETY: as above.
unsafe impl<V> Send for Info<V> {}

impl<V> Info<V> {
    /// Reads what a plugin's exported function returned, as [`PluginInfo::read`] does.
    ///
    /// # Errors
    ///
    /// [`InfoError`] says what is wrong with it.
    ///
    /// # Safety
    ///
    /// As [`PluginInfo::read`].
    pub unsafe fn read(info: *const Self, abi_version: u32) -> Result<Self, InfoError> {
        // SAFETY: the same layout but for the names of padding and the type behind `vtable` (both
        // proved in `layout.rs`); what it asks of the pointer is asked of the caller here.
        let raw = unsafe { PluginInfo::read(info.cast(), abi_version) }?;
        Ok(Self {
            abi_version: raw.abi_version,
            struct_size: raw.struct_size,
            name: raw.name.into(),
            version: raw.version.into(),
            plugin_ctx: raw.plugin_ctx,
            vtable: raw.vtable.cast(),
        })
    }

    /// The plugin's name and version as text.
    ///
    /// # Errors
    ///
    /// [`InfoError::Text`] when one of them is a broken view.
    ///
    /// # Safety
    ///
    /// As [`PluginInfo::identity`].
    pub unsafe fn identity<'a>(&self) -> Result<Identity<'a>, InfoError> {
        let raw = PluginInfo {
            abi_version: self.abi_version,
            struct_size: self.struct_size,
            name: self.name.into(),
            version: self.version.into(),
            plugin_ctx: self.plugin_ctx,
            vtable: self.vtable.cast(),
        };
        // SAFETY: the same two views, of which the caller promises what is asked for.
        unsafe { raw.identity() }
    }
}

impl<V> Clone for Info<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Info<V> {}

impl<V> fmt::Debug for Info<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Info")
            .field("abi_version", &self.abi_version)
            .field("struct_size", &self.struct_size)
            .field("vtable", &self.vtable)
            .finish_non_exhaustive()
    }
}

/// Published nylon-ring 0.2.0 to 0.2.2.
pub mod v02 {
    use super::{Info, NrBytes, Str, c_void};
    use crate::{
        owned::{NrBufferLease, NrOwnedBytes, NrVec},
        status::RawStatus,
    };

    /// `abi_version` in the info.
    pub const ABI_VERSION: u32 = 2;
    /// The exported symbol.
    pub const PLUGIN_SYMBOL: &std::ffi::CStr = c"nylon_ring_get_plugin";
    /// What `resolve_entry` answers for a name that isn't an entry.
    pub const ENTRY_UNKNOWN: u32 = u32::MAX;

    /// A plugin's info.
    pub type PluginInfo = Info<PluginVTable>;

    /// What the host offers.
    #[repr(C)]
    #[derive(Debug, Copy, Clone)]
    pub struct HostVTable {
        /// Answers, or sends a frame. The host copies what is lent and frees what is given.
        pub send_result: unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            status: RawStatus,
            payload: NrVec,
        ) -> RawStatus,
        /// As `send_result`, without a copy.
        pub send_result_owned: unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            status: RawStatus,
            payload: NrOwnedBytes,
        ) -> RawStatus,
        /// Lends a buffer; [`NrBufferLease::NONE`] when there is none.
        pub acquire_result_buffer:
            unsafe extern "C" fn(host_ctx: *mut c_void, sid: u64, capacity: u64) -> NrBufferLease,
        /// Answers with the lent buffer.
        pub commit_result_buffer: unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            status: RawStatus,
            token: u64,
            initialized_len: u64,
        ) -> RawStatus,
    }

    /// What the plugin offers.
    #[repr(C)]
    #[derive(Debug, Copy, Clone)]
    pub struct PluginVTable {
        /// Called once before everything else.
        pub init: Option<
            unsafe extern "C" fn(
                host_ctx: *mut c_void,
                host_vtable: *const HostVTable,
            ) -> RawStatus,
        >,
        /// Takes a call of an entry.
        pub handle:
            Option<unsafe extern "C" fn(entry: Str, sid: u64, payload: NrBytes) -> RawStatus>,
        /// Called once, after everything else.
        pub shutdown: Option<unsafe extern "C" fn()>,
        /// Data into a stream.
        pub stream_data: Option<unsafe extern "C" fn(sid: u64, data: NrBytes) -> RawStatus>,
        /// No more data.
        pub stream_close: Option<unsafe extern "C" fn(sid: u64) -> RawStatus>,
        /// The number of an entry. There with `handle_by_id`, or neither.
        pub resolve_entry: Option<unsafe extern "C" fn(entry: Str) -> u32>,
        /// Takes a call of an entry by its number.
        pub handle_by_id:
            Option<unsafe extern "C" fn(id: u32, sid: u64, payload: NrBytes) -> RawStatus>,
    }
}

/// Published nylon-ring 0.1.x.
pub mod v01 {
    use super::{Info, NrBytes, Str, c_void};
    use crate::{owned::NrVec, status::RawStatus};

    /// `abi_version` in the info: the same as version 1's, which is another contract.
    pub const ABI_VERSION: u32 = 1;
    /// The exported symbol: the same as version 1's.
    pub const PLUGIN_SYMBOL: &std::ffi::CStr = c"nylon_ring_get_plugin_v1";

    /// A plugin's info.
    pub type PluginInfo = Info<PluginVTable>;

    /// What the host offers.
    #[repr(C)]
    #[derive(Debug, Copy, Clone)]
    pub struct HostVTable {
        /// Answers, or sends a frame. The host copies what is lent and frees what is given.
        pub send_result: unsafe extern "C" fn(
            host_ctx: *mut c_void,
            sid: u64,
            status: RawStatus,
            payload: NrVec,
        ) -> RawStatus,
    }

    /// What the plugin offers.
    #[repr(C)]
    #[derive(Debug, Copy, Clone)]
    pub struct PluginVTable {
        /// Called once before everything else.
        pub init: Option<
            unsafe extern "C" fn(
                host_ctx: *mut c_void,
                host_vtable: *const HostVTable,
            ) -> RawStatus,
        >,
        /// Takes a call of an entry.
        pub handle:
            Option<unsafe extern "C" fn(entry: Str, sid: u64, payload: NrBytes) -> RawStatus>,
        /// Called once, after everything else.
        pub shutdown: Option<unsafe extern "C" fn()>,
        /// Data into a stream.
        pub stream_data: Option<unsafe extern "C" fn(sid: u64, data: NrBytes) -> RawStatus>,
        /// No more data.
        pub stream_close: Option<unsafe extern "C" fn(sid: u64) -> RawStatus>,
    }
}
