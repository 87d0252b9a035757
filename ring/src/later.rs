//! Wakers that wait until their thread has left the plugins' code.
//!
//! One thread puts them in, and takes them out in their order. The timer's thread may take some as well.
//! A few have places, which cost neither a lock nor an allocation:
//!
//! | a place is | who may touch its waker | leaves by |
//! |---|---|---|
//! | `EMPTY` | the thread that puts wakers in | a store |
//! | `FULL` | nobody | a swap to `TAKEN`, by whoever takes it |
//! | `TAKEN` | whoever took it | a store |
//!
//! Places are filled from the first to the last, and from the first again once nothing waits any more.
//! What comes when the last is full lies behind a lock.

#![expect(unsafe_code, reason = "a place's state says who may touch its waker")]

use crate::sync::{Acquire, AtomicU8, Mutex, MutexGuard, Relaxed, Release, UnsafeCell};
use std::cell::Cell;
use std::sync::PoisonError;
use std::task::Waker;

const EMPTY: u8 = 0;
const FULL: u8 = 1;
const TAKEN: u8 = 2;

/// As many as calls that one thread runs for others, before it leaves the plugin.
const PLACES: usize = if cfg!(loom) { 1 } else { 16 };

pub(crate) struct Later {
    places: [Place; PLACES],
    /// Which place is filled next.
    next: Cell<usize>,
    others: Mutex<Vec<Waker>>,
    /// Whether there are any, so that they are locked only then.
    has_others: AtomicU8,
}

struct Place {
    state: AtomicU8,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: a waker goes from who put it in to who swaps its place's state, and is never shared. `next` is
// the one thread's that puts wakers in (`put`).
unsafe impl Sync for Later {}

impl Later {
    pub(crate) fn new() -> Self {
        Self {
            places: std::array::from_fn(|_| Place {
                state: AtomicU8::new(EMPTY),
                waker: UnsafeCell::new(None),
            }),
            next: Cell::new(0),
            others: Mutex::default(),
            has_others: AtomicU8::new(0),
        }
    }

    /// Has a waker wait.
    ///
    /// # Safety
    /// One thread at a time does this, and what the one before did happened before.
    #[inline]
    pub(crate) unsafe fn put(&self, waker: Waker) {
        let at = self.next.get();
        match self.places.get(at) {
            Some(place) => {
                place.fill(waker);
                self.next.set(at + 1);
            }
            None => self.put_behind(waker),
        }
    }

    #[cold]
    #[inline(never)]
    fn put_behind(&self, waker: Waker) {
        let mut others = self.others();
        if others.is_empty() && self.places.iter().all(Place::is_empty) {
            self.places[0].fill(waker);
            self.next.set(1);
        } else {
            others.push(waker);
            self.has_others.store(1, Relaxed);
        }
    }

    /// Takes all that wait, in their order.
    #[inline]
    pub(crate) fn take(&self) -> impl Iterator<Item = Waker> {
        let few: [_; PLACES] = std::array::from_fn(|at| self.places[at].take());
        few.into_iter().flatten().chain(self.take_others())
    }

    fn take_others(&self) -> Vec<Waker> {
        if self.has_others.load(Relaxed) == 0 {
            return Vec::new();
        }
        let mut others = self.others();
        self.has_others.store(0, Relaxed);
        std::mem::take(&mut *others)
    }

    /// Nobody else's code runs under this lock.
    fn others(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any waits, as far as this thread knows.
    #[inline]
    pub(crate) fn has_any(&self) -> bool {
        self.places.iter().any(Place::is_full) || self.has_others.load(Relaxed) != 0
    }
}

impl Place {
    fn is_empty(&self) -> bool {
        self.state.load(Acquire) == EMPTY
    }

    fn is_full(&self) -> bool {
        self.state.load(Relaxed) == FULL
    }

    /// The place is empty: it was so from the beginning, or was seen to be.
    #[inline]
    fn fill(&self, waker: Waker) {
        // SAFETY: only who takes a waker that is there touches a place that is not empty.
        self.waker.with_mut(|place| unsafe { *place = Some(waker) });
        self.state.store(FULL, Release);
    }

    #[inline]
    fn take(&self) -> Option<Waker> {
        if !self.is_full() || self.state.compare_exchange(FULL, TAKEN, Acquire, Relaxed).is_err() {
            return None;
        }
        // SAFETY: this thread alone swapped the state.
        let waker = self.waker.with_mut(|place| unsafe { (*place).take() });
        self.state.store(EMPTY, Release);
        waker
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    /// Notes its number when it is woken.
    struct Numbered(usize, Arc<Mutex<Vec<usize>>>);

    impl Wake for Numbered {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn wakers_come_out_in_their_order_however_many_there_are() {
        let (later, woken) = (Later::new(), Arc::default());
        let number = AtomicUsize::new(0);
        let put = |count: usize| {
            for _ in 0..count {
                let number = number.fetch_add(1, Relaxed);
                let waker = Waker::from(Arc::new(Numbered(number, Arc::clone(&woken))));
                // SAFETY: this thread alone does.
                unsafe { later.put(waker) };
            }
        };
        for count in [1, PLACES - 1, 1, PLACES - 1, 2, PLACES, PLACES + 1, 3 * PLACES, 2] {
            put(count);
            assert!(later.has_any());
            later.take().for_each(Waker::wake);
            assert!(!later.has_any());
        }
        let woken = woken.lock().unwrap();
        assert!(woken.iter().copied().eq(0..number.into_inner()));
    }

    #[test]
    fn a_few_wakers_take_places_and_a_burst_leaves_no_room_behind() {
        let later = Later::new();
        let put = |count| {
            for _ in 0..count {
                // SAFETY: this thread alone does.
                unsafe { later.put(Waker::noop().clone()) };
            }
        };
        put(PLACES);
        assert!(later.places.iter().all(Place::is_full) && later.others().capacity() == 0);
        put(1000);
        assert_eq!(later.take().count(), PLACES + 1000);
        assert_eq!(later.others().capacity(), 0);
    }
}
