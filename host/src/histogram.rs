//! How long calls took: one in 64 is timed, since reading the clock twice costs more than a call.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One call in this many is timed.
pub const SAMPLING: u64 = 64;

/// Each power of two of nanoseconds is split in this many buckets, so a bucket is 25 % wide at most.
const SPLIT: u32 = 4;
const BUCKETS: usize = 64 * SPLIT as usize;

/// So many threads count apart. What two threads count in one place travels between their cores,
/// which costs as much as the call that was timed.
const SHARES: usize = 8;

thread_local! {
    /// How many calls this thread makes before one is timed.
    static UNTIMED: Cell<u64> = const { Cell::new(0) };
    /// Which share of a histogram this thread counts in.
    static SHARE: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed) % SHARES
    };
}

/// The start of a call that is timed.
#[derive(Debug)]
pub(crate) struct Sample(Instant);

impl Sample {
    /// Whether the call that this thread makes now is to be timed: one in [`SAMPLING`] is.
    #[inline(always)]
    pub(crate) fn is_due() -> bool {
        let untimed = UNTIMED.get();
        let (left, is_due) = untimed.overflowing_sub(1);
        UNTIMED.set(left);
        is_due
    }

    /// Begins to time the call that is due.
    pub(crate) fn start() -> Self {
        UNTIMED.set(SAMPLING - 1);
        Self(Instant::now())
    }
}

/// Counts of durations, by size.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// Each is made for the first thread that counts in it.
    shares: [OnceLock<Box<Buckets>>; SHARES],
}

type Buckets = [AtomicU64; BUCKETS];

impl Histogram {
    #[cold]
    pub(crate) fn record(&self, sample: &Sample) {
        self.add(sample.0.elapsed());
    }

    fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let share = SHARE.with(|share| &self.shares[*share]);
        let buckets = share.get_or_init(|| Box::new([const { AtomicU64::new(0) }; BUCKETS]));
        buckets[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Latency {
        let shares = || self.shares.iter().filter_map(OnceLock::get);
        let count = |bucket: usize| shares().map(|b| b[bucket].load(Ordering::Relaxed)).sum();
        Latency { counts: (0..BUCKETS).map(count).collect() }
    }
}

fn bucket(nanos: u64) -> usize {
    let nanos = nanos.max(u64::from(SPLIT));
    let power = nanos.ilog2();
    let within = (nanos >> (power - SPLIT.ilog2())) as u32 % SPLIT;
    (power * SPLIT + within) as usize
}

/// The most that a bucket's durations can be.
fn upper_end(bucket: usize) -> u64 {
    let (power, within) = (bucket as u32 / SPLIT, bucket as u64 % u64::from(SPLIT));
    let width = 1u64 << power.saturating_sub(SPLIT.ilog2());
    (1u64 << power).wrapping_add(width.wrapping_mul(within + 1)).wrapping_sub(1)
}

/// How long calls took, from a sample of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    counts: Box<[u64]>,
}

impl Latency {
    /// How many calls were timed: about one in [`SAMPLING`].
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long the fastest `share` of the timed calls took at most, within 25 %. None where
    /// nothing was timed.
    ///
    /// `share` goes from 0 to 1: 0.5 is the median, 0.99 the slowest but one in a hundred.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total = self.samples();
        let rank = ((total as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts.iter().enumerate().find_map(|(bucket, count)| {
            seen += count;
            (total > 0 && seen >= rank).then(|| Duration::from_nanos(upper_end(bucket)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_a_bucket_that_holds_it() {
        let mut values: Vec<u64> =
            (0..64).flat_map(|n| [1 << n, (1 << n) + (1 << n) / 3]).collect();
        values.extend([0, 1, 2, 3, 999, 1_000_000_007, u64::MAX]);
        for nanos in values {
            let end = upper_end(bucket(nanos));
            assert!(end >= nanos, "{nanos} is not below {end}");
            assert!(nanos < 4 || end as f64 <= nanos as f64 * 1.26, "{nanos} is far below {end}");
        }
    }

    #[test]
    fn quantiles_are_within_a_quarter() {
        let histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.add(Duration::from_micros(micros));
        }
        let latency = histogram.read();
        for (share, micros) in [(0.5, 500.0), (0.9, 900.0), (1.0, 1000.0)] {
            let found = latency.quantile(share).expect("there are samples").as_secs_f64() * 1e6;
            assert!((micros..micros * 1.26).contains(&found), "{share}: {found}");
        }
        assert_eq!(Histogram::default().read().quantile(0.5), None);
    }

    #[test]
    fn what_threads_count_apart_is_read_as_one() {
        let histogram = Histogram::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARES {
                scope.spawn(|| histogram.add(Duration::from_micros(5)));
            }
        });
        assert_eq!(histogram.read().samples(), 2 * SHARES as u64);
        let apart = histogram.shares.iter().filter(|share| share.get().is_some()).count();
        assert!(apart > 1, "all of them counted in one place");
    }
}
