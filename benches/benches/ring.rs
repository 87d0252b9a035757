//! The routing core alone: a plain Rust plugin behind it, and the least it could cost beside it.
//!
//! The peer `dyn` is one virtual call that copies the same bytes into a buffer that is used again.
//! Both sides read every byte that they get.

use anyhow::Result;
use clap::Parser as _;
use ringbox_benches::{
    Options, Payloads, Room, Rows, Side, block_on, both, checksum, count_to, floor, hidden, report,
};
use ringbox_ring::{
    Ask, Attached, EntryId, Invocation, Limits, Link, Named, Numbered, Opening, PluginBackend,
    Port, RawStatus, Refusal, Sid, Status, Target,
};
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

const ECHO: EntryId = EntryId::from_raw(0);
const KEEP: EntryId = EntryId::from_raw(1);
const FRAMES: EntryId = EntryId::from_raw(2);
const NOTHING: EntryId = EntryId::from_raw(3);

/// How many frames one turn of a stream row sends.
const BATCH: u64 = 60;

/// A plain Rust plugin: echoes, keeps a sid for later, or streams.
struct Inline {
    port: Port,
    kept: Arc<AtomicU64>,
}

impl Inline {
    #[inline(never)]
    fn stream(&self, sid: Sid, payload: &[u8]) {
        for _ in 0..BATCH {
            let _ = self.port.answer(sid, RawStatus::OK, payload);
        }
        let _ = self.port.answer(sid, RawStatus::STREAM_END, b"");
    }
}

impl PluginBackend for Inline {
    #[inline(never)]
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        match call.target {
            Target::Entry(entry) => self.dispatch_entry(entry, sid, call.payload),
            Target::Request(request) if request.path == "echo" => {
                self.dispatch_entry(ECHO, sid, call.payload)
            }
            Target::Request(_) => Err(Refusal::new(Status::Unsupported)),
        }
    }

    #[inline(never)]
    fn dispatch_entry(&self, entry: EntryId, sid: Sid, payload: &[u8]) -> Result<(), Refusal> {
        match entry {
            ECHO => {
                let _ = self.port.answer(sid, RawStatus::OK, payload);
            }
            KEEP => self.kept.store(sid.as_raw(), Ordering::Release),
            FRAMES => self.stream(sid, payload),
            NOTHING => {}
            _ => return Err(Refusal::new(Status::Unsupported)),
        }
        Ok(())
    }
}

struct Setup {
    link: Link,
    port: Port,
    kept: Arc<AtomicU64>,
    _attached: Attached,
}

fn setup() -> Result<Setup> {
    let opening = Opening::new("bench", Limits::default())?;
    let (port, kept) = (opening.port(), Arc::new(AtomicU64::new(0)));
    let attached = opening.attach(Inline { port, kept: kept.clone() });
    Ok(Setup { link: attached.link(), port, kept, _attached: attached })
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut rows = options.rows();
    let setup = setup()?;
    immediate(&mut rows, &setup);
    suspended(&mut rows, &setup);
    streams(&mut rows, &setup);
    two_threads(&mut rows, &setup);
    report(&options, rows)
}

fn immediate(rows: &mut Rows, setup: &Setup) {
    let (link, floor) = (setup.link, floor());
    let mut reply = Room::new();
    let mut peer = |payload: &[u8]| {
        floor.call(0, payload, &mut reply);
        checksum(reply.bytes())
    };
    rows.row(
        "ring/notify-by-id/0B",
        "dyn",
        |n| {
            count_to(n, || {
                link.notify(Numbered { entry: NOTHING, payload: hidden(b"") }).map_or(0, |()| 1)
            })
        },
        |n| count_to(n, || peer(hidden(b""))),
    );
    for (name, len) in [("0B", 0), ("128B", 128), ("1KiB", 1024), ("4KiB", 4096)] {
        let payloads = Payloads::new(len);
        rows.row(
            &format!("ring/unary-by-id/{name}"),
            "dyn",
            |n| payloads.count(n, |payload| unary(link, Numbered { entry: ECHO, payload })),
            |n| payloads.count(n, &mut peer),
        );
    }
    let payloads = Payloads::new(128);
    rows.row(
        "ring/unary/128B",
        "dyn",
        |n| payloads.count(n, |payload| unary(link, Named { name: "echo", payload })),
        |n| payloads.count(n, &mut peer),
    );
}

#[inline(always)]
fn unary(link: Link, call: impl Ask) -> u64 {
    match link.call(call).and_then(block_on) {
        Ok(reply) => checksum(&reply),
        Err(error) => panic!("the plugin answers at once, and not: {error}"),
    }
}

