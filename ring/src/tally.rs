//! One thread's counts of one plugin's calls, and the gate that is built on them.
//!
//! Each tally has one writer, so counting is a load and a store. Readers add up the tallies of
//! every lane. A closed plugin is known to be idle when as many threads have left its code as
//! have entered it: see [`enter`] for why that sum can be trusted. What they entered for is what
//! is counted, so that a call counts once and not twice.

use crate::fence;
use crate::sync::{Acquire, AtomicU64, Relaxed, Release};

/// What is counted. A cache line of its own.
#[repr(C, align(64))]
pub(crate) struct Tally {
    /// How often the thread went into the plugin's code with a call that is owed an answer.
    pub(crate) calls: AtomicU64,
    /// With one that expects none, and so is over when it leaves.
    pub(crate) notified: AtomicU64,
    /// For all else.
    pub(crate) visits: AtomicU64,
    /// How often it came out again.
    pub(crate) left: AtomicU64,
    /// Calls that are over for their caller.
    pub(crate) finished: AtomicU64,
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
            notified: zero(),
            visits: zero(),
            left: zero(),
            finished: zero(),
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

/// How far a plugin is closed. What is asked for passes while the gate is below it. The numbers are
/// those of instances ([`LoadId`](crate::load::LoadId)).
pub(crate) mod gate {
    /// Calls pass below this.
    pub(crate) const CALLS: u64 = 1;
    /// Visits on behalf of calls that are open pass below this.
    pub(crate) const VISITS: u64 = SHUT;

    /// Everything passes.
    pub(crate) const SERVING: u64 = 0;
    /// No new calls: those that are open may end.
    pub(crate) const DRAINING: u64 = 1 << 18;
    /// Nothing passes: the plugin is not there yet, or goes.
    pub(crate) const SHUT: u64 = 2 << 18;
    /// Nor ever will: the plugin is gone.
    pub(crate) const GONE: u64 = 3 << 18;
}

/// Counts the thread in, by the count of what it comes for, unless the plugin is closed to that, or
/// gone: `closed` is `load`, the plugin's own word, and how far it is closed.
///
/// This is one half of a pair. Here: count, fence, look at `closed`. Closing ([`is_idle`]): set
/// `closed`, fence, add up. So either this thread sees that the plugin is closed and turns back,
/// or whoever closes it sees this thread counted in, and waits until it is counted out.
#[inline(always)]
pub(crate) fn enter(entered: &AtomicU64, closed: &AtomicU64, load: u64, below: u64) -> bool {
    if closed.load(Relaxed).wrapping_sub(load) >= below {
        return false;
    }
    add(entered, 1);
    fence::light();
    // Acquire: what was made before the gate was opened is there.
    if closed.load(Acquire).wrapping_sub(load) >= below {
        turn_back(entered);
        return false;
    }
    true
}

/// Takes back what [`enter`] counted.
#[cold]
#[inline(never)]
fn turn_back(entered: &AtomicU64) {
    entered.store(entered.load(Relaxed).wrapping_sub(1), Release);
}

/// Whether nobody is inside a plugin whose `closed` was set, with [`fence::heavy`] after it.
pub(crate) fn is_idle<'a>(tallies: &(impl Iterator<Item = &'a Tally> + Clone)) -> bool {
    // Who is out is counted before who is in: a thread that does both meanwhile is then counted
    // in at least as often as out.
    let left = sum(tallies.clone(), |tally| &tally.left);
    let entered = |count: fn(&Tally) -> &AtomicU64| sum(tallies.clone(), count);
    let calls = entered(|tally| &tally.calls).wrapping_add(entered(|tally| &tally.notified));
    left == calls.wrapping_add(entered(|tally| &tally.visits))
}

/// The sum of one count over the lanes.
pub(crate) fn sum<'a>(
    tallies: impl Iterator<Item = &'a Tally>,
    count: impl Fn(&Tally) -> &AtomicU64,
) -> u64 {
    tallies.map(|tally| count(tally).load(Acquire)).fold(0, u64::wrapping_add)
}
