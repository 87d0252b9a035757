//! One call's rendezvous: a waiter and an answer meet here, whoever comes first.
//!
//! One word holds the slot's generation and, below it, its state. Every transition is a store
//! or a compare-and-swap of that word, and the state says who may touch the rest:
//!
//! | state | who may touch what | leaves by |
//! |---|---|---|
//! | `FREE` | everything: the list that holds the slot | its owner opens it |
//! | `INSIDE` | payload: the calling thread, see below | dispatch returns: `OPEN`; else as `OPEN` |
//! | `OPEN` | waker: the waiter | claim, registration, answer from inside dispatch, cancel |
//! | `OPEN_WAITED` | waker: whoever leaves this state | claim (takes the waker), re-registration, cancel |
//! | `FILL` | payload, and the waker, taken or in its cell: the answering thread | publishing; the waiter's cancel makes it `FILL_GONE` |
//! | `FILL_GONE` | the same | the answering thread sees it when it publishes, and frees the slot |
//! | `READY` | everything: the waiter, then its reply | release to `FREE` of the next generation |
//! | `ENDED` | the same; the host ended the call, not the plugin | the same |
//!
//! `owner` is written before the word that opens the generation. A word never recurs, so a
//! compare-and-swap that succeeds proves that an owner read after the word's first load was this
//! generation's. (Within a generation it does, when a call is handed over: an answer of the old
//! port's that began before may still be taken after.)
//!
//! # Answers inside dispatch
//!
//! Most answers come on the calling thread while it is inside dispatch: the word is `INSIDE`. They
//! take no locked instruction (10 ns, half of a call). The calling thread sets `answering`, fences
//! ([`fence::light`]) and, if nobody set `contended`, writes the payload and stores `READY`. Any
//! other thread that wants to leave `INSIDE` sets `contended`, fences ([`fence::heavy`]) and, once
//! `answering` is clear, goes on with compare-and-swap as ever; from there on so does the calling
//! thread. One of the two sees the other. A heavy fence takes microseconds, so the other thread
//! first gives dispatch some time to return. A stream's frames go the same way, with `BIASED` in the
//! place of `INSIDE`. (Rejected: an inbox for what others send meanwhile,
//! which has to be looked at on every call.)
//!
//! A stream's word is described in [`crate::queue`].

#![expect(unsafe_code, reason = "the word decides who may touch the cells")]

use crate::error::Fault;
use crate::fence;
use crate::near::Room;
use crate::payload::{Answer, Payload};
use crate::queue::Queue;
use crate::sid::{GENERATION_MASK, GENERATION_ONE, INDEX_MASK, Sid};
use crate::state::SidState;
use crate::sync::{
    AcqRel, Acquire, AtomicPtr, AtomicU8, AtomicU64, Relaxed, Release, SeqCst, UnsafeCell, backoff,
};
use ringbox_abi::RawStatus;
use std::sync::Mutex;
use std::task::Waker;

pub(crate) const FREE: u64 = 0;
pub(crate) const OPEN: u64 = 1;
pub(crate) const OPEN_WAITED: u64 = 2;
pub(crate) const FILL: u64 = 3;
pub(crate) const FILL_GONE: u64 = 4;
pub(crate) const READY: u64 = 5;
pub(crate) const ENDED: u64 = 6;
pub(crate) const INSIDE: u64 = 7;
/// Set in every word of a stream, and in no other.
pub(crate) const STREAM: u64 = 1 << 19;

const _: () = assert!(STREAM <= INDEX_MASK);

/// The calling thread is writing an answer or a frame.
pub(crate) const ANSWERING: u8 = 1;
/// The calling thread is inside the dispatch of the slot's stream (a call's word says so itself).
pub(crate) const BIASED: u8 = 2;

/// `state` may hold something.
pub(crate) const STATE: u8 = 1;
/// The slot keeps no buffer and is taken after all others: its lane made it for a burst of calls.
pub(crate) const SPARE: u8 = 2;

/// No deadline is armed.
pub(crate) const NEVER: u64 = u64::MAX;

