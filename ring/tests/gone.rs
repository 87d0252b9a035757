//! What plugins leave behind that are gone, however many: nothing. Handles and ports may be kept for
//! ever, and are told from those of the plugin that came after.
//!
//! One test, step by step: it counts the memory of the whole process, and who has which number.

#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use ringbox_ring::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How much is allocated now.
static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, SeqCst);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, SeqCst);
        // SAFETY: what was allocated here was allocated by the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const AT_ONCE: Duration = Duration::ZERO;
/// Of how many plugins that are gone it is remembered what they did, says `Link::metrics`.
const REMEMBERED: usize = 1000;

/// A plugin that answers at once, unless the payload says otherwise.
struct Plugin(Port);

impl PluginBackend for Plugin {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        match call.payload {
            b"refuse" => return Err(Refusal::new(Status::Err)),
            b"later" => {}
            bytes => {
                let _ = self.0.answer(sid, RawStatus::OK, bytes);
            }
        }
        Ok(())
    }
}

fn entry(payload: &[u8]) -> Invocation<'_> {
    Invocation::entry("any", payload)
}

fn load() -> (Link, Port) {
    // Of a name that no other has.
    static COUNT: AtomicI64 = AtomicI64::new(0);
    let name = format!("plugin {}", COUNT.fetch_add(1, SeqCst));
    let limits = Limits::default().state_bytes(name.len());
    let opening = Opening::new(&name, limits).unwrap();
    let port = opening.port();
    (opening.attach(Plugin(port)).detach(), port)
}

/// A plugin that comes, does a little of everything, and goes.
fn pass() -> (Link, Port) {
    let (link, port) = load();
    drop(link.call(&entry(b"four")).unwrap());
    drop(link.call(&entry(b"later")).unwrap());
    assert!(link.call(&entry(b"refuse")).is_err());
    assert!(link.notify(&entry(b"refuse")).is_err());
    link.unload(AT_ONCE).unwrap();
    (link, port)
}

/// What [`pass`] comes to, with so many answers that nobody asked for.
fn check(metrics: &Metrics, unknown: u64) {
    let counts = (metrics.calls, metrics.notified, metrics.finished, metrics.in_flight);
    assert_eq!(counts, (4, 1, 3, 0));
    assert_eq!((metrics.cancelled, metrics.refused, metrics.unknown), (1, 2, unknown));
    assert_eq!((metrics.bytes_in, metrics.bytes_out), (4 + 5 + 6 + 6, 4));
}

/// Holds the threads that go into it.
struct Holding(Sender<()>, std::sync::Mutex<Receiver<()>>);

impl PluginBackend for Holding {
    fn dispatch(&self, _: Sid, _: &Invocation<'_>) -> Result<(), Refusal> {
        self.0.send(()).unwrap();
        let _ = self.1.lock().unwrap().recv_timeout(Duration::from_secs(20));
        Ok(())
    }
}

#[test]
fn a_plugin_that_is_gone_leaves_nothing() {
    // Each is told apart from the next, which has its number.
    let (first, late) = pass();
    check(&first.metrics(), 0);
    let (second, also_late) = pass();
    check(&first.metrics(), 0);
    check(&second.metrics(), 0);
    assert!(first != second);
    assert_eq!((&*first.name(), &*second.name()), ("plugin 0", "plugin 1"));
    assert_eq!(first.limits(), Limits::default().state_bytes("plugin 0".len()));

    // What comes late is counted for whom it comes from.
    let stray = |port: Port| port.answer(Sid::from_raw(1 << 30), RawStatus::OK, b"");
    assert_eq!(stray(late), Delivery::Dropped);
    assert_eq!([stray(also_late), stray(also_late)], [Delivery::Dropped; 2]);
    check(&first.metrics(), 1);
    check(&second.metrics(), 2);

    // Nobody who was of the plugins before has anything to do with the one that has the number now.
    let (live, port) = load();
    let open = live.call(&entry(b"later")).unwrap();
    for (old, strays) in [(first, late), (second, also_late)] {
        assert_eq!(old.call(&entry(b"")).unwrap_err(), CallError::Unloaded);
        assert_eq!(old.notify(&entry(b"")), Err(CallError::Unloaded));
        assert_eq!(old.unload(AT_ONCE), Err(UnloadError::AlreadyUnloaded));
        assert_eq!(strays.answer(open.sid(), RawStatus::OK, b"not yours"), Delivery::Dropped);
        assert_eq!(strays.visit(|| ()), None);
        assert!(strays.is_shut() && !old.is_loaded());
        assert_eq!(strays.end_all(&Fault::Unanswered), 0);
    }
    assert_eq!((first.metrics().foreign, second.metrics().foreign), (1, 1));
    assert_eq!(port.answer(open.sid(), RawStatus::OK, b"mine"), Delivery::Taken);
    assert_eq!(&open.wait().unwrap()[..], b"mine");
    assert_eq!((live.metrics().calls, live.metrics().foreign, live.is_loaded()), (1, 0, true));
    live.unload(AT_ONCE).unwrap();

    // What it did is known until so many others are gone.
    for _ in 3..REMEMBERED {
        pass();
    }
    check(&first.metrics(), 1);
    pass();
    pass();
    assert_eq!(first.metrics(), Metrics::default());
    assert_eq!((&*first.name(), first.limits()), ("", Limits::default()));
    assert_eq!(stray(late), Delivery::Dropped);
    check(&pass().0.metrics(), 0);

    // And that is all that stays, for so long.
    const MANY: i64 = 20_000;
    let before = LIVE.load(SeqCst);
    for _ in 0..MANY {
        pass();
    }
    let left = LIVE.load(SeqCst) - before;
    assert!(left < 20_000, "they leave {left} bytes");

    // Who unloads one once more is told so, whoever is inside the one that has its number now.
    let (entered, is_inside) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let (old, _) = pass();
    let opening = Opening::new("successor", Limits::default()).unwrap();
    let successor = opening.attach(Holding(entered, may_go.into())).detach();
    let inside = thread::spawn(move || successor.notify(&entry(b"")));
    is_inside.recv_timeout(Duration::from_secs(20)).unwrap();
    let start = Instant::now();
    assert_eq!(old.unload(Duration::from_secs(20)), Err(UnloadError::AlreadyUnloaded));
    assert_eq!(old.unload(AT_ONCE), Err(UnloadError::AlreadyUnloaded));
    assert!(start.elapsed() < Duration::from_secs(10), "it waited for another plugin");
    go.send(()).unwrap();
    inside.join().unwrap().unwrap();
    successor.unload(AT_ONCE).unwrap();
}
