//! The bounded queue of one stream's frames. The slot's word is its lock, its tail and its flags.
//!
//! ```text
//!  62        20   19      18     17      16     15     14         13       0
//! [generation] [STREAM][LOCKED][WAITED][OVER][GONE][BY_HOST]  [ tail, 14 bits ]
//! ```
//!
//! | what | who may touch it |
//! |---|---|
//! | the entry at the tail, `sent` | the sender that set LOCKED |
//! | entries from the head to the tail, the head, `taken` | the reader |
//! | waker | the reader while WAITED is clear, else the sender that set LOCKED |
//! | the slot's payload (the fault that ended the stream) | who set LOCKED; the reader once OVER is set |
//! | the queue itself | whoever opens or releases the slot |
//!
//! OVER is set with the terminal frame, or with the host's fault (then BY_HOST too), and no
//! sender touches anything after it. A reader that leaves while LOCKED is set leaves GONE behind,
//! and the sender, instead of unlocking, ends the generation and frees the slot. The terminal frame has an entry of its own, so a full queue
//! never keeps a stream from ending.
//!
//! While the calling thread is inside the stream's dispatch there is no reader, and the lock is
//! biased: that thread sends without it, and any other contends first (see [`crate::slot`]).
//!
//! Whether the queue is full is asked under the lock: a head
//! read before it may belong to another time than the tail, or to another stream.

#![expect(unsafe_code, reason = "the word decides who may touch the cells")]

use crate::error::Fault;
use crate::fence;
use crate::payload::{Answer, Payload};
use crate::sid::{GENERATION_MASK, INDEX_MASK, Sid};
use crate::slot::{
    ANSWERING, BIASED, ENDED, FREE, Left, Outcome, Reason, STREAM, Seen, Slot, why_over, word,
};
use crate::sync::{
    AcqRel, Acquire, AtomicU32, AtomicU64, Relaxed, Release, SeqCst, UnsafeCell, backoff,
};
use ringbox_abi::RawStatus;
use std::task::Waker;

const LOCKED: u64 = 1 << 18;
const WAITED: u64 = 1 << 17;
const OVER: u64 = 1 << 16;
const GONE: u64 = 1 << 15;
const BY_HOST: u64 = 1 << 14;
const TAIL: u64 = BY_HOST - 1;

/// `contended`: somebody wants the lock of a biased stream.
const ASKED: u8 = 1;
/// The same, and the thread inside has seen it. Only that thread sets it: by anybody else it could
/// come when the slot serves another stream already.
const KNOWN: u8 = 2;

/// How many bytes of buffers a queue keeps for the next stream.
const KEEP_QUEUED: usize = 256 << 10;

/// The most frames that a queue can be made for.
pub(crate) const MAX_FRAMES: usize = 1 << 13;
// The ring of entries is a power of two that has room for the terminal frame as well.
const _: () = assert!((MAX_FRAMES + 1).next_power_of_two() as u64 <= TAIL + 1);
const _: () = assert!(STREAM | LOCKED | WAITED | OVER | GONE | BY_HOST | TAIL == INDEX_MASK);

pub(crate) struct Queue {
    entries: Box<[UnsafeCell<Payload>]>,
    frames: usize,
    /// How many bytes may queue.
    limit: u64,
    /// Bytes that were ever queued. The sender with the lock writes it.
    sent: UnsafeCell<u64>,
    /// Bytes that were ever given back. The reader writes it.
    taken: AtomicU64,
    /// Frames that were ever given back. The reader writes it.
    head: AtomicU32,
}

impl Queue {
    /// # Panics
    /// Never for `1 <= frames <= MAX_FRAMES`, which `Limits` sees to.
    pub(crate) fn new(frames: usize) -> Box<Self> {
        assert!((1..=MAX_FRAMES).contains(&frames), "a queue of {frames} frames");
        let entries = (0..(frames + 1).next_power_of_two())
            .map(|_| UnsafeCell::new(Payload::new()))
            .collect();
        Box::new(Self {
            entries,
            frames,
            limit: 0,
            sent: UnsafeCell::new(0),
            taken: AtomicU64::new(0),
            head: AtomicU32::new(0),
        })
    }

    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// Makes a queue that nobody else sees ready for another stream.
    pub(crate) fn reset(&mut self, limit: usize) {
        self.limit = limit as u64;
        self.sent = UnsafeCell::new(0);
        self.taken = AtomicU64::new(0);
        self.head = AtomicU32::new(0);
    }

