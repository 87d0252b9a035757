//! One at a time: whoever has the turn runs what others left in the queue.
//!
//! `word` is the thread that had the turn last, by an address of its own, and below that:
//!
//! | bit | |
//! |---|---|
//! | `HELD` | somebody has the turn |
//! | `MORE` | whoever has it has to look into the queue before letting go |
//! | `WARM` | others wanted it while that thread had it, and none but that thread has had it since |
//!
//! | field | who may touch it, when |
//! |---|---|
//! | `inside` | whoever has the turn |
//! | `backlog` | anybody, as it says itself |
//!
//! Nobody waits until the turn is free. Who doesn't get it leaves a job in the queue, and then says
//! so in `word`: either the holder finds that when it lets go, or there is no holder any more, and
//! whoever left the job has the turn. So a job is run by somebody, always.
//!
//! What the turn is about lies in the cache of the core that had it last, and moving that takes as
//! long as several short jobs. So where threads contend for a turn it stays with one of them: one
//! that finds the turn free and `WARM` looks [`LOOKS`] times whether its last holder comes back,
//! and then leaves the job there. If it doesn't come back, the turn is this thread's, and not
//! `WARM` any more: so nobody waits in vain twice.

#![expect(unsafe_code, reason = "the word says who may touch the content")]

use crate::backlog::{Apart, Backlog, Claimed, Taker};
use crate::sid::Sid;
use crate::sync::{AtomicU64, Relaxed, SeqCst, UnsafeCell};
use std::fmt;

const HELD: u64 = 1;
const MORE: u64 = 2;
const WARM: u64 = 4;
/// No thread that would come back.
const NOBODY: u64 = 0;
const FLAGS: u64 = HELD | MORE | WARM;

/// How often a thread looks whether the last holder comes back: for a microsecond or so, what a
/// thread that makes one call after the other needs in between.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 24 };

/// Something that one thread at a time has, and a queue of what the others want done with it.
pub struct Turn<C, J> {
    word: Apart<AtomicU64>,
    inside: Apart<UnsafeCell<Inside<C, J>>>,
    backlog: Backlog<J>,
    most_jobs: usize,
    most_bytes: usize,
}

struct Inside<C, J> {
    content: C,
    taker: Taker<J>,
}

// SAFETY: what is inside goes from thread to thread with the turn, never shared (`Holding`), and so
// do jobs.
unsafe impl<C: Send, J: Send> Sync for Turn<C, J> {}

/// The queue has as much as it can hold. The job comes back.
#[derive(Debug)]
pub struct Full<J>(pub J);

/// The turn. To drop it without [`Holding::release`] is to keep it held for ever, unless somebody
/// takes it over ([`Turn::take_over`]).
#[must_use = "the turn is kept until it is released"]
pub struct Holding<'a, C, J> {
    turn: &'a Turn<C, J>,
}

impl<C, J> Turn<C, J> {
    /// A turn that nobody has, with room for so many jobs and so many bytes of them.
    pub fn new(content: C, most_jobs: usize, most_bytes: usize) -> Self {
        Self {
            word: Apart::new(AtomicU64::new(NOBODY)),
            inside: Apart::new(UnsafeCell::new(Inside { content, taker: Taker::new() })),
            backlog: Backlog::new(),
            most_jobs,
            most_bytes,
        }
    }

