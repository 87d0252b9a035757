//! What each plugin did, and under which number that is counted.
//!
//! Each lane has a tally for each number, and what is counted seldom is counted in one place for
//! all threads ([`Counts`]). All of these only ever grow, so what one plugin did is what they stand
//! at less what they stood at when it was given its number. It keeps the number until each of its
//! calls is over for its caller too, who counts that under it; then another plugin may have it.

use crate::error::{Fault, LinkError};
use crate::lane::{self, MAX_LINKS};
use crate::link::LinkCell;
use crate::metrics::{Count, FaultCounts, Metrics};
use crate::slot::Reason;
use crate::sync::{AtomicU64, Relaxed};
use crate::tally::{self, Tally};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Of so many plugins that are gone and whose number is another's it is known what they did.
const REMEMBERED: usize = 1000;

/// What is counted of a number's plugins beside the tallies, by whichever thread it befalls.
pub(crate) struct Counts {
    finished_elsewhere: Count,
    cancelled: Count,
    refused: Count,
    dropped: [Count; 4],
    faults: FaultCounts,
}

static COUNTS: [Counts; MAX_LINKS] = [const { Counts::new() }; MAX_LINKS];

impl Counts {
    const fn new() -> Self {
        Self {
            finished_elsewhere: Count::new(0),
            cancelled: Count::new(0),
            refused: Count::new(0),
            dropped: [const { Count::new(0) }; 4],
            faults: FaultCounts::new(),
        }
    }

