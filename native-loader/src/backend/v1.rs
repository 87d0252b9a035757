//! Version 1, with its extension or without.

#![expect(unsafe_code, reason = "calls the plugin's functions")]

use super::numbers::Numbers;
use super::request::{bare, with_request};
use super::{Native, UNSUPPORTED, fed, started, taken};
use crate::callback::HOST;
use crate::context::{Context, PluginCtx, Wake};
use crate::error::LoadError;
use crate::host_ext::HOST_EXT;
use ringbox_abi::raw::PluginVTable;
use ringbox_abi::v1::{NrBytes, NrRequest, NrStr};
use ringbox_abi::{NR_NO_ENTRY, NrPluginExt, RawStatus, Status};
use ringbox_ring::{CallError, EntryId, Invocation, PluginBackend, Refusal, Sid, Target};
use std::ffi::c_void;

type Handle = unsafe extern "C" fn(*mut c_void, u64, *const NrRequest, NrBytes) -> RawStatus;
type HandleEntry = unsafe extern "C" fn(*mut c_void, u32, u64, NrBytes) -> RawStatus;

/// A plugin of version 1. All its functions are the plugin's own, taken from checked tables, and
/// `ctx` is what they are called with.
///
/// The ring calls them as the ABI wants it: nothing before `start`, nothing while or after
/// `shutdown`, everything else from any thread. Views are of what the caller borrows for the call.
pub(crate) struct V1 {
    handle: Handle,
    handle_entry: HandleEntry,
    ctx: PluginCtx,
    vtable: PluginVTable,
    ext: NrPluginExt,
    numbers: Numbers,
    context: &'static Context,
}

/// In place of the `handle_entry` that a plugin doesn't have: it gives out no numbers either.
unsafe extern "C" fn no_entries(_: *mut c_void, _: u32, _: u64, _: NrBytes) -> RawStatus {
    RawStatus::INVALID
}

impl V1 {
    /// # Safety
    /// The tables are a plugin's, for which `ctx` is right; the plugin stays mapped while the value
    /// lives.
    pub(crate) unsafe fn new(
        vtable: PluginVTable,
        ext: Option<NrPluginExt>,
        ctx: PluginCtx,
        context: &'static Context,
    ) -> Result<Self, LoadError> {
        let handle = vtable.handle.ok_or(LoadError::NoHandle)?;
        let ext = ext.unwrap_or(NrPluginExt::EMPTY);
        let handle_entry = ext.handle_entry.unwrap_or(no_entries);
        if let Some(function) = ext.wake {
            context.set_wake(Wake { ctx, function });
        }
        Ok(Self { handle, handle_entry, ctx, vtable, ext, numbers: Numbers::default(), context })
    }
}

impl Native for V1 {
    fn start(&self, context: &'static Context) -> Result<(), LoadError> {
        if let Some(attach) = self.ext.attach {
            // SAFETY: the plugin's function and context; the host's tables are static.
            let status = unsafe { attach(self.ctx.0, context.as_raw(), &raw const HOST_EXT) };
            match status.meaning() {
                Status::Ok => {}
                status => return Err(LoadError::Attach { status }),
            }
        }
        let Some(init) = self.vtable.init else { return Ok(()) };
        // SAFETY: as above, after `attach`, as the ABI has it.
        started(unsafe { init(self.ctx.0, context.as_raw(), &raw const HOST) })
    }
}

impl PluginBackend for V1 {
    #[inline]
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        match &call.target {
            Target::Entry(entry) => taken(self.dispatch_entry_raw(*entry, sid, call.payload)),
            Target::Request(request) => with_request(request, |request| {
                let payload = NrBytes::from_slice(call.payload);
                // SAFETY: the plugin's function and context, with a request and a view that are
                // borrowed for it.
                taken(unsafe { (self.handle)(self.ctx.0, sid.as_raw(), request, payload) })
            }),
        }
    }

    #[inline]
    fn dispatch_name(&self, sid: Sid, name: &str, payload: &[u8]) -> Result<(), Refusal> {
        let (request, payload) = (bare(name)?, NrBytes::from_slice(payload));
        // SAFETY: the plugin's function and context, with a request and a view that are borrowed
        // for it.
        taken(unsafe { (self.handle)(self.ctx.0, sid.as_raw(), &raw const request, payload) })
    }

    #[inline]
    fn dispatch_entry_raw(&self, entry: EntryId, sid: Sid, payload: &[u8]) -> RawStatus {
        let payload = NrBytes::from_slice(payload);
        // SAFETY: the plugin's function and context, with a view that is borrowed for it.
        unsafe { (self.handle_entry)(self.ctx.0, entry.as_raw(), sid.as_raw(), payload) }
    }

    fn resolve(&self, name: &str) -> Option<EntryId> {
        self.ext.handle_entry?;
        let resolve = self.ext.resolve_entry?;
        let name = NrStr::try_from_str(name).ok()?;
        // SAFETY: the plugin's function and context, with a view that is borrowed for it.
        let entry = unsafe { resolve(self.ctx.0, name) };
        self.numbers.given_out(entry, NR_NO_ENTRY)
    }

    fn knows(&self, entry: EntryId) -> bool {
        self.numbers.knows(entry)
    }

    fn cancel(&self, sid: Sid) {
        if let Some(cancel) = self.ext.cancel {
            // SAFETY: the plugin's function and context.
            unsafe { cancel(self.ctx.0, sid.as_raw()) };
        }
    }

    fn stream_data(&self, sid: Sid, data: &[u8]) -> Result<(), CallError> {
        let stream_data = self.ext.stream_data.ok_or(UNSUPPORTED)?;
        // SAFETY: the plugin's function and context, with a view that is borrowed for it.
        fed(unsafe { stream_data(self.ctx.0, sid.as_raw(), NrBytes::from_slice(data)) })
    }

    fn stream_close(&self, sid: Sid) -> Result<(), CallError> {
        let stream_close = self.ext.stream_close.ok_or(UNSUPPORTED)?;
        // SAFETY: the plugin's function and context.
        fed(unsafe { stream_close(self.ctx.0, sid.as_raw()) })
    }

    fn shutdown(&self) {
        if let Some(shutdown) = self.vtable.shutdown {
            // SAFETY: the plugin's function and context; no other function is entered or will be.
            unsafe { shutdown(self.ctx.0) };
        }
        self.context.end();
    }
}
