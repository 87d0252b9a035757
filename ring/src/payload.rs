//! What an answer leaves in a slot: a status, and bytes in a buffer that outlives the answer.

use crate::error::Fault;
use crate::near::Room;
use crate::wake::contain;
use ringbox_abi::RawStatus;
use std::mem::MaybeUninit;
use std::slice;

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

/// What a cell holds in the place of bytes in its own buffer.
enum Extra {
    Fault(Fault),
    Vec(Vec<u8>),
    Owned(Box<dyn OwnedBytes>),
}

/// A buffer is made of these. An answer that begins where a cache line does is written and read a third
/// faster than one whose every vector lies in two.
#[derive(Copy, Clone)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "it is room")] [MaybeUninit<u8>; 64]);

/// The reply cell of a slot, or one frame of a stream's queue.
pub(crate) struct Payload {
    /// The buffer, which stays: no more than [`KEEP`] bytes.
    buffer: Box<[Line]>,
    /// How many bytes of it are the answer.
    len: u32,
    status: RawStatus,
    extra: Option<Box<Extra>>,
}

impl Payload {
    pub(crate) fn new() -> Self {
        Self { buffer: Box::default(), len: 0, status: RawStatus::OK, extra: None }
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
        if !self.copy_if_room(status, bytes) {
            self.copy_to_more_room(status, bytes);
        }
    }

    /// The same where the buffer has room. False: nothing happened.
    ///
    /// What makes room would have all that the copy needs kept across a call: it stays out of the
    /// way of answers that find room.
    #[inline(always)]
    #[expect(unsafe_code, reason = "it is on the way of every answer")]
    pub(crate) fn copy_if_room(&mut self, status: RawStatus, bytes: &[u8]) -> bool {
        if bytes.len() > self.capacity() {
            return false;
        }
        self.status = status;
        self.len = bytes.len() as u32;
        // Nothing is to be copied often, and the copy is a call.
        if !bytes.is_empty() {
            let room = self.buffer.as_mut_ptr().cast::<u8>();
            // SAFETY: there is room for `bytes.len()`, as was just seen, and what is borrowed
            // from elsewhere does not lie in a buffer that is borrowed exclusively.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len()) };
        }
        true
    }

    #[cold]
    #[inline(never)]
    fn copy_to_more_room(&mut self, status: RawStatus, bytes: &[u8]) {
        if bytes.len() > KEEP {
            self.fill_whole(copy(status, bytes));
        } else if self.grow(bytes.len()) {
            self.copy_if_room(status, bytes);
        } else {
            self.fill_whole(Answer::Fault(Fault::OutOfMemory { len: bytes.len() }));
        }
    }

    #[cold]
    #[inline(never)]
    fn fill_whole(&mut self, answer: Answer<'_>) {
        let (status, extra) = match answer {
            Answer::Copied(status, bytes) => return self.copy_to_more_room(status, bytes),
            Answer::Vec(status, bytes) => (status, Extra::Vec(bytes)),
            Answer::Owned(status, bytes) => (status, Extra::Owned(bytes)),
            Answer::Fault(fault) => (self.status, Extra::Fault(fault)),
        };
        self.status = status;
        self.extra = Some(Box::new(extra));
    }

    /// Makes a buffer for so many bytes, if there is memory.
    fn grow(&mut self, len: usize) -> bool {
        // They come in few sizes, since they are kept for whatever answer comes next.
        let lines = len.next_power_of_two().max(256) / size_of::<Line>();
        self.shed();
        let mut buffer = Vec::new();
        if buffer.try_reserve_exact(lines).is_err() {
            return false;
        }
        buffer.resize(lines, Line([MaybeUninit::uninit(); 64]));
        self.buffer = buffer.into_boxed_slice();
        true
    }

    #[inline(always)]
    pub(crate) fn status(&self) -> RawStatus {
        self.status
    }

    /// The bytes, if they were copied into the cell's own buffer.
    #[inline(always)]
    #[expect(unsafe_code, reason = "the buffer has bytes that nobody wrote")]
    pub(crate) fn copied(&self) -> Option<&[u8]> {
        if self.extra.is_some() {
            return None;
        }
        // SAFETY: so many bytes of the buffer were written by the latest copy.
        Some(unsafe { slice::from_raw_parts(self.buffer.as_ptr().cast(), self.len as usize) })
    }

    /// How many bytes the answer has, where they are the cell's to keep and no fault is in their place:
    /// copied, or a vector.
    #[inline(always)]
    pub(crate) fn own_len(&self) -> Option<usize> {
        if self.extra.is_none() { Some(self.len as usize) } else { self.vec_len() }
    }

    #[cold]
    fn vec_len(&self) -> Option<usize> {
        match self.extra.as_deref() {
            Some(Extra::Vec(bytes)) => Some(bytes.len()),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.copied() {
            Some(bytes) => bytes,
            None => self.extra.as_deref().map_or(&[], owned),
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
            Some(Extra::Fault(fault)) => {
                self.len = 0;
                Some(fault)
            }
            other => {
                self.extra = other.map(Box::new);
                None
            }
        }
    }

    /// The bytes as a `Vec`: the one that they came in, or else a copy.
    pub(crate) fn take_vec(&mut self) -> Vec<u8> {
        match self.extra.as_deref_mut() {
            Some(Extra::Vec(bytes)) => std::mem::take(bytes),
            _ => self.bytes().to_vec(),
        }
    }

    /// Makes the cell ready for its next answer. What isn't the cell's own is given back.
    #[inline(always)]
    pub(crate) fn trim(&mut self) {
        if self.extra.is_some() {
            self.trim_cold();
        }
    }

    #[cold]
    #[inline(never)]
    fn trim_cold(&mut self) {
        self.len = 0;
        // The plugin's own bytes: giving them back runs its code.
        let extra = self.extra.take();
        contain(|| drop(extra));
    }

    /// Where an answer of a common size will be copied to.
    pub(crate) fn room(&self) -> Room {
        Room::of(self.buffer.as_ptr(), self.capacity().min(256))
    }

    /// How many bytes the buffer has room for.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.len() * size_of::<Line>()
    }

    /// Gives the buffer back as well.
    #[cold]
    pub(crate) fn shed(&mut self) {
        self.len = 0;
        self.buffer = Box::default();
    }
}

#[cold]
fn owned(extra: &Extra) -> &[u8] {
    match extra {
        Extra::Vec(bytes) => bytes,
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
        assert_eq!(cell.bytes(), &[9; KEEP + 1][..]);
        assert!(cell.copied().is_none() && cell.capacity() == 256);
        cell.trim();
        assert!(cell.extra.is_none() && cell.bytes().is_empty());
    }

    #[test]
    fn a_buffer_begins_where_a_cache_line_does() {
        for len in [1, 256, 257, 1000, KEEP] {
            let mut cell = Payload::new();
            cell.fill(Answer::Copied(RawStatus::OK, &vec![7; len]));
            assert_eq!(cell.bytes().as_ptr().addr() % 64, 0);
            assert!(cell.capacity() >= len && cell.capacity() <= KEEP);
        }
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
