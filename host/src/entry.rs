//! An entry that was looked up once.

use crate::plugin::Plugin;
use ringbox_ring::{Call, CallError, EntryId, Invocation, Link, Reply, Stream};
use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// An entry of a plugin, by the number that the plugin gave it: calls don't look its name up.
///
/// It follows reloads: the first call after one looks the name up again.
#[derive(Clone)]
pub struct Entry {
    plugin: Plugin,
    name: Arc<str>,
    /// The link that numbered it, and the number.
    first: (Link, EntryId),
    /// The same for the link of the latest reload, if there was one since.
    later: Arc<RwLock<(Link, EntryId)>>,
}

impl Entry {
    pub(crate) fn new(plugin: Plugin, name: &str) -> Result<Self, CallError> {
        let first = plugin.resolve(name)?;
        Ok(Self { plugin, name: name.into(), first, later: Arc::new(RwLock::new(first)) })
    }

    /// The entry's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls it and expects no answer.
    ///
    /// # Errors
    /// The plugin refused the call or is unloaded, or no longer has the entry.
    #[inline]
    pub fn call(&self, payload: &[u8]) -> Result<(), CallError> {
        self.follow(|link, id| link.notify(&Invocation::entry_id(id, payload)))
    }

    /// Calls it and waits for its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline]
    pub async fn call_response(&self, payload: &[u8]) -> Result<Reply, CallError> {
        self.plugin.answer(self.start(payload)?).await
    }

    /// Calls it and takes the answer that it gives inside `handle`.
    ///
    /// # Errors
    /// [`CallError::NotImmediate`] where it gave none; the call is then cancelled.
    #[inline]
    pub fn call_response_fast(&self, payload: &[u8]) -> Result<Reply, CallError> {
        self.start(payload)?.now()
    }

    /// Calls it and waits for its answer, but no longer than `timeout`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_response_timeout(
        &self,
        payload: &[u8],
        timeout: Duration,
    ) -> Result<Reply, CallError> {
        self.plugin.answer(self.start(payload)?.deadline(timeout)).await
    }

    /// Calls it and reads its frames from what this returns.
    ///
    /// # Errors
    /// The plugin refused the call or is unloaded, or too many calls are open.
    #[inline]
    pub fn call_stream(&self, payload: &[u8]) -> Result<Stream, CallError> {
        self.follow(|link, id| link.stream(&Invocation::entry_id(id, payload)))
    }

    #[inline(always)]
    fn start(&self, payload: &[u8]) -> Result<Call, CallError> {
        self.follow(|link, id| link.call(&Invocation::entry_id(id, payload)))
    }

    /// Calls with the number that the link of now gave. A link that a reload closed meanwhile never
    /// took the call, so the link that replaced it gets it.
    #[inline(always)]
    fn follow<R>(
        &self,
        call: impl Fn(Link, EntryId) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let (link, id) = self.first;
        if self.plugin.link() == link {
            match call(link, id) {
                Err(CallError::Unloaded) => {}
                result => return result,
            }
        }
        self.follow_reload(call)
    }

    #[cold]
    #[inline(never)]
    fn follow_reload<R>(
        &self,
        call: impl Fn(Link, EntryId) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        loop {
            let (link, id) = self.resolve_again()?;
            match call(link, id) {
                Err(CallError::Unloaded) if self.plugin.link() != link => {}
                result => return result,
            }
        }
    }

    fn resolve_again(&self) -> Result<(Link, EntryId), CallError> {
        let known = *self.later.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.0 == self.plugin.link() {
            return Ok(known);
        }
        // The plugin's code runs here, so no lock is held.
        let fresh = self.plugin.resolve(&self.name)?;
        *self.later.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        Ok(fresh)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} of {})", self.name, self.plugin.name())
    }
}
