//! The native wall: what [`plugin!`](crate::plugin!) hands to `define_plugin!`.

use std::sync::Arc;
use std::time::Duration;

use ringbox_abi::plugin::{self as abi, Cx};
use ringbox_abi::{CALL_METHOD, LogLevel, RequestView};

pub(crate) use ringbox_abi::plugin::contain;

use crate::call::{Arrived, Handler, Incoming};
use crate::reply::Outcome;
use crate::request::Head;
use crate::shared::Shared;
use crate::status::statuses;
use crate::{Host, Level, Plugin, Sid, Status};

/// The host's functions.
#[derive(Clone)]
pub(crate) struct Wire(abi::Host);

impl Wire {
    #[inline]
    pub(crate) fn answer(&self, sid: Sid, status: Status, payload: &[u8]) {
        self.0.send_result(sid.as_raw(), status.into(), payload);
    }

    #[inline]
    pub(crate) fn answer_owned(&self, sid: Sid, status: Status, payload: Vec<u8>) {
        self.0.send_owned(sid.as_raw(), status.into(), payload);
    }

    pub(crate) fn frame(&self, sid: Sid, payload: &[u8]) -> Status {
        said(self.0.send_frame(sid.as_raw(), ringbox_abi::Status::Ok, payload))
    }

    pub(crate) fn wake_after(&self, token: u64, nanos: u64) -> Status {
        said(self.0.wake_after(token, Duration::from_nanos(nanos)))
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        };
        self.0.log(level, message);
    }

    pub(crate) fn set_state(&self, sid: Sid, key: &str, value: &[u8]) -> Status {
        said(self.0.state_set(sid.as_raw(), key, value))
    }

    pub(crate) fn state(&self, sid: Sid, key: &str) -> Option<Vec<u8>> {
        self.0.state(sid.as_raw(), key).ok().map(|value| value.to_vec())
    }
}

fn said(result: Result<(), abi::Refused>) -> Status {
    match result {
        Ok(()) => Status::Ok,
        Err(abi::Refused { status }) => match status {
            ringbox_abi::Status::Backpressure => Status::Backpressure,
            ringbox_abi::Status::Invalid => Status::Invalid,
            ringbox_abi::Status::Unsupported => Status::Unsupported,
            _ => Status::Err,
        },
    }
}

statuses!(Status => ringbox_abi::Status);

/// Whether this thread unwinds from a panic.
pub(crate) fn unwinds() -> bool {
    std::thread::panicking()
}

/// Who runs is known where a panic is caught.
pub(crate) fn runs(_: Sid) {}

/// A plugin's state, as `define_plugin!` sees it.
pub type State<P> = Arc<Shared<P>>;

/// `init`.
///
/// # Errors
/// The author's, as text.
pub fn start<P: Plugin>(host: abi::Host) -> Result<State<P>, String> {
    Shared::start(Host { wire: Wire(host) })
}

/// A call of an entry.
#[inline]
pub fn entry<P: Plugin>(
    cx: &Cx<State<P>>,
    sid: u64,
    name: &'static str,
    payload: &[u8],
    handler: Handler<impl FnOnce(&State<P>, Arrived<'_>) -> Outcome>,
) -> abi::Reply {
    let head = Head::Entry(name);
    replied((handler.run)(cx.state(), Incoming { sid: Sid::from_raw(sid), head, payload }))
}

/// A whole request. A call of an entry that isn't there is none, and is handed back.
#[inline]
pub fn request<P: Plugin>(
    cx: &Cx<State<P>>,
    sid: u64,
    request: RequestView<'_>,
    payload: &[u8],
    handler: Handler<impl FnOnce(&State<P>, Arrived<'_>) -> Outcome>,
) -> abi::Reply {
    if request.method() == CALL_METHOD {
        return abi::Reply::Refused(ringbox_abi::Status::Unsupported);
    }
    let head = Head::View(request);
    replied((handler.run)(cx.state(), Incoming { sid: Sid::from_raw(sid), head, payload }))
}

#[inline]
fn replied(outcome: Outcome) -> abi::Reply {
    match outcome {
        Ok(()) => abi::Reply::Later,
        Err(status) => abi::Reply::Refused(status.into()),
    }
}

/// `stream_data`.
pub fn data<P: Plugin>(cx: &Cx<State<P>>, sid: u64, data: &[u8]) -> ringbox_abi::Status {
    cx.state().data(Sid::from_raw(sid), data).into()
}

/// `stream_close`.
pub fn close<P: Plugin>(cx: &Cx<State<P>>, sid: u64) -> ringbox_abi::Status {
    cx.state().closed(Sid::from_raw(sid)).into()
}

/// `cancel`.
pub fn cancel<P: Plugin>(cx: &Cx<State<P>>, sid: u64) {
    cx.state().cancelled(Sid::from_raw(sid));
}

/// `wake`.
pub fn wake<P: Plugin>(cx: &Cx<State<P>>, token: u64) {
    cx.state().woken(token);
}

/// `shutdown`.
pub fn stop<P: Plugin>(state: State<P>) {
    state.stop();
    drop(state);
}
