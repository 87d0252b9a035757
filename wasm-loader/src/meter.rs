//! How long a call has computed, and whether it is to be stopped.
//!
//! All of it is the thread's that has the place's turn, except `stop`, which anybody may set. (The
//! others are atomic because a fiber's runner and its guest both reach the meter.)

use crate::cpu;
use ringbox_ring::{Sid, TrapCause};
use std::sync::atomic::{
    AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::time::Duration;

/// One instance's meter.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// What this call may take, in nanoseconds.
    budget: AtomicU64,
    /// The most that counts from one look to the next.
    most: AtomicU64,
    /// What it took before `since`.
    used: AtomicU64,
    /// The thread's time when it was last read: 0 until the first tick.
    since: AtomicU64,
    /// The call that the guest has.
    current: AtomicU64,
    /// A call that is to be stopped.
    stop: AtomicU64,
    stopped: AtomicU8,
    /// Ticks since the guest was to leave.
    stays: AtomicU32,
}

/// How many ticks a guest may stay when its plugin is unloaded. Whoever unloads it waits for a
/// second.
const STAY: u32 = 50;

/// What a call of this size brings takes the host a while to copy, in between two looks of the
/// guest's. A guest that runs looks up at every tick, so what is more than that was the host's.
const LARGE: usize = 64 << 10;
const TICK: u64 = 1_000_000;

const RUNS: u8 = 0;
const OUT_OF_BUDGET: u8 = 1;
const CANCELLED: u8 = 2;

impl Meter {
    /// Another instance begins.
    pub(crate) fn renew(&self) {
        self.stopped.store(RUNS, Relaxed);
        self.stays.store(0, Relaxed);
    }

    /// A call begins that brings so many bytes.
    #[inline(always)]
    pub(crate) fn begin(&self, sid: u64, budget: u64, bytes: usize) {
        self.most.store(if bytes < LARGE { u64::MAX } else { 2 * TICK }, Relaxed);
        self.current.store(sid, Relaxed);
        self.budget.store(budget, Relaxed);
        self.used.store(0, Relaxed);
        self.since.store(0, Relaxed);
    }

    /// A tick came while the guest ran. Whether it may go on. Where it is to `leave`, it may for a
    /// little while, so that what is about to be done is done, and it can be shut down.
    #[cold]
    pub(crate) fn tick(&self, leave: bool) -> bool {
        let stays = leave && self.stays.fetch_add(1, Relaxed) >= STAY;
        if stays || self.is_stopped() {
            self.stopped.store(CANCELLED, Relaxed);
            return false;
        }
        let now = cpu::thread_time();
        let since = self.since.swap(now, Relaxed);
        // A first tick comes within a tick of the call's beginning.
        let passed = if since == 0 { 0 } else { now.saturating_sub(since) };
        let used = self.used.load(Relaxed) + passed.min(self.most.load(Relaxed));
        self.used.store(used, Relaxed);
        if used < self.budget.load(Relaxed) {
            return true;
        }
        self.stopped.store(OUT_OF_BUDGET, Relaxed);
        false
    }

    /// Runs a host function whose time is not the guest's. (Before the first tick nothing is.)
    #[inline(always)]
    pub(crate) fn excuse<R>(&self, function: impl FnOnce() -> R) -> R {
        if self.since.load(Relaxed) == 0 {
            return function();
        }
        self.pause();
        let result = function();
        self.resume();
        result
    }

    /// The same where the time is the guest's after all unless the function was of use.
    #[inline(always)]
    pub(crate) fn excuse_if<R>(&self, function: impl FnOnce() -> R, of_use: fn(&R) -> bool) -> R {
        if self.since.load(Relaxed) == 0 {
            return function();
        }
        let before = cpu::thread_time();
        let result = function();
        let passed = cpu::thread_time().saturating_sub(before);
        self.since.fetch_add(passed, Relaxed);
        if !of_use(&result) {
            // In full, whatever `most` says.
            self.used.fetch_add(passed, Relaxed);
        }
        result
    }

    /// The guest is left for a while, perhaps to go on on another thread.
    #[cold]
    pub(crate) fn pause(&self) {
        let since = self.since.swap(0, Relaxed);
        if since != 0 {
            let passed = cpu::thread_time().saturating_sub(since);
            self.used.fetch_add(passed, Relaxed);
        }
    }

    /// The guest goes on.
    #[cold]
    pub(crate) fn resume(&self) {
        self.since.store(cpu::thread_time().max(1), Relaxed);
    }

    /// Stops a call, if it is the one that the guest has, at the next tick.
    pub(crate) fn stop(&self, sid: Sid) {
        self.stop.store(sid.as_raw(), SeqCst);
    }

    /// Whether the call that the guest has is to be stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        let current = self.current.load(Relaxed);
        current != 0 && self.stop.load(SeqCst) == current
    }

    /// Why the guest was stopped, if it was.
    pub(crate) fn stopped(&self) -> Option<TrapCause> {
        match self.stopped.load(Relaxed) {
            RUNS => None,
            OUT_OF_BUDGET => {
                let limit = Duration::from_nanos(self.budget.load(Relaxed));
                Some(TrapCause::Budget { limit })
            }
            CANCELLED => Some(TrapCause::Cancelled),
            _ => None,
        }
    }
}
