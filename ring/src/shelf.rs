//! Where values stand that are never freed: side by side, so that each costs its size and no more.

use std::mem::{MaybeUninit, take};
use std::sync::{Mutex, PoisonError};

/// How many are made room for at a time.
const ROW: usize = 64;

pub(crate) struct Shelf<T: 'static>(Mutex<&'static mut [MaybeUninit<T>]>);

impl<T> Shelf<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(&mut []))
    }

    /// Keeps `value` for as long as the process lives.
    pub(crate) fn keep(&self, value: T) -> &'static T {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.is_empty() {
            *free = Box::leak(Box::new_uninit_slice(ROW));
        }
        let (place, rest) = take(&mut *free).split_first_mut().expect("there is room for a row");
        *free = rest;
        place.write(value)
    }
}
