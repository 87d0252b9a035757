//! Two threads that work at the same time, and what a message between them costs.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

const RESTING: u32 = 0;
const CALLED: u32 = 1;
const READY: u32 = 2;
const WORKING: u32 = 3;
const OVER: u32 = 4;

struct Second {
    state: AtomicU32,
    turns: AtomicU64,
}

impl Second {
    fn work(&self, work: &(impl Fn(u64) + Sync)) {
        loop {
            match self.state.load(Ordering::Acquire) {
                RESTING => thread::park(),
                OVER => return,
                _ => {
                    self.state.store(READY, Ordering::Release);
                    self.wait_while(READY);
                    work(self.turns.load(Ordering::Relaxed));
                    self.state.store(RESTING, Ordering::Release);
                }
            }
        }
    }

    fn wait_while(&self, state: u32) {
        while self.state.load(Ordering::Acquire) == state {
            std::hint::spin_loop();
        }
    }

    /// Times `work` here and the second thread's work there. It is awake before the time runs, and
    /// asleep again when this returns, so it takes nothing from what is measured next.
    fn time(&self, thread: &Thread, turns: u64, work: impl Fn(u64)) -> Duration {
        self.turns.store(turns, Ordering::Relaxed);
        self.state.store(CALLED, Ordering::Release);
        thread.unpark();
        self.wait_while(CALLED);
        let start = Instant::now();
        self.state.store(WORKING, Ordering::Release);
        work(turns);
        self.wait_while(WORKING);
        start.elapsed()
    }
}

/// Ends the second thread, however it is left.
struct Ending<'a>(&'a Second, Thread);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.state.store(OVER, Ordering::Release);
        self.1.unpark();
    }
}

/// Hands `measure` what times `first` on this thread and `second` on another, at the same time. The
/// other thread is kept from one turn to the next.
pub fn both<R>(
    first: impl Fn(u64),
    second: impl Fn(u64) + Sync,
    measure: impl FnOnce(&mut dyn FnMut(u64) -> Duration) -> R,
) -> R {
    let state = Second { state: AtomicU32::new(RESTING), turns: AtomicU64::new(0) };
    thread::scope(|scope| {
        let thread = scope.spawn(|| state.work(&second)).thread().clone();
        let ending = Ending(&state, thread);
        measure(&mut |turns| state.time(&ending.1, turns, &first))
    })
}

/// The same for a cache line that two threads hand to and fro.
pub fn ping_pong<R>(measure: impl FnOnce(&mut dyn FnMut(u64) -> Duration) -> R) -> R {
    let ball = AtomicU32::new(0);
    let play = |turns, mine, theirs| {
        for _ in 0..turns {
            while ball.load(Ordering::Acquire) != mine {
                std::hint::spin_loop();
            }
            ball.store(theirs, Ordering::Release);
        }
    };
    both(|turns| play(turns, 0, 1), |turns| play(turns, 1, 0), measure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn both_threads_do_every_turn() {
        let (here, there) = (AtomicU64::new(0), AtomicU64::new(0));
        let add = |to: &AtomicU64, turns| {
            to.fetch_add(turns, Ordering::Relaxed);
        };
        both(
            |turns| add(&here, turns),
            |turns| add(&there, turns),
            |time| {
                (0..100).for_each(|turns| {
                    time(turns);
                });
            },
        );
        assert_eq!((here.into_inner(), there.into_inner()), (4950, 4950));
    }

    #[test]
    fn the_ball_comes_back() {
        assert!(ping_pong(|time| time(1000)) > Duration::ZERO);
    }
}
