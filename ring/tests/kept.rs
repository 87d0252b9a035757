//! What a burst leaves behind when nothing is open any more: little, and no more for a larger one.
//! And what that little is good for: calls after the burst allocate nothing.
//!
//! One test, step by step: it counts the memory of the whole process.

#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use ringbox_ring::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// How much is allocated now.
static LIVE: AtomicI64 = AtomicI64::new(0);
/// How often something was allocated.
static MADE: AtomicI64 = AtomicI64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, SeqCst);
        MADE.fetch_add(1, SeqCst);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, SeqCst);
        // SAFETY: what was allocated here was allocated by the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What `body` leaves allocated, in bytes.
fn left_by(body: impl FnOnce()) -> i64 {
    let before = LIVE.load(SeqCst);
    body();
    LIVE.load(SeqCst) - before
}

const MIB: i64 = 1 << 20;
/// What a slot itself takes, which stays for good.
const SLOT: i64 = 144;

struct Silent;

impl PluginBackend for Silent {
    fn dispatch(&self, _: Sid, _: &Invocation<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

#[derive(Copy, Clone)]
struct Plugin {
    link: Link,
    port: Port,
}

fn load(limits: Limits) -> Plugin {
    let opening = Opening::new("kept", limits).unwrap();
    let port = opening.port();
    Plugin { link: opening.attach(Silent).detach(), port }
}

impl Plugin {
    fn call(self) -> Call {
        self.link.call(&Invocation::entry("entry", b"")).unwrap()
    }

    fn stream(self) -> Stream {
        self.link.stream(&Invocation::entry("entry", b"")).unwrap()
    }

    /// So many calls at one time, each with an answer of 4 KiB.
    fn replies(self, count: usize) -> Vec<Reply> {
        let answered = || {
            let call = self.call();
            assert_eq!(self.port.answer(call.sid(), RawStatus::OK, &[7; 4096]), Delivery::Taken);
            call.now().unwrap()
        };
        (0..count).map(|_| answered()).collect()
    }
}

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("there is nothing yet"),
    }
}

#[test]
fn a_burst_leaves_little_behind() {
    // What is made once: the timer, whose thread has begun when a deadline has passed, this thread's
    // lane, the plugin.
    let plugin = load(Limits::default());
    let ended = plugin.call().deadline(Duration::from_millis(1)).wait();
    assert!(ended.is_err_and(|error| error.is_deadline()));
    drop(plugin.replies(1));
    buffers_of_a_burst_of_calls_are_given_back(plugin);
    buffers_of_calls_that_end_elsewhere_are_given_back(plugin);
    calls_after_a_burst_find_the_buffers_that_were_kept(plugin);
    a_large_answers_buffer_is_given_back(plugin);
    bytes_that_nobody_takes_are_not_copied(plugin);
    queues_of_a_burst_of_streams_are_given_back();
    frames_that_were_read_keep_few_buffers();
    state_of_calls_that_are_over_is_given_back(plugin);
    state_set_while_its_call_ends_is_nobody_elses(plugin);
    assert_eq!(plugin.link.metrics().in_flight, 0);
}

/// 10,000 replies are 40 MiB. A lane keeps 1,024 buffers of at most 4 KiB.
fn buffers_of_a_burst_of_calls_are_given_back(plugin: Plugin) {
    let left = left_by(|| drop(plugin.replies(10_000)));
    assert!(left < 5 * MIB + 10_000 * SLOT, "{left} bytes are kept");
    assert!(left > 2 * MIB, "and some are, for the next ones");
    let more = left_by(|| drop(plugin.replies(10_000)));
    assert!(more < MIB, "a second burst leaves {more} bytes more");
}

/// Dropped by a thread that isn't the slots' own: as many again may be kept.
fn buffers_of_calls_that_end_elsewhere_are_given_back(plugin: Plugin) {
    let left = left_by(|| {
        let replies = plugin.replies(10_000);
        thread::spawn(move || drop(replies)).join().unwrap();
    });
    assert!(left < 5 * MIB, "{left} bytes are kept");
}

struct Echo(Port);

impl PluginBackend for Echo {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        assert_eq!(self.0.answer(sid, RawStatus::OK, call.payload), Delivery::Taken);
        Ok(())
    }
}

/// The slots that keep none were made for the burst, and are taken last.
fn calls_after_a_burst_find_the_buffers_that_were_kept(plugin: Plugin) {
    let opening = Opening::new("echo", Limits::default()).unwrap();
    let port = opening.port();
    let link = opening.attach(Echo(port)).detach();
    let call = || {
        let call = link.call(&Invocation::entry("entry", &[7; 128])).unwrap();
        assert_eq!(call.now().unwrap().len(), 128);
    };
    // A plugin's first call may make room to count in.
    call();
    for elsewhere in [false, true] {
        let open: Vec<_> = (0..3000).map(|_| plugin.call()).collect();
        for call in &open {
            let sent = plugin.port.answer(call.sid(), RawStatus::OK, &[7; 128]);
            assert_eq!(sent, Delivery::Taken);
        }
        if elsewhere {
            thread::spawn(move || drop(open)).join().unwrap();
        } else {
            drop(open);
        }
        let before = MADE.load(SeqCst);
        (0..1000).for_each(|_| call());
        let made = MADE.load(SeqCst) - before;
        assert_eq!(made, 0, "1000 calls allocated; the burst ended elsewhere: {elsewhere}");
    }
    assert_eq!(link.unload(Duration::ZERO), Ok(()));
}

