//! When something was, read for less than the clock costs.
//!
//! Many processors have a count that rises evenly, and reading it takes less than half of what the clock
//! does and waits for nothing. How fast it rises the clock's own thread sees while guests run.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "the processor's count has no safe wrapper in std")
)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How far the count rises in a microsecond. 0: that isn't known, or it doesn't rise evenly.
static PACE: AtomicU64 = AtomicU64::new(0);

/// Good for short times, of one thread.
#[derive(Debug, Copy, Clone)]
pub(crate) enum Moment {
    Count(u64),
    Clock(Instant),
}

impl Moment {
    /// Now.
    #[inline]
    pub(crate) fn now() -> Self {
        match PACE.load(Relaxed) {
            0 => Self::Clock(Instant::now()),
            _ => Self::Count(count()),
        }
    }

    /// Whether so much time has passed since. Between two that were read in different ways it has.
    #[inline]
    pub(crate) fn is_past(self, begin: Self, time: Duration) -> bool {
        match (self, begin) {
            (Self::Count(now), Self::Count(begin)) => {
                let micros = time.as_micros() as u64;
                now.saturating_sub(begin) >= micros * PACE.load(Relaxed)
            }
            (Self::Clock(now), Self::Clock(begin)) => now.saturating_duration_since(begin) >= time,
            _ => true,
        }
    }
}

/// What the clock's thread saw of the count when it last looked.
pub(crate) struct Pace {
    count: u64,
    clock: Instant,
}

impl Pace {
    /// Begins to look, if the processor has such a count.
    pub(crate) fn begin() -> Option<Self> {
        is_even().then(Self::now)
    }

    /// A thread may be kept between two looks: of three pairs, the one that was looked at fastest.
    fn now() -> Self {
        let pair = |_| {
            let count = count();
            let clock = Instant::now();
            (self::count().saturating_sub(count), Self { count, clock })
        };
        let fastest = (0..3).map(pair).min_by_key(|(took, _)| *took);
        fastest.expect("there are three").1
    }

    /// Looks again. What a machine that slept in between makes of it holds until the next look.
    pub(crate) fn look(&mut self) {
        let before = std::mem::replace(self, Self::now());
        let micros = self.clock.saturating_duration_since(before.clock).as_micros() as u64;
        let passed = self.count.saturating_sub(before.count);
        PACE.store(passed.checked_div(micros).unwrap_or(0), Relaxed);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn count() -> u64 {
    // SAFETY: every processor that the crate builds for has the instruction. (A process that is forbidden
    // it has no clock either, as a rule: that reads the count in the same way.)
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Whether the count is the same whatever the processor's speed is.
#[cfg(target_arch = "x86_64")]
fn is_even() -> bool {
    use core::arch::x86_64::__cpuid;
    const POWER: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    __cpuid(0x8000_0000).eax >= POWER && __cpuid(POWER).edx & INVARIANT != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn count() -> u64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn is_even() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn time_passes_as_the_clock_says() {
        let hour = Duration::from_secs(3600);
        let ms = Duration::from_millis;
        let clock = Moment::Clock(Instant::now());
        let Some(mut pace) = Pace::begin() else {
            assert!(!Moment::now().is_past(clock, hour));
            return;
        };
        thread::sleep(ms(5));
        pace.look();
        let (begin, begun) = (Moment::now(), Instant::now());
        assert!(matches!(begin, Moment::Count(_)) && begin.is_past(clock, hour));
        while !Moment::now().is_past(begin, ms(5)) {}
        assert!(begun.elapsed() > ms(4));
        thread::sleep(ms(1));
        assert!(!Moment::now().is_past(begin, hour) && !begin.is_past(Moment::now(), ms(1)));
    }
}
