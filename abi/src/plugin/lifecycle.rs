//! What a plugin is told to be, and its life from `attach` to `shutdown`.
//!
//! | field of [`Plugin`] | who touches it | when |
//! |---|---|---|
//! | `phase` | `init`, `shutdown`, `attach` | decides who of them may go on |
//! | `attached` | `attach` writes, `init` takes | locked for the move only |
//! | `cx` | `init` writes it last, `shutdown` takes it first, every call reads | null: not running |
//! | `port` | `init` writes, `quiescent` reads | locked for the copy only |

#![expect(unsafe_code, reason = "shares the state between threads by a pointer, without a lock")]

use std::{
    ffi::c_void,
    fmt,
    fmt::Display,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicPtr, AtomicU32, Ordering},
    },
};

use super::{
    edge::contain,
    host::{Attached, Host, Port, Responder},
    reply::{Later, Taken},
};
use crate::{ExtView, LogLevel, NrHostExt, RawStatus, RequestView, Status, raw::HostVTable};

/// What a plugin's functions work with: its state and its host.
pub struct Cx<S> {
    state: S,
    host: Host,
}

impl<S> Cx<S> {
    /// What `init` made.
    #[inline]
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The host; clone it to keep it.
    #[inline]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Answers `sid` here and now with bytes that are only borrowed.
    #[inline]
    pub fn answer(&self, sid: u64, payload: &[u8]) -> Later {
        self.host.send_result(sid, Status::Ok, payload);
        Later
    }

    /// A promise to answer `sid`, which can go to another thread. Return [`Later`] after taking it.
    pub fn responder(&self, sid: u64) -> Responder {
        self.host.responder(sid)
    }
}

impl<S> fmt::Debug for Cx<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("host", &self.host).finish_non_exhaustive()
    }
}

/// An entry: its name and what it does.
pub struct Entry<S> {
    /// The name it is called by.
    pub name: &'static str,
    /// What runs, and answers: what `handle` returns for it. It is C's, of which the compiler knows that
    /// nothing unwinds out of it: so the function that C calls jumps to it, and makes no frame of its own.
    pub call: EntryFn<S>,
}

#[expect(improper_ctypes_definitions, reason = "both of its ends are Rust")]
type EntryFn<S> = extern "C" fn(&Cx<S>, u64, &[u8]) -> RawStatus;
type OnSid<S> = fn(&Cx<S>, u64) -> Taken;
type OnData<S> = fn(&Cx<S>, u64, &[u8]) -> Taken;
type OnCallDone<S> = fn(&Cx<S>, u64, Status, &[u8]) -> Taken;
type OnRequest<S> = fn(&Cx<S>, u64, RequestView<'_>, &[u8]) -> RawStatus;

/// Everything that `define_plugin!` was told.
pub struct Spec<S: 'static> {
    pub(super) init: fn(Host) -> Result<S, String>,
    pub(super) shutdown: Option<fn(S)>,
    pub(super) entries: Option<&'static [Entry<S>]>,
    pub(super) fallback: Option<OnRequest<S>>,
    pub(super) stream_data: Option<OnData<S>>,
    pub(super) stream_close: Option<OnSid<S>>,
    pub(super) cancel: Option<OnSid<S>>,
    pub(super) wake: Option<OnSid<S>>,
    pub(super) host_call_done: Option<OnCallDone<S>>,
    pub(super) quiescent: Option<fn() -> bool>,
}

/// Setters that refuse a second value while the plugin compiles.
macro_rules! once {
    ($($name:ident: $ty:ty),* $(,)?) => {
        $(
            #[doc = concat!("Sets `", stringify!($name), "`.")]
            ///
            /// # Panics
            ///
            /// If it is set already; in `define_plugin!` that is an error of compilation.
            #[must_use]
            pub const fn $name(mut self, value: $ty) -> Self {
                assert!(
                    self.$name.is_none(),
                    concat!("define_plugin!: `", stringify!($name), "` is given twice")
                );
                self.$name = Some(value);
                self
            }
        )*
    };
}