fn suspended(rows: &mut Rows, setup: &Setup) {
    let (link, port, floor) = (setup.link, setup.port, floor());
    let payload = [7u8; 128];
    let mut reply = Room::new();
    let mut peer = |turns: u64| {
        count_to(turns, || {
            floor.call(0, hidden(&payload), &mut reply);
            checksum(reply.bytes())
        })
    };
    let call = || {
        let mut call =
            link.call(Numbered { entry: KEEP, payload: &payload }).expect("the plugin keeps it");
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut call).poll(&mut context).is_pending());
        call
    };
    rows.row(
        "ring/cancel-after-poll/128B",
        "dyn",
        |n| {
            count_to(n, || {
                drop(call());
                1
            })
        },
        &mut peer,
    );
    rows.row(
        "ring/deferred-one-thread/128B",
        "dyn",
        |n| {
            count_to(n, || {
                let call = call();
                let sid = Sid::from_raw(setup.kept.load(Ordering::Relaxed));
                let _ = port.answer(sid, RawStatus::OK, &payload);
                block_on(call).map_or(0, |reply| checksum(&reply))
            })
        },
        &mut peer,
    );
}

fn streams(rows: &mut Rows, setup: &Setup) {
    let (link, floor) = (setup.link, floor());
    let data = [7u8; 128];
    for (name, len) in [("0B", 0), ("128B", 128)] {
        let payload = &data[..len];
        let mut reply = Room::new();
        let ours = |turns: u64| {
            count_to(turns, || {
                let call = Numbered { entry: FRAMES, payload: hidden(payload) };
                let mut stream = link.stream(call).expect("the plugin streams");
                block_on(async {
                    let mut sum = 0u64;
                    while let Ok(Some(frame)) = stream.recv().await {
                        sum = sum.wrapping_add(checksum(&frame));
                    }
                    sum
                })
            })
        };
        let theirs = |turns: u64| {
            count_to(turns, || {
                floor.call(0, hidden(payload), &mut reply);
                checksum(reply.bytes())
            })
        };
        rows.row_of(
            &format!("ring/stream/frame/{name}"),
            "dyn",
            Side { run: ours, each: BATCH },
            Side { run: theirs, each: 1 },
        );
    }
    frames_from_another_thread(rows, setup, &data);
}

/// The plugin's own thread sends, this one reads; the peer is one cache line that the same two
/// threads hand to and fro.
fn frames_from_another_thread(rows: &mut Rows, setup: &Setup, payload: &[u8]) {
    const NAME: &str = "ring/stream/frame-from-another-thread/128B";
    if !rows.wants(NAME) {
        return;
    }
    let wanted = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sid = 0;
            while !over.load(Ordering::Relaxed) {
                let left = wanted.load(Ordering::Acquire);
                if left == 0 {
                    std::hint::spin_loop();
                    continue;
                }
                if left == 1 {
                    wanted.store(0, Ordering::Release);
                    continue;
                }
                if sid == 0 {
                    sid = setup.kept.load(Ordering::Acquire);
                }
                for _ in 1..left {
                    while setup.port.send_frame(Sid::from_raw(sid), RawStatus::OK, payload)
                        == ringbox_ring::Delivery::Full
                    {
                        std::hint::spin_loop();
                    }
                }
                let _ = setup.port.answer(Sid::from_raw(sid), RawStatus::STREAM_END, b"");
                sid = 0;
                wanted.store(0, Ordering::Release);
            }
        });
        let ours = |turns: u64| {
            let start = Instant::now();
            let call = Numbered { entry: KEEP, payload: b"" };
            let mut stream = setup.link.stream(call).expect("the plugin keeps it");
            wanted.store(turns + 1, Ordering::Release);
            let sum = block_on(async {
                let mut sum = 0u64;
                while let Ok(Some(frame)) = stream.recv().await {
                    sum = sum.wrapping_add(checksum(&frame));
                }
                sum
            });
            black_box(sum);
            while wanted.load(Ordering::Acquire) != 0 {
                std::hint::spin_loop();
            }
            start.elapsed()
        };
        let ping_pong = |turns: u64| {
            let start = Instant::now();
            for _ in 0..turns {
                wanted.store(1, Ordering::Release);
                while wanted.load(Ordering::Acquire) != 0 {
                    std::hint::spin_loop();
                }
            }
            start.elapsed()
        };
        rows.row(NAME, "ping-pong", ours, ping_pong);
        over.store(true, Ordering::Relaxed);
    });
}

/// Two threads' time for a call over one thread's: 0.5 is perfect. Beside it stands the virtual call,
/// of which two threads share nothing: what a machine does not give to it, it gives to nobody.
fn two_threads(rows: &mut Rows, setup: &Setup) {
    let link = setup.link;
    let payloads = Payloads::new(128);
    two_against_one(rows, "ring/unary-by-id-2-threads/128B", |turns| {
        payloads.count(turns, |payload| unary(link, Numbered { entry: ECHO, payload }))
    });
    let floor = floor();
    two_against_one(rows, "ring/virtual-call-2-threads/128B", |turns| {
        let mut reply = Room::new();
        payloads.count(turns, |payload| {
            floor.call(0, payload, &mut reply);
            checksum(reply.bytes())
        })
    });
}

fn two_against_one(rows: &mut Rows, name: &str, work: impl Fn(u64) -> Duration + Sync) {
    let part = |turns| {
        work(turns);
    };
    both(part, part, |both| {
        rows.row_of(name, "one-thread", Side { run: both, each: 2 }, Side { run: &work, each: 1 });
    });
}
