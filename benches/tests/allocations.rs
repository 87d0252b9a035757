//! Once its threads are warm, a call of up to 4 KiB allocates nothing, however it is answered.

use ringbox_benches::allocations::{Counting, count};
use ringbox_ring::{
    Delivery, EntryId, Invocation, Limits, Link, Opening, PluginBackend, Port, RawStatus, Refusal,
    Sid, Target,
};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ECHO: EntryId = EntryId::from_raw(0);
const LATER: EntryId = EntryId::from_raw(1);
const FRAMES: EntryId = EntryId::from_raw(2);
const NEVER: EntryId = EntryId::from_raw(3);

/// A sid on its way to the thread that answers, for each of two callers.
type Mailbox = Arc<[AtomicU64; 2]>;

struct Plugin {
    port: Port,
    mail: Mailbox,
}

impl PluginBackend for Plugin {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        match call.target {
            Target::Entry(LATER) => {
                self.mail[usize::from(call.payload[0])].store(sid.as_raw(), Ordering::Release);
            }
            Target::Entry(FRAMES) => {
                for _ in 0..50 {
                    let _ = self.port.answer(sid, RawStatus::OK, call.payload);
                }
                let _ = self.port.answer(sid, RawStatus::STREAM_END, b"");
            }
            Target::Entry(NEVER) => {}
            _ => {
                let _ = self.port.answer(sid, RawStatus::OK, call.payload);
            }
        }
        Ok(())
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// An executor whose one waker was made before.
fn wait<F: Future>(waker: &Waker, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park_timeout(Duration::from_secs(10));
    }
}

/// One round of everything.
fn round(link: Link, me: u8, waker: &Waker, payload: &[u8]) {
    link.notify(&Invocation::entry_id(ECHO, payload)).expect("taken");
    for len in [0, 1, 128, 1024, 4096] {
        let by_id = link.call(&Invocation::entry_id(ECHO, &payload[..len])).expect("taken");
        assert_eq!(wait(waker, by_id).expect("answered").len(), len);
        let by_name = link.call(&Invocation::entry("echo", &payload[..len])).expect("taken");
        assert_eq!(by_name.now().expect("answered at once").len(), len);
    }
    let later = link.call(&Invocation::entry_id(LATER, &[me])).expect("taken");
    assert_eq!(wait(waker, later).expect("answered").len(), 4096);
    let later = link.call(&Invocation::entry_id(LATER, &[me])).expect("taken");
    let later = later.deadline(Duration::from_secs(9));
    assert_eq!(wait(waker, later).expect("answered").len(), 4096);
    let mut never = link.call(&Invocation::entry_id(NEVER, b"")).expect("taken");
    assert!(Pin::new(&mut never).poll(&mut Context::from_waker(waker)).is_pending());
    drop(never);
    let mut stream = link.stream(&Invocation::entry_id(FRAMES, payload)).expect("taken");
    wait(waker, async {
        let mut frames = 0;
        while let Some(frame) = stream.recv().await.expect("no fault") {
            frames += usize::from(frame.status().is_ok());
        }
        assert_eq!(frames, 50);
    });
}

#[test]
fn a_warm_call_allocates_nothing() {
    let opening = Opening::new("allocations", Limits::default()).expect("a place");
    let (port, mail) = (opening.port(), Mailbox::default());
    let attached = opening.attach(Plugin { port, mail: mail.clone() });
    let link = attached.link();
    // The timer's thread has begun when a deadline has passed. On a busy machine that takes a while,
    // and a thread that begins allocates.
    let never = link.call(&Invocation::entry_id(NEVER, b"")).expect("taken");
    let ended = never.deadline(Duration::from_millis(1)).wait();
    assert!(ended.is_err_and(|error| error.is_deadline()));
    let payload = [7u8; 4096];
    let (warm, done) = (Barrier::new(3), Barrier::new(3));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // The plugin's own thread: answers what lies in the mailbox.
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                for sid in mail.iter() {
                    let raw = sid.swap(0, Ordering::Acquire);
                    if raw != 0 {
                        let sent = port.answer(Sid::from_raw(raw), RawStatus::OK, &payload);
                        assert_eq!(sent, Delivery::Taken);
                    }
                }
                thread::yield_now();
            }
        });
        for me in 0..2u8 {
            let (warm, done) = (&warm, &done);
            scope.spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                // The first rounds make slots, buffers, a queue, a lane.
                for _ in 0..50 {
                    round(link, me, &waker, &payload);
                }
                warm.wait();
                warm.wait();
                for _ in 0..200 {
                    round(link, me, &waker, &payload);
                }
                done.wait();
                // A thread that ends hands its lane on, which is not a call.
                done.wait();
            });
        }
        warm.wait();
        let before = count();
        warm.wait();
        done.wait();
        let allocated = count() - before;
        done.wait();
        over.store(true, Ordering::Release);
        assert_eq!(
            allocated, 0,
            "two threads made 400 warm rounds and allocated {allocated} times"
        );
    });
    let metrics = link.metrics();
    assert_eq!((metrics.in_flight, metrics.cancelled), (0, 500), "{metrics:?}");
}
