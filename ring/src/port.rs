//! The plugin's way back: every answer goes through the port of the instance that gives it.

#![expect(unsafe_code, reason = "who is handed an orphaned slot releases it")]

use crate::error::{Fault, LinkError, StateError};
use crate::lane;
use crate::link::{Link, LinkCell};
use crate::load::{LoadId, MAX_INSTANCES};
use crate::payload::{Answer, KEEP, OwnedBytes};
use crate::queue::{Sending, Sent};
use crate::sid::{GENERATION_MASK, Sid};
use crate::slot::{Outcome, Reason, STREAM, Slot};
use crate::state;
use crate::sync::{Acquire, Relaxed, backoff};
use crate::wake;
use ringbox_abi::{RawStatus, Status};
use std::fmt;
use std::sync::Arc;

/// Where one instance of a plugin answers.
///
/// It is bound to that instance: the sids of others, even of the same plugin's other instances,
/// are [`Delivery::Dropped`] and counted. It may be kept for ever, and once its plugin is unloaded
/// all that is sent through it is dropped.
#[derive(Copy, Clone)]
pub struct Port(LoadId);

/// What became of an answer or a frame.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
#[must_use]
pub enum Delivery {
    /// It is the caller's.
    Taken,
    /// The stream's queue is full. Nothing was taken: send it again later.
    Full,
    /// Nobody waits for it: it was late, or a second one, or for a call that isn't this port's.
    Dropped,
}

/// How it stands with a sid, as seen from one port.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has its end, or is not this port's.
    Over,
    /// It waits for its answer.
    Call,
    /// It is a stream that has not ended.
    Stream,
}

/// What to do with a frame that finds the queue full.
#[derive(Copy, Clone, PartialEq, Eq)]
enum WhenFull {
    /// The sender cannot be told, so the stream ends with [`Fault::Overflow`].
    End,
    Tell,
}

impl Port {
    pub(crate) fn of(load: LoadId) -> Self {
        Self(load)
    }

    #[inline(always)]
    fn link(self) -> Link {
        Link(self.0.plugin())
    }