    /// Gives back what frames hold that were never read, and all buffers but a few.
    pub(crate) fn trim(&mut self) {
        let mut kept = 0;
        for entry in &self.entries {
            entry.with_mut(|payload| {
                // SAFETY: `&mut self`: nobody else has the entries.
                let payload = unsafe { &mut *payload };
                payload.trim();
                kept += payload.capacity();
                if kept > KEEP_QUEUED {
                    payload.shed();
                }
            });
        }
    }

    /// Whether there is no room for a frame of so many bytes. For the lock holder, whose word was
    /// `now`.
    #[inline(always)]
    fn is_full(&self, now: u64, bytes: u64) -> bool {
        let used = (now & TAIL).wrapping_sub(u64::from(self.head.load(Acquire))) & TAIL;
        // SAFETY: `sent` is the lock holder's.
        let sent = self.sent.with(|sent| unsafe { *sent });
        let queued = sent.wrapping_sub(self.taken.load(Relaxed));
        // One frame always fits into an empty queue: its own limit is the answer's.
        used >= self.frames as u64 || (used > 0 && queued + bytes > self.limit)
    }

    #[inline(always)]
    fn entry(&self, position: u32) -> &UnsafeCell<Payload> {
        &self.entries[position as usize & (self.entries.len() - 1)]
    }
}

/// What a frame goes in with.
pub(crate) struct Sending<'a> {
    pub(crate) answer: Answer<'a>,
    /// The stream ends with this frame.
    pub(crate) last: bool,
    /// This thread is inside dispatch for this very sid, so no reader exists yet.
    pub(crate) inside: bool,
}

/// What became of a frame.
#[derive(Debug)]
#[must_use]
pub(crate) enum Sent {
    /// As an answer would have fared.
    As(Outcome),
    /// There is no room for it now.
    Full,
}

/// The word of a stream whose lock is taken at the word `now`.
#[inline(always)]
fn locked(now: u64) -> u64 {
    (now | LOCKED) & !WAITED
}

/// How a sender leaves the lock.
enum Unlock {
    Clear(Option<Waker>),
    ReaderGone,
}

impl Slot {
    /// `FREE` to an open, empty stream. The caller took the slot from a list.
    #[inline]
    pub(crate) fn open_stream(&self, owner: *mut (), queue: Box<Queue>) -> Sid {
        let generation = self.word.load(Relaxed);
        debug_assert_eq!(generation & INDEX_MASK, FREE);
        self.answering.store(BIASED, Relaxed);
        self.contended.store(0, Relaxed);
        self.owner.store(owner, Release);
        // SAFETY: a free slot is its opener's alone.
        let old = self.queue.with_mut(|cell| unsafe { (*cell).replace(queue) });
        debug_assert!(old.is_none());
        self.word.store(generation | STREAM, Release);
        Sid::from_raw(generation | u64::from(self.index))
    }

    /// Dispatch has returned: from here on the calling thread is like any other.
    #[inline(always)]
    pub(crate) fn left_stream_dispatch(&self) {
        self.answering.store(0, Release);
    }

    /// The queue of the stream that is open.
    ///
    /// # Safety
    /// The caller is the stream's reader, or a sender that holds the lock or answers inside.
    #[inline(always)]
    unsafe fn stream_queue(&self) -> &Queue {
        self.queue.with(|cell| {
            // SAFETY: the queue is put in before the word that opens the stream and taken out
            // after the reader and the last lock holder are gone: the caller is one of them.
            let queue = unsafe { &*cell };
            debug_assert!(queue.is_some());
            // SAFETY: as above, it is there for as long as the stream is open.
            unsafe { queue.as_deref().unwrap_unchecked() }
        })
    }