fn a_large_answers_buffer_is_given_back(plugin: Plugin) {
    let left = left_by(|| {
        let call = plugin.call();
        let sent = plugin.port.answer(call.sid(), RawStatus::OK, &vec![1; 8 << 20]);
        assert_eq!(sent, Delivery::Taken);
        drop(call.now().unwrap());
    });
    assert!(left < MIB, "{left} bytes are kept");
}

/// Each of the streams has a queue of 300 KiB and more, and a lane keeps 16 queues.
/// Late, foreign and made up, and frames for a queue that is full.
fn bytes_that_nobody_takes_are_not_copied(plugin: Plugin) {
    let bytes = vec![7; 8 << 20];
    let other = load(Limits::default().stream_frames(1));
    let call = plugin.link.call(&Invocation::entry("x", b"")).unwrap();
    let over = call.sid();
    drop(call);
    let open = plugin.link.call(&Invocation::entry("x", b"")).unwrap();
    let mut stream = other.link.stream(&Invocation::entry("x", b"")).unwrap();
    let sid = stream.sid();
    assert_eq!(other.port.send_frame(sid, RawStatus::OK, b"fills it"), Delivery::Taken);
    let before = MADE.load(SeqCst);
    for to in [over, Sid::from_raw(u64::MAX >> 1), Sid::from_raw(over.as_raw() + (1 << 40))] {
        assert_eq!(plugin.port.answer(to, RawStatus::OK, &bytes), Delivery::Dropped);
    }
    for to in [open.sid(), sid] {
        let port = if to == sid { plugin.port } else { other.port };
        assert_eq!(port.answer(to, RawStatus::OK, &bytes), Delivery::Dropped);
        assert_eq!(port.send_frame(to, RawStatus::STREAM_END, &bytes), Delivery::Dropped);
    }
    assert_eq!(other.port.send_frame(sid, RawStatus::OK, &bytes), Delivery::Full);
    assert_eq!(MADE.load(SeqCst) - before, 0, "bytes that nobody takes were copied");
    assert_eq!(other.port.send_frame(sid, RawStatus::STREAM_END, &bytes), Delivery::Taken);
    assert_eq!(ready(stream.recv()).unwrap().map(|frame| frame.len()), Some(8));
    assert_eq!(ready(stream.recv()).unwrap().map(|frame| frame.len()), Some(8 << 20));
    drop(open);
}

fn queues_of_a_burst_of_streams_are_given_back() {
    let plugin = load(Limits::default().stream_frames(8191));
    let left = left_by(|| drop((0..200).map(|_| plugin.stream()).collect::<Vec<_>>()));
    assert!(left < 16 * MIB, "{left} bytes are kept");
    // So many of another length push those out.
    let plugin = load(Limits::default().stream_frames(1));
    let left = left_by(|| drop((0..16).map(|_| plugin.stream()).collect::<Vec<_>>()));
    assert!(left < 0, "{left} bytes more are kept");
}

/// 2,000 frames of 4 KiB are 8 MiB. A queue keeps 256 KiB of buffers, and a lane 16 queues.
fn frames_that_were_read_keep_few_buffers() {
    let plugin = load(Limits::default().stream_frames(2000));
    let left = left_by(|| {
        let fill = |_| {
            let mut stream = plugin.stream();
            let frame =
                |sid| plugin.port.send_frame(sid, RawStatus::OK, &[7; 4096]) == Delivery::Taken;
            for _ in 0..2000 {
                assert!(frame(stream.sid()));
            }
            for _ in 0..1000 {
                assert_eq!(ready(stream.recv()).unwrap().unwrap().len(), 4096);
            }
            stream
        };
        drop((0..16).map(fill).collect::<Vec<_>>());
    });
    // The entries themselves are 16 times 2,048 of 40 bytes.
    assert!(left < 16 * (256 << 10) + 3 * MIB, "{left} bytes are kept");
}

fn state_of_calls_that_are_over_is_given_back(plugin: Plugin) {
    let left = left_by(|| {
        let calls: Vec<_> = (0..500).map(|_| plugin.call()).collect();
        for call in &calls {
            assert_eq!(plugin.port.set_state(call.sid(), "key", &[1; 60_000]), Ok(()));
        }
    });
    assert!(left < MIB, "{left} bytes are kept");
}

/// The plugin sets it just when the caller leaves. It is gone then, or at the latest when the slot
/// has served its next call, which finds nothing of it.
fn state_set_while_its_call_ends_is_nobody_elses(plugin: Plugin) {
    let left = left_by(|| {
        let (sids, received) = mpsc::channel::<Sid>();
        let (set, is_set) = mpsc::channel();
        let setting = thread::spawn(move || {
            for sid in received {
                set.send(plugin.port.set_state(sid, "key", &[1; 60_000]).is_ok()).unwrap();
            }
        });
        for round in 0..2000 {
            let call = plugin.call();
            let gone = call.sid();
            sids.send(gone).unwrap();
            for _ in 0..round % 500 {
                std::hint::spin_loop();
            }
            drop(call);
            let next = plugin.call();
            assert_eq!(plugin.port.state(next.sid(), "key"), None);
            let _ = is_set.recv().unwrap();
            assert_eq!(plugin.port.state(gone, "key"), None);
            assert_eq!(plugin.port.state(next.sid(), "key"), None);
        }
        drop(sids);
        setting.join().unwrap();
    });
    assert!(left < MIB, "{left} bytes are kept");
}