    pub(crate) fn of(number: u32) -> &'static Self {
        &COUNTS[number as usize]
    }

    pub(crate) fn count_finished_elsewhere(&self) {
        self.finished_elsewhere.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_cancelled(&self) {
        self.cancelled.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_dropped(&self, reason: Reason) {
        self.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn count_fault(&self, fault: &Fault) {
        self.faults.count(fault);
    }
}

static NUMBERS: Mutex<Numbers> =
    Mutex::new(Numbers { places: Vec::new(), gone: Vec::new(), past: VecDeque::new() });

struct Numbers {
    /// Whose each number is.
    places: Vec<Place>,
    /// The numbers whose plugin is gone, though calls of it may not be over for their callers.
    gone: Vec<u32>,
    /// What plugins did whose number is another's.
    past: VecDeque<(&'static LinkCell, Metrics)>,
}

struct Place {
    cell: &'static LinkCell,
    /// What the counts stood at when it was given the number.
    base: Metrics,
}

fn numbers() -> MutexGuard<'static, Numbers> {
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a number to the plugin that `make` makes with it.
pub(crate) fn give(
    make: impl FnOnce(u32) -> &'static LinkCell,
) -> Result<&'static LinkCell, LinkError> {
    let mut numbers = numbers();
    let number = numbers.take()?;
    let cell = make(number);
    let place = Place { cell, base: read(number) };
    match numbers.places.get_mut(number as usize) {
        Some(before) => *before = place,
        None => numbers.places.push(place),
    }
    Ok(cell)
}

/// Takes back the number of a plugin that is gone.
pub(crate) fn take_back(cell: &'static LinkCell) {
    numbers().gone.push(cell.number());
}

/// What the plugin did so far, or, where that is forgotten, nothing.
pub(crate) fn metrics(cell: &LinkCell) -> Metrics {
    let mut numbers = numbers();
    let place = &numbers.places[cell.number() as usize];
    if std::ptr::eq(place.cell, cell) {
        return place.metrics();
    }
    numbers.past_of(cell).map(|metrics| metrics.clone()).unwrap_or_default()
}

/// Counts an answer that nobody takes, from a plugin that is gone.
pub(crate) fn count_after_the_end(cell: &LinkCell, reason: Reason) {
    let mut numbers = numbers();
    if std::ptr::eq(numbers.places[cell.number() as usize].cell, cell) {
        return Counts::of(cell.number()).count_dropped(reason);
    }
    if let Some(metrics) = numbers.past_of(cell) {
        *match reason {
            Reason::Late => &mut metrics.late,
            Reason::Double => &mut metrics.double,
            Reason::Foreign => &mut metrics.foreign,
            Reason::Unknown => &mut metrics.unknown,
        } += 1;
    }
}

impl Numbers {
    fn past_of(&mut self, cell: &LinkCell) -> Option<&mut Metrics> {
        let past = self.past.iter_mut().rev().find(|(past, _)| std::ptr::eq(*past, cell));
        past.map(|(_, metrics)| metrics)
    }

    fn take(&mut self) -> Result<u32, LinkError> {
        let is_over = |number: &u32| self.places[*number as usize].metrics().in_flight == 0;
        if let Some(at) = self.gone.iter().position(is_over) {
            let number = self.gone.swap_remove(at);
            let place = &self.places[number as usize];
            let past = (place.cell, place.metrics());
            if self.past.len() == REMEMBERED {
                self.past.pop_front();
            }
            self.past.push_back(past);
            return Ok(number);
        }
        if self.places.len() == MAX_LINKS {
            return Err(LinkError::TooManyPlugins { limit: MAX_LINKS });
        }
        Ok(self.places.len() as u32)
    }
}

impl Place {
    /// What its plugin did since it has the number.
    fn metrics(&self) -> Metrics {
        read(self.cell.number()).since(&self.base)
    }
}

/// What all plugins did that ever had the number.
fn read(number: u32) -> Metrics {
    let tallies = lane::lanes().filter_map(|lane| lane.tally_if_any(number));
    let sum = |count: fn(&Tally) -> &AtomicU64| tally::sum(tallies.clone(), count);
    let counts = Counts::of(number);
    let dropped = |reason: Reason| counts.dropped[reason as usize].load(Relaxed);
    // What is over is counted before what began, so that no sum shows more ends than calls.
    let finished =
        sum(|tally| &tally.finished).wrapping_add(counts.finished_elsewhere.load(Relaxed));
    let notified = sum(|tally| &tally.notified);
    Metrics {
        calls: sum(|tally| &tally.calls).wrapping_add(notified),
        notified,
        finished,
        in_flight: 0,
        cancelled: counts.cancelled.load(Relaxed),
        refused: counts.refused.load(Relaxed),
        faults: counts.faults.read(),
        late: dropped(Reason::Late),
        double: dropped(Reason::Double),
        foreign: dropped(Reason::Foreign),
        unknown: dropped(Reason::Unknown),
        frames: sum(|tally| &tally.frames),
        bytes_in: sum(|tally| &tally.bytes_in),
        bytes_out: sum(|tally| &tally.bytes_out),
    }
}

impl Metrics {
    /// What was done since the counts stood at `base`.
    fn since(&self, base: &Self) -> Self {
        // A thread that turned back at an earlier plugin's gate may have been counted for a moment
        // just when the base was taken: then there is one less than at the base.
        let grown =
            |now: u64, base: u64| now.wrapping_sub(base).cast_signed().max(0).cast_unsigned();
        let notified = grown(self.notified, base.notified);
        let calls =
            grown(self.calls.wrapping_sub(self.notified), base.calls.wrapping_sub(base.notified));
        let finished = grown(self.finished, base.finished);
        Self {
            calls: calls + notified,
            notified,
            finished,
            in_flight: calls.saturating_sub(finished),
            cancelled: grown(self.cancelled, base.cancelled),
            refused: grown(self.refused, base.refused),
            faults: self.faults.since(&base.faults),
            late: grown(self.late, base.late),
            double: grown(self.double, base.double),
            foreign: grown(self.foreign, base.foreign),
            unknown: grown(self.unknown, base.unknown),
            frames: grown(self.frames, base.frames),
            bytes_in: grown(self.bytes_in, base.bytes_in),
            bytes_out: grown(self.bytes_out, base.bytes_out),
        }
    }
}
