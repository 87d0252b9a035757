//! What must hold in the end, as functions of what was measured.

use super::gauge::Gauge;
use crate::ground::Wall;
use std::time::Duration;

/// More memory than this in the second half, in percent of what there was, is a leak.
const LEAK_PERCENT: u64 = 2;

/// Compilers keep the room that the largest of their functions took. A run that has met fewer
/// components than so many half-way gets so much (in KiB) for that beside the percent: after the
/// first five hundred it is some 3 MiB for the next five hundred, after five thousand less than 1 MiB
/// for the next five.
const SCRATCHED: u64 = 5_000;
const SCRATCH: u64 = 4 << 10;

/// Before hostile components are renewed, in percent. Their instances keep what a fault let grow, some
/// percent more or less each time; what is kept for each fault is far more than that.
const WORN_PERCENT: u64 = 8;

/// What is shorter warms up for all of its time, so its memory says nothing.
const WARM: Duration = Duration::from_secs(50);

/// So often each kind of fault is provoked behind each wall, in a run of this length or longer.
const EACH: u64 = 1_000;
const WHOLE: Duration = Duration::from_secs(600);

/// What was measured when everybody stood still.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) begun: Gauge,
    pub(super) half: Option<Half>,
    pub(super) end: Gauge,
    /// Memory in the end, before hostile components were renewed.
    pub(super) worn: u64,
}

/// And half-way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Half {
    pub(super) gauge: Gauge,
    pub(super) worn: u64,
    /// How many components had been met.
    pub(super) met: u64,
}

impl Half {
    /// How much memory there may be in the end.
    fn bound(&self) -> u64 {
        let Self { gauge: Gauge { resident, .. }, met, .. } = self;
        let scratch = if *met < SCRATCHED { SCRATCH } else { 0 };
        resident + resident * LEAK_PERCENT / 100 + scratch
    }
}

/// What is left over of the machine.
pub(super) fn left(measured: &Measured, duration: Duration) -> Vec<String> {
    let Measured { begun, half, end, worn } = measured;
    let mut wrong = Vec::new();
    if let Some(half) = half.filter(|_| duration >= WARM) {
        if end.resident > half.bound() {
            wrong.push(format!("memory grew: half-way {}, in the end {end}", half.gauge));
        }
        if *worn > half.worn + half.worn * WORN_PERCENT / 100 {
            wrong.push(format!("memory of instances grew from {} to {worn} KiB", half.worn));
        }
    }
    if end.threads > begun.threads {
        wrong.push(format!("threads are left: {begun}, and in the end {end}"));
    }
    if end.files > begun.files {
        wrong.push(format!("files are left open: {begun}, and in the end {end}"));
    }
    if end.visitors > 0 {
        wrong.push(format!("{} mappings are left of what was unmapped", end.visitors));
    }
    wrong
}

/// What was provoked too seldom to say anything.
pub(super) fn seldom(
    reached: impl Iterator<Item = (&'static str, Wall, u64)>,
    duration: Duration,
) -> Vec<String> {
    let least = if duration >= WHOLE { EACH } else { 1 };
    let seldom = reached.filter(|(.., count)| *count < least);
    seldom
        .map(|(name, wall, count)| {
            let wall = wall.name();
            format!("`{name}` behind {wall}: only {count} times, and {least} should be")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: Gauge = Gauge { resident: 1_000, threads: 5, files: 9, visitors: 0 };

    fn left_of(half: u64, end: Gauge, seconds: u64) -> Vec<String> {
        left_after(SCRATCHED, half, end, seconds)
    }

    fn left_after(met: u64, half: u64, end: Gauge, seconds: u64) -> Vec<String> {
        let worn = half;
        let half = Some(Half { gauge: Gauge { resident: half, ..BEGUN }, worn, met });
        left(&Measured { begun: BEGUN, half, end, worn }, Duration::from_secs(seconds))
    }

    #[test]
    fn nothing_left_is_nothing_wrong() {
        assert!(left_of(1_000, BEGUN, 600).is_empty());
        // Less than there was is no wrong either.
        let less = Gauge { resident: 900, threads: 4, files: 8, visitors: 0 };
        assert!(left_of(1_000, less, 600).is_empty());
    }

    #[test]
    fn memory_may_grow_by_two_percent_after_half_the_time() {
        let end = |resident| Gauge { resident, ..BEGUN };
        assert!(left_of(10_000, end(10_200), 60).is_empty());
        assert_eq!(left_of(10_000, end(10_201), 60).len(), 1);
        assert!(left_of(10_000, end(90_000), 8).is_empty(), "it still warms up");
    }

    #[test]
    fn instances_may_grow_by_eight_percent_until_they_are_renewed() {
        let gauge = Gauge { resident: 10_000, ..BEGUN };
        let half = Some(Half { gauge, worn: 20_000, met: SCRATCHED });
        let left_with = |worn| {
            left(&Measured { begun: BEGUN, half, end: gauge, worn }, Duration::from_secs(60))
        };
        assert!(left_with(21_600).is_empty());
        assert_eq!(left_with(21_601).len(), 1);
    }

    #[test]
    fn few_components_leave_compilers_some_room_to_grow() {
        let end = |resident| Gauge { resident, ..BEGUN };
        assert!(left_after(SCRATCHED - 1, 10_000, end(10_200 + SCRATCH), 60).is_empty());
        assert_eq!(left_after(SCRATCHED - 1, 10_000, end(10_201 + SCRATCH), 60).len(), 1);
    }

    #[test]
    fn each_thread_that_is_left_is_told() {
        assert_eq!(left_of(1_000, Gauge { threads: 6, ..BEGUN }, 8).len(), 1);
    }

    #[test]
    fn each_file_that_is_left_open_is_told() {
        assert_eq!(left_of(1_000, Gauge { files: 10, ..BEGUN }, 8).len(), 1);
    }

    #[test]
    fn each_mapping_that_is_left_is_told() {
        assert_eq!(left_of(1_000, Gauge { visitors: 1, ..BEGUN }, 8).len(), 1);
    }

    #[test]
    fn each_kind_is_provoked_a_thousand_times_in_ten_minutes() {
        let reached = || [("a", Wall::Native, 999), ("a", Wall::Wasm, 1_000)].into_iter();
        assert_eq!(seldom(reached(), Duration::from_secs(600)).len(), 1);
        assert!(seldom(reached(), Duration::from_secs(60)).is_empty());
        let never = [("b", Wall::Native, 0)].into_iter();
        assert_eq!(seldom(never, Duration::from_secs(1)).len(), 1);
    }
}
