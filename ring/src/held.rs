//! `Held`: the right to a slot whose call is over.
//!
//! It is made once a generation, by whoever the slot's word gives the slot to, and dropping it
//! ends the generation. So what it lends is safe to use.

#![expect(unsafe_code, reason = "it turns the slot word's promise into a borrow")]

use crate::lane;
use crate::payload::Payload;
use crate::sid::Sid;
use crate::slot::Slot;

pub(crate) struct Held {
    slot: &'static Slot,
    sid: Sid,
}

impl Held {
    /// # Safety
    /// `sid`'s generation is over (its word is READY, ENDED, or a stream's that is over), and the
    /// word made its slot the caller's alone: as the waiter, or as the answering thread that was
    /// handed an orphan. No other `Held` is made for `sid`.
    #[inline(always)]
    pub(crate) unsafe fn new(slot: &'static Slot, sid: Sid) -> Self {
        Self { slot, sid }
    }

    #[inline(always)]
    pub(crate) fn payload(&self) -> &Payload {
        // SAFETY: the slot is this value's until it is dropped, and it is borrowed.
        unsafe { self.slot.payload() }
    }

    #[inline(always)]
    pub(crate) fn payload_mut(&mut self) -> &mut Payload {
        // SAFETY: as in `payload`, and the borrow is exclusive.
        unsafe { self.slot.payload_mut() }
    }
}

impl Drop for Held {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the slot was this value's, and this is its end.
        unsafe { lane::release(self.slot, self.sid) };
    }
}
