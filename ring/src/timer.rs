//! Deadlines. They stand in the slots; one thread looks at them when the earliest is due.
//!
//! A call that suspends writes its deadline into its slot, and lowers its chunk's `earliest` and
//! the timer's `next` if they are later: with equal deadlines they never are, so arming is a
//! clock read, a store and two loads. A call that ends takes its deadline back by a store. Nothing
//! is allocated or locked.
//!
//! A pass of the timer first takes `next` and the due chunks' `earliest` away (sets them to
//! never), then fences, then looks at those chunks' slots and puts back the earliest deadline that
//! it found. Whoever arms meanwhile writes first, fences, and then looks at the two: either it
//! finds them taken away and lowers them, or the pass finds its deadline (see [`crate::fence`]).
//!
//! A stream's reader has a deadline for each wait. One that was woken by a frame is never ended by
//! the timer, however late it comes to read it.
//!
//! (Rejected: a wheel or a heap under a lock, 40 ns and an allocation for each suspended call.)

use crate::clock;
use crate::error::Fault;
use crate::fence;
use crate::sid::{GENERATION_MASK, INDEX_MASK, Sid};
use crate::slot::{NEVER, OPEN, OPEN_WAITED, Outcome, STREAM, Slot, is_busy};
use crate::sync::{Acquire, AtomicU64, Relaxed, SeqCst};
use std::task::Waker;
use std::time::Duration;

/// How soon a slot is looked at again that was just passing from one call or port to the next.
const AGAIN: u64 = 1_000_000;

/// What a pass leaves to do once it has looked at everything.
#[derive(Default)]
pub(crate) struct Due {
    /// A call has its answer and its deadline passes: its waker may be one that was put off.
    pub(crate) put_off: bool,
    pub(crate) wakers: Vec<Waker>,
    /// Slots whose waiter left while they were ended: they are the pass's to release.
    pub(crate) orphans: Vec<Sid>,
}

/// The moment at which the timer looks again.
pub(crate) struct Timer {
    next: AtomicU64,
}

impl Timer {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self { next: AtomicU64::new(NEVER) }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self { next: AtomicU64::new(NEVER) }
    }

    /// Arms the slot's deadline. True: the timer has to be told, since it would look too late.
    #[inline]
    #[must_use]
    pub(crate) fn arm(&self, slot: &Slot, earliest: &AtomicU64, at: u64) -> bool {
        slot.deadline.store(at, Relaxed);
        fence::light();
        if earliest.load(Relaxed) > at {
            earliest.fetch_min(at, SeqCst);
        }
        fence::light();
        self.next.load(Relaxed) > at && self.next.fetch_min(at, SeqCst) > at
    }

    /// Ends every call whose deadline is at or before `now`. Returns when to look again.
    ///
    /// `chunks` is asked once `next` is taken away: a chunk that is made later has its calls armed
    /// later, and they find that.
    pub(crate) fn pass<'a, C>(&self, chunks: impl FnOnce() -> C, now: u64, due: &mut Due) -> u64
    where
        C: Iterator<Item = (&'a AtomicU64, &'a [Slot])>,
    {
        self.next.store(NEVER, SeqCst);
        fence::heavy();
        let mut next = NEVER;
        let mut taken = Vec::new();
        for (earliest, slots) in chunks() {
            let at = earliest.load(Acquire);
            if at <= now {
                earliest.store(NEVER, SeqCst);
                taken.push((earliest, slots));
            } else {
                next = next.min(at);
            }
        }
        fence::heavy();
        for (earliest, slots) in taken {
            let left = slots.iter().map(|slot| look(slot, now, due)).min().unwrap_or(NEVER);
            earliest.fetch_min(left, SeqCst);
            next = next.min(left);
        }
        self.next.fetch_min(next, SeqCst).min(next)
    }
}

