//! Nanoseconds since some moment before the process began, cheaply.

#[cfg(target_os = "linux")]
mod imp {
    #![expect(unsafe_code, reason = "the coarse clock has no safe wrapper in std")]

    fn read(clock: libc::clockid_t) -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a timespec that this function owns, and the two clocks that are asked
        // for exist since Linux 2.6.32.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
    }

    pub(super) fn exact() -> u64 {
        read(libc::CLOCK_MONOTONIC)
    }

    pub(super) fn coarse() -> u64 {
        read(libc::CLOCK_MONOTONIC_COARSE)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::sync::OnceLock;
    use std::time::Instant;

    pub(super) fn exact() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    pub(super) fn coarse() -> u64 {
        exact()
    }
}

/// The coarse clock of kernels that tick 100 times a second is up to this much behind.
const TICK: u64 = 10_000_000;

pub(crate) fn now() -> u64 {
    imp::exact()
}

/// When `budget` nanoseconds from now are over: never early, and late by less than a tenth of
/// the budget.
#[inline]
pub(crate) fn after(budget: u64) -> u64 {
    if budget < 10 * TICK {
        imp::exact().saturating_add(budget)
    } else {
        // A quarter of the exact clock's price.
        imp::coarse().saturating_add(TICK).saturating_add(budget)
    }
}
