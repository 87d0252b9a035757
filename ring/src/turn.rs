//! One at a time: whoever has the turn runs what others left in the queue.
//!
//! | `word` | |
//! |---|---|
//! | 0 | nobody has the turn, and the queue is empty |
//! | `HELD` | somebody has it |
//! | `HELD \| MORE` | somebody has it, and has to look into the queue before letting go |
//!
//! | field | who may touch it, when |
//! |---|---|
//! | `content` | whoever has the turn |
//! | `queue` | anybody, under its lock, which is held for a push or a pop and nothing else |
//!
//! Nobody waits for the turn. Who doesn't get it leaves a job in the queue, and then says so in
//! `word`: either the holder finds that when it lets go, or there is no holder any more, and whoever
//! left the job has the turn. So a job is run by somebody, always.

#![expect(unsafe_code, reason = "the word says who may touch the content")]

use crate::sync::{AtomicU32, Mutex, MutexGuard, Relaxed, SeqCst, UnsafeCell};
use std::collections::VecDeque;
use std::fmt;
use std::sync::PoisonError;

const HELD: u32 = 1;
const MORE: u32 = 2;

/// Something that one thread at a time has, and a queue of what the others want done with it.
pub struct Turn<C, J> {
    word: AtomicU32,
    queue: Mutex<Queue<J>>,
    content: UnsafeCell<C>,
    most_jobs: usize,
    most_bytes: usize,
}

struct Queue<J> {
    jobs: VecDeque<(J, Option<usize>)>,
    counted: usize,
    bytes: usize,
}

// SAFETY: the content goes from thread to thread with the turn, never shared (`Holding`); jobs go
// through a mutex.
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
            word: AtomicU32::new(0),
            queue: Mutex::new(Queue { jobs: VecDeque::new(), counted: 0, bytes: 0 }),
            content: UnsafeCell::new(content),
            most_jobs,
            most_bytes,
        }
    }

    /// Takes the turn if nobody has it.
    #[inline(always)]
    pub fn take(&self) -> Option<Holding<'_, C, J>> {
        let taken = self.word.compare_exchange(0, HELD, SeqCst, Relaxed).is_ok();
        taken.then_some(Holding { turn: self })
    }

    /// Leaves a job of so many bytes for whoever has the turn. If that is nobody any more, it is
    /// now this thread.
    ///
    /// # Errors
    /// The queue is full.
    pub fn push(&self, job: J, bytes: usize) -> Result<Option<Holding<'_, C, J>>, Full<J>> {
        let mut queue = self.queue();
        let fits =
            queue.counted < self.most_jobs && bytes <= self.most_bytes.saturating_sub(queue.bytes);
        if !fits {
            return Err(Full(job));
        }
        queue.counted += 1;
        queue.bytes += bytes;
        queue.jobs.push_back((job, Some(bytes)));
        drop(queue);
        Ok(self.tell())
    }

    /// The same for a job that is not counted, since something else bounds how many there are.
    pub fn push_uncounted(&self, job: J) -> Option<Holding<'_, C, J>> {
        self.queue().jobs.push_back((job, None));
        self.tell()
    }

    /// Makes the holder look into the queue, or this thread the holder.
    fn tell(&self) -> Option<Holding<'_, C, J>> {
        let mut now = self.word.load(Relaxed);
        loop {
            let next = if now == 0 { HELD } else { now | MORE };
            // A swap even where nothing changes: a plain look could be out of date.
            match self.word.compare_exchange(now, next, SeqCst, Relaxed) {
                Ok(0) => return Some(Holding { turn: self }),
                Ok(_) => return None,
                Err(seen) => now = seen,
            }
        }
    }

    /// Takes the first job for which `wanted` holds out of the queue.
    pub fn remove(&self, wanted: impl Fn(&J) -> bool) -> Option<J> {
        let mut queue = self.queue();
        let at = queue.jobs.iter().position(|(job, _)| wanted(job))?;
        let (job, bytes) = queue.jobs.remove(at)?;
        queue.forget(bytes);
        Some(job)
    }

    /// Whether a job for which `wanted` holds is in the queue.
    pub fn has(&self, wanted: impl Fn(&J) -> bool) -> bool {
        self.queue().jobs.iter().any(|(job, _)| wanted(job))
    }

    /// How many jobs are in the queue.
    pub fn queued(&self) -> usize {
        self.queue().jobs.len()
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

    fn queue(&self) -> MutexGuard<'_, Queue<J>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> Queue<J> {
    fn forget(&mut self, bytes: Option<usize>) {
        if let Some(bytes) = bytes {
            self.counted -= 1;
            self.bytes -= bytes;
        }
    }
}

impl<'a, C, J> Holding<'a, C, J> {
    /// What the turn is about.
    #[inline(always)]
    pub fn content(&mut self) -> &mut C {
        self.turn.content.with_mut(|content| {
            // SAFETY: there is one `Holding` at a time (the word says so, and `take_over` asks for
            // it), and the reference borrows it.
            unsafe { &mut *content }
        })
    }

    /// The next job in the queue.
    pub fn pop(&mut self) -> Option<J> {
        let mut queue = self.turn.queue();
        let (job, bytes) = queue.jobs.pop_front()?;
        queue.forget(bytes);
        Some(job)
    }

    /// Keeps the turn held, for whoever takes it over.
    pub fn give_up(self) {}

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
        if self.turn.word.compare_exchange(HELD, 0, SeqCst, Relaxed).is_ok() {
            return Ok(());
        }
        // Taken back before the queue is looked into: what comes after that says so again.
        self.turn.word.fetch_and(!MORE, SeqCst);
        Err(self)
    }
}

impl<C, J> fmt::Debug for Turn<C, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("word", &self.word).finish_non_exhaustive()
    }
}

impl<C, J> fmt::Debug for Holding<'_, C, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holding")
    }
}
