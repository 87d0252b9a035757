//! A small component that does what it is told, and what the tests do with it.

#![allow(dead_code, reason = "each test file uses its part")]

use ringbox_ring::{CallError, Fault, Frame, Invocation, Link, Reply, Stream, TrapCause};
use ringbox_wasm::{LoadError, Loaded, WasmLimits, WasmOptions, load_bytes};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the component is filled in with.
pub(crate) struct Guest<'a> {
    pub(crate) init: &'a str,
    pub(crate) shutdown: &'a str,
    pub(crate) version: &'a str,
    pub(crate) pages: u32,
    pub(crate) table: u32,
    /// Whether it hears of cancelled calls.
    pub(crate) hears_cancel: bool,
}

/// How the component says that it hears of cancelled calls.
const HEARS_CANCEL: &str =
    "(export \"nylon:ring-ext/cancellation@0.1.0\" (instance $cancellation))";

impl Default for Guest<'_> {
    fn default() -> Self {
        Self { init: "", shutdown: "", version: "1.0.0", pages: 1, table: 1, hears_cancel: true }
    }
}

impl Guest<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let text = include_str!("guest.wat")
            .replace("{{init}}", self.init)
            .replace("{{shutdown}}", self.shutdown)
            .replace("{{version}}", self.version)
            .replace("{{pages}}", &self.pages.to_string())
            .replace("{{table}}", &self.table.to_string());
        let text = if self.hears_cancel { text } else { text.replace(HEARS_CANCEL, "") };
        assert_eq!(text.contains(HEARS_CANCEL), self.hears_cancel, "the component has changed");
        wat::parse_str(text).unwrap()
    }
}

/// The component as it is most often.
pub(crate) fn guest() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| Guest::default().bytes())
}

pub(crate) fn try_load(options: &WasmOptions) -> Result<Loaded, LoadError> {
    load_bytes(guest(), "guest", options)
}

pub(crate) fn load(options: &WasmOptions) -> Loaded {
    try_load(options).unwrap()
}

pub(crate) fn with(limits: impl FnOnce(WasmLimits) -> WasmLimits) -> WasmOptions {
    WasmOptions::new().wasm_limits(limits(WasmLimits::default()))
}

/// Calls and waits.
pub(crate) fn ask(link: Link, payload: &[u8]) -> Result<Vec<u8>, CallError> {
    link.call(&Invocation::entry("x", payload))?.wait().map(Reply::into_vec)
}

#[track_caller]
pub(crate) fn echoes(link: Link) {
    assert_eq!(ask(link, b"e still there?").unwrap(), b"e still there?");
}

/// The stream's next frame. None: it is over.
pub(crate) fn next(stream: &mut Stream) -> Result<Option<Vec<u8>>, CallError> {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut frame = pin!(stream.recv());
    loop {
        match frame.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(frame) => return Ok(frame?.map(|frame: Frame<'_>| frame.to_vec())),
            Poll::Pending => thread::park(),
        }
    }
}

/// A command with a number.
pub(crate) fn with_number(what: u8, number: u64) -> Vec<u8> {
    [&[what][..], &number.to_le_bytes()].concat()
}

/// Why the call was stopped.
#[track_caller]
pub(crate) fn cause(result: Result<Vec<u8>, CallError>) -> TrapCause {
    let error = result.expect_err("the guest is stopped");
    match error.fault() {
        Some(Fault::Trapped(trapped)) => trapped.cause.clone(),
        _ => panic!("{error}"),
    }
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn eventually(what: &str, so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}
