//! What an answer leaves in a slot: a status, and bytes in a buffer that outlives the answer.

use crate::error::Fault;
use crate::near;
use crate::wake::contain;
use ringbox_abi::RawStatus;

/// A buffer of up to this many bytes stays with its slot, so that the next answer needs no
/// allocation.
pub(crate) const KEEP: usize = 4096;

/// Bytes that a plugin handed over instead of having them copied.
///
/// # Safety
/// `bytes` returns the same bytes for as long as the value lives, and neither it nor dropping the
/// value calls back into the ring, blocks, or panics: both run where a caller or the timer waits.
#[expect(unsafe_code, reason = "other callers depend on what it promises")]
pub unsafe trait OwnedBytes: Send + Sync {
    /// The bytes, the same for as long as the value lives.
    fn bytes(&self) -> &[u8];
}

#[expect(unsafe_code, reason = "the trait is unsafe to implement")]
// SAFETY: a shared `Vec` doesn't change, and freeing it calls nobody.
unsafe impl OwnedBytes for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// One answer on its way into a slot.
pub(crate) enum Answer<'a> {
    Copied(RawStatus, &'a [u8]),
    Vec(RawStatus, Vec<u8>),
    Owned(RawStatus, Box<dyn OwnedBytes>),
    Fault(Fault),
}

impl Answer<'_> {
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Copied(_, bytes) => bytes.len(),
            Self::Vec(_, bytes) => bytes.len(),
            Self::Owned(_, bytes) => bytes.bytes().len(),
            Self::Fault(_) => 0,
        }
    }

    /// Makes what is left to do short: whoever waits for the claim to end should not wait for
    /// megabytes to be copied.
    #[inline(always)]
    pub(crate) fn copied_before_claim(self) -> Self {
        match self {
            Self::Copied(status, bytes) if bytes.len() > KEEP => copy(status, bytes),
            other => other,
        }
    }
}

#[cold]
#[inline(never)]
fn copy(status: RawStatus, bytes: &[u8]) -> Answer<'static> {
    let mut vec = Vec::new();
    if vec.try_reserve_exact(bytes.len()).is_err() {
        return Answer::Fault(Fault::OutOfMemory { len: bytes.len() });
    }
    vec.extend_from_slice(bytes);
    Answer::Vec(status, vec)
}

enum Extra {
    Fault(Fault),
    Owned(Box<dyn OwnedBytes>),
}

/// The reply cell of a slot, or one frame of a stream's queue.
pub(crate) struct Payload {
    bytes: Vec<u8>,
    status: RawStatus,
    extra: Option<Box<Extra>>,
}