    /// Takes the lock of an open stream: the word as it was, without LOCKED.
    #[inline(always)]
    fn lock(&self, sid: Sid, mine: impl Fn(&Self) -> bool) -> Result<u64, Reason> {
        let now = self.word.load(Acquire);
        // Asked after the word: what is found belongs to its generation, or to a later one.
        if now & GENERATION_MASK == sid.generation() && self.answering.load(Acquire) & BIASED != 0 {
            self.contend_for_stream(sid);
        }
        self.lock_unbiased(sid, mine)
    }

    /// Waits until the thread that is inside the stream's dispatch will send by the lock only, or
    /// has left.
    #[cold]
    #[inline(never)]
    fn contend_for_stream(&self, sid: Sid) {
        // Dispatch returns at once, as a rule. (The models show what happens where it doesn't.)
        #[cfg(not(loom))]
        for mut turn in 0..50 {
            if self.answering.load(Acquire) & BIASED == 0 {
                return;
            }
            backoff(&mut turn);
        }
        if self.contended.load(Acquire) == KNOWN {
            return;
        }
        self.contended.store(ASKED, SeqCst);
        fence::heavy();
        let mut turn = 0;
        // The slot may serve another call by now, whose flags are no business of this one's.
        while self.word.load(Acquire) & GENERATION_MASK == sid.generation()
            && self.answering.load(Acquire) & ANSWERING != 0
        {
            backoff(&mut turn);
        }
    }

    /// [`lock`](Self::lock) on the thread that is inside the stream's dispatch.
    #[inline(always)]
    fn lock_unbiased(&self, sid: Sid, mine: impl Fn(&Self) -> bool) -> Result<u64, Reason> {
        let mut now = self.word.load(Acquire);
        let mut turn = 0;
        loop {
            if now & GENERATION_MASK != sid.generation() {
                return Err(why_over(sid, now));
            }
            if !mine(self) {
                return Err(Reason::Foreign);
            }
            if now & (STREAM | OVER | GONE) != STREAM {
                return Err(why_stream_over(sid, now));
            }
            if now & LOCKED != 0 {
                backoff(&mut turn);
                now = self.word.load(Acquire);
                continue;
            }
            match self.word.compare_exchange(now, locked(now), Acquire, Acquire) {
                Ok(_) => return Ok(now),
                Err(newer) => now = newer,
            }
        }
    }

    /// Lets go of the lock that was taken at the word `was`, leaving `next`. `waker` is the
    /// reader's, to be woken.
    #[inline(always)]
    fn unlock(&self, was: u64, next: u64, waker: Option<Waker>, inside: bool) -> Unlock {
        if inside {
            self.word.store(next, Release);
            return Unlock::Clear(waker);
        }
        // Acquire where it fails, too: the slot is then freed after all that the reader did.
        match self.word.compare_exchange(locked(was), next, AcqRel, Acquire) {
            Ok(_) => Unlock::Clear(waker),
            Err(_) => self.reader_gone(was, waker),
        }
    }

    /// The reader left GONE behind. Nobody else changes a word with that and LOCKED, and no other
    /// sender may find the stream open again.
    #[cold]
    fn reader_gone(&self, was: u64, waker: Option<Waker>) -> Unlock {
        self.word.store(was & GENERATION_MASK | ENDED, Release);
        drop(waker);
        Unlock::ReaderGone
    }

