//! The numbers that a plugin gave to its entries.

use ringbox_ring::EntryId;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// More entries than this are not remembered.
const MOST: usize = 1 << 16;

/// The numbers that were ever given out. Looked at only when a call by number was refused: a
/// plugin says `Invalid` to a number that it never gave out, and may say it for its own reasons.
#[derive(Default)]
pub(super) struct Numbers(Mutex<BTreeSet<u32>>);

impl Numbers {
    /// Remembers what the plugin answered for a name.
    pub(super) fn given_out(&self, number: u32, none: u32) -> Option<EntryId> {
        if number == none {
            return None;
        }
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if numbers.len() < MOST {
            numbers.insert(number);
        }
        Some(EntryId::from_raw(number))
    }

    /// Whether the plugin may have given it out.
    pub(super) fn knows(&self, number: EntryId) -> bool {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.contains(&number.as_raw()) || numbers.len() == MOST
    }
}
