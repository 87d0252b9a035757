//! A library that the system has mapped. It stays mapped unless it is closed on purpose.

#![expect(unsafe_code, reason = "dlopen runs the library's code, dlsym guesses its types")]

use crate::elf::Exports;
use crate::error::LoadError;
use libloading::os::unix::{self, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};
use ringbox_abi::published::v02;
use ringbox_abi::raw::PluginInfo;
use ringbox_abi::{NrPluginExt, PLUGIN_EXT_V1_SYMBOL, PLUGIN_V1_SYMBOL};
use std::error::Error;
use std::ffi::{CStr, c_void};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

/// The function that each generation's plugins export, whatever its info's vtable is of.
pub(crate) type Getter = unsafe extern "C" fn() -> *const PluginInfo;

/// The function that plugins with the extension export as well.
pub(crate) type ExtGetter = unsafe extern "C" fn() -> *const NrPluginExt;

/// A mapped library. Dropping it leaves it mapped: nobody knows who still has its addresses.
#[derive(Debug)]
pub(crate) struct Library {
    library: ManuallyDrop<unix::Library>,
    path: PathBuf,
}

impl Library {
    /// Maps a library and runs its constructors.
    ///
    /// # Safety
    /// Its constructors, and its destructors should it be closed, may run in this process.
    pub(crate) unsafe fn open(path: &Path) -> Result<Self, LoadError> {
        // SAFETY: asked of the caller.
        let library = unsafe { unix::Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| LoadError::System(said(error)))?;
        Ok(Self { library: ManuallyDrop::new(library), path: path.to_owned() })
    }

    /// The exported function of this name.
    ///
    /// # Safety
    /// What has the name is a function of type `F`, which is a pointer.
    unsafe fn function<F: Copy>(&self, name: &CStr) -> Option<F> {
        // SAFETY: asked of the caller; a symbol whose address is null is `None`.
        let symbol = unsafe { self.library.get::<Option<F>>(name) };
        *symbol.ok()?
    }

    /// # Safety
    /// What the library exports under the ABI's names is what the ABI says.
    pub(crate) unsafe fn getter(&self, name: &CStr) -> Option<Getter> {
        // SAFETY: asked of the caller.
        unsafe { self.function(name) }
    }

    /// # Safety
    /// As [`getter`](Self::getter).
    pub(crate) unsafe fn ext_getter(&self) -> Option<ExtGetter> {
        // SAFETY: asked of the caller.
        unsafe { self.function(PLUGIN_EXT_V1_SYMBOL) }
    }

    /// What a library exports whose symbols could not be read before; its addresses stay unknown.
    pub(crate) fn exports(&self) -> Exports {
        let has = |name: &CStr| {
            // SAFETY: whatever it is, it is looked for and not called.
            unsafe { self.function::<Getter>(name) }.map(|_| UNKNOWN)
        };
        Exports {
            v1: has(PLUGIN_V1_SYMBOL),
            ext_v1: has(PLUGIN_EXT_V1_SYMBOL),
            v02: has(v02::PLUGIN_SYMBOL),
        }
    }

    /// Closes it. What it returns is whether the system has unmapped it.
    ///
    /// # Safety
    /// No thread runs the library's code or will, and nobody uses an address in it any more.
    pub(crate) unsafe fn close(self) -> Result<bool, String> {
        let Self { library, path } = self;
        ManuallyDrop::into_inner(library).close().map_err(|error| said(error).to_string())?;
        Ok(!is_mapped(&path))
    }
}

/// What the system's loader said, without what was asked of it.
fn said(error: libloading::Error) -> Box<dyn Error + Send + Sync> {
    match error {
        libloading::Error::DlOpen { source } | libloading::Error::DlClose { source } => {
            Box::new(source)
        }
        other => Box::new(other),
    }
}

/// In place of the address of a symbol of which only the name is known.
pub(crate) const UNKNOWN: u64 = u64::MAX;

/// Whether a library of this path is mapped.
pub(crate) fn is_mapped(path: &Path) -> bool {
    /// Asks for a library that is there already, and for no other.
    const RTLD_NOLOAD: i32 = libc::RTLD_NOLOAD;
    // SAFETY: nothing is loaded, so no constructor runs; and what is found stays open elsewhere, or
    // is past its destructors, so dropping this handle of it runs none.
    let found = unsafe { unix::Library::open(Some(path), RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD) };
    found.is_ok()
}

/// How far from its own addresses a library was mapped, told by one that is known in both terms.
pub(crate) fn shift(mapped: *const c_void, own: u64) -> Option<u64> {
    (own != UNKNOWN).then(|| (mapped as u64).wrapping_sub(own))
}