    /// Takes the turn if nobody has it, or is about to come back for it.
    #[inline(always)]
    pub fn take(&self) -> Option<Holding<'_, C, J>> {
        let me = me();
        let now = self.word.load(Relaxed);
        if now & !WARM == me && self.swap(now, now | HELD) {
            return Some(Holding { turn: self });
        }
        self.take_over_from(now, me)
    }

    /// The same for a thread that isn't the last that had it.
    #[inline(never)]
    fn take_over_from(&self, mut now: u64, me: u64) -> Option<Holding<'_, C, J>> {
        let mut looks = 0;
        loop {
            if now & HELD != 0 {
                return None;
            }
            if stays(now, me, &mut looks) {
                now = self.word.load(Relaxed);
                continue;
            }
            if self.swap(now, me | HELD) {
                return Some(Holding { turn: self });
            }
            now = self.word.load(Relaxed);
        }
    }

    #[inline(always)]
    fn swap(&self, now: u64, next: u64) -> bool {
        self.word.compare_exchange(now, next, SeqCst, Relaxed).is_ok()
    }

    /// Leaves a job of so many bytes for whoever has the turn. If that is nobody any more, it is
    /// now this thread. By its sid a call's job is found.
    ///
    /// # Errors
    /// The queue is full.
    pub fn push(
        &self,
        job: J,
        sid: Option<Sid>,
        bytes: usize,
    ) -> Result<Option<Holding<'_, C, J>>, Full<J>> {
        self.backlog.push(job, sid, bytes, self.most_jobs, self.most_bytes).map_err(Full)?;
        Ok(self.tell())
    }

    /// The same for a job that is not counted, since something else bounds how many there are.
    pub fn push_uncounted(&self, job: J, sid: Option<Sid>) -> Option<Holding<'_, C, J>> {
        self.backlog.push_uncounted(job, sid);
        self.tell()
    }

    /// Makes the holder look into the queue, or this thread the holder.
    fn tell(&self) -> Option<Holding<'_, C, J>> {
        let (me, mut looks) = (me(), 0);
        let mut now = self.word.load(Relaxed);
        loop {
            if now & HELD == 0 && stays(now, me, &mut looks) {
                now = self.word.load(Relaxed);
                continue;
            }
            let next = if now & HELD == 0 {
                me | HELD
            } else if now & !FLAGS == NOBODY || now & !FLAGS == me {
                // A runner's, say, or this very thread's, from inside of what it has the turn for.
                now | MORE
            } else {
                now | MORE | WARM
            };
            // A swap even where nothing changes: a plain look could be out of date.
            match self.word.compare_exchange(now, next, SeqCst, Relaxed) {
                Ok(_) if now & HELD == 0 => return Some(Holding { turn: self }),
                Ok(_) => return None,
                Err(seen) => now = seen,
            }
        }
    }

    /// Takes a call's job out of the queue.
    pub fn remove(&self, sid: Sid) -> Option<J> {
        self.backlog.remove(sid)
    }

    /// How many jobs are in the queue.
    pub fn queued(&self) -> usize {
        self.backlog.len()
    }

    /// Whether somebody has the turn.
    pub fn is_held(&self) -> bool {
        self.word.load(SeqCst) & HELD != 0
    }

    /// Takes the turn over from whoever dropped it without releasing it.
    ///
    /// # Safety
    /// The turn was taken, and its [`Holding`] given up for the sake of this one call: what was
    /// done with it happened before.
    pub unsafe fn take_over(&self) -> Holding<'_, C, J> {
        Holding { turn: self }
    }
}

/// Whether to look again before a turn that is free is taken from the thread that had it last.
#[inline(always)]
fn stays(now: u64, me: u64, looks: &mut u32) -> bool {
    let stays = now & WARM != 0 && now & !FLAGS != me && *looks < LOOKS;
    if stays {
        *looks += 1;
        pause();
    }
    stays
}

/// The calling thread, as no other is called that runs.
#[inline(always)]
fn me() -> u64 {
    #[cfg(not(loom))]
    {
        std::ptr::from_ref(crate::lane::here()).addr() as u64
    }
    // Loom's threads share a thread.
    #[cfg(loom)]
    {
        loom::thread_local!(static ME: Box<u64> = Box::new(0));
        ME.with(|me| std::ptr::from_ref(&**me).addr() as u64)
    }
}

const _: () = assert!(align_of::<crate::lane::Here>() as u64 > FLAGS);

fn pause() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

impl<'a, C, J> Holding<'a, C, J> {
    /// What the turn is about.
    #[inline(always)]
    pub fn content(&mut self) -> &mut C {
        &mut self.inside().content
    }

    #[inline(always)]
    fn inside(&mut self) -> &mut Inside<C, J> {
        self.turn.inside.with_mut(|inside| {
            // SAFETY: there is one `Holding` at a time (the word says so, and `take_over` asks for
            // it), and the reference borrows it.
            unsafe { &mut *inside }
        })
    }

    /// The next job in the queue, with what the turn is about.
    #[inline]
    pub fn next_job(&mut self) -> Option<(&mut C, Claimed<'_, J>)> {
        let turn = self.turn;
        let Inside { content, taker } = self.inside();
        Some((content, taker.next(&turn.backlog)?))
    }