#[repr(C, align(64))]
pub(crate) struct Slot {
    pub(crate) word: AtomicU64,
    /// The port that may answer, which is a word and no address: set with the word that opens, or when
    /// the call is handed over.
    pub(crate) owner: AtomicPtr<()>,
    payload: UnsafeCell<Payload>,
    /// The next slot of the list that this one is on.
    pub(crate) next: AtomicPtr<Slot>,
    pub(crate) index: u32,
    /// What releasing the slot has to look at: [`STATE`] and [`SPARE`], most often neither.
    pub(crate) marks: AtomicU8,
    /// What the calling thread does inside dispatch: [`ANSWERING`], and for a stream [`BIASED`]. It
    /// alone writes it.
    pub(crate) answering: AtomicU8,
    /// Not 0 once another thread wants to answer or end a call that is inside dispatch.
    pub(crate) contended: AtomicU8,
    // The second cache line: what a call answered inside dispatch never looks at.
    pub(crate) waker: UnsafeCell<Option<Waker>>,
    /// Whose list it returns to.
    pub(crate) lane: AtomicPtr<()>,
    /// When the waiter gives up, in the clock's nanoseconds. Written by the waiter alone.
    pub(crate) deadline: AtomicU64,
    pub(crate) queue: UnsafeCell<Option<Box<Queue>>>,
    pub(crate) state: Mutex<Option<Box<SidState>>>,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Slot>() == 128 && std::mem::offset_of!(Slot, waker) == 64);

// SAFETY: every field behind an `UnsafeCell` is touched by whom the table above names, and the
// word hands that right over with acquire and release. What the cells hold is `Send`, and what is
// lent from them (`&[u8]` of an `OwnedBytes: Sync`) is `Sync`.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

/// What became of an answer.
#[derive(Debug)]
#[must_use]
pub(crate) enum Outcome {
    /// The call has its answer. Wake this, once no plugin's frame is in the way.
    Delivered(Option<Waker>),
    /// The call took it, and its waiter has left meanwhile: the slot is the caller's to release.
    Orphaned,
    /// Nobody gets it.
    Dropped(Reason),
}

/// Why nobody gets an answer.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The call is over.
    Late,
    /// The call has its answer.
    Double,
    /// The call is another plugin's.
    Foreign,
    /// There never was such a call.
    Unknown,
}

/// What the waiter finds.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Seen {
    /// The payload is the waiter's.
    Ready,
    /// The waker is registered, or was woken already.
    Pending,
}

/// Whose the slot is after the waiter left.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Left {
    /// The waiter's, to release; the plugin still owed the answer.
    Unanswered,
    /// The waiter's, to release; the call was over.
    Over,
    /// The answering thread's, which releases it.
    ToAnswerer,
}

/// Whether a slot has a generation left to serve.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Next {
    Reusable,
    Retired,
}

#[inline(always)]
pub(crate) fn word(sid: Sid, state: u64) -> u64 {
    sid.generation() | state
}

/// Whether a call or a stream whose slot has this word still waits for its end.
pub(crate) fn is_open(word: u64) -> bool {
    if word & STREAM != 0 {
        return Slot::is_open_stream(word);
    }
    matches!(word & INDEX_MASK, INSIDE | OPEN | OPEN_WAITED)
}

/// Whether a thread is in the middle of something with a call's slot.
pub(crate) fn is_busy(word: u64) -> bool {
    word & STREAM == 0 && matches!(word & INDEX_MASK, FILL | FILL_GONE)
}

impl Slot {
    pub(crate) fn new(index: u32) -> Self {
        Self {
            word: AtomicU64::new(GENERATION_ONE | FREE),
            owner: AtomicPtr::new(std::ptr::null_mut()),
            payload: UnsafeCell::new(Payload::new()),
            next: AtomicPtr::new(std::ptr::null_mut()),
            waker: UnsafeCell::new(None),
            lane: AtomicPtr::new(std::ptr::null_mut()),
            deadline: AtomicU64::new(NEVER),
            index,
            marks: AtomicU8::new(0),
            answering: AtomicU8::new(0),
            contended: AtomicU8::new(0),
            queue: UnsafeCell::new(None),
            state: Mutex::new(None),
        }
    }

    /// `FREE` to `INSIDE`. The caller took the slot from a list, so it alone may do this.
    #[inline(always)]
    pub(crate) fn open(&self, owner: *mut ()) -> Sid {
        let generation = self.word.load(Relaxed);
        debug_assert_eq!(generation & INDEX_MASK, FREE);
        self.answering.store(0, Relaxed);
        self.contended.store(0, Relaxed);
        self.owner.store(owner, Release);
        self.word.store(generation | INSIDE, Release);
        Sid::from_raw(generation | u64::from(self.index))
    }

