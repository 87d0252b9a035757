//! Buffers of the host's that a plugin writes its answers into: counted, bounded, never freed under
//! a plugin that may be writing.

#![expect(unsafe_code, reason = "a buffer is written by foreign code, then read")]

use crate::context::{Context, told};
use ringbox_abi::{NrBufferLease, RawStatus};
use ringbox_ring::Sid;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Up to so many bytes are copied, into a buffer that the reply has anyway.
const WORTH_KEEPING: usize = 4096;

/// The buffers that one plugin holds.
pub(crate) struct Leases {
    table: Mutex<Table>,
    most: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
    held: usize,
    bytes: usize,
}

/// A lease's token is its place and how often the place was given out.
struct Place {
    turn: u32,
    state: State,
}

enum State {
    Free,
    Lent(Lent),
    /// A thread is committing it.
    Leaving,
}

struct Lent {
    sid: u64,
    buffer: Arc<Buffer>,
}

/// Why no buffer was lent.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum NoLease {
    /// Larger than an answer may be.
    TooLarge,
    /// The plugin holds all that it may.
    TooMany,
    NoMemory,
}

impl Leases {
    pub(crate) fn new(most: usize, most_bytes: usize) -> Self {
        Self { table: Mutex::default(), most: most.min(u32::MAX as usize), most_bytes }
    }

    /// How many are lent, and their bytes.
    pub(crate) fn held(&self) -> (usize, usize) {
        let table = self.lock();
        (table.held, table.bytes)
    }

    /// Frees all of them.
    pub(crate) fn clear(&self) {
        let places = {
            let mut table = self.lock();
            (table.held, table.bytes) = (0, 0);
            table.free.clear();
            std::mem::take(&mut table.places)
        };
        drop(places);
    }

    /// The table alone is touched under the lock: no code of a plugin's or a user's.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self, sid: u64, capacity: usize) -> Result<NrBufferLease, NoLease> {
        // Asked before the memory is: a plugin at its limit shall not make the host allocate.
        self.lock().check(self, capacity)?;
        let buffer = Arc::new(Buffer::new(capacity).ok_or(NoLease::NoMemory)?);
        let ptr = buffer.start.as_ptr();
        let mut table = self.lock();
        table.check(self, capacity)?;
        let at = match table.free.pop() {
            Some(at) => at,
            None => {
                table.places.push(Place { turn: 0, state: State::Free });
                (table.places.len() - 1) as u32
            }
        };
        table.held += 1;
        table.bytes += capacity;
        let place = &mut table.places[at as usize];
        place.turn = place.turn.wrapping_add(1);
        place.state = State::Lent(Lent { sid, buffer });
        let token = u64::from(place.turn) << 32 | u64::from(at);
        Ok(NrBufferLease { ptr, cap: capacity as u64, token })
    }

    /// Takes a lease out to be committed: nobody else can, until it is back or gone.
    fn begin(&self, token: u64, fits: impl FnOnce(&Lent) -> bool) -> Option<Lent> {
        let mut table = self.lock();
        let place = table.place(token)?;
        if !matches!(&place.state, State::Lent(lent) if fits(lent)) {
            return None;
        }
        match std::mem::replace(&mut place.state, State::Leaving) {
            State::Lent(lent) => Some(lent),
            State::Free | State::Leaving => None,
        }
    }

    /// Puts back a lease that was not committed.
    fn put_back(&self, token: u64, lent: Lent) {
        if let Some(place) = self.lock().place(token) {
            place.state = State::Lent(lent);
        }
    }

    /// Forgets a lease that `begin` took out.
    fn finish(&self, token: u64, capacity: usize) {
        let mut table = self.lock();
        if let Some(place) = table.place(token) {
            place.state = State::Free;
            table.free.push(token as u32);
            table.held -= 1;
            table.bytes -= capacity;
        }
    }
}

impl Table {
    fn check(&self, leases: &Leases, capacity: usize) -> Result<(), NoLease> {
        let fits = self.held < leases.most
            && self.bytes.checked_add(capacity).is_some_and(|bytes| bytes <= leases.most_bytes);
        if fits { Ok(()) } else { Err(NoLease::TooMany) }
    }

    fn place(&mut self, token: u64) -> Option<&mut Place> {
        let place = self.places.get_mut(token as u32 as usize)?;
        (u64::from(place.turn) == token >> 32).then_some(place)
    }
}

impl Context {
    /// Lends the plugin a buffer for an answer to `sid`.
    pub(crate) fn acquire(&self, sid: u64, capacity: u64) -> Result<NrBufferLease, NoLease> {
        if capacity > self.answer_limit() {
            return Err(NoLease::TooLarge);
        }
        let capacity = usize::try_from(capacity).map_err(|_| NoLease::TooLarge)?;
        self.leases.lend(sid, capacity)
    }

