//! `Home`: where slots wait that were freed by threads which don't hold their lane.
//!
//! Any thread pushes, and whoever takes takes all of it: so there is no ABA.

use crate::slot::Slot;
use crate::sync::{Acquire, AtomicPtr, Relaxed, Release};
use std::ptr::null_mut;

pub(crate) struct Home {
    first: AtomicPtr<Slot>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { first: AtomicPtr::new(null_mut()) }
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
        self.first.swap(null_mut(), Acquire)
    }
}