    /// Queues a frame, from any thread at any time.
    #[inline(always)]
    pub(crate) fn send(&self, sid: Sid, owner: *mut (), sending: Sending<'_>) -> Sent {
        let Sending { answer, last, inside } = sending;
        let mine = |slot: &Self| slot.owner.load(Relaxed) == owner;
        let now = if inside { self.lock_unbiased(sid, mine) } else { self.lock(sid, mine) };
        let now = match now {
            Ok(now) => now,
            Err(reason) => return Sent::As(Outcome::Dropped(reason)),
        };
        // SAFETY: this thread holds the lock.
        let queue = unsafe { self.stream_queue() };
        let tail = (now & TAIL) as u32;
        let bytes = answer.len() as u64;
        if !last && queue.is_full(now, bytes) {
            // The waker was not taken: WAITED goes back as it was.
            return match self.unlock(now, now, None, inside) {
                Unlock::Clear(_) => Sent::Full,
                Unlock::ReaderGone => Sent::As(Outcome::Orphaned),
            };
        }
        // SAFETY: the entry at the tail is the lock holder's, and there is room for it.
        let filled = queue.entry(tail).with_mut(|entry| unsafe { &mut *entry }.try_fill(answer));
        if let Err(fault) = filled {
            return Sent::As(self.end_locked(sid, now, fault));
        }
        let waker = if now & WAITED == 0 { None } else { self.take_waker() };
        // SAFETY: `sent` is the lock holder's.
        queue.sent.with_mut(|total| unsafe { *total += bytes });
        let over = if last { OVER } else { 0 };
        let next = word(sid, STREAM) | over | (u64::from(tail + 1) & TAIL);
        match self.unlock(now, next, waker, inside) {
            Unlock::Clear(waker) => Sent::As(Outcome::Delivered(waker)),
            Unlock::ReaderGone => Sent::As(Outcome::Orphaned),
        }
    }

    /// Whether a frame of so many bytes would be taken now: before somebody copies them for nothing.
    pub(crate) fn would_take(&self, sid: Sid, owner: *mut (), bytes: usize) -> Result<(), Sent> {
        let now = self
            .lock(sid, |slot| slot.owner.load(Relaxed) == owner)
            .map_err(|reason| Sent::As(Outcome::Dropped(reason)))?;
        // SAFETY: this thread holds the lock.
        let full = unsafe { self.stream_queue() }.is_full(now, bytes as u64);
        match self.unlock(now, now, None, false) {
            Unlock::Clear(_) if full => Err(Sent::Full),
            Unlock::Clear(_) => Ok(()),
            Unlock::ReaderGone => Err(Sent::As(Outcome::Orphaned)),
        }
    }

    /// [`send`](Self::send) of bytes to copy that don't end the stream, on the thread that is inside
    /// its dispatch, without a locked instruction. False: nothing happened.
    #[inline(always)]
    pub(crate) fn copy_frame_inside(
        &self,
        sid: Sid,
        owner: *mut (),
        status: RawStatus,
        bytes: &[u8],
    ) -> bool {
        let now = self.word.load(Relaxed);
        let plain = now & INDEX_MASK & !TAIL == STREAM;
        if !plain || !self.is_word_of(now, sid) || self.owner.load(Relaxed) != owner {
            return false;
        }
        self.answering.store(BIASED | ANSWERING, Relaxed);
        fence::light();
        // The word is what it was: who changes it asks first, and has not.
        let asked = self.contended.load(Relaxed) != 0;
        let sent = !asked && self.push_inside(now, status, bytes);
        if asked {
            self.contended.store(KNOWN, Release);
        }
        if sent {
            // Nobody waits for a stream that has no reader yet, and its tail is below `frames`: there
            // is no other flag to clear, and the tail does not run over.
            self.word.store(now + 1, Release);
        }
        self.answering.store(BIASED, Release);
        sent
    }

    /// Puts a frame at the tail of a queue that nobody reads yet, if there is room.
    #[inline(always)]
    fn push_inside(&self, now: u64, status: RawStatus, bytes: &[u8]) -> bool {
        // SAFETY: this thread answers inside.
        let queue = unsafe { self.stream_queue() };
        let tail = (now & TAIL) as u32;
        // SAFETY: `sent` is this thread's for as long as it answers inside.
        let sent = queue.sent.with(|sent| unsafe { *sent });
        let total = sent + bytes.len() as u64;
        if tail as usize >= queue.frames || (tail > 0 && total > queue.limit) {
            return false;
        }
        let entry = queue.entry(tail).get_mut();
        // SAFETY: so is the entry at the tail, and there is room for it.
        let entry = unsafe { entry.deref() };
        // A buffer that is too small for the frame is made under the lock.
        if !entry.copy_if_room(status, bytes) {
            return false;
        }
        // SAFETY: as above.
        queue.sent.with_mut(|sent| unsafe { *sent = total });
        true
    }