    /// Whether `sid` is the call that the slot serves now.
    #[inline(always)]
    pub(crate) fn serves(&self, sid: Sid) -> bool {
        self.is_word_of(self.word.load(Relaxed), sid)
    }

    /// Whether `now`, which was this slot's word, is one of `sid`'s: of this slot and generation.
    #[inline(always)]
    pub(crate) fn is_word_of(&self, now: u64, sid: Sid) -> bool {
        sid.as_raw() == now & GENERATION_MASK | u64::from(self.index)
    }

    /// A call whose dispatch has returned already.
    #[cfg(loom)]
    pub(crate) fn open_dispatched(&self, owner: *mut ()) -> Sid {
        let sid = self.open(owner);
        self.left_dispatch(sid);
        sid
    }

    /// `INSIDE` to `OPEN`: dispatch has returned, and the plugin may answer from anywhere.
    #[inline(always)]
    pub(crate) fn left_dispatch(&self, sid: Sid) {
        let inside = word(sid, INSIDE);
        if self.word.load(Relaxed) == inside {
            // Where it fails, another thread has the call.
            let open = word(sid, OPEN);
            let _ = self.word.compare_exchange(inside, open, AcqRel, Relaxed);
        }
    }

    /// The answer, given on the thread that is inside dispatch for this very sid: it has not
    /// returned to the waiter yet, so nobody reads the payload while it is written.
    pub(crate) fn answer_inside(&self, sid: Sid, owner: *mut (), answer: Answer<'_>) -> Outcome {
        let mut now = self.word.load(Acquire);
        loop {
            if self.owner.load(Relaxed) != owner {
                return Outcome::Dropped(Reason::Foreign);
            }
            if now != word(sid, INSIDE) && now != word(sid, OPEN) {
                return Outcome::Dropped(why_over(sid, now));
            }
            match self.word.compare_exchange(now, word(sid, READY), Acquire, Acquire) {
                Ok(_) => {
                    self.fill(answer);
                    return Outcome::Delivered(None);
                }
                Err(newer) => now = newer,
            }
        }
    }

    /// [`answer_inside`](Self::answer_inside) for bytes to copy, without a locked instruction, if
    /// `sid` is the call that the slot serves and its buffer has room. False: nothing happened.
    #[inline(always)]
    pub(crate) fn copy_inside(
        &self,
        sid: Sid,
        owner: *mut (),
        status: RawStatus,
        bytes: &[u8],
    ) -> bool {
        // The word first: the rest of the sid is then compared by the generation that it took.
        let now = word(sid, INSIDE);
        if self.word.load(Relaxed) != now || !self.is_word_of(now, sid) {
            return false;
        }
        if self.owner.load(Relaxed) != owner {
            return false;
        }
        self.answering.store(ANSWERING, Relaxed);
        fence::light();
        if self.contended.load(Relaxed) != 0 {
            self.answering.store(0, Release);
            return false;
        }
        let copied = {
            let payload = self.payload.get_mut();
            // SAFETY: the word is INSIDE, which only this thread leaves while `answering` is set: a
            // thread that found it clear had set `contended` before, which was just seen not to be.
            unsafe { payload.deref() }.copy_if_room(status, bytes)
        };
        if !copied {
            self.answering.store(0, Release);
            return false;
        }
        self.word.store(word(sid, READY), Release);
        true
    }

    /// Where the answer will be copied to, as far as that is known to the thread that is inside dispatch
    /// for this very sid.
    pub(crate) fn room_inside(&self, sid: Sid) -> Room {
        if self.word.load(Relaxed) != word(sid, INSIDE) {
            return Room::UNKNOWN;
        }
        self.answering.store(ANSWERING, Relaxed);
        fence::light();
        let room = if self.contended.load(Relaxed) == 0 {
            // SAFETY: as in `copy_inside`: the word stays INSIDE while `answering` is set.
            self.payload.with(|payload| unsafe { &*payload }.room())
        } else {
            Room::UNKNOWN
        };
        self.answering.store(0, Release);
        room
    }