    /// The next job, moved out of the queue.
    pub fn pop(&mut self) -> Option<J> {
        self.next_job().map(|(_, job)| job.into_job())
    }

    /// Whoever leaves a job after this sees all that this thread did before it, and what was left before
    /// is in the queue.
    pub fn look_again(&mut self) {
        self.turn.word.fetch_and(!MORE, SeqCst);
    }

    /// Keeps the turn held, for whoever takes it over.
    pub fn give_up(self) {
        // Down to `NOBODY`.
        self.turn.word.fetch_and(HELD | MORE, SeqCst);
    }

    /// Whether somebody left a job since the queue was last known to be empty.
    #[inline(always)]
    pub fn has_more(&self) -> bool {
        self.turn.word.load(Relaxed) & MORE != 0
    }

    /// Lets go.
    ///
    /// # Errors
    /// There are jobs in the queue: run them first.
    #[inline(always)]
    pub fn release(self) -> Result<(), Self> {
        let now = self.turn.word.load(Relaxed);
        if now & MORE == 0 && self.turn.swap(now, now & !HELD) {
            return Ok(());
        }
        // Taken back before the queue is looked into: what comes after that says so again.
        self.turn.word.fetch_and(!MORE, SeqCst);
        Err(self)
    }
}

impl<C, J> fmt::Debug for Turn<C, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("word", &*self.word).finish_non_exhaustive()
    }
}

impl<C, J> fmt::Debug for Holding<'_, C, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holding")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    /// A turn that this thread had last, while another wanted it.
    fn contended() -> Turn<(), u32> {
        let turn = Turn::new((), 8, 8);
        let mut holding = turn.take().expect("nobody has it");
        thread::scope(|scope| {
            scope.spawn(|| assert!(turn.push_uncounted(1, None).is_none(), "it is held"));
        });
        assert!(holding.has_more());
        assert_eq!(holding.pop(), Some(1));
        let holding = holding.release().expect_err("the queue is to be looked into");
        holding.release().expect("nobody left more");
        assert_ne!(turn.word.load(Relaxed) & WARM, 0);
        turn
    }

    #[test]
    fn a_contended_turn_is_taken_at_once_by_the_thread_that_had_it() {
        let turn = contended();
        turn.take().expect("it is free").release().expect("nobody left a job");
        assert_ne!(turn.word.load(Relaxed) & WARM, 0, "and stays with it");
    }

    #[test]
    fn a_contended_turn_is_anothers_if_the_thread_that_had_it_stays_away() {
        let turn = contended();
        thread::scope(|scope| {
            scope.spawn(|| turn.take().expect("it is free").release().expect("nobody left a job"));
        });
        assert_eq!(turn.word.load(Relaxed) & WARM, 0, "nobody waits in vain twice");
    }

    #[test]
    fn a_job_for_a_contended_turn_is_run_by_who_left_it_if_nobody_comes_back() {
        let turn = contended();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut holding = turn.push_uncounted(2, None).expect("nobody has it");
                assert_eq!(holding.pop(), Some(2));
                holding.release().expect("nobody left more");
            });
        });
    }

    #[test]
    fn room_that_a_burst_needed_is_given_back() {
        let turn = Turn::<(), u32>::new((), 8, 8);
        let mut holding = turn.take().expect("nobody has it");
        for job in 0..1000 {
            assert!(turn.push_uncounted(job, None).is_none(), "it is held");
        }
        while holding.pop().is_some() {}
        assert!(turn.backlog.room() <= 32);
        holding.release().expect_err("the queue is to be looked into").release().expect("it was");
    }

    #[test]
    fn nobody_waits_for_a_runner_to_come_back() {
        let turn = Turn::<(), u32>::new((), 8, 8);
        turn.take().expect("nobody has it").give_up();
        assert!(turn.push_uncounted(1, None).is_none(), "it is held");
        // SAFETY: the holding of above was given up.
        let holding = unsafe { turn.take_over() };
        let holding = holding.release().expect_err("the queue is to be looked into");
        holding.release().expect("nobody left more");
        assert_eq!(turn.word.load(Relaxed), NOBODY);
    }
}