/// Ends the slot's call if it is due. Returns when to look at the slot again.
fn look(slot: &Slot, now: u64, due: &mut Due) -> u64 {
    let word = slot.word.load(Acquire);
    let at = slot.deadline.load(Acquire);
    if at == NEVER || at > now {
        return at;
    }
    let sid = Sid::from_raw((word & GENERATION_MASK) | u64::from(slot.index));
    let fault = Fault::Deadline { after: Duration::ZERO };
    let state = word & INDEX_MASK;
    let outcome = if state & STREAM != 0 {
        match slot.end_waiting_stream(sid, now, fault) {
            Some(outcome) => outcome,
            // The reader was woken: it takes the deadline back, or arms it again, or has done so.
            None => {
                due.put_off = true;
                let at = slot.deadline.load(Acquire);
                return if at > now { at } else { NEVER };
            }
        }
    } else if state == OPEN || state == OPEN_WAITED {
        slot.end(sid, |_| true, fault)
    } else if !is_busy(word) && slot.word.load(Acquire) == word {
        // The answer is there: its waiter takes the deadline back.
        due.put_off = true;
        return NEVER;
    } else {
        // An answer is coming in, or the call is being handed over and stays open.
        return now.saturating_add(AGAIN);
    };
    match outcome {
        Outcome::Delivered(waker) => due.wakers.extend(waker),
        Outcome::Orphaned => due.orphans.push(sid),
        // The slot went on to another call meanwhile, whose deadline this may be.
        Outcome::Dropped(_) => return now.saturating_add(AGAIN),
    }
    NEVER
}

#[cfg(not(loom))]
static TIMER: Timer = Timer::new();

/// Ends the call of `slot` at `at`, unless it is over before. The waiter calls it each time that
/// it goes to wait, after it left its waker.
#[cfg(not(loom))]
#[inline]
pub(crate) fn arm(slot: &'static Slot, at: u64) {
    let chunk = crate::lane::chunk_of_slot(slot);
    if TIMER.arm(slot, &chunk.earliest, at) {
        thread::tell();
    }
}

#[cfg(loom)]
pub(crate) fn arm(_: &'static Slot, _: u64) {
    unreachable!("the models arm timers of their own")
}

/// Takes the deadline back. The waiter does so before it lets go of the slot.
#[inline(always)]
pub(crate) fn disarm(slot: &Slot) {
    if slot.deadline.load(Relaxed) != NEVER {
        slot.deadline.store(NEVER, Relaxed);
    }
}

#[cfg(not(loom))]
pub(crate) use thread::start;

#[cfg(loom)]
pub(crate) fn start() -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(loom))]
mod thread {
    use super::{Due, NEVER, TIMER, clock};
    use crate::wake::{contain, run_everybodys_deferred, wake};
    use crate::{lane, port};
    use std::io;
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::thread::{self, Thread};
    use std::time::Duration;

    static THREAD: OnceLock<Thread> = OnceLock::new();

    /// Starts the timer if it doesn't run yet: before the first call that could need it.
    pub(crate) fn start() -> io::Result<()> {
        static STARTING: Mutex<()> = Mutex::new(());
        let _one = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if THREAD.get().is_none() {
            let timer = thread::Builder::new().name("ringbox-timer".into()).spawn(run)?;
            THREAD.get_or_init(|| timer.thread().clone());
        }
        Ok(())
    }

    /// Has the timer look at its next deadline again.
    #[cold]
    pub(super) fn tell() {
        if let Some(timer) = THREAD.get() {
            timer.unpark();
        }
    }

    fn run() {
        lane::here().become_timer();
        loop {
            let chunks = || lane::chunks().map(|chunk| (&chunk.earliest, &chunk.slots[..]));
            let mut due = Due::default();
            let next = TIMER.pass(chunks, clock::now(), &mut due);
            for sid in due.orphans {
                // It may hold what the plugin lent, whose code then runs.
                contain(|| port::release_orphan(sid));
            }
            due.wakers.into_iter().for_each(wake);
            if due.put_off {
                run_everybodys_deferred();
            }
            match next {
                NEVER => thread::park(),
                at => {
                    let wait = at.saturating_sub(clock::now());
                    thread::park_timeout(Duration::from_nanos(wait));
                }
            }
        }
    }
}