    /// Waits until the calling thread will leave `INSIDE` by compare-and-swap only, or has left.
    /// Returns the word of then.
    #[cold]
    #[inline(never)]
    fn contend(&self, sid: Sid) -> u64 {
        let inside = word(sid, INSIDE);
        // Dispatch returns at once, as a rule. (The models show what happens where it doesn't.)
        #[cfg(not(loom))]
        for mut turn in 0..50 {
            let now = self.word.load(Acquire);
            if now != inside {
                return now;
            }
            backoff(&mut turn);
        }
        self.contended.store(1, SeqCst);
        fence::heavy();
        let mut turn = 0;
        loop {
            let now = self.word.load(Acquire);
            // The word first: one that is clear after a word that is still INSIDE stays so for us.
            if now != inside || self.answering.load(Acquire) == 0 {
                return now;
            }
            backoff(&mut turn);
        }
    }

    /// Why an answer to `sid` would not be taken, as far as can be seen now: before somebody copies
    /// it for nothing.
    pub(crate) fn would_drop(&self, sid: Sid, owner: *mut ()) -> Option<Reason> {
        let now = self.word.load(Acquire);
        if now & GENERATION_MASK != sid.generation() {
            return Some(why_over(sid, now));
        }
        if self.owner.load(Relaxed) != owner {
            return Some(Reason::Foreign);
        }
        (!is_open(now)).then(|| why_over(sid, now))
    }

    /// The answer, from any thread at any time.
    #[inline]
    pub(crate) fn answer(&self, sid: Sid, owner: *mut (), answer: Answer<'_>) -> Outcome {
        match self.claim(sid, |slot| slot.owner.load(Relaxed) == owner) {
            Ok(waker) => {
                self.fill(answer);
                self.publish(sid, READY, waker)
            }
            Err(reason) => Outcome::Dropped(reason),
        }
    }

    /// The host ends the call: what the waiter gets is a fault.
    #[cold]
    pub(crate) fn end(&self, sid: Sid, mine: impl Fn(&Self) -> bool, fault: Fault) -> Outcome {
        match self.claim(sid, mine) {
            Ok(waker) => {
                self.fill(Answer::Fault(fault));
                self.publish(sid, ENDED, waker)
            }
            Err(reason) => Outcome::Dropped(reason),
        }
    }

    /// Gives the call to another port. Its waiter notices nothing.
    #[cold]
    pub(crate) fn hand_over(&self, sid: Sid, mine: impl Fn(&Self) -> bool, to: *mut ()) -> Outcome {
        let state = match self.claim_leaving_waker(sid, mine) {
            Ok(state) => state,
            Err(reason) => return Outcome::Dropped(reason),
        };
        self.owner.store(to, Release);
        if self.swap_state(word(sid, FILL), word(sid, state)) {
            return Outcome::Delivered(None);
        }
        // FILL_GONE: the waiter left meanwhile, and this thread has the slot.
        if state == OPEN_WAITED {
            drop(self.take_waker());
        }
        self.word.store(word(sid, ENDED), Release);
        Outcome::Orphaned
    }

    /// [`hand_over`](Self::hand_over) by the thread that is inside dispatch for this very sid, which
    /// has not told the plugin of it yet. False: nothing happened.
    pub(crate) fn hand_over_inside(&self, sid: Sid, to: *mut ()) -> bool {
        let inside = self.word.load(Relaxed) == word(sid, INSIDE);
        if inside {
            self.owner.store(to, Release);
        }
        inside
    }

    /// `OPEN` or `OPEN_WAITED` to `FILL`, with the waker if there was one.
    #[inline(always)]
    fn claim(&self, sid: Sid, mine: impl Fn(&Self) -> bool) -> Result<Option<Waker>, Reason> {
        let state = self.claim_leaving_waker(sid, mine)?;
        Ok(if state == OPEN_WAITED { self.take_waker() } else { None })
    }

    /// The same, with the waker left where it is. What the state was: `OPEN_WAITED` if there is one,
    /// else `OPEN`.
    #[inline(always)]
    fn claim_leaving_waker(&self, sid: Sid, mine: impl Fn(&Self) -> bool) -> Result<u64, Reason> {
        let mut now = self.word.load(Acquire);
        loop {
            if now & GENERATION_MASK != sid.generation() {
                return Err(why_over(sid, now));
            }
            if !mine(self) {
                return Err(Reason::Foreign);
            }
            let mut state = now & INDEX_MASK;
            if state == INSIDE {
                now = self.contend(sid);
                state = now & INDEX_MASK;
                if now & GENERATION_MASK != sid.generation() {
                    continue;
                }
            }
            if state != INSIDE && state != OPEN && state != OPEN_WAITED {
                return Err(why_over(sid, now));
            }
            match self.word.compare_exchange(now, word(sid, FILL), Acquire, Acquire) {
                Ok(_) => return Ok(if state == OPEN_WAITED { state } else { OPEN }),
                Err(newer) => now = newer,
            }
        }
    }