impl Payload {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), status: RawStatus::OK, extra: None }
    }

    /// [`fill`](Self::fill), but a fault does not take the answer's place: it comes back, and the
    /// cell is as it was.
    #[inline(always)]
    pub(crate) fn try_fill(&mut self, answer: Answer<'_>) -> Result<(), Fault> {
        self.fill(answer);
        match self.take_fault() {
            None => Ok(()),
            Some(fault) => Err(fault),
        }
    }

    /// Takes the answer in. `extra` is empty on entry: `trim` saw to it.
    #[inline(always)]
    pub(crate) fn fill(&mut self, answer: Answer<'_>) {
        match answer {
            Answer::Copied(status, bytes) => self.copy(status, bytes),
            other => self.fill_whole(other),
        }
    }

    /// [`fill`](Self::fill) for bytes to copy.
    #[inline(always)]
    pub(crate) fn copy(&mut self, status: RawStatus, bytes: &[u8]) {
        if !self.copy_if_room(status, bytes) && self.grow(bytes.len()) {
            self.copy_if_room(status, bytes);
        }
    }

    /// The same where the buffer has room. False: nothing happened.
    ///
    /// What makes room would have all that the copy needs kept across a call: it stays out of the
    /// way of answers that find room.
    #[inline(always)]
    #[expect(unsafe_code, reason = "it is on the way of every answer")]
    pub(crate) fn copy_if_room(&mut self, status: RawStatus, bytes: &[u8]) -> bool {
        if bytes.len() > self.bytes.capacity() {
            return false;
        }
        self.status = status;
        // Nothing is to be copied often, and the copy is a call.
        if !bytes.is_empty() {
            // `extend_from_slice` would look at the room again, in a function of its own: 2 ns.
            let room = self.bytes.as_mut_ptr();
            // SAFETY: there is room for `bytes.len()`, as was just seen, and what is borrowed
            // from elsewhere does not lie in a buffer that is borrowed exclusively.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len()) };
        }
        // SAFETY: so many bytes are written, and there was room for them.
        unsafe { self.bytes.set_len(bytes.len()) };
        true
    }

    #[cold]
    #[inline(never)]
    fn fill_whole(&mut self, answer: Answer<'_>) {
        match answer {
            Answer::Copied(..) => unreachable!("`fill` copies"),
            Answer::Vec(status, bytes) => {
                self.status = status;
                self.bytes = bytes;
            }
            Answer::Owned(status, bytes) => {
                self.status = status;
                self.extra = Some(Box::new(Extra::Owned(bytes)));
            }
            Answer::Fault(fault) => self.extra = Some(Box::new(Extra::Fault(fault))),
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) -> bool {
        // Small buffers come in few sizes, since they are kept for whatever answer comes next.
        let capacity = if len <= KEEP { len.next_power_of_two().max(256) } else { len };
        self.bytes = Vec::new();
        if self.bytes.try_reserve_exact(capacity).is_err() {
            self.extra = Some(Box::new(Extra::Fault(Fault::OutOfMemory { len })));
            return false;
        }
        true
    }

    #[inline(always)]
    pub(crate) fn status(&self) -> RawStatus {
        self.status
    }

    /// The bytes, if they were copied into the cell's own buffer.
    #[inline(always)]
    pub(crate) fn copied(&self) -> Option<&[u8]> {
        if self.extra.is_none() { Some(&self.bytes) } else { None }
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.extra {
            None => &self.bytes,
            Some(extra) => owned(extra),
        }
    }

    /// The fault that stands in the answer's place, taken out.
    #[inline(always)]
    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        if self.extra.is_none() { None } else { self.take_fault_cold() }
    }

    #[cold]
    fn take_fault_cold(&mut self) -> Option<Fault> {
        match self.extra.take().map(|extra| *extra) {
            Some(Extra::Fault(fault)) => Some(fault),
            other => {
                self.extra = other.map(Box::new);
                None
            }
        }
    }

    /// The bytes as a `Vec`: the buffer itself where it is too large to be kept, else a copy.
    pub(crate) fn take_vec(&mut self) -> Vec<u8> {
        if self.extra.is_none() && self.bytes.capacity() > KEEP {
            return std::mem::take(&mut self.bytes);
        }
        self.bytes().to_vec()
    }

    /// Makes the cell ready for its next answer. A buffer over [`KEEP`] is given back.
    #[inline(always)]
    pub(crate) fn trim(&mut self) {
        if self.bytes.capacity() > KEEP || self.extra.is_some() {
            self.trim_cold();
        }
    }

    #[cold]
    #[inline(never)]
    fn trim_cold(&mut self) {
        if self.bytes.capacity() > KEEP {
            self.bytes = Vec::new();
        }
        // The plugin's own bytes go last: giving them back runs its code.
        let extra = self.extra.take();
        contain(|| drop(extra));
    }

    /// Has what an answer of a common size is copied to brought near.
    pub(crate) fn expect_answer(&self) {
        near::will_write(self.bytes.as_ptr(), self.bytes.capacity().min(256));
    }

    /// How many bytes the buffer has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives the buffer back as well.
    #[cold]
    pub(crate) fn shed(&mut self) {
        self.bytes = Vec::new();
    }
}

#[cold]
fn owned(extra: &Extra) -> &[u8] {
    match extra {
        Extra::Owned(bytes) => bytes.bytes(),
        Extra::Fault(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_buffer_stays_and_a_large_one_goes() {
        let mut cell = Payload::new();
        cell.fill(Answer::Copied(RawStatus::OK, &[7; 100]));
        let kept = cell.bytes().as_ptr();
        cell.trim();
        cell.fill(Answer::Copied(RawStatus::OK, &[8; 200]));
        assert_eq!((cell.bytes().as_ptr(), cell.bytes()), (kept, &[8; 200][..]));
        cell.fill(Answer::Copied(RawStatus::OK, &[9; KEEP + 1]));
        cell.trim();
        assert_eq!(cell.bytes.capacity(), 0);
    }

    #[test]
    fn owned_bytes_are_dropped_by_trim() {
        struct Guard(#[expect(dead_code, reason = "it is counted")] std::sync::Arc<()>);
        #[expect(unsafe_code, reason = "the trait is unsafe to implement")]
        // SAFETY: the bytes are static, and dropping an `Arc` of nothing calls nobody.
        unsafe impl OwnedBytes for Guard {
            fn bytes(&self) -> &[u8] {
                b"theirs"
            }
        }
        let alive = std::sync::Arc::new(());
        let mut cell = Payload::new();
        cell.fill(Answer::Owned(RawStatus::ERR, Box::new(Guard(alive.clone()))));
        assert_eq!((cell.bytes(), cell.status()), (&b"theirs"[..], RawStatus::ERR));
        assert_eq!((cell.take_fault(), cell.take_vec()), (None, b"theirs".to_vec()));
        assert_eq!(std::sync::Arc::strong_count(&alive), 2);
        cell.trim();
        assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    }

    #[test]
    fn a_fault_has_no_bytes_and_is_taken_once() {
        let mut cell = Payload::new();
        cell.fill(Answer::Copied(RawStatus::OK, b"old"));
        cell.trim();
        cell.fill(Answer::Fault(Fault::Unanswered));
        assert_eq!(cell.bytes(), b"");
        assert_eq!((cell.take_fault(), cell.take_fault()), (Some(Fault::Unanswered), None));
    }
}
