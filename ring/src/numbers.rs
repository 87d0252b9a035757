//! Which plugin has which number, and what it did.
//!
//! Each lane has a tally for each number, and what is counted seldom is counted in one place for
//! all threads ([`Counts`]). None is ever set back (a thread that turns back at a gate only takes back
//! what it has just counted), so what one plugin did is what they stand at less what they stood at when
//! it was given its number. It keeps the number until each of its
//! calls is over for its caller too, who counts that under it; then another plugin may have it.

use crate::error::{Fault, LinkError};
use crate::lane::{self, MAX_LINKS};
use crate::limits::Limits;
use crate::link::LinkCell;
use crate::load::LoadId;
use crate::metrics::{Count, FaultCounts, Metrics};
use crate::slot::Reason;
use crate::sync::{Acquire, AtomicU64, Relaxed, Release};
use crate::tally::{self, Tally};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    pub(crate) fn of(number: usize) -> &'static Self {
        &COUNTS[number]
    }

    pub(crate) fn count_finished_elsewhere(&self) {
        // Whoever sees it sees what was counted of the call before.
        self.finished_elsewhere.fetch_add(1, Release);
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
    gone: Vec<usize>,
    /// Plugins whose number is another's.
    past: VecDeque<Past>,
}

struct Place {
    load: LoadId,
    name: Arc<str>,
    limits: Limits,
    /// What the counts stood at when it was given the number.
    base: Metrics,
}

struct Past {
    load: LoadId,
    name: Arc<str>,
    limits: Limits,
    metrics: Metrics,
}

fn numbers() -> MutexGuard<'static, Numbers> {
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a plugin a number, and the place that goes with it.
pub(crate) fn give(name: &str, limits: Limits) -> Result<LoadId, LinkError> {
    let mut numbers = numbers();
    let load = numbers.take()?;
    LinkCell::give(load, &limits);
    let now = read(load.number()).at_rest();
    let place = Place { load, name: name.into(), limits, base: now.clone() };
    let Numbers { places, past, .. } = &mut *numbers;
    match places.get_mut(load.number()) {
        Some(before) => past.push_back(std::mem::replace(before, place).end(&now)),
        None => places.push(place),
    }
    Ok(load)
}

/// Takes back the number of a plugin that is gone.
pub(crate) fn take_back(load: LoadId) {
    // A number without a next load is no plugin's any more.
    if load.next().is_some() {
        numbers().gone.push(load.number());
    }
}

/// What the plugin did so far, or, where that is forgotten, nothing.
pub(crate) fn metrics(load: LoadId) -> Metrics {
    let found = |place: &Place| place.metrics();
    look(load, found, |past| past.metrics.clone()).unwrap_or_default()
}

/// What the plugin is called, or, where that is forgotten, nothing.
pub(crate) fn name(load: LoadId) -> Arc<str> {
    look(load, |place| place.name.clone(), |past| past.name.clone()).unwrap_or_default()
}

/// What the plugin may take, or, where that is forgotten, what plugins may.
pub(crate) fn limits(load: LoadId) -> Limits {
    look(load, |place| place.limits, |past| past.limits).unwrap_or_default()
}

/// Counts an answer that nobody takes, from a plugin that is gone.
pub(crate) fn count_after_the_end(load: LoadId, reason: Reason) {
    let count = |past: &mut Past| {
        let metrics = &mut past.metrics;
        *match reason {
            Reason::Late => &mut metrics.late,
            Reason::Double => &mut metrics.double,
            Reason::Foreign => &mut metrics.foreign,
            Reason::Unknown => &mut metrics.unknown,
        } += 1;
    };
    look(load, |_| Counts::of(load.number()).count_dropped(reason), count);
}

/// Looks at what is known of the plugin that has its number still, or of one that had it.
fn look<R>(
    load: LoadId,
    now: impl FnOnce(&Place) -> R,
    then: impl FnOnce(&mut Past) -> R,
) -> Option<R> {
    let mut numbers = numbers();
    match numbers.places.get(load.number()) {
        Some(place) if place.load == load => Some(now(place)),
        _ => numbers.past.iter_mut().rev().find(|past| past.load == load).map(then),
    }
}

impl Numbers {
    /// A load that none had before, of a number that no plugin has.
    fn take(&mut self) -> Result<LoadId, LinkError> {
        let is_over = |number: &usize| self.places[*number].metrics().in_flight == 0;
        if let Some(at) = self.gone.iter().position(is_over) {
            if self.past.len() == REMEMBERED {
                self.past.pop_front();
            }
            let number = self.gone.swap_remove(at);
            return Ok(self.places[number].load.next().expect("it was taken back"));
        }
        if self.places.len() == MAX_LINKS {
            return Err(LinkError::TooManyPlugins { limit: MAX_LINKS });
        }
        Ok(LoadId::first(self.places.len()))
    }
}

impl Place {
    /// What its plugin did since it has the number.
    fn metrics(&self) -> Metrics {
        read(self.load.number()).since(&self.base)
    }

    /// Its plugin has the number no more, and that is what the counts stand at.
    fn end(self, now: &Metrics) -> Past {
        let metrics = now.since(&self.base);
        Past { load: self.load, name: self.name, limits: self.limits, metrics }
    }
}

/// What all plugins did that ever had the number.
fn read(number: usize) -> Metrics {
    let tallies = lane::lanes().filter_map(|lane| lane.tally_if_any(number));
    let sum = |count: fn(&Tally) -> &AtomicU64| tally::sum(tallies.clone(), count);
    let counts = Counts::of(number);
    let dropped = |reason: Reason| counts.dropped[reason as usize].load(Relaxed);
    // What is over is counted before what began, so that no sum shows more ends than calls.
    let finished =
        sum(|tally| &tally.finished).wrapping_add(counts.finished_elsewhere.load(Acquire));
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
    /// Of a number whose calls are all over. A thread that is about to turn back at its plugin's gate
    /// may be counted in just now, which must not stay in what the next one is counted from.
    fn at_rest(self) -> Self {
        Self { calls: self.finished.wrapping_add(self.notified), ..self }
    }

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