    /// `FILL` to what the waiter reads.
    #[inline(always)]
    fn publish(&self, sid: Sid, state: u64, waker: Option<Waker>) -> Outcome {
        if self.word.swap(word(sid, state), AcqRel) == word(sid, FILL_GONE) {
            drop(waker);
            return Outcome::Orphaned;
        }
        Outcome::Delivered(waker)
    }

    /// Writes the payload. Callers hold the slot by its word, as the table says.
    #[inline(always)]
    pub(crate) fn fill(&self, answer: Answer<'_>) {
        self.payload.with_mut(|payload| {
            // SAFETY: `answer_inside` moved the word to READY before any waiter exists, the two
            // others hold it in FILL: in both nobody else touches the payload.
            unsafe { &mut *payload }.fill(answer);
        });
    }

    /// Takes the waker out. The caller just moved the word out of a state that guards it.
    #[inline(always)]
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        // SAFETY: whoever moves the word out of OPEN_WAITED (or clears a stream's WAITED bit)
        // has the cell to itself until it stores a word that says otherwise.
        self.waker.with_mut(|waker| unsafe { (*waker).take() })
    }

    /// Puts the waker in. The caller is the waiter and no word says that a waker is there.
    pub(crate) fn put_waker(&self, new: Waker) {
        // SAFETY: with no registration in the word, the cell is the waiter's alone.
        let old = self.waker.with_mut(|waker| unsafe { (*waker).replace(new) });
        drop(old);
    }

    /// Whether the registered waker would wake the same task. Same right as `take_waker`.
    pub(crate) fn waker_is(&self, other: &Waker) -> bool {
        self.waker.with(|waker| {
            // SAFETY: as in `take_waker`; the reference ends with this closure.
            unsafe { (*waker).as_ref() }.is_some_and(|mine| mine.will_wake(other))
        })
    }

    /// Whether the plugin's answer is there. The waiter asks, so the generation is its own.
    #[inline(always)]
    pub(crate) fn is_answered(&self) -> bool {
        self.word.load(Acquire) & INDEX_MASK == READY
    }

    /// Whether the host ended the call. As above.
    #[cold]
    pub(crate) fn is_ended(&self) -> bool {
        self.word.load(Acquire) & INDEX_MASK == ENDED
    }

    /// Finds the answer, or leaves the waker. Only the waiter calls it.
    #[cold]
    #[inline(never)]
    pub(crate) fn poll(&self, sid: Sid, waker: &Waker) -> Seen {
        let mut turn = 0;
        loop {
            let now = self.word.load(Acquire);
            debug_assert_eq!(now & GENERATION_MASK, sid.generation());
            match now & INDEX_MASK {
                READY | ENDED => return Seen::Ready,
                OPEN => {
                    self.put_waker(waker.clone());
                    if self.swap_state(now, word(sid, OPEN_WAITED)) {
                        return Seen::Pending;
                    }
                    // Only the waiter enters OPEN_WAITED, so the cell is still its own.
                    drop(self.take_waker());
                }
                OPEN_WAITED => {
                    // Take the cell back, then see whether it is the same task that polls.
                    if self.swap_state(now, word(sid, OPEN)) {
                        let same = self.waker_is(waker);
                        if same && self.swap_state(word(sid, OPEN), now) {
                            return Seen::Pending;
                        }
                        drop(self.take_waker());
                    }
                }
                _ => {
                    // FILL: another thread is copying the answer in right now.
                    if turn > if cfg!(loom) { 0 } else { 200 } {
                        waker.wake_by_ref();
                        return Seen::Pending;
                    }
                    backoff(&mut turn);
                }
            }
        }
    }

    #[inline(always)]
    fn swap_state(&self, from: u64, to: u64) -> bool {
        self.word.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    /// The waiter leaves without a reply.
    #[cold]
    #[inline(never)]
    pub(crate) fn leave(&self, sid: Sid) -> Left {
        let mut now = self.word.load(Acquire);
        loop {
            let state = now & INDEX_MASK;
            let to = match state {
                READY | ENDED => return Left::Over,
                FILL => word(sid, FILL_GONE),
                _ => word(sid, ENDED),
            };
            match self.word.compare_exchange(now, to, AcqRel, Acquire) {
                Ok(_) if state == FILL => return Left::ToAnswerer,
                Ok(_) => {
                    if state == OPEN_WAITED {
                        drop(self.take_waker());
                    }
                    return Left::Unanswered;
                }
                Err(newer) => now = newer,
            }
        }
    }

    /// The payload, for whom the word gives it to.
    ///
    /// # Safety
    /// The word is READY or ENDED, the caller holds the slot (it is the waiter, its reply, or the
    /// thread that was handed an orphan), and no reference from an earlier call is alive.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the word is what grants exclusive access")]
    pub(crate) unsafe fn payload_mut(&self) -> &mut Payload {
        // SAFETY: the caller has exclusive access, as required above.
        self.payload.with_mut(|payload| unsafe { &mut *payload })
    }

    /// As [`Slot::payload_mut`], shared.
    ///
    /// # Safety
    /// The word is READY and the caller's borrow keeps the slot from being released.
    #[inline(always)]
    pub(crate) unsafe fn payload(&self) -> &Payload {
        // SAFETY: nobody writes the payload while its holder keeps the slot.
        self.payload.with(|payload| unsafe { &*payload })
    }

    /// Ends the generation. The slot is then its holder's to list, or never to be listed again.
    ///
    /// # Safety
    /// The caller holds the slot (see [`Slot::payload_mut`]) and lets go of it by this.
    #[inline(always)]
    pub(crate) unsafe fn release(&self, sid: Sid) -> Next {
        // SAFETY: the caller holds the slot.
        unsafe { self.payload_mut() }.trim();
        let next = sid.generation().wrapping_add(GENERATION_ONE) & GENERATION_MASK;
        self.word.store(next | FREE, Release);
        if next == 0 { Next::Retired } else { Next::Reusable }
    }
}

