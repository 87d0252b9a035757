//! Threads that another one overtakes between two steps: their caller has the old plugin's link
//! and finds it closed, or a name that was free a moment ago.
//!
//! Those moments are a few nanoseconds. But memory is asked for in them, so here the allocator
//! keeps a thread there until the other one is done.

#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use ringbox::{
    Host, Invocation, LoadError, LoadOptions, Plugin, PluginBackend, Port, RawStatus, Refusal, Sid,
    Source,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Where a thread is kept.
#[derive(Default)]
struct Gate {
    is_reached: AtomicBool,
    is_open: AtomicBool,
}

thread_local! {
    /// Where this thread is kept when it next asks for memory.
    static GATE: Cell<Option<&'static Gate>> = const { Cell::new(None) };
}

struct Keeping;

#[global_allocator]
static ALLOCATOR: Keeping = Keeping;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Keeping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(gate) = GATE.take() {
            gate.is_reached.store(true, SeqCst);
            until(|| gate.is_open.load(SeqCst));
        }
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: what was allocated here was allocated by the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Waits, but not for ever: what is expected afterwards tells.
fn until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() && start.elapsed() < Duration::from_secs(20) {
        thread::yield_now();
    }
}

/// What `slow` comes to on a new thread that is kept while `fast` runs here. The thread stays until
/// the end of the test: one that ends hands on what the next one is to ask for.
fn overtaken<R: Send + 'static>(
    slow: impl FnOnce() -> R + Send + 'static,
    fast: impl FnOnce(),
) -> R {
    let gate: &'static Gate = Box::leak(Box::default());
    let (result, is_there) = mpsc::channel();
    thread::spawn(move || {
        GATE.set(Some(gate));
        let came_to = slow();
        GATE.set(None);
        result.send(came_to).expect("the test waits");
        thread::park();
    });
    until(|| gate.is_reached.load(SeqCst));
    assert!(gate.is_reached.load(SeqCst), "the thread asks for memory");
    fast();
    gate.is_open.store(true, SeqCst);
    is_there.recv().expect("no panic")
}

struct Echo(Port);

impl PluginBackend for Echo {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let _ = self.0.answer(sid, RawStatus::OK, call.payload);
        Ok(())
    }
}

#[test]
fn a_call_that_a_reload_overtakes_reaches_the_new_plugin() {
    let host = Host::new();
    let plugin = host.load("echo", Source::inline(Echo)).expect("loads");
    let ways: [fn(&Plugin) -> bool; 3] = [
        |plugin| plugin.call("x", b"").is_ok(),
        |plugin| plugin.call_response_fast("x", b"echo").is_ok_and(|reply| *reply == *b"echo"),
        |plugin| plugin.call_stream("x", b"").is_ok(),
    ];
    for (way, call) in ways.into_iter().enumerate() {
        let called = plugin.clone();
        let went_well = overtaken(move || call(&called), || host.reload("echo").expect("reloads"));
        assert!(went_well, "way {way}");
    }
    assert_eq!(plugin.metrics().reloads, 3);
}

#[test]
fn a_load_that_another_overtakes_finds_its_name_taken() {
    let host = Host::new();
    let (other, source) = (host.clone(), Source::inline(Echo));
    // Made here: to make them takes memory, and the thread would be kept before it looks at the name.
    let options = LoadOptions::new();
    let late = overtaken(
        move || other.load_with("one", source, options).err(),
        || drop(host.load("one", Source::inline(Echo)).expect("loads")),
    );
    assert!(matches!(late, Some(LoadError::NameTaken { .. })), "{late:?}");
    assert!(host.plugin("one").is_some());
}
