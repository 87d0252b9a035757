//! The sandbox: what [`plugin!`](crate::plugin!) makes a component of.

use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use bindings::exports::nylon::ring::guest;
use bindings::exports::nylon::ring_ext::{cancellation, data, entries, wakeable};
use bindings::nylon::ring::host::send_result;
use bindings::nylon::ring::types::Status as Wit;
use bindings::nylon::ring_ext::{frames, log, state, timers};

pub(crate) use bindings::nylon::ring::types::{Header, Request as Owned};

use crate::call::{self, Arrived};
use crate::host::OWN_TOKENS;
use crate::reply::Outcome;
use crate::request::LentHead;
use crate::shared::Shared;
use crate::status::statuses;
use crate::sync::Lock;
use crate::{Host, Level, Plugin, Sid, Status};

/// Made of `wit/`.
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "it is generated")]
pub mod bindings {
    wit_bindgen::generate!({
        inline: r"
            package ringbox:guest;
            world plugin { include nylon:ring-ext/plugin@0.1.0; }
        ",
        path: ["wit/nylon-ring", "wit/nylon-ring-ext"],
        world: "ringbox:guest/plugin",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "ringbox_guest::sandbox::bindings",
    });
}

/// The host's functions.
#[derive(Clone)]
pub(crate) struct Wire;

impl Wire {
    #[inline]
    pub(crate) fn answer(&self, sid: Sid, status: Status, payload: &[u8]) {
        send_result(sid.as_raw(), status.into(), payload);
    }

    #[inline]
    pub(crate) fn answer_owned(&self, sid: Sid, status: Status, payload: Vec<u8>) {
        send_result(sid.as_raw(), status.into(), &payload);
    }

    pub(crate) fn frame(&self, sid: Sid, payload: &[u8]) -> Status {
        frames::send_frame(sid.as_raw(), Wit::Ok, payload).into()
    }

    pub(crate) fn wake_after(&self, token: u64, nanos: u64) -> Status {
        timers::wake_after(token, nanos).into()
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
            Level::Trace => log::Level::Trace,
        };
        log::write(level, message);
    }

    pub(crate) fn set_state(&self, sid: Sid, key: &str, value: &[u8]) -> Status {
        state::set(sid.as_raw(), key, value).into()
    }

    pub(crate) fn state(&self, sid: Sid, key: &str) -> Option<Vec<u8>> {
        state::get(sid.as_raw(), key)
    }
}

statuses!(Status => Wit, Wit => Status);

/// Whose code runs, for the answer to a panic; 0 is nobody's.
static RUNNING: AtomicU64 = AtomicU64::new(0);

pub(crate) fn runs(sid: Sid) {
    RUNNING.store(sid.as_raw(), Relaxed);
}

/// A panic ends the instance, so there is nothing to contain.
pub(crate) fn contain<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    Ok(body())
}

/// Nor does anything unwind.
pub(crate) const fn unwinds() -> bool {
    false
}

/// The last that is heard of an instance that panics: it is aborted next.
fn panicked(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    match RUNNING.load(Relaxed) {
        0 => log::write(log::Level::Error, message),
        sid => send_result(sid, Wit::Panic, message.as_bytes()),
    }
}

/// The token of the timer that keeps calls open, and how long it takes: an hour.
const KEEP: u64 = OWN_TOKENS + 1;
const KEEPING: u64 = 3_600_000_000_000;

/// Whether that timer is out.
static KEPT: AtomicBool = AtomicBool::new(false);

/// The host ends calls that nothing could make the plugin answer. One that a responder or a task
/// stands for may be answered when another call comes, so a timer says that there is more to come.
#[cold]
fn keep() {
    if !KEPT.swap(true, Relaxed) && Wire.wake_after(KEEP, KEEPING) != Status::Ok {
        KEPT.store(false, Relaxed);
    }
}

/// How long the parts are together.
#[must_use]
pub const fn len(parts: &[&str]) -> usize {
    let (mut part, mut len) = (0, 0);
    while part < parts.len() {
        len += parts[part].len();
        part += 1;
    }
    len
}

/// The parts, one after the other.
#[must_use]
pub const fn text<const LEN: usize>(parts: &[&str]) -> [u8; LEN] {
    let (mut text, mut at, mut part) = ([0; LEN], 0, 0);
    while part < parts.len() {
        let (bytes, mut next) = (parts[part].as_bytes(), 0);
        while next < bytes.len() {
            text[at] = bytes[next];
            (at, next) = (at + 1, next + 1);
        }
        part += 1;
    }
    text
}

/// The plugin, once it is started.
pub struct Instance<P>(Lock<Option<Arc<Shared<P>>>>);

impl<P> Instance<P> {
    /// One that isn't.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is for a static")]
    pub const fn new() -> Self {
        Self(Lock::new(None))
    }
}

