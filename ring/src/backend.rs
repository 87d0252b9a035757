//! The one thing that every wall around a plugin implements.

use crate::error::CallError;
use crate::refusal::{self, Refusal};
use crate::request::{EntryId, Invocation};
use crate::sid::Sid;
use ringbox_abi::RawStatus;

/// A plugin behind its wall.
///
/// The ring calls it; it answers through the [`Port`](crate::Port) that it was loaded with. All
/// methods but [`dispatch`](Self::dispatch) have defaults, most of them for plugins that lack the
/// feature.
///
/// # Contract
/// - **What is owed.** After `dispatch` returned `Ok`, the plugin owes exactly one terminal answer
///   for the sid, at any time and from any thread, or already gave it. After `Err` it owes
///   nothing and never uses the sid: an answer it gave meanwhile is dropped.
/// - **What is borrowed.** The invocation lives until `dispatch` returns. What is needed later is
///   copied.
/// - **Blocking.** `dispatch` does not wait: it runs on a caller's thread, which may be an
///   executor's.
/// - **Threads.** Everything may be called from any thread, at the same time, and from inside
///   another of its own dispatches.
/// - **Panics.** A backend contains its plugin's panics and answers for them. Where one comes
///   through `dispatch` all the same, the call is cancelled and the caller is unwound.
/// - **Cancelling** is advice: the caller is gone, and what is answered will be dropped.
/// - **The end.** [`shutdown`](Self::shutdown) is the last thing that is called, once, when no
///   thread is inside any of the others.
pub trait PluginBackend: Send + Sync + 'static {
    /// Hands a call to the plugin.
    ///
    /// # Errors
    /// The plugin, or its wall, did not take the call.
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal>;

    /// [`dispatch`](Self::dispatch) of a call to an entry by its name, which is what most calls are.
    /// A backend that does it by itself does the same as it would with the request.
    ///
    /// # Errors
    /// As for `dispatch`.
    #[inline]
    fn dispatch_name(&self, sid: Sid, name: &str, payload: &[u8]) -> Result<(), Refusal> {
        self.dispatch(sid, &Invocation::entry(name, payload))
    }

    /// The same for an entry's number.
    ///
    /// # Errors
    /// As for `dispatch`.
    #[inline]
    fn dispatch_entry(&self, entry: EntryId, sid: Sid, payload: &[u8]) -> Result<(), Refusal> {
        self.dispatch(sid, &Invocation::entry_id(entry, payload))
    }

    /// The same as the ABI has it, which is how the ring asks for it: a native wall jumps to the plugin's
    /// function with the arguments where they are, and what that returns goes straight to the ring.
    #[doc(hidden)]
    #[inline]
    fn dispatch_entry_raw(&self, entry: EntryId, sid: Sid, payload: &[u8]) -> RawStatus {
        refusal::leave(self.dispatch_entry(entry, sid, payload))
    }

    /// The number of an entry, for calls that don't look its name up.
    fn resolve(&self, name: &str) -> Option<EntryId> {
        let _ = name;
        None
    }

    /// Whether [`resolve`](Self::resolve) ever gave that number out. Asked of a call by number that the
    /// plugin found invalid, which it may be for other reasons; where it says no, its caller gets
    /// [`CallError::NoSuchEntry`].
    fn knows(&self, entry: EntryId) -> bool {
        let _ = entry;
        true
    }

    /// The caller of `sid` is gone.
    fn cancel(&self, sid: Sid) {
        let _ = sid;
    }

    /// Data for the plugin's end of an open stream.
    ///
    /// # Errors
    /// [`CallError::Backpressure`] where the plugin cannot take more now, and a refusal where it
    /// takes no data at all.
    fn stream_data(&self, sid: Sid, data: &[u8]) -> Result<(), CallError> {
        let _ = (sid, data);
        Err(CallError::Refused { status: ringbox_abi::Status::Unsupported })
    }

    /// No more data will follow for `sid`.
    ///
    /// # Errors
    /// A refusal where the plugin takes no data at all.
    fn stream_close(&self, sid: Sid) -> Result<(), CallError> {
        let _ = sid;
        Err(CallError::Refused { status: ringbox_abi::Status::Unsupported })
    }

    /// The plugin goes. No thread is inside it, and none will be.
    fn shutdown(&self) {}
}