    /// The host ends the stream: what is queued stays, then comes the fault.
    #[cold]
    pub(crate) fn end_stream(
        &self,
        sid: Sid,
        mine: impl Fn(&Self) -> bool,
        fault: Fault,
    ) -> Outcome {
        match self.lock(sid, mine) {
            Ok(now) => self.end_locked(sid, now, fault),
            Err(reason) => Outcome::Dropped(reason),
        }
    }

    /// The same, if the reader waits, has not been woken, and was to be by `due`. None: it has
    /// something to look at, or waits anew.
    #[cold]
    pub(crate) fn end_waiting_stream(&self, sid: Sid, due: u64, fault: Fault) -> Option<Outcome> {
        match self.lock(sid, |_| true) {
            // The reader took the last wait's deadline back before it set WAITED for this one.
            Ok(now) if now & WAITED != 0 && self.deadline.load(Relaxed) <= due => {
                Some(self.end_locked(sid, now, fault))
            }
            Ok(now) => match self.unlock(now, now, None, false) {
                Unlock::Clear(_) => None,
                Unlock::ReaderGone => Some(Outcome::Orphaned),
            },
            Err(reason) => Some(Outcome::Dropped(reason)),
        }
    }

    /// Gives the stream to another port. Its reader notices nothing.
    #[cold]
    pub(crate) fn hand_over_stream(
        &self,
        sid: Sid,
        mine: impl Fn(&Self) -> bool,
        to: *mut (),
        inside: bool,
    ) -> Outcome {
        // The thread inside the stream's dispatch does not contend with itself.
        let now = if inside { self.lock_unbiased(sid, mine) } else { self.lock(sid, mine) };
        match now {
            Ok(now) => {
                self.owner.store(to, Release);
                match self.unlock(now, now, None, false) {
                    Unlock::Clear(_) => Outcome::Delivered(None),
                    Unlock::ReaderGone => Outcome::Orphaned,
                }
            }
            Err(reason) => Outcome::Dropped(reason),
        }
    }

    fn end_locked(&self, sid: Sid, now: u64, fault: Fault) -> Outcome {
        let waker = if now & WAITED == 0 { None } else { self.take_waker() };
        // SAFETY: under the lock the payload is this thread's; the reader looks at it when OVER
        // is set, which happens once.
        unsafe { self.payload_mut() }.fill(Answer::Fault(fault));
        let next = word(sid, STREAM) | OVER | BY_HOST | (now & TAIL);
        match self.unlock(now, next, waker, false) {
            Unlock::Clear(waker) => Outcome::Delivered(waker),
            Unlock::ReaderGone => Outcome::Orphaned,
        }
    }

    /// Sees whether there is more than `head`, or leaves the waker. Only the reader calls it.
    #[cold]
    #[inline(never)]
    pub(crate) fn poll_stream(&self, sid: Sid, head: u64, waker: &Waker) -> Seen {
        let mut turn = 0;
        loop {
            let now = self.word.load(Acquire);
            if Self::has_more(now, head) || now & OVER != 0 {
                return Seen::Ready;
            }
            if now & LOCKED != 0 {
                if turn > if cfg!(loom) { 0 } else { 200 } {
                    waker.wake_by_ref();
                    return Seen::Pending;
                }
                backoff(&mut turn);
                continue;
            }
            if now & WAITED == 0 {
                self.put_waker(waker.clone());
                let waited = word(sid, STREAM) | WAITED | (now & TAIL);
                if self.word.compare_exchange(now, waited, AcqRel, Relaxed).is_ok() {
                    return Seen::Pending;
                }
                drop(self.take_waker());
                continue;
            }
            // A waker is there: take the cell back, then see whether it is the same task's. A
            // sender that locks in between found no WAITED, so it leaves the cell alone.
            let clear = now & !WAITED;
            if self.word.compare_exchange(now, clear, AcqRel, Relaxed).is_ok() {
                let same = self.waker_is(waker);
                if same && self.word.compare_exchange(clear, now, AcqRel, Relaxed).is_ok() {
                    return Seen::Pending;
                }
                drop(self.take_waker());
            }
        }
    }