impl<S> Entry<S> {
    /// Whether this is its name.
    #[inline]
    pub(super) fn is_named(&self, name: &[u8]) -> bool {
        is(self.name.as_bytes(), name)
    }
}

impl<S: Send + Sync + 'static> Spec<S> {
    /// A plugin that only starts.
    #[must_use]
    pub const fn new(init: fn(Host) -> Result<S, String>) -> Self {
        Self {
            init,
            shutdown: None,
            entries: None,
            fallback: None,
            stream_data: None,
            stream_close: None,
            cancel: None,
            wake: None,
            host_call_done: None,
            quiescent: None,
        }
    }

    /// Sets the entries; an entry's number is its place.
    ///
    /// # Panics
    ///
    /// If two have one name; in `define_plugin!` that is an error of compilation.
    #[must_use]
    pub const fn entries(mut self, entries: &'static [Entry<S>]) -> Self {
        assert!(self.entries.is_none(), "define_plugin!: `entries` is given twice");
        let mut second = 0;
        while second < entries.len() {
            let mut first = 0;
            while first < second {
                assert!(
                    !same(entries[first].name, entries[second].name),
                    "define_plugin!: two entries have the same name"
                );
                first += 1;
            }
            second += 1;
        }
        self.entries = Some(entries);
        self
    }

    once! {
        shutdown: fn(S),
        fallback: OnRequest<S>,
        stream_data: OnData<S>,
        stream_close: OnSid<S>,
        cancel: OnSid<S>,
        wake: OnSid<S>,
        host_call_done: OnCallDone<S>,
        quiescent: fn() -> bool,
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The `init` of a plugin that says nothing about it.
///
/// # Errors
///
/// Never.
pub fn default_init<S: Default>(_host: Host) -> Result<S, String> {
    Ok(S::default())
}

/// Brings the result of an `init` into shape.
///
/// # Errors
///
/// The error's text.
pub fn started<S, E: Display>(result: Result<S, E>) -> Result<S, String> {
    result.map_err(|error| error.to_string())
}

const STOPPED: u32 = 0;
const STARTING: u32 = 1;
const RUNNING: u32 = 2;
const STOPPING: u32 = 3;

/// The state of a plugin's life. Made by `define_plugin!`, in a `static`; its address is the plugin's
/// context.
pub struct Plugin<S: 'static> {
    phase: AtomicU32,
    attached: Mutex<Option<Attached>>,
    cx: AtomicPtr<Cx<S>>,
    port: Mutex<Weak<Port>>,
}