/// Why `sid` takes no answer while the slot's word is `now`.
#[cold]
pub(crate) fn why_over(sid: Sid, now: u64) -> Reason {
    let current = now & GENERATION_MASK;
    if sid.generation() != current {
        // Generations begin at 1: a sid of generation 0 never was.
        let was = sid.generation() != 0 && sid.generation() < current;
        return if was { Reason::Late } else { Reason::Unknown };
    }
    match now & INDEX_MASK {
        FREE => Reason::Unknown,
        ENDED => Reason::Late,
        _ => Reason::Double,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sid::NOTIFY;

    #[test]
    fn inside_dispatch_one_answer_is_copied_and_only_to_the_slots_own_call() {
        let owner = std::ptr::without_provenance_mut(64);
        for index in 0..32u64 {
            let slot = Slot::new(index as u32);
            let sid = slot.open(owner);
            assert!(!slot.copy_inside(sid, owner, RawStatus::OK, b"no room yet"));
            assert_eq!(slot.answering.load(Relaxed), 0, "others would wait for it");
            slot.fill(Answer::Copied(RawStatus::ERR, b"room"));
            for other in (0..32).filter(|other| *other != index) {
                let other = Sid::from_raw(sid.as_raw() - index + other);
                assert!(!slot.copy_inside(other, owner, RawStatus::OK, b"another slot's"));
            }
            let generations = [sid.as_raw() + GENERATION_ONE, sid.as_raw() - GENERATION_ONE];
            for other in generations.into_iter().chain([sid.as_raw() | NOTIFY]) {
                let other = Sid::from_raw(other);
                assert!(!slot.copy_inside(other, owner, RawStatus::OK, b"not this call's"));
            }
            assert!(!slot.copy_inside(sid, std::ptr::null_mut(), RawStatus::OK, b"foreign"));
            assert!(slot.copy_inside(sid, owner, RawStatus::OK, b"the answer"));
            for other in 0..32 {
                let other = Sid::from_raw(sid.as_raw() - index + other);
                assert!(!slot.copy_inside(other, owner, RawStatus::PANIC, b"another"));
            }
            // SAFETY: the word is READY, and this test is the waiter.
            assert_eq!(unsafe { slot.payload() }.bytes(), b"the answer");
        }
    }
}
