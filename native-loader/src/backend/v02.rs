//! Published nylon-ring 0.2: entries instead of requests, and no context of the plugin's.

#![expect(unsafe_code, reason = "calls the plugin's functions")]

use super::numbers::Numbers;
use super::request::{entry, text};
use super::{Native, UNSUPPORTED, fed, started, taken};
use crate::context::Context;
use crate::error::LoadError;
use crate::published::HOST_02;
use ringbox_abi::published::Str;
use ringbox_abi::published::v02::{ENTRY_UNKNOWN, PluginVTable};
use ringbox_abi::v1::{NrBytes, NrStr};
use ringbox_abi::{RawStatus, Status};
use ringbox_ring::{CallError, EntryId, Invocation, PluginBackend, Refusal, Sid, Target};

/// A plugin of 0.2. All its functions are the plugin's own, taken from a checked table; the ring
/// calls them when the ABI allows it, with views that are borrowed for the call.
///
/// It takes calls of entries only: a request with another method than `CALL`, a query or headers is
/// refused as unsupported.
pub(crate) struct V02 {
    vtable: PluginVTable,
    handle: Handle,
    /// There with `resolve_entry`, or not at all.
    by_id: Option<HandleById>,
    numbers: Numbers,
    context: &'static Context,
}

type Handle = unsafe extern "C" fn(Str, u64, NrBytes) -> RawStatus;
type HandleById = unsafe extern "C" fn(u32, u64, NrBytes) -> RawStatus;

impl V02 {
    /// # Safety
    /// The table is a plugin's, which stays mapped while the value lives.
    pub(crate) unsafe fn new(
        vtable: PluginVTable,
        context: &'static Context,
    ) -> Result<Self, LoadError> {
        let handle = vtable.handle.ok_or(LoadError::NoHandle)?;
        let by_id = vtable.handle_by_id.filter(|_| vtable.resolve_entry.is_some());
        Ok(Self { vtable, handle, by_id, numbers: Numbers::default(), context })
    }
}

impl Native for V02 {
    fn start(&self, context: &'static Context) -> Result<(), LoadError> {
        let Some(init) = self.vtable.init else { return Ok(()) };
        // SAFETY: the plugin's function; the host's table is static.
        started(unsafe { init(context.as_raw(), &raw const HOST_02) })
    }
}

impl PluginBackend for V02 {
    #[inline]
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let (sid, payload) = (sid.as_raw(), NrBytes::from_slice(call.payload));
        match &call.target {
            Target::Entry(id) => {
                let by_id = self.by_id.ok_or(CallError::NoSuchEntry)?;
                // SAFETY: the plugin's function, with a view that is borrowed for it.
                taken(unsafe { by_id(id.as_raw(), sid, payload) })
            }
            Target::Request(request) => {
                let name = entry(request).ok_or(Refusal::new(Status::Unsupported))?;
                let name = text(name, "path")?.into();
                // SAFETY: as above.
                taken(unsafe { (self.handle)(name, sid, payload) })
            }
        }
    }

    fn resolve(&self, name: &str) -> Option<EntryId> {
        self.by_id?;
        let resolve = self.vtable.resolve_entry?;
        let name = NrStr::try_from_str(name).ok()?;
        // SAFETY: the plugin's function, with a view that is borrowed for it.
        let id = unsafe { resolve(name.into()) };
        self.numbers.given_out(id, ENTRY_UNKNOWN)
    }

    fn knows(&self, entry: EntryId) -> bool {
        self.numbers.knows(entry)
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