    #[inline(always)]
    fn cell(self) -> &'static LinkCell {
        LinkCell::of(self.0)
    }

    /// Whether a frame may be so long, and be copied under its queue's lock.
    #[inline(always)]
    fn is_short(self, bytes: &[u8]) -> bool {
        bytes.len() <= self.cell().frame_bytes.load(Relaxed) as usize
    }

    /// Answers a call, or sends a stream's next frame, by copying `bytes`.
    ///
    /// A call takes one answer. On a stream, `Ok` is a frame and `Err`, `Invalid`, `Unsupported`,
    /// `StreamEnd` and `Panic` end it; a frame that finds the queue full ends it with
    /// [`Fault::Overflow`].
    #[inline(always)]
    pub fn answer(self, sid: Sid, status: RawStatus, bytes: &[u8]) -> Delivery {
        // Most answers come while their own dispatch is on the stack: then the slot is at hand.
        // What isn't as plain as can be goes the general way, which also says why.
        if let Some(slot) = lane::here().slot()
            && bytes.len() <= self.cell().answer_bytes.load(Relaxed) as usize
            && status != RawStatus::STREAM_END
            && slot.copy_inside(sid, self.owner(), status, bytes)
        {
            return Delivery::Taken;
        }
        self.copy_frame(sid, status, bytes, WhenFull::End)
    }

    /// As [`answer`](Self::answer), with bytes that the reply takes over.
    pub fn answer_vec(self, sid: Sid, status: RawStatus, bytes: Vec<u8>) -> Delivery {
        self.deliver(sid, Answer::Vec(status, bytes), WhenFull::End)
    }

    /// As [`answer`](Self::answer), with bytes that stay where they are until the reply is dropped.
    pub fn answer_owned(self, sid: Sid, status: RawStatus, bytes: Box<dyn OwnedBytes>) -> Delivery {
        self.deliver(sid, Answer::Owned(status, bytes), WhenFull::End)
    }

    /// As [`answer`](Self::answer), but a full queue is [`Delivery::Full`] and costs nothing else.
    #[inline(always)]
    pub fn send_frame(self, sid: Sid, status: RawStatus, bytes: &[u8]) -> Delivery {
        self.copy_frame(sid, status, bytes, WhenFull::Tell)
    }

    /// A frame that is as plain as can be goes straight into its queue; all else the general way.
    #[inline(never)]
    fn copy_frame(
        self,
        sid: Sid,
        status: RawStatus,
        bytes: &[u8],
        when_full: WhenFull,
    ) -> Delivery {
        if let Some(slot) = lane::here().slot()
            && status == RawStatus::OK
            && self.is_short(bytes)
            && slot.copy_frame_inside(sid, self.owner(), status, bytes)
        {
            return Delivery::Taken;
        }
        self.lock_frame(sid, status, bytes, when_full)
    }

    /// The same for one that needs the queue's lock.
    #[inline(never)]
    fn lock_frame(
        self,
        sid: Sid,
        status: RawStatus,
        bytes: &[u8],
        when_full: WhenFull,
    ) -> Delivery {
        let here = lane::here().slot_of(sid);
        if let Some(slot) = here.or_else(|| lane::slot_of(sid))
            && status == RawStatus::OK
            && self.is_short(bytes)
            && slot.word.load(Acquire) & STREAM != 0
        {
            let answer = Answer::Copied(status, bytes);
            let sending = Sending { answer, last: false, inside: here.is_some() };
            let sent = slot.send(sid, self.owner(), sending);
            return self.settle_frame(slot, sid, sent, when_full);
        }
        self.deliver(sid, Answer::Copied(status, bytes), when_full)
    }

    /// As [`send_frame`](Self::send_frame), with bytes that stay where they are until the reply is
    /// dropped. Whatever becomes of the frame, the bytes are the ring's: where it isn't taken they
    /// are dropped here.
    pub fn send_frame_owned(
        self,
        sid: Sid,
        status: RawStatus,
        bytes: Box<dyn OwnedBytes>,
    ) -> Delivery {
        self.deliver(sid, Answer::Owned(status, bytes), WhenFull::Tell)
    }

    /// Ends a call of this port's with a fault, on behalf of a plugin that cannot answer.
    pub fn fault(self, sid: Sid, fault: Fault) -> Delivery {
        self.deliver(sid, Answer::Fault(fault), WhenFull::End)
    }

    #[inline(never)]
    fn deliver(self, sid: Sid, answer: Answer<'_>, when_full: WhenFull) -> Delivery {
        let Some(slot) = lane::here().slot_of(sid) else {
            return self.deliver_elsewhere(sid, answer, when_full);
        };
        if slot.word.load(Relaxed) & STREAM != 0 {
            return self.deliver_frame(slot, sid, answer, when_full, true);
        }
        let answer = self.checked(answer, Status::StreamEnd);
        match slot.answer_inside(sid, self.owner(), answer) {
            Outcome::Delivered(_) => Delivery::Taken,
            outcome => self.settle(slot, sid, outcome),
        }
    }

    #[inline(never)]
    fn deliver_elsewhere(self, sid: Sid, answer: Answer<'_>, when_full: WhenFull) -> Delivery {
        let Some(slot) = lane::slot_of(sid) else {
            // A call that expects no answer may get one all the same.
            if !sid.is_notify() {
                self.link().count_dropped(Reason::Unknown);
            }
            return Delivery::Dropped;
        };
        if slot.word.load(Acquire) & STREAM != 0 {
            return self.deliver_frame(slot, sid, answer, when_full, false);
        }
        if answer.len() > KEEP
            && let Some(reason) = slot.would_drop(sid, self.owner())
        {
            return self.settle(slot, sid, Outcome::Dropped(reason));
        }
        let answer = self.checked(answer, Status::StreamEnd).copied_before_claim();
        let outcome = slot.answer(sid, self.owner(), answer);
        self.settle(slot, sid, outcome)
    }

    fn deliver_frame(
        self,
        slot: &'static Slot,
        sid: Sid,
        answer: Answer<'_>,
        when_full: WhenFull,
        inside: bool,
    ) -> Delivery {
        let (answer, last) = match &answer {
            Answer::Copied(status, _) | Answer::Vec(status, _) | Answer::Owned(status, _) => {
                let status = status.meaning();
                let last = status.ends_stream();
                if last || status.is_frame() {
                    (self.checked(answer, Status::Backpressure), last)
                } else {
                    (Answer::Fault(Fault::BadStatus(status)), true)
                }
            }
            Answer::Fault(_) => (answer, true),
        };
        if !inside && answer.len() > KEEP {
            match slot.would_take(sid, self.owner(), answer.len()) {
                // What ends the stream has a place of its own.
                Err(Sent::Full) if last => {}
                Err(sent) => return self.settle_frame(slot, sid, sent, when_full),
                Ok(()) => {}
            }
        }
        let answer = if inside { answer } else { answer.copied_before_claim() };
        if let Answer::Fault(fault) = answer {
            return self.end_stream(slot, sid, fault);
        }
        let sent = slot.send(sid, self.owner(), Sending { answer, last, inside });
        self.settle_frame(slot, sid, sent, when_full)
    }

    #[inline(always)]
    fn settle_frame(
        self,
        slot: &'static Slot,
        sid: Sid,
        sent: Sent,
        when_full: WhenFull,
    ) -> Delivery {
        match sent {
            Sent::As(outcome) => self.settle(slot, sid, outcome),
            Sent::Full if when_full == WhenFull::Tell => Delivery::Full,
            Sent::Full => {
                let cell = self.cell();
                let frames = cell.stream_frames.load(Relaxed) as usize;
                let bytes = cell.stream_bytes.load(Relaxed) as usize;
                let _ = self.end_stream(slot, sid, Fault::Overflow { frames, bytes });
                Delivery::Dropped
            }
        }
    }

    #[cold]
    fn end_stream(self, slot: &'static Slot, sid: Sid, fault: Fault) -> Delivery {
        let outcome = slot.end_stream(sid, |slot| self.owns(slot), fault);
        self.settle(slot, sid, outcome)
    }

    /// Puts a fault in the place of an answer that may not be: too large, or with the one status
    /// that means nothing here.
    #[inline(always)]
    fn checked<'a>(self, answer: Answer<'a>, meaningless: Status) -> Answer<'a> {
        let status = match &answer {
            Answer::Copied(status, _) | Answer::Vec(status, _) | Answer::Owned(status, _) => {
                *status
            }
            Answer::Fault(_) => return answer,
        };
        let len = answer.len();
        let limit = self.cell().answer_bytes.load(Relaxed) as usize;
        if len > limit {
            return Answer::Fault(Fault::TooLarge { len: len as u64, limit });
        }
        if status == meaningless.raw() {
            return Answer::Fault(Fault::BadStatus(meaningless));
        }
        answer
    }

    #[inline(always)]
    fn settle(self, slot: &'static Slot, sid: Sid, outcome: Outcome) -> Delivery {
        match outcome {
            Outcome::Delivered(None) => Delivery::Taken,
            Outcome::Delivered(Some(waker)) => {
                wake::wake(waker);
                Delivery::Taken
            }
            Outcome::Orphaned => {
                release_held(slot, sid);
                Delivery::Dropped
            }
            Outcome::Dropped(reason) => {
                self.link().count_dropped(reason);
                Delivery::Dropped
            }
        }
    }

    /// Keeps `value` with an open call of this port's, until the call is over.
    ///
    /// # Errors
    /// The call is not open or not this port's, or its state would grow too large.
    pub fn set_state(self, sid: Sid, key: &str, value: &[u8]) -> Result<(), StateError> {
        let slot = lane::slot_of(sid).ok_or(StateError::NotOpen)?;
        let most_bytes = self.cell().state_bytes.load(Relaxed) as usize;
        state::set(slot, sid, self.owner(), key, value, most_bytes)
    }

    /// What was kept with an open call of this port's.
    pub fn state(self, sid: Sid, key: &str) -> Option<Vec<u8>> {
        state::with(lane::slot_of(sid)?, sid, self.owner(), key, <[u8]>::to_vec)
    }

    /// A port for another instance of the same plugin.
    ///
    /// Its calls are opened by the plugin's first port, and handed over with
    /// [`adopt`](Self::adopt). Make one for each place of a pool, and let the instances that follow
    /// each other in that place share it.
    ///
    /// # Errors
    /// The plugin has had as many as there can be.
    pub fn instance(self) -> Result<Self, LinkError> {
        let more = |count: u32| (count < MAX_INSTANCES).then_some(count + 1);
        match self.cell().instances.fetch_update(Relaxed, Relaxed, more) {
            Ok(before) => Ok(Self(self.0.instance(before + 1))),
            Err(_) => Err(LinkError::TooManyInstances { limit: MAX_INSTANCES }),
        }
    }

    /// Makes an open call of the same plugin's this port's own. Of one that is so already it looks
    /// whether it is open.
    ///
    /// An answer that the call's port of before began to give meanwhile may still be the one that
    /// is taken, so hand a call over only from an instance that doesn't know it, or is gone.
    pub fn adopt(self, sid: Sid) -> Delivery {
        let inside = lane::here().slot_of(sid);
        if let Some(slot) = inside
            && self.is_sibling(slot)
            && slot.hand_over_inside(sid, self.owner())
        {
            return Delivery::Taken;
        }
        let Some(slot) = lane::slot_of(sid) else { return Delivery::Dropped };
        if self.standing_in(slot, sid) != Standing::Over {
            return Delivery::Taken;
        }
        let same_plugin = |slot: &Slot| self.is_sibling(slot);
        let outcome = if slot.word.load(Acquire) & STREAM != 0 {
            slot.hand_over_stream(sid, same_plugin, self.owner(), inside.is_some())
        } else {
            slot.hand_over(sid, same_plugin, self.owner())
        };
        match outcome {
            Outcome::Dropped(_) => Delivery::Dropped,
            outcome => self.settle(slot, sid, outcome),
        }
    }

    /// Whether a call is this port's and open. It may end at any time after.
    pub fn standing(self, sid: Sid) -> Standing {
        let slot = lane::here().slot_of(sid).or_else(|| lane::slot_of(sid));
        slot.map_or(Standing::Over, |slot| self.standing_in(slot, sid))
    }

    #[inline]
    fn standing_in(self, slot: &Slot, sid: Sid) -> Standing {
        if !self.owns(slot) {
            return Standing::Over;
        }
        let word = slot.word.load(Acquire);
        if word & GENERATION_MASK != sid.generation() || !crate::slot::is_open(word) {
            Standing::Over
        } else if word & STREAM != 0 {
            Standing::Stream
        } else {
            Standing::Call
        }
    }

    /// Ends every open call of this port's with a fault, and says how many there were.
    pub fn end_all(self, fault: &Fault) -> usize {
        end_open(|slot| self.owns(slot), fault)
    }

    /// Runs `f` as a visit to the plugin: the plugin is not shut down while it runs. None where
    /// it is unloaded, or about to be.
    pub fn visit<R>(self, f: impl FnOnce() -> R) -> Option<R> {
        self.link().visit(|_| f()).ok()
    }

    /// Whether the plugin is closed to everything: not attached yet, or unloaded. Its calls have
    /// ended, and whoever is still inside it should come out.
    pub fn is_shut(self) -> bool {
        self.link().is_shut()
    }

    /// The plugin that this is a port of.
    pub fn plugin_name(self) -> Arc<str> {
        self.link().name()
    }

    /// What the plugin may take.
    pub fn limits(self) -> crate::Limits {
        self.link().limits()
    }

    #[inline(always)]
    pub(crate) fn owner(self) -> *mut () {
        self.0.as_owner()
    }

    fn owns(self, slot: &Slot) -> bool {
        slot.owner.load(Relaxed) == self.owner()
    }

    fn is_sibling(self, slot: &Slot) -> bool {
        link_of(slot) == self.link()
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({:#x} of {})", self.0.as_raw(), self.plugin_name())
    }
}

/// The plugin whose port a slot was last given to.
pub(crate) fn link_of(slot: &Slot) -> Link {
    Link(LoadId::from_owner(slot.owner.load(Acquire)).plugin())
}

/// Ends every open call whose slot is `mine`.
pub(crate) fn end_open(mine: impl Fn(&Slot) -> bool + Copy, fault: &Fault) -> usize {
    let mut ended = 0;
    for slot in lane::chunks().flat_map(|chunk| &chunk.slots) {
        match end_slot(slot, mine, fault) {
            Some((_, Outcome::Delivered(waker))) => {
                ended += 1;
                if let Some(waker) = waker {
                    wake::wake(waker);
                }
            }
            Some((sid, Outcome::Orphaned)) => release_held(slot, sid),
            Some((_, Outcome::Dropped(_))) | None => {}
        }
    }
    ended
}

/// Ends the call that is open in the slot, if there is one and it is `mine`.
pub(crate) fn end_slot(
    slot: &Slot,
    mine: impl Fn(&Slot) -> bool + Copy,
    fault: &Fault,
) -> Option<(Sid, Outcome)> {
    let mut turn = 0;
    loop {
        let word = settled_word(slot);
        if !crate::slot::is_open(word) || !mine(slot) {
            return None;
        }
        let sid = Sid::from_raw((word & GENERATION_MASK) | u64::from(slot.index));
        let outcome = if word & STREAM != 0 {
            slot.end_stream(sid, mine, fault.clone())
        } else {
            slot.end(sid, mine, fault.clone())
        };
        // Another thread was faster. That may only have handed the call over, so look again.
        if !matches!(outcome, Outcome::Dropped(_)) {
            return Some((sid, outcome));
        }
        backoff(&mut turn);
    }
}

/// The slot's word, once no thread is in the middle of handing it over or answering.
fn settled_word(slot: &Slot) -> u64 {
    let mut turn = 0;
    loop {
        let word = slot.word.load(Acquire);
        if !crate::slot::is_busy(word) {
            return word;
        }
        backoff(&mut turn);
    }
}

/// Releases a slot that this thread was handed as an orphan.
#[cold]
pub(crate) fn release_held(slot: &'static Slot, sid: Sid) {
    // SAFETY: the waiter left while this thread held the slot's word, which made the slot this
    // thread's. (A call's slot has no queue, and releasing one as a stream's finds that out.)
    unsafe { lane::release_stream(slot, sid) };
}

/// The same, for the timer.
pub(crate) fn release_orphan(sid: Sid) {
    if let Some(slot) = lane::slot_of(sid) {
        release_held(slot, sid);
    }
}