    /// The reader leaves.
    pub(crate) fn leave_stream(&self, sid: Sid) -> Left {
        let mut now = self.word.load(Acquire);
        if now & OVER != 0 {
            // Nobody else touches a stream that is over.
            return Left::Over;
        }
        loop {
            let to = if now & LOCKED != 0 { now | GONE } else { word(sid, ENDED) };
            match self.word.compare_exchange(now, to, AcqRel, Acquire) {
                Ok(_) if now & LOCKED != 0 => return Left::ToAnswerer,
                Ok(_) => {
                    if now & WAITED != 0 {
                        drop(self.take_waker());
                    }
                    return if now & OVER != 0 { Left::Over } else { Left::Unanswered };
                }
                Err(newer) => now = newer,
            }
        }
    }

    /// The queue, taken out of a slot that is about to be released. The waker goes too, which a
    /// sender left that found the queue full and the reader gone.
    ///
    /// # Safety
    /// The caller holds the slot: the reader has left and no sender has the lock.
    pub(crate) unsafe fn take_queue(&self) -> Option<Box<Queue>> {
        drop(self.take_waker());
        // SAFETY: the caller has exclusive access, as required above.
        self.queue.with_mut(|cell| unsafe { (*cell).take() })
    }

    #[inline(always)]
    pub(crate) fn has_more(now: u64, head: u64) -> bool {
        now & TAIL != head & TAIL
    }

    /// Whether the stream goes on: it isn't over, and its reader is there.
    pub(crate) fn is_open_stream(now: u64) -> bool {
        now & (OVER | GONE) == 0
    }

    /// Whether this slot serves the stream `sid`, and it goes on.
    pub(crate) fn is_open_stream_of(&self, sid: Sid) -> bool {
        let now = self.word.load(Acquire);
        now & GENERATION_MASK == sid.generation() && now & STREAM != 0 && Self::is_open_stream(now)
    }

    #[inline(always)]
    pub(crate) fn is_over(now: u64) -> bool {
        now & OVER != 0
    }

    /// The frame at `head`.
    ///
    /// # Safety
    /// The caller is the stream's reader, and the word showed more than `head`.
    #[inline(always)]
    pub(crate) unsafe fn frame(&self, head: u64) -> &UnsafeCell<Payload> {
        // SAFETY: the caller is the reader.
        unsafe { self.stream_queue() }.entry(head as u32)
    }

    /// How many bytes the stream's reader gave back.
    ///
    /// # Safety
    /// The caller is the stream's reader.
    pub(crate) unsafe fn bytes_taken(&self) -> usize {
        // SAFETY: the caller is the reader.
        unsafe { self.stream_queue() }.taken.load(Relaxed) as usize
    }

    /// Gives the frame at `head` back to the senders.
    ///
    /// # Safety
    /// As for [`Slot::frame`], and no reference to the frame is alive.
    #[inline(always)]
    pub(crate) unsafe fn free_frame(&self, head: u64) {
        // SAFETY: the caller is the reader.
        let queue = unsafe { self.stream_queue() };
        let bytes = {
            let entry = queue.entry(head as u32).get_mut();
            // SAFETY: entries below the tail are the reader's.
            let entry = unsafe { entry.deref() };
            let bytes = entry.bytes().len() as u64;
            entry.trim();
            bytes
        };
        queue.taken.store(queue.taken.load(Relaxed).wrapping_add(bytes), Relaxed);
        queue.head.store(head.wrapping_add(1) as u32, Release);
    }
}

#[cold]
fn why_stream_over(sid: Sid, now: u64) -> Reason {
    if now & STREAM == 0 {
        return why_over(sid, now);
    }
    if now & (BY_HOST | GONE) != 0 { Reason::Late } else { Reason::Double }
}
