//! How often each kind of fault ended how.

use crate::ground::Wall;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

type Key = (&'static str, &'static str, String);

/// Counts.
#[derive(Default)]
pub(super) struct Tally(Mutex<BTreeMap<Key, u64>>);

impl Tally {
    pub(super) fn count(&self, wall: Wall, kind: &'static str, came: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((kind, wall.name(), came.to_owned())).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((kind, wall, came), count) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            writeln!(f, "{count:>9}  {kind:<20} {wall:<7} {came}")?;
        }
        Ok(())
    }
}
