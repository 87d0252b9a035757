//! How often each kind of fault ended how.

use super::kinds::{Came, Kind, kinds};
use crate::ground::Wall;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// One kind behind one wall.
#[derive(Default, Clone)]
struct Cell {
    /// How often it went wrong.
    reached: u64,
    ends: BTreeMap<String, u64>,
}

/// Counts.
pub(super) struct Tally(Vec<(&'static Kind, Wall, Mutex<Cell>)>);

impl Default for Tally {
    fn default() -> Self {
        let cells = kinds().flat_map(|kind| kind.walls.iter().map(move |wall| (kind, *wall)));
        Self(cells.map(|(kind, wall)| (kind, wall, Mutex::default())).collect())
    }
}

impl Tally {
    /// How many kinds there are, counted for each wall.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// One of them.
    pub(super) fn kind(&self, at: usize) -> (&'static Kind, Wall) {
        (self.0[at].0, self.0[at].1)
    }

    /// Says whether it went wrong, as it should.
    pub(super) fn count(&self, at: usize, came: &Came) -> bool {
        let mut cell = self.cell(at);
        let (end, reached) = match came {
            Came::So(what) => (what.clone(), true),
            Came::Away(what) => (format!("(not there: {what})"), false),
            Came::Wrong(what) => (format!("WRONG: {what}"), true),
        };
        *cell.ends.entry(end).or_default() += 1;
        cell.reached += u64::from(reached);
        reached
    }

    /// The one that was provoked least.
    pub(super) fn rarest(&self) -> usize {
        (0..self.len()).min_by_key(|at| self.cell(*at).reached).unwrap_or(0)
    }

    /// How often each was provoked.
    pub(super) fn reached(&self) -> impl Iterator<Item = (&'static str, Wall, u64)> {
        let each = self.0.iter().enumerate();
        each.map(|(at, (kind, wall, _))| (kind.name, *wall, self.cell(at).reached))
    }

    fn cell(&self, at: usize) -> std::sync::MutexGuard<'_, Cell> {
        self.0[at].2.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (kind, wall, _)) in self.0.iter().enumerate() {
            let cell = self.cell(at).clone();
            writeln!(f, "{:>9}  {} behind {}", cell.reached, kind.name, wall.name())?;
            for (end, count) in cell.ends {
                writeln!(f, "           {count:>9}  {end}")?;
            }
        }
        Ok(())
    }
}