/// What runs for a call.
pub type Handler<P> = call::Handler<fn(&Arc<Shared<P>>, Arrived<'_>) -> Outcome>;

/// An entry: its name, and what runs.
pub struct Entry<P> {
    /// The name it is called by.
    pub name: &'static str,
    /// What runs.
    pub handler: Handler<P>,
}

/// What [`plugin!`](crate::plugin!) makes.
pub trait Component: 'static {
    /// The author's type.
    type Plugin: Plugin;

    /// An entry's number is its place.
    const ENTRIES: &'static [Entry<Self::Plugin>];

    /// What takes whole requests.
    const REQUESTS: Option<Handler<Self::Plugin>>;

    /// Whether any of them is async. What turns those is in the component only then.
    const WAITS: bool = waits(Self::ENTRIES, Self::REQUESTS.as_ref());

    /// Where the plugin is.
    fn instance() -> &'static Instance<Self::Plugin>;
}

const fn waits<P>(entries: &[Entry<P>], requests: Option<&Handler<P>>) -> bool {
    let mut at = 0;
    while at < entries.len() {
        if entries[at].handler.waits {
            return true;
        }
        at += 1;
    }
    matches!(requests, Some(handler) if handler.waits)
}

/// Goes into the plugin, for the call `sid` if it isn't 0.
#[inline]
fn enter<C: Component, R>(
    sid: u64,
    otherwise: R,
    body: impl FnOnce(&Arc<Shared<C::Plugin>>) -> R,
) -> R {
    // Nobody enters a component that is entered already.
    let plugin = C::instance().0.lock();
    let Some(shared) = &*plugin else { return otherwise };
    RUNNING.store(sid, Relaxed);
    let said = body(shared);
    if shared.tasks.any_open() {
        keep();
    }
    said
}

#[inline]
fn call<P: Plugin>(
    shared: &Arc<Shared<P>>,
    handler: &Handler<P>,
    sid: u64,
    head: LentHead<'_>,
    payload: &mut Vec<u8>,
) -> Wit {
    match (handler.run)(shared, Arrived { sid: Sid::from_raw(sid), head, payload }) {
        Ok(()) => Wit::Ok,
        // Not what accepts it.
        Err(Status::Ok) => Wit::Err,
        Err(status) => status.into(),
    }
}

impl<C: Component> guest::Guest for C {
    fn init() -> Wit {
        std::panic::set_hook(Box::new(panicked));
        match Shared::start(Host { wire: Wire }) {
            Ok(shared) => {
                *C::instance().0.lock() = Some(shared);
                Wit::Ok
            }
            Err(reason) => {
                log::write(log::Level::Error, &reason);
                Wit::Err
            }
        }
    }

    fn handle(sid: u64, mut request: Owned, mut payload: Vec<u8>) -> Wit {
        enter::<C, _>(sid, Wit::Invalid, |shared| {
            if request.method != "CALL" {
                let Some(handler) = &C::REQUESTS else { return Wit::Unsupported };
                let head = LentHead::Request(&mut request);
                return call(shared, handler, sid, head, &mut payload);
            }
            let entry = C::ENTRIES.iter().find(|entry| entry.name == request.path);
            let Some(entry) = entry else { return Wit::Unsupported };
            call(shared, &entry.handler, sid, LentHead::Entry(entry.name), &mut payload)
        })
    }

    fn shutdown() {
        enter::<C, _>(0, (), |shared| {
            if C::WAITS {
                shared.stop();
            } else {
                shared.plugin.shutdown();
            }
        });
        // Out of the place first: what is dropped may log.
        let shared = C::instance().0.lock().take();
        drop(shared);
    }
}

impl<C: Component> entries::Guest for C {
    fn resolve_entry(name: String) -> Option<u32> {
        let place = C::ENTRIES.iter().position(|entry| entry.name == name);
        place.and_then(|place| u32::try_from(place).ok())
    }

    fn handle_entry(number: u32, sid: u64, mut payload: Vec<u8>) -> Wit {
        enter::<C, _>(sid, Wit::Invalid, |shared| {
            let Some(entry) = C::ENTRIES.get(number as usize) else { return Wit::Invalid };
            call(shared, &entry.handler, sid, LentHead::Entry(entry.name), &mut payload)
        })
    }
}

impl<C: Component> data::Guest for C {
    fn stream_data(sid: u64, data: Vec<u8>) -> Wit {
        enter::<C, _>(sid, Wit::Invalid, |shared| shared.data(Sid::from_raw(sid), &data).into())
    }

    fn stream_close(sid: u64) -> Wit {
        enter::<C, _>(sid, Wit::Invalid, |shared| shared.closed(Sid::from_raw(sid)).into())
    }
}

impl<C: Component> cancellation::Guest for C {
    fn cancel(sid: u64) {
        enter::<C, _>(0, (), |shared| {
            if C::WAITS {
                shared.cancelled(Sid::from_raw(sid));
            } else {
                shared.plugin.cancelled(Sid::from_raw(sid));
            }
        });
    }
}

impl<C: Component> wakeable::Guest for C {
    fn wake(token: u64) {
        if token == KEEP {
            KEPT.store(false, Relaxed);
        }
        enter::<C, _>(0, (), |shared| {
            if C::WAITS {
                shared.woken(token);
            } else if token < OWN_TOKENS {
                shared.plugin.woken(token);
            }
        });
    }
}
