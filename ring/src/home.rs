//! `Home`: where slots wait that were freed by threads which don't hold their lane.
//!
//! Any thread pushes, and whoever takes takes all of it: so there is no ABA.

use crate::slot::Slot;
use crate::sync::{Acquire, AtomicPtr, AtomicU64, Relaxed, Release};
use std::ptr::null_mut;

pub(crate) struct Home {
    first: AtomicPtr<Slot>,
    /// About how many there are.
    len: AtomicU64,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { first: AtomicPtr::new(null_mut()), len: AtomicU64::new(0) }
    }

    /// Counts a slot that is about to be pushed. Returns about how many are there already.
    pub(crate) fn announce(&self) -> u64 {
        self.len.fetch_add(1, Relaxed)
    }

    /// Lists a slot that is on no list. What its thread did to it before, the taker sees.
    pub(crate) fn push(&self, slot: &Slot) {
        let this = std::ptr::from_ref(slot).cast_mut();
        let mut first = self.first.load(Relaxed);
        loop {
            slot.next.store(first, Relaxed);
            match self.first.compare_exchange_weak(first, this, Release, Relaxed) {
                Ok(_) => return,
                Err(newer) => first = newer,
            }
        }
    }

    /// Takes all that are there: null, or the first of a list linked by `next`.
    pub(crate) fn take(&self) -> *mut Slot {
        let first = self.first.swap(null_mut(), Acquire);
        self.len.store(0, Relaxed);
        first
    }
}
