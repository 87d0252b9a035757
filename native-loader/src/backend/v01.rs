//! Published nylon-ring 0.1: as 0.2, with neither numbers for entries nor buffers.

#![expect(unsafe_code, reason = "calls the plugin's functions")]

use super::request::{entry, text};
use super::{Native, UNSUPPORTED, fed, started, taken};
use crate::context::Context;
use crate::error::LoadError;
use crate::published::HOST_01;
use ringbox_abi::published::Str;
use ringbox_abi::published::v01::PluginVTable;
use ringbox_abi::v1::NrBytes;
use ringbox_abi::{RawStatus, Status};
use ringbox_ring::{CallError, Invocation, PluginBackend, Refusal, Sid, Target};

/// A plugin of 0.1. All its functions are the plugin's own, taken from a checked table; the ring
/// calls them when the ABI allows it, with views that are borrowed for the call.
///
/// It takes calls of entries only, as 0.2 does.
pub(crate) struct V01 {
    vtable: PluginVTable,
    handle: unsafe extern "C" fn(Str, u64, NrBytes) -> RawStatus,
    context: &'static Context,
}

impl V01 {
    /// # Safety
    /// The table is a plugin's, which stays mapped while the value lives.
    pub(crate) unsafe fn new(
        vtable: PluginVTable,
        context: &'static Context,
    ) -> Result<Self, LoadError> {
        let handle = vtable.handle.ok_or(LoadError::NoHandle)?;
        Ok(Self { vtable, handle, context })
    }
}

impl Native for V01 {
    fn start(&self, context: &'static Context) -> Result<(), LoadError> {
        let Some(init) = self.vtable.init else { return Ok(()) };
        // SAFETY: the plugin's function; the host's table is static.
        started(unsafe { init(context.as_raw(), &raw const HOST_01) })
    }
}

impl PluginBackend for V01 {
    #[inline]
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let Target::Request(request) = &call.target else {
            return Err(CallError::NoSuchEntry.into());
        };
        let name = entry(request).ok_or(Refusal::new(Status::Unsupported))?;
        let name = text(name, "path")?.into();
        // SAFETY: the plugin's function, with views that are borrowed for it.
        taken(unsafe { (self.handle)(name, sid.as_raw(), NrBytes::from_slice(call.payload)) })
    }

    fn stream_data(&self, sid: Sid, data: &[u8]) -> Result<(), CallError> {
        let stream_data = self.vtable.stream_data.ok_or(UNSUPPORTED)?;
        // SAFETY: the plugin's function, with a view that is borrowed for it.
        fed(unsafe { stream_data(sid.as_raw(), NrBytes::from_slice(data)) })
    }

    fn stream_close(&self, sid: Sid) -> Result<(), CallError> {
        let stream_close = self.vtable.stream_close.ok_or(UNSUPPORTED)?;
        // SAFETY: the plugin's function.
        fed(unsafe { stream_close(sid.as_raw()) })
    }

    fn shutdown(&self) {
        if let Some(shutdown) = self.vtable.shutdown {
            // SAFETY: the plugin's function; no other is entered or will be.
            unsafe { shutdown() };
        }
        self.context.end();
    }
}
