//! An entry that was looked up once.

use crate::answer::{Answer, ById, Within};
use crate::plugin::{Plugin, apart};
use ringbox_ring::{Call, CallError, EntryId, Link, Numbered, Reply, Stream};
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
    #[inline(always)]
    pub fn call(&self, payload: &[u8]) -> Result<(), CallError> {
        let tried = match self.known() {
            Some((link, entry)) => match link.notify(Numbered { entry, payload }) {
                Ok(()) => return Ok(()),
                Err(error) => Some(error),
            },
            None => None,
        };
        apart(
            self.follow_reload(tried, move |link, entry| link.notify(Numbered { entry, payload })),
        )
    }

    /// Calls it and waits for its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline(always)]
    pub fn call_response<'a>(
        &'a self,
        payload: &'a [u8],
    ) -> impl Future<Output = Result<Reply, CallError>> + use<'a> {
        Answer::new(ById { entry: self, payload })
    }

    /// Calls it and takes the answer that it gives inside `handle`.
    ///
    /// # Errors
    /// [`CallError::NotImmediate`] where it gave none; the call is then cancelled.
    #[inline(always)]
    pub fn call_response_fast(&self, payload: &[u8]) -> Result<Reply, CallError> {
        self.start(payload)?.now()
    }

    /// Calls it and waits for its answer, but no longer than `timeout`.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline]
    pub fn call_response_timeout<'a>(
        &'a self,
        payload: &'a [u8],
        timeout: Duration,
    ) -> impl Future<Output = Result<Reply, CallError>> + use<'a> {
        Answer::new(Within { call: ById { entry: self, payload }, timeout })
    }

    /// Calls it and reads its frames from what this returns.
    ///
    /// # Errors
    /// The plugin refused the call or is unloaded, or too many calls are open.
    #[inline]
    pub fn call_stream(&self, payload: &[u8]) -> Result<Stream, CallError> {
        let tried = match self.known() {
            Some((link, entry)) => match link.stream(Numbered { entry, payload }) {
                Ok(stream) => return Ok(stream),
                Err(error) => Some(error),
            },
            None => None,
        };
        apart(
            self.follow_reload(tried, move |link, entry| link.stream(Numbered { entry, payload })),
        )
    }

    #[inline(always)]
    pub(crate) fn start(&self, payload: &[u8]) -> Result<Call, CallError> {
        let tried = match self.known() {
            Some((link, entry)) => match link.call(Numbered { entry, payload }) {
                Ok(call) => return Ok(call),
                Err(error) => Some(error),
            },
            None => None,
        };
        apart(self.follow_reload(tried, move |link, entry| link.call(Numbered { entry, payload })))
    }

    #[inline(always)]
    pub(crate) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// The link of now and the number that it gave, unless there was a reload.
    #[inline(always)]
    fn known(&self) -> Option<(Link, EntryId)> {
        (self.plugin.link() == self.first.0).then_some(self.first)
    }

    /// Calls with the number that the link of now gave, unless the one that was tried gave another
    /// error than that it is gone. A link that a reload closed meanwhile never took the call, so the
    /// link that replaced it gets it.
    #[cold]
    #[inline(never)]
    fn follow_reload<R>(
        &self,
        tried: Option<CallError>,
        call: impl Fn(Link, EntryId) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        if let Some(error) = tried.filter(|error| *error != CallError::Unloaded) {
            return Err(error);
        }
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