impl<S: Send + Sync + 'static> Plugin<S> {
    /// A plugin that hasn't started.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is for a static")]
    pub const fn new() -> Self {
        Self {
            phase: AtomicU32::new(STOPPED),
            attached: Mutex::new(None),
            cx: AtomicPtr::new(ptr::null_mut()),
            port: Mutex::new(Weak::new()),
        }
    }

    /// The running plugin's state and host.
    ///
    /// # Safety
    ///
    /// [`Plugin::stop`] must not begin before the result is out of use.
    #[inline]
    pub(super) unsafe fn cx(&self) -> Option<&Cx<S>> {
        // SAFETY: either null or what `start` has published (the acquire pairs with its release);
        // only `stop` frees it, and the caller excludes that.
        unsafe { self.cx.load(Ordering::Acquire).as_ref() }
    }

    /// # Safety
    ///
    /// As [`ExtView::read`] for `table`, which the host handed over with `ctx`.
    pub(super) unsafe fn attach(&self, ctx: *mut c_void, table: *const NrHostExt) -> RawStatus {
        // SAFETY: asked of the caller.
        let Ok(table) = (unsafe { ExtView::read(table) }) else {
            return RawStatus::INVALID;
        };
        if self.phase.load(Ordering::Acquire) != STOPPED {
            return RawStatus::INVALID;
        }
        // SAFETY: read just now from what came with `ctx`.
        *lock(&self.attached) = Some(unsafe { Attached::new(ctx, table) });
        RawStatus::OK
    }

    /// # Safety
    ///
    /// `vtable` must be null or misaligned, or the host's, handed over with `ctx`.
    pub(super) unsafe fn start(
        &self,
        spec: &Spec<S>,
        ctx: *mut c_void,
        vtable: *const HostVTable,
    ) -> RawStatus {
        if vtable.is_null() || !vtable.is_aligned() || !self.pass(STOPPED, STARTING) {
            return RawStatus::INVALID;
        }
        // SAFETY: neither null nor misaligned (checked), so the host's table by contract.
        let vtable = unsafe { vtable.read() };
        let ext = lock(&self.attached).take();
        // SAFETY: context and table are those of this very `init`.
        let host = unsafe { Host::new(ctx, vtable, ext) };
        // Before the author's code runs, so that `quiescent` knows of every `Host` there ever is.
        *lock(&self.port) = Arc::downgrade(host.port());
        let failure = match contain(|| (spec.init)(host.clone())) {
            Ok(Ok(state)) => {
                let cx = Box::into_raw(Box::new(Cx { state, host }));
                self.cx.store(cx, Ordering::Release);
                self.phase.store(RUNNING, Ordering::Release);
                return RawStatus::OK;
            }
            Ok(Err(reason)) => (RawStatus::ERR, reason),
            Err(message) if ext.is_some() => (RawStatus::PANIC, message),
            Err(message) => (RawStatus::ERR, message),
        };
        host.log(LogLevel::Error, &failure.1);
        self.phase.store(STOPPED, Ordering::Release);
        failure.0
    }

    /// # Safety
    ///
    /// No other function of the plugin runs, and none is entered before this has returned.
    pub(super) unsafe fn stop(&self, spec: &Spec<S>) {
        if !self.pass(RUNNING, STOPPING) {
            return;
        }
        let cx = self.cx.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: made by `Box::into_raw` in `start`, which alone leads to RUNNING; the swap and
        // the phase give it to this call only, and the caller says that nobody borrows it.
        let Cx { state, host } = *unsafe { Box::from_raw(cx) };
        let done = contain(|| match spec.shutdown {
            Some(shutdown) => shutdown(state),
            None => drop(state),
        });
        if let Err(message) = done {
            host.log(LogLevel::Error, &message);
        }
        drop(host);
        self.phase.store(STOPPED, Ordering::Release);
    }

    /// Whether no thread of the plugin's own can be running its code: it is stopped, nobody keeps a
    /// `Host`, and the author's function, which alone can know of the threads, says so.
    pub(super) fn quiescent(&self, spec: &Spec<S>) -> bool {
        self.phase.load(Ordering::Acquire) == STOPPED
            && lock(&self.port).strong_count() == 0
            && spec.quiescent.is_some_and(|quiescent| quiescent())
    }

    fn pass(&self, from: u32, to: u32) -> bool {
        self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl<S> fmt::Debug for Plugin<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// Whether two names are one. Names are short, and to have `memcmp` compare them takes longer than the
/// rest of the look-up: even where it isn't called, since what it might change is saved for it.
#[inline]
fn is(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // The last ones may overlap those before.
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(end), Some(other)) => {
            end == other && a.as_chunks::<8>().0.iter().eq(b.as_chunks::<8>().0)
        }
        _ => match (a.last_chunk::<4>(), b.last_chunk::<4>()) {
            (Some(end), Some(other)) => {
                end == other && a.first_chunk::<4>() == b.first_chunk::<4>()
            }
            _ => a.iter().eq(b),
        },
    }
}

/// Nothing of the user's runs under these locks, so a poisoned one is as good as new.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::is;

    #[test]
    fn names_are_one_if_each_byte_is() {
        for len in 0..40 {
            let name: Vec<u8> = (1..=len).collect();
            assert!(is(&name, &name.clone()), "{len}");
            assert!(!is(&name, &[&name[..], b"x"].concat()));
            for at in 0..name.len() {
                let mut other = name.clone();
                other[at] ^= 0x80;
                assert!(!is(&name, &other), "{len}, {at}");
            }
        }
    }
}
