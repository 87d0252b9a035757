//! How soon a place that failed is tried again.

use std::time::{Duration, Instant};

/// So many failures in a row are replaced at once.
const FREE: u32 = 3;
/// What is waited after the next one. It doubles from there on.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);
/// The failure that brings quarantine.
const TOO_MANY: u32 = 12;
/// A quarantine.
pub(crate) const REST: Duration = Duration::from_secs(30);
/// A time without a failure, after which one is forgiven.
const FORGIVEN: Duration = Duration::from_secs(1);

/// What to do after a failure.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    Again,
    After(Duration),
    Quarantine,
}

/// A place's failures.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    count: u32,
    /// When it was tried again after the last one, and that was over.
    last: Option<Instant>,
}

impl Strikes {
    /// One more failure.
    pub(crate) fn add(&mut self, now: Instant) -> Next {
        if let Some(last) = self.last {
            let seconds = now.saturating_duration_since(last).as_nanos() / FORGIVEN.as_nanos();
            self.count = self.count.saturating_sub(u32::try_from(seconds).unwrap_or(u32::MAX));
        }
        self.count = (self.count + 1).min(TOO_MANY);
        let (next, wait) = match self.count {
            ..=FREE => (Next::Again, Duration::ZERO),
            TOO_MANY => (Next::Quarantine, REST),
            count => {
                let wait = (FIRST * (1 << (count - FREE - 1))).min(LONGEST);
                (Next::After(wait), wait)
            }
        };
        // Waiting is no merit: what is forgiven counts from when it is tried again.
        self.last = Some(now + wait);
        next
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// It was tried again, and started or didn't. That it took long to fail is no merit either.
    pub(crate) fn tried(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// After a quarantine one more failure is enough for the next one.
    pub(crate) fn rested(&mut self, now: Instant) {
        self.count = TOO_MANY - 1;
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_wait_longer_and_longer_and_then_rest() {
        let mut strikes = Strikes::default();
        let mut now = Instant::now();
        let next = |_| {
            let next = strikes.add(now);
            now += if let Next::After(wait) = next { wait } else { Duration::ZERO };
            next
        };
        let nexts: Vec<_> = (0..12).map(next).collect();
        assert_eq!(nexts[..3], [Next::Again; 3]);
        let ms = [10, 20, 40, 80, 160, 320, 640, 1000];
        assert_eq!(nexts[3..11], ms.map(|ms| Next::After(Duration::from_millis(ms))));
        assert_eq!(nexts[11], Next::Quarantine);
        strikes.rested(now + REST);
        assert_eq!(strikes.add(now + REST), Next::Quarantine);
    }

    #[test]
    fn a_start_that_takes_long_to_fail_is_not_forgiven() {
        let mut strikes = Strikes::default();
        let mut now = Instant::now();
        for failures in 1..TOO_MANY {
            assert_ne!(strikes.add(now), Next::Quarantine, "{failures}");
            assert_eq!(strikes.count(), failures);
            now += FORGIVEN * 60;
            strikes.tried(now);
        }
        assert_eq!(strikes.add(now), Next::Quarantine);
    }

    #[test]
    fn a_second_without_a_failure_forgives_one() {
        let mut strikes = Strikes::default();
        let now = Instant::now();
        for second in 0..100 {
            assert_eq!(strikes.add(now + FORGIVEN * second), Next::Again);
        }
        assert_eq!(strikes.count(), 1);
    }
}
