//! Mirrors of version 1's tables whose status is a [`RawStatus`].
//!
//! Same fields, same layout, same calling convention as in [`v1`], but a status that can
//! hold whatever number the other side sends. Hosts receive through these; [`v1`] is what a
//! plugin is written against.

#![expect(unsafe_code, reason = "reads the table that a plugin's exported function points at")]

use std::{error::Error, ffi::c_void, fmt};

use crate::{
    status::RawStatus,
    v1::{self, NrBytes, NrRequest, NrStr},
    view::ViewError,
};

/// The version that [`v1`] describes.
pub const NR_ABI_VERSION: u32 = 1;

/// The symbol that a version 1 plugin exports, with the zero byte that loaders want.
pub const PLUGIN_V1_SYMBOL: &std::ffi::CStr = c"nylon_ring_get_plugin_v1";

/// Mirror of [`v1::NrHostVTable`].
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct HostVTable {
    /// Answers `sid`. From any thread, while `handle` runs or after.
    pub send_result:
        unsafe extern "C" fn(host_ctx: *mut c_void, sid: u64, status: RawStatus, payload: NrBytes),
}

/// Mirror of [`v1::NrPluginVTable`].
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct PluginVTable {
    /// Called once before everything else.
    pub init: Option<
        unsafe extern "C" fn(
            plugin_ctx: *mut c_void,
            host_ctx: *mut c_void,
            host_vtable: *const HostVTable,
        ) -> RawStatus,
    >,
    /// Takes a request. Must not block.
    pub handle: Option<
        unsafe extern "C" fn(
            plugin_ctx: *mut c_void,
            sid: u64,
            req: *const NrRequest,
            payload: NrBytes,
        ) -> RawStatus,
    >,
    /// Called once, after everything else.
    pub shutdown: Option<unsafe extern "C" fn(plugin_ctx: *mut c_void)>,
}

/// Mirror of [`v1::NrPluginInfo`].
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct PluginInfo {
    /// [`NR_ABI_VERSION`].
    pub abi_version: u32,
    /// The size of this struct in bytes.
    pub struct_size: u32,
    /// The plugin's name.
    pub name: NrStr,
    /// The plugin's version.
    pub version: NrStr,
    /// Handed back to each of the plugin's functions.
    pub plugin_ctx: *mut c_void,
    /// The plugin's functions.
    pub vtable: *const PluginVTable,
}

// SAFETY: plain data. Sharing it shares addresses only; whoever follows one needs `unsafe` for it.
unsafe impl Sync for PluginInfo {}
// SAFETY: as above.
unsafe impl Send for PluginInfo {}
// SAFETY: as above. A plugin keeps its info in a `static`, which asks for this.
unsafe impl Sync for v1::NrPluginInfo {}
// SAFETY: as above.
unsafe impl Send for v1::NrPluginInfo {}

impl PluginInfo {
    /// Whether it is of `abi_version` and whole.
    #[must_use]
    pub const fn compatible(&self, abi_version: u32) -> bool {
        self.abi_version == abi_version && self.struct_size as usize >= size_of::<Self>()
    }

    /// Reads what a plugin's exported function returned. Nothing beyond the version and the size is
    /// touched before these two are right.
    ///
    /// # Errors
    ///
    /// [`InfoError`] says what is wrong with it.
    ///
    /// # Safety
    ///
    /// An `info` that is neither null nor misaligned must point to a readable version and size, and
    /// to as much as that size says.
    pub unsafe fn read(info: *const Self, abi_version: u32) -> Result<Self, InfoError> {
        if info.is_null() {
            return Err(InfoError::Null);
        }
        if !info.is_aligned() {
            return Err(InfoError::Misaligned);
        }
        // SAFETY: not null, aligned (checked); the first two words are readable by contract.
        let [version, size] = unsafe { info.cast::<[u32; 2]>().read() };
        if version != abi_version {
            return Err(InfoError::Version { found: version, wanted: abi_version });
        }
        if (size as usize) < size_of::<Self>() {
            return Err(InfoError::TooSmall { found: size, wanted: size_of::<Self>() as u32 });
        }
        // SAFETY: not null, aligned, and its own size says that a whole one is there.
        let info = unsafe { info.read() };
        if info.vtable.is_null() {
            return Err(InfoError::NoVTable);
        }
        if !info.vtable.is_aligned() {
            return Err(InfoError::Misaligned);
        }
        Ok(info)
    }

    /// The plugin's name and version as text.
    ///
    /// # Errors
    ///
    /// [`InfoError::Text`] when one of them is a broken view.
    ///
    /// # Safety
    ///
    /// The memory behind both views must be readable and unchanged for all of `'a`.
    pub unsafe fn identity<'a>(&self) -> Result<Identity<'a>, InfoError> {
        let text = |view: NrStr, what| {
            // SAFETY: one of the two views whose memory the caller promises for 'a.
            unsafe { view.as_str::<'a>() }.map_err(|error| InfoError::Text { what, error })
        };
        Ok(Identity { name: text(self.name, "name")?, version: text(self.version, "version")? })
    }
}

impl v1::NrPluginInfo {
    /// Whether it is of `abi_version` and whole.
    #[must_use]
    pub const fn compatible(&self, abi_version: u32) -> bool {
        self.abi_version == abi_version && self.struct_size as usize >= size_of::<Self>()
    }
}

/// What a plugin says it is.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
}

/// Why a plugin's info can't be used.
#[non_exhaustive]
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum InfoError {
    /// The plugin returned null.
    Null,
    /// The plugin returned an address where no such table can be.
    Misaligned,
    /// Another version of the ABI.
    Version {
        /// The plugin's.
        found: u32,
        /// The one asked for.
        wanted: u32,
    },
    /// Smaller than the version prescribes.
    TooSmall {
        /// The plugin's size.
        found: u32,
        /// The size of the version.
        wanted: u32,
    },
    /// There is no table of functions.
    NoVTable,
    /// Name or version can't be read.
    Text {
        /// `"name"` or `"version"`.
        what: &'static str,
        /// How it is broken.
        error: ViewError,
    },
}

impl fmt::Display for InfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("the plugin's info is a null pointer"),
            Self::Misaligned => f.write_str("the plugin's info or vtable is not aligned"),
            Self::Version { found, wanted } => {
                write!(f, "the plugin speaks version {found} of the ABI, not {wanted}")
            }
            Self::TooSmall { found, wanted } => {
                write!(f, "the plugin's info has {found} bytes, {wanted} are needed")
            }
            Self::NoVTable => f.write_str("the plugin's info has no vtable"),
            Self::Text { what, .. } => write!(f, "the plugin's {what} can't be read"),
        }
    }
}

impl Error for InfoError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Text { error, .. } => Some(error),
            _ => None,
        }
    }
}
