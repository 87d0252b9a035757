//! A plugin's clocks.

use super::trap::WasiTrap;
use crate::grants::Clocks;
use std::time::{Duration, Instant, SystemTime};

/// How much of virtual time a look at a clock takes: a plugin that looks until time has passed gets
/// there.
const LOOK: u64 = 1_000;

/// 2000-01-01: virtual time begins here.
const VIRTUAL_START: Duration = Duration::from_secs(946_684_800);

/// The clocks of one instance.
#[derive(Debug)]
pub(crate) enum Clock {
    /// So many nanoseconds since it began.
    Virtual(u64),
    /// The host's, since then.
    Real(Instant),
}

impl Clock {
    pub(crate) fn new(clocks: Clocks) -> Self {
        match clocks {
            Clocks::Virtual => Self::Virtual(0),
            Clocks::Real => Self::Real(Instant::now()),
        }
    }

    /// Nanoseconds since the instance began.
    pub(crate) fn monotonic(&mut self) -> u64 {
        match self {
            Self::Virtual(now) => {
                *now = now.saturating_add(LOOK);
                *now
            }
            Self::Real(start) => u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Time since 1970.
    pub(crate) fn wall(&mut self) -> Duration {
        match self {
            Self::Virtual(_) => VIRTUAL_START + Duration::from_nanos(self.monotonic()),
            Self::Real(_) => {
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
            }
        }
    }

    /// Whether a moment has come. Asking takes no time.
    pub(crate) fn has_come(&self, when: u64) -> bool {
        match self {
            Self::Virtual(now) => *now >= when,
            Self::Real(start) => start.elapsed().as_nanos() >= u128::from(when),
        }
    }

    /// Waits for a moment, which on the host's side takes none: virtual time moves there.
    pub(crate) fn wait(&mut self, when: u64) -> Result<(), WasiTrap> {
        match self {
            Self::Virtual(now) => {
                *now = when.max(*now);
                Ok(())
            }
            Self::Real(_) if self.has_come(when) => Ok(()),
            Self::Real(_) => Err(WasiTrap::Waits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_moves_by_looking_and_by_waiting_and_never_back() {
        let mut clock = Clock::new(Clocks::Virtual);
        assert_eq!(clock.monotonic(), 1_000);
        assert_eq!(clock.monotonic(), 2_000);
        clock.wait(1_000_000_000).unwrap();
        assert!(clock.has_come(1_000_000_000) && !clock.has_come(1_000_000_001));
        clock.wait(5).unwrap();
        assert_eq!(clock.wall(), VIRTUAL_START + Duration::from_nanos(1_000_001_000));
        clock.wait(u64::MAX).unwrap();
        assert_eq!(clock.monotonic(), u64::MAX);
        clock.wall();
    }

    #[test]
    fn real_time_is_not_waited_for() {
        let mut clock = Clock::new(Clocks::Real);
        assert_eq!(clock.wait(0), Ok(()));
        assert_eq!(clock.wait(u64::MAX), Err(WasiTrap::Waits));
        assert!(clock.wall() > Duration::from_secs(1_700_000_000));
    }
}
