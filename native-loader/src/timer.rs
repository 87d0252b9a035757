//! Wakes that plugins have asked for: one thread for all of them.
//!
//! The contract has `wake` not block. One that does delays the others' wakes, and nothing else.

use crate::context::{Context, Woken};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a plugin that is still being started is tried.
const AGAIN: Duration = Duration::from_millis(1);

/// Later than this is never.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

static TIMERS: Timers = Timers {
    state: Mutex::new(State { due: BinaryHeap::new(), asked: 0, runs: false }),
    changed: Condvar::new(),
};

struct Timers {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    due: BinaryHeap<Reverse<Timer>>,
    /// Timers that were ever asked for: of two for one moment, the first asked for is the first.
    asked: u64,
    runs: bool,
}

struct Timer {
    at: Instant,
    number: u64,
    context: &'static Context,
    token: u64,
}

impl Timer {
    /// Counts it as gone. The context may be freed from here on.
    fn end(self) {
        self.context.timers.fetch_sub(1, Release);
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timer {}

/// Why there will be no wake.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum NoTimer {
    /// The plugin has none to spare.
    TooMany,
    /// The system gives no thread.
    NoThread,
}

/// Has the plugin woken after `delay`.
pub(crate) fn ask(context: &'static Context, token: u64, delay: Duration) -> Result<(), NoTimer> {
    let at = Instant::now() + delay.min(NEVER);
    let count = context
        .timers
        .fetch_update(Relaxed, Relaxed, |count| (count < context.timer_limit).then_some(count + 1));
    count.map_err(|_| NoTimer::TooMany)?;
    let mut state = TIMERS.lock();
    if !state.runs {
        let thread = std::thread::Builder::new().name("ringbox-wakes".to_owned());
        if thread.spawn(run).is_err() {
            context.timers.fetch_sub(1, Relaxed);
            return Err(NoTimer::NoThread);
        }
        state.runs = true;
    }
    let number = state.asked;
    state.asked += 1;
    state.due.push(Reverse(Timer { at, number, context, token }));
    drop(state);
    TIMERS.changed.notify_one();
    // A plugin that has gone meanwhile may have been forgotten just before.
    if context.is_over() {
        forget(context);
    }
    Ok(())
}

/// Forgets what a plugin that is gone has asked for.
pub(crate) fn forget(context: &'static Context) {
    let mut state = TIMERS.lock();
    let before = state.due.len();
    state.due.retain(|Reverse(timer)| !std::ptr::eq(timer.context, context));
    context.timers.fetch_sub(before - state.due.len(), Release);
}

impl Timers {
    /// No plugin's code runs under this lock, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Timer {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let wait = match state.due.peek() {
                Some(Reverse(first)) if first.at <= now => None,
                Some(Reverse(first)) => Some(first.at - now),
                None => Some(NEVER),
            };
            match wait {
                None => {
                    if let Some(Reverse(timer)) = state.due.pop() {
                        return timer;
                    }
                }
                Some(wait) => {
                    let woken = self.changed.wait_timeout(state, wait);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

fn run() {
    loop {
        let timer = TIMERS.next();
        // Leaving the plugin may run users' wakers, which may panic.
        let woken = catch_unwind(AssertUnwindSafe(|| timer.context.wake(timer.token)));
        match woken {
            Ok(Woken::NotYet) => {
                let at = Instant::now() + AGAIN;
                TIMERS.lock().due.push(Reverse(Timer { at, ..timer }));
            }
            Ok(Woken::Done) => timer.end(),
            Err(panic) => {
                std::mem::forget(panic);
                timer.end();
            }
        }
    }
}
