//! Ringbox beside nylon-ring 0.2.2: the same work, by the same executor, in one process, in turns.
//!
//! Peers: `nylon-ring` with its default configuration, `nylon-ring-pinned` with a plugin that it
//! can never unload (ours is not pinned in either), both answered by `send_result`, and with `-lease` in
//! the way that is fastest for an echo; and `ffi`, which is our plugin's functions called directly with a
//! callback that copies: the floor under any host.

#[cfg(feature = "sandbox")]
mod by_hand;
#[cfg(feature = "sandbox")]
mod sandbox;
mod sides;

use anyhow::{Result, ensure};
use clap::Parser as _;
use ringbox::Request;
use ringbox_benches::{
    Options, Payloads, Rows, Side as Timed, both, count_to, hidden, ping_pong, report, together,
};
use sides::{Deferred, Ffi, Ours, Peer, Side};
use std::cell::Cell;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many frames one stream has.
pub(crate) const FRAMES: u64 = 60;
/// How many calls are in flight where the plugin answers later.
const IN_FLIGHT: u64 = 32;

pub(crate) const SIZES: [(&str, usize); 4] =
    [("0B", 0), ("128B", 128), ("1KiB", 1024), ("4KiB", 4096)];
pub(crate) const HEADERS: [(&str, &str); 4] = [
    ("host", "example.org"),
    ("accept", "application/json"),
    ("user-agent", "ringbox"),
    ("x-request-id", "0123456789abcdef"),
];

fn main() -> Result<()> {
    let options = Options::parse();
    let mut rows = options.rows();
    let folder = tempfile::tempdir()?;
    let copy = |name: &str| folder.path().join(name);
    let (plugin, peer_plugin) = (built("compare_plugin")?, built("compare_peer_plugin")?);
    let ours = Ours::load(&plugin)?;
    let ffi = Ffi::load(&plugin, &copy("ffi.so"))?;
    let load = |file, pinned, echo| Peer::load(&peer_plugin, &copy(file), pinned, echo);
    let (peer, pinned) = (load("peer.so", false, "echo")?, load("pinned.so", true, "echo")?);
    let lease = load("lease.so", false, "lend")?;
    let pinned_lease = load("pinned-lease.so", true, "lend")?;
    for peer in [&peer, &pinned, &lease, &pinned_lease] {
        same_work(&ours, peer)?;
    }
    same_work(&ours, &ffi)?;

    for (name, peer) in [("nylon-ring", &peer), ("nylon-ring-pinned", &pinned)] {
        immediate(&mut rows, &ours, name, peer);
        two_threads(&mut rows, &ours, name, peer);
        deferred(&mut rows, &ours, name, peer);
    }
    for (name, peer) in [("nylon-ring-lease", &lease), ("nylon-ring-pinned-lease", &pinned_lease)] {
        answers(&mut rows, &ours, name, peer);
    }
    immediate(&mut rows, &ours, "ffi", &ffi);
    two_threads(&mut rows, &ours, "ffi", &ffi);
    two_threads_against_one(&mut rows, &ours);
    deferred_against_ping_pong(&mut rows, &ours);
    request(&mut rows, &ours, &ffi);
    by_the_sdk(&mut rows, &Ours::load(&built("compare_sdk_plugin")?)?, &ours)?;
    #[cfg(feature = "sandbox")]
    match sandbox::guest()? {
        Some(guest) => sandbox::rows(&mut rows, &guest, &ours, &peer, folder.path())?,
        None => eprintln!("the sandbox's rows are skipped: its component was not built"),
    }
    report(&options, rows)
}

/// A library that was built with this program.
fn built(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let path = program.parent().unwrap_or(Path::new(".")).join(format!("lib{name}.so"));
    ensure!(path.exists(), "lib{name}.so is not beside this program: build the whole workspace");
    Ok(path)
}

/// Nothing is measured before both sides are seen to bring the same bytes.
fn same_work(ours: &impl Side, peer: &impl Side) -> Result<()> {
    for (name, len) in SIZES {
        let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let here = [ours.fast(&payload), ours.unary(&payload), ours.unary_by_id(&payload)];
        let there = [peer.fast(&payload), peer.unary(&payload), peer.unary_by_id(&payload)];
        ensure!(here == there, "replies of {name} differ: {here:?} and {there:?}");
    }
    let payload = [7; 128];
    let (here, there) = (ours.stream(&payload), peer.stream(&payload));
    ensure!(here == there, "streams differ: {here} and {there}");
    Ok(())
}

fn immediate(rows: &mut Rows, ours: &Ours, name: &str, peer: &impl Side) {
    let data = [7u8; 128];
    let none: &[u8] = b"";
    rows.row(
        "native/notify/0B",
        name,
        |n| count_to(n, || ours.notify(hidden(none))),
        |n| count_to(n, || peer.notify(hidden(none))),
    );
    rows.row(
        "native/notify-by-id/0B",
        name,
        |n| count_to(n, || ours.notify_by_id(hidden(none))),
        |n| count_to(n, || peer.notify_by_id(hidden(none))),
    );
    for (size, len) in &SIZES[..2] {
        let payload = &data[..*len];
        rows.row_of(
            &format!("native/stream/frame/{size}"),
            name,
            Timed { run: |n| count_to(n, || ours.stream(hidden(payload))), each: FRAMES },
            Timed { run: |n| count_to(n, || peer.stream(hidden(payload))), each: FRAMES },
        );
    }
    fast(rows, ours, name, peer, SIZES[0]);
    one_answer(rows, ours, name, peer, SIZES[0]);
    answers(rows, ours, name, peer);
}

