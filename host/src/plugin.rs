//! A plugin by its name, for callers.

use crate::answer::{Answer, ByName, Whole, Within};
use crate::entry::Entry;
use crate::histogram::{Histogram, Sample};
use crate::metrics::PluginMetrics;
use crate::request::Request;
use ringbox_ring::{
    Ask, Call, CallError, EntryId, Limits, Link, Named, Reply, Sid, Stream, Switch,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A plugin that was loaded under a name. It follows reloads, and is cheap to clone.
///
/// Every way to call is the same path with something around it: an invocation is handed to the
/// link that serves the name now, and the call that comes back is awaited, looked at, or dropped.
#[derive(Clone)]
pub struct Plugin(pub(crate) Arc<Shared>);

/// What all handles of one name share.
pub(crate) struct Shared {
    pub(crate) name: Box<str>,
    pub(crate) switch: Switch,
    pub(crate) latency: Histogram,
    pub(crate) reloads: AtomicU64,
}

impl Plugin {
    /// The name that it was loaded under.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it may take.
    pub fn limits(&self) -> Limits {
        self.link().limits()
    }

    /// Whether it takes calls.
    pub fn is_loaded(&self) -> bool {
        self.link().is_loaded()
    }

    /// Calls an entry and expects no answer.
    ///
    /// # Errors
    /// The plugin refused the call, or is unloaded.
    #[inline(always)]
    pub fn call(&self, entry: &str, payload: &[u8]) -> Result<(), CallError> {
        self.notify(Named { name: entry, payload })
    }

    /// Calls an entry and waits for its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call: the plugin is told, and a late answer is dropped.
    #[inline(always)]
    pub fn call_response<'a>(
        &'a self,
        entry: &'a str,
        payload: &'a [u8],
    ) -> impl Future<Output = Result<Reply, CallError>> + use<'a> {
        Answer::new(ByName { plugin: self, call: Named { name: entry, payload } })
    }

    /// Calls an entry that answers inside `handle`, and takes that answer.
    ///
    /// # Errors
    /// [`CallError::NotImmediate`] where it did not; the call is then cancelled.
    #[inline(always)]
    pub fn call_response_fast(&self, entry: &str, payload: &[u8]) -> Result<Reply, CallError> {
        self.start(Named { name: entry, payload })?.now()
    }

    /// Calls an entry and waits for its answer, but no longer than `timeout`.
    ///
    /// # Errors
    /// See [`CallError`]; a deadline that passed is `Fault::Deadline`.
    #[inline]
    pub fn call_response_timeout<'a>(
        &'a self,
        entry: &'a str,
        payload: &'a [u8],
        timeout: Duration,
    ) -> impl Future<Output = Result<Reply, CallError>> + use<'a> {
        Answer::new(Within {
            call: ByName { plugin: self, call: Named { name: entry, payload } },
            timeout,
        })
    }

    /// Calls an entry and reads its frames from what this returns.
    ///
    /// # Errors
    /// The plugin refused the call or is unloaded, or too many calls are open.
    pub fn call_stream(&self, entry: &str, payload: &[u8]) -> Result<Stream, CallError> {
        self.open_stream(Named { name: entry, payload })
    }

    /// Hands the plugin a whole request and waits for its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline]
    pub fn request<'a>(
        &'a self,
        request: &'a Request,
    ) -> impl Future<Output = Result<Reply, CallError>> + use<'a> {
        Answer::new(Whole { plugin: self, request })
    }

    /// The same, but no longer than `timeout`.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline]
    pub fn request_timeout<'a>(
        &'a self,
        request: &'a Request,
        timeout: Duration,
    ) -> impl Future<Output = Result<Reply, CallError>> + use<'a> {
        Answer::new(Within { call: Whole { plugin: self, request }, timeout })
    }

    /// Hands the plugin a whole request and reads its frames from what this returns.
    ///
    /// # Errors
    /// The plugin refused the call or is unloaded, or too many calls are open.
    pub fn request_stream(&self, request: &Request) -> Result<Stream, CallError> {
        request.with(|call| self.open_stream(call))
    }

    /// Sends data to the plugin's end of one of its open streams. [`Stream::send`] does the same.
    ///
    /// # Errors
    /// The stream is over or not this plugin's, or the plugin takes no data, or not now.
    pub fn send_stream_data(&self, sid: Sid, data: &[u8]) -> Result<(), CallError> {
        self.link().stream_data(sid, data)
    }

    /// Tells the plugin's end of an open stream that no more data will follow.
    ///
    /// # Errors
    /// The stream is over or not this plugin's, or the plugin takes no data.
    pub fn close_stream(&self, sid: Sid) -> Result<(), CallError> {
        self.link().stream_close(sid)
    }

    /// Looks an entry up once, for calls that don't look it up again. It follows reloads.
    ///
    /// # Errors
    /// The plugin has no such entry or numbers none, or it is unloaded.
    pub fn entry(&self, name: &str) -> Result<Entry, CallError> {
        Entry::new(self.clone(), name)
    }

    /// What the plugin did since it was last loaded.
    pub fn metrics(&self) -> PluginMetrics {
        PluginMetrics {
            name: self.0.name.to_string(),
            reloads: self.0.reloads.load(Ordering::Relaxed),
            latency: self.0.latency.read(),
            calls: self.link().metrics(),
        }
    }

    pub(crate) fn record(&self, sample: &Sample) {
        self.0.latency.record(sample);
    }

    #[inline(always)]
    pub(crate) fn link(&self) -> Link {
        self.0.switch.link()
    }

    #[inline(always)]
    pub(crate) fn notify(&self, call: impl Ask) -> Result<(), CallError> {
        let link = self.link();
        match link.notify(call) {
            Ok(()) => Ok(()),
            Err(error) => self.follow_reload(link, error, move |link| link.notify(call)),
        }
    }

    /// The one place where a call with an answer begins.
    #[inline(always)]
    pub(crate) fn start(&self, call: impl Ask) -> Result<Call, CallError> {
        let link = self.link();
        match link.call(call) {
            Ok(call) => Ok(call),
            Err(error) => apart(self.follow_reload(link, error, move |link| link.call(call))),
        }
    }

    #[inline(always)]
    pub(crate) fn open_stream(&self, call: impl Ask) -> Result<Stream, CallError> {
        let link = self.link();
        match link.stream(call) {
            Ok(stream) => Ok(stream),
            Err(error) => apart(self.follow_reload(link, error, move |link| link.stream(call))),
        }
    }

    /// A link that a reload closed meanwhile never took the call: the one that replaced it gets it.
    #[cold]
    #[inline(never)]
    fn follow_reload<R>(
        &self,
        mut tried: Link,
        mut error: CallError,
        call: impl Fn(Link) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        while error == CallError::Unloaded {
            let link = self.link();
            if link == tried {
                break;
            }
            match call(link) {
                Err(again) => (tried, error) = (link, again),
                ok => return ok,
            }
        }
        Err(error)
    }

    pub(crate) fn resolve(&self, name: &str) -> Result<(Link, EntryId), CallError> {
        let resolve = |link: Link| Ok((link, link.resolve(name)?));
        let link = self.link();
        match resolve(link) {
            Ok(entry) => Ok(entry),
            Err(error) => self.follow_reload(link, error, resolve),
        }
    }
}

/// The same result in a place of its own. What a cold function writes its result to lies in memory;
/// were it the hot path's result too, that would take the detour as well.
#[inline(always)]
#[expect(clippy::needless_match, reason = "it is the match that sets the two apart")]
pub(crate) fn apart<T>(result: Result<T, CallError>) -> Result<T, CallError> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plugin({})", self.0.name)
    }
}
