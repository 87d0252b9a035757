//! One thread's counts of one plugin's calls, and the gate that is built on them.
//!
//! Each tally has one writer, so counting is a load and a store. Readers add up the tallies of
//! every lane. A closed plugin is known to be idle when as many threads have left its code as
//! have entered it: see [`enter`] for why that sum can be trusted.

use crate::fence;
use crate::sync::{Acquire, AtomicU32, AtomicU64, Relaxed, Release};

/// What is counted. A cache line of its own.
#[repr(C, align(64))]
pub(crate) struct Tally {
    /// Calls that went into the plugin.
    pub(crate) calls: AtomicU64,
    /// Other visits to the backend: cancels, data for a stream.
    pub(crate) visits: AtomicU64,
    /// How many of both have left the plugin's code again.
    pub(crate) left: AtomicU64,
    /// Calls that are over for their caller.
    pub(crate) finished: AtomicU64,
    /// Calls that expect no answer, and so are over when they leave.
    pub(crate) notified: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) frames: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Tally>() == 64);

impl Tally {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            calls: zero(),
            visits: zero(),
            left: zero(),
            finished: zero(),
            notified: zero(),
            bytes_in: zero(),
            bytes_out: zero(),
            frames: zero(),
        }
    }
}

/// Adds to a count that this thread alone writes. What the thread did before is seen by whoever
/// sees the sum.
#[inline(always)]
pub(crate) fn add(count: &AtomicU64, n: u64) {
    count.store(count.load(Relaxed).wrapping_add(n), Release);
}

/// Counts the thread in, unless the plugin is closed: `count` is `calls` or `visits`.
///
/// This is one half of a pair. Here: count, fence, look at `closed`. Closing ([`is_idle`]): set
/// `closed`, fence, add up. So either this thread sees that the plugin is closed and turns back,
/// or whoever closes it sees this thread counted in, and waits until it is counted out.
#[inline(always)]
pub(crate) fn enter(count: &AtomicU64, closed: &AtomicU32) -> bool {
    if closed.load(Relaxed) != 0 {
        return false;
    }
    add(count, 1);
    fence::light();
    if closed.load(Relaxed) != 0 {
        turn_back(count);
        return false;
    }
    true
}

/// Takes back what [`enter`] counted, for a thread that did not go in after all.
#[cold]
#[inline(never)]
pub(crate) fn turn_back(count: &AtomicU64) {
    count.store(count.load(Relaxed).wrapping_sub(1), Release);
}

/// Whether nobody is inside a plugin whose `closed` was set, with [`fence::heavy`] after it.
pub(crate) fn is_idle<'a>(tallies: impl Iterator<Item = &'a Tally> + Clone) -> bool {
    // Who is out is counted before who is in: a thread that does both meanwhile is then counted
    // in at least as often as out.
    let left = sum(tallies.clone(), |tally| &tally.left);
    let calls = sum(tallies.clone(), |tally| &tally.calls);
    let visits = sum(tallies, |tally| &tally.visits);
    left == calls.wrapping_add(visits)
}

/// The sum of one count over the lanes.
pub(crate) fn sum<'a>(
    tallies: impl Iterator<Item = &'a Tally>,
    count: impl Fn(&Tally) -> &AtomicU64,
) -> u64 {
    tallies.map(|tally| count(tally).load(Acquire)).fold(0, u64::wrapping_add)
}
