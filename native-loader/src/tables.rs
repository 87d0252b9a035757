//! A plugin's tables, checked one after the other before anything in them is called.

#![expect(unsafe_code, reason = "reads the tables that a plugin's exported functions point at")]

use crate::context::PluginCtx;
use crate::error::LoadError;
use crate::identity::Identity;
use crate::library::Getter;
use ringbox_abi::raw::PluginInfo;
use ringbox_abi::v1::NrStr;
use ringbox_abi::{ExtError, ExtView, InfoError, NrPluginExt, ViewError};
use std::ffi::c_void;

/// A longer name or version is a mistake, not a name.
const MOST_TEXT: u32 = 4096;

/// What a plugin's getter led to.
#[derive(Debug)]
pub(crate) struct Tables<V> {
    pub(crate) identity: Identity,
    pub(crate) ctx: PluginCtx,
    pub(crate) vtable: V,
    /// Where the vtable is.
    pub(crate) address: *const c_void,
    /// Where the library's code is.
    pub(crate) code: *const c_void,
}

/// Calls the getter, and reads what it returns.
///
/// # Safety
/// The getter is a plugin's, of the generation whose version and vtable these are: what it returns
/// is null, misaligned, or a static table of the ABI's.
pub(crate) unsafe fn read<V: Copy>(getter: Getter, version: u32) -> Result<Tables<V>, LoadError> {
    // SAFETY: the plugin's own function, which takes nothing.
    let info = unsafe { getter() };
    // SAFETY: null, misaligned or a table that says its version and size, as required above.
    let info = unsafe { PluginInfo::read(info, version) }.map_err(explain)?;
    let identity = Identity {
        // SAFETY: a static text of the plugin's, as required above.
        name: unsafe { text(info.name, "name") }?,
        // SAFETY: as above.
        version: unsafe { text(info.version, "version") }?,
    };
    let address = info.vtable.cast::<c_void>();
    // SAFETY: neither null nor misaligned (`PluginInfo::read`), so a vtable of this generation's.
    let vtable = unsafe { info.vtable.cast::<V>().read() };
    let ctx = PluginCtx(info.plugin_ctx);
    Ok(Tables { identity, ctx, vtable, address, code: getter as *const c_void })
}

/// # Safety
/// As [`ExtView::read`].
pub(crate) unsafe fn read_ext(
    table: *const NrPluginExt,
) -> Result<ExtView<NrPluginExt>, LoadError> {
    // SAFETY: asked of the caller.
    unsafe { ExtView::read(table) }.map_err(|error| match error {
        ExtError::Misaligned => LoadError::Misaligned { table: "extension" },
        error => LoadError::Extension(error),
    })
}

/// # Safety
/// A view that isn't null and not longer than a name may be is of static text.
unsafe fn text(view: NrStr, what: &'static str) -> Result<Box<str>, LoadError> {
    let bad = |source| LoadError::BadText { what, source };
    if view.len > MOST_TEXT && !view.ptr.is_null() {
        let (len, limit) = (u64::from(view.len), u64::from(MOST_TEXT));
        return Err(bad(ViewError::TooLong { len, limit }));
    }
    // SAFETY: asked of the caller.
    let text = unsafe { view.as_str() }.map_err(bad)?;
    Ok(text.into())
}

fn explain(error: InfoError) -> LoadError {
    match error {
        InfoError::Null => LoadError::NullInfo,
        InfoError::Version { found, wanted } => LoadError::Version { found, wanted },
        InfoError::TooSmall { found, wanted } => LoadError::InfoSize { found, wanted },
        InfoError::NoVTable => LoadError::NullVTable,
        InfoError::Text { what, error } => LoadError::BadText { what, source: error },
        // Misaligned, and whatever else there may once be.
        _ => LoadError::Misaligned { table: "info or vtable" },
    }
}
