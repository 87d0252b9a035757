//! What a plugin is.

use crate::{Host, Sid, Status};

/// Why a plugin did not start: whatever has a text.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A plugin: one value, made when it is loaded, that its handlers are called with.
///
/// Calls come from several threads at once behind the native wall, and one after the other in the
/// sandbox. No function may block. [`plugin!`](crate::plugin!) says what the plugin's entries are;
/// what is here is the rest of its life, and only [`Plugin::new`] has to be written.
///
/// A panic in any of them is contained behind the native wall: it is logged, and in [`Plugin::data`]
/// and [`Plugin::closed`] it ends the stream. In the sandbox it costs the instance.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// Starts it.
    ///
    /// # Errors
    /// The load fails, and the text goes to the log.
    fn new(host: &Host) -> Result<Self, Error>;

    /// The caller sends data into the stream `sid`, which has no [`Inbox`](crate::Inbox).
    /// [`Status::Backpressure`] is: the same again, later.
    fn data(&self, sid: Sid, data: &[u8]) -> Status {
        let _ = (sid, data);
        Status::Unsupported
    }

    /// The caller of the stream `sid`, which has no [`Inbox`](crate::Inbox), will send no more.
    fn closed(&self, sid: Sid) -> Status {
        let _ = sid;
        Status::Unsupported
    }

    /// Nobody waits for `sid` any more. If it had an async handler, that is gone already.
    fn cancelled(&self, sid: Sid) {
        let _ = sid;
    }

    /// What [`Host::wake_after`] asked for.
    fn woken(&self, token: u64) {
        let _ = token;
    }

    /// The plugin stops: no call is open any more. It is dropped next.
    fn shutdown(&self) {}

    /// Whether no thread of the plugin's own is left, so that its library may be unmapped. Asked
    /// after its end. In the sandbox there are no threads, and nobody asks.
    #[must_use]
    fn quiescent() -> bool {
        false
    }
}