    /// Answers with the first `len` bytes of a lent buffer. `sid` is checked where the plugin's
    /// generation hands it over.
    pub(crate) fn commit(
        &self,
        token: u64,
        sid: Option<u64>,
        status: RawStatus,
        len: u64,
    ) -> RawStatus {
        let fits = |lent: &Lent| {
            len <= lent.buffer.capacity as u64 && sid.is_none_or(|sid| sid == lent.sid)
        };
        let Some(lent) = self.leases.begin(token, fits) else { return RawStatus::INVALID };
        let capacity = lent.buffer.capacity;
        let committed = Committed { buffer: lent.buffer.clone(), len: len as usize };
        let to = Sid::from_raw(lent.sid);
        let delivery = if committed.len <= WORTH_KEEPING {
            self.port.send_frame(to, status, committed.as_slice())
        } else {
            self.port.send_frame_owned(to, status, Box::new(committed))
        };
        let told = told(lent.sid, delivery);
        if told == RawStatus::BACKPRESSURE {
            self.leases.put_back(token, lent);
        } else {
            self.leases.finish(token, capacity);
        }
        told
    }

    /// Takes a lent buffer back unused.
    pub(crate) fn release(&self, token: u64) -> RawStatus {
        match self.leases.begin(token, |_| true) {
            Some(lent) => {
                self.leases.finish(token, lent.buffer.capacity);
                RawStatus::OK
            }
            None => RawStatus::INVALID,
        }
    }
}

impl NoLease {
    pub(crate) fn status(self) -> RawStatus {
        match self {
            Self::TooLarge => RawStatus::INVALID,
            Self::TooMany => RawStatus::BACKPRESSURE,
            Self::NoMemory => RawStatus::ERR,
        }
    }
}

/// Memory that a plugin may write to: `capacity` bytes, freed with the value.
struct Buffer {
    start: NonNull<u8>,
    capacity: usize,
    /// What the allocator gave, which may be more.
    allocated: usize,
}

// SAFETY: the memory is this value's, and goes with it. While it is lent only the plugin touches
// it; once it is committed it is only read.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    fn new(capacity: usize) -> Option<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(capacity).ok()?;
        let mut bytes = ManuallyDrop::new(bytes);
        let allocated = bytes.capacity();
        Some(Self { start: NonNull::new(bytes.as_mut_ptr())?, capacity, allocated })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the parts of a vector that `new` has leaked, put together again once; nobody else
        // has the memory, for whoever does keeps the value.
        drop(unsafe { Vec::from_raw_parts(self.start.as_ptr(), 0, self.allocated) });
    }
}

/// A buffer whose first bytes are an answer.
struct Committed {
    buffer: Arc<Buffer>,
    /// At most the buffer's capacity.
    len: usize,
}

impl Committed {
    fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` is within the buffer (`fits`), whose memory this value keeps; the plugin
        // has written that much, and writes no more, says its commit.
        unsafe { std::slice::from_raw_parts(self.buffer.start.as_ptr(), self.len) }
    }
}

// SAFETY: the buffer is only read once it is committed, and stays with this value; dropping it frees
// memory and does nothing else.
unsafe impl ringbox_ring::OwnedBytes for Committed {
    fn bytes(&self) -> &[u8] {
        self.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_counted_bounded_and_never_named_twice() {
        let leases = Leases::new(2, 100);
        let one = leases.lend(7, 60).unwrap();
        assert_eq!(leases.lend(7, 41).unwrap_err(), NoLease::TooMany);
        let two = leases.lend(7, 40).unwrap();
        assert_eq!(leases.lend(7, 0).unwrap_err(), NoLease::TooMany);
        assert_eq!(leases.held(), (2, 100));
        let lent = leases.begin(one.token, |lent| lent.sid == 7).unwrap();
        assert!(leases.begin(one.token, |_| true).is_none(), "it is being committed");
        leases.finish(one.token, lent.buffer.capacity);
        assert!(leases.begin(one.token, |_| true).is_none(), "it is gone");
        let again = leases.lend(8, 60).unwrap();
        assert_ne!(again.token, one.token);
        assert!(leases.begin(one.token, |_| true).is_none(), "its place serves another");
        assert!(leases.begin(two.token, |_| false).is_none());
        assert!(leases.begin(two.token, |_| true).is_some());
        leases.clear();
        assert_eq!(leases.held(), (0, 0));
    }

    #[test]
    fn memory_that_there_is_not_is_no_abort() {
        let leases = Leases::new(2, usize::MAX);
        assert_eq!(leases.lend(7, isize::MAX as usize).unwrap_err(), NoLease::NoMemory);
        assert_eq!(leases.lend(7, usize::MAX).unwrap_err(), NoLease::NoMemory);
    }
}
