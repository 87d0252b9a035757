//! The numbers that a plugin gave to its entries.

use ringbox_ring::EntryId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// More names than this are not remembered.
const MOST: usize = 1 << 12;

/// What a plugin was asked, and what it answered: it is the same for all its instances.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    names: BTreeMap<Box<str>, u32>,
    numbers: BTreeSet<u32>,
}

impl Numbers {
    /// The number of that name, for which the plugin is asked once.
    pub(crate) fn resolve(&self, name: &str, ask: impl FnOnce() -> Option<u32>) -> Option<EntryId> {
        let known = self.lock().names.get(name).copied();
        if let Some(known) = known {
            return Some(EntryId::from_raw(known));
        }
        // Not under the lock: a guest runs.
        let number = ask()?;
        let mut known = self.lock();
        if known.numbers.len() < MOST {
            known.numbers.insert(number);
        }
        if known.names.len() < MOST {
            known.names.insert(name.into(), number);
        }
        Some(EntryId::from_raw(number))
    }

    /// Whether the number was ever given out.
    pub(crate) fn knows(&self, number: EntryId) -> bool {
        let known = self.lock();
        known.numbers.contains(&number.as_raw()) || known.numbers.len() == MOST
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