/// Calls that are answered with bytes.
fn answers(rows: &mut Rows, ours: &Ours, name: &str, peer: &impl Side) {
    fast(rows, ours, name, peer, SIZES[1]);
    for size in &SIZES[1..] {
        one_answer(rows, ours, name, peer, *size);
    }
    let payloads = Payloads::new(128);
    rows.row(
        "native/unary-by-id/128B",
        name,
        |n| payloads.count(n, |payload| ours.unary_by_id(payload)),
        |n| payloads.count(n, |payload| peer.unary_by_id(payload)),
    );
}

fn fast(rows: &mut Rows, ours: &Ours, name: &str, peer: &impl Side, (size, len): (&str, usize)) {
    let payloads = Payloads::new(len);
    rows.row(
        &format!("native/fast/{size}"),
        name,
        |n| payloads.count(n, |payload| ours.fast(payload)),
        |n| payloads.count(n, |payload| peer.fast(payload)),
    );
}

fn one_answer(
    rows: &mut Rows,
    ours: &Ours,
    name: &str,
    peer: &impl Side,
    (size, len): (&str, usize),
) {
    let payloads = Payloads::new(len);
    rows.row(
        &format!("native/unary/{size}"),
        name,
        |n| payloads.count(n, |payload| ours.unary(payload)),
        |n| payloads.count(n, |payload| peer.unary(payload)),
    );
}

const TWO_THREADS: &str = "native/unary-2-threads/128B";

fn unary(side: &(impl Side + Sync), payloads: &Payloads, turns: u64) {
    payloads.count(turns, |payload| side.unary(payload));
}

fn two_threads(rows: &mut Rows, ours: &Ours, name: &str, peer: &(impl Side + Sync)) {
    if !rows.wants(TWO_THREADS) {
        return;
    }
    let payloads = Payloads::new(128);
    let here = |turns| unary(ours, &payloads, turns);
    let there = |turns| unary(peer, &payloads, turns);
    both(here, here, |ours| {
        both(there, there, |theirs| {
            rows.row_of(
                TWO_THREADS,
                name,
                Timed { run: ours, each: 2 },
                Timed { run: theirs, each: 2 },
            );
        });
    });
}

/// One thread's time for a call over two threads' time for a call: 0.5 is perfect.
fn two_threads_against_one(rows: &mut Rows, ours: &Ours) {
    if !rows.wants(TWO_THREADS) {
        return;
    }
    let payloads = Payloads::new(128);
    let here = |turns| unary(ours, &payloads, turns);
    both(here, here, |two| {
        rows.row_of(
            TWO_THREADS,
            "one-thread",
            Timed { run: two, each: 2 },
            Timed { run: |n| payloads.count(n, |payload| ours.unary(payload)), each: 1 },
        );
    });
}

const DEFERRED: &str = "native/deferred/128B";

/// Calls that the plugin's own spinning thread answers, so many in flight. The thread sleeps while
/// the other side is measured, and is awake before the time runs.
fn wait_for(side: &impl Deferred, turns: u64) -> Duration {
    let payload = [7u8; 128];
    side.set_working(true);
    let start = Instant::now();
    let left = Cell::new(turns);
    let sum = together((0..IN_FLIGHT.min(turns)).map(|_| async {
        let mut sum = 0u64;
        while let Some(less) = left.get().checked_sub(1) {
            left.set(less);
            sum = sum.wrapping_add(side.deferred(hidden(&payload)).await);
        }
        sum
    }));
    black_box(sum);
    let took = start.elapsed();
    side.set_working(false);
    took
}

fn deferred(rows: &mut Rows, ours: &Ours, name: &str, peer: &impl Deferred) {
    rows.row(DEFERRED, name, |n| wait_for(ours, n), |n| wait_for(peer, n));
}

/// The machine's cores move apart and together again: a cache line handed to and fro tells how far
/// apart they were.
fn deferred_against_ping_pong(rows: &mut Rows, ours: &Ours) {
    if rows.wants(DEFERRED) {
        ping_pong(|ping_pong| rows.row(DEFERRED, "ping-pong", |n| wait_for(ours, n), ping_pong));
    }
}

/// What writing a plugin by the SDK costs its callers.
fn by_the_sdk(rows: &mut Rows, sdk: &Ours, by_hand: &Ours) -> Result<()> {
    same_work(sdk, by_hand)?;
    let payloads = Payloads::new(128);
    rows.row(
        "native/sdk-unary/128B",
        "by-hand",
        |n| payloads.count(n, |payload| sdk.unary(payload)),
        |n| payloads.count(n, |payload| by_hand.unary(payload)),
    );
    rows.row(
        "native/sdk-unary-by-id/128B",
        "by-hand",
        |n| payloads.count(n, |payload| sdk.unary_by_id(payload)),
        |n| payloads.count(n, |payload| by_hand.unary_by_id(payload)),
    );
    Ok(())
}

fn request(rows: &mut Rows, ours: &Ours, ffi: &Ffi) {
    let mut request = Request::post("/request").body([7u8; 128]);
    for (name, value) in HEADERS {
        request = request.header(name, value);
    }
    rows.row(
        "native/request/4-headers",
        "ffi",
        |n| count_to(n, || ours.request(black_box(&request))),
        |n| count_to(n, || ffi.request("/request", black_box(&HEADERS), black_box(&[7u8; 128]))),
    );
}
