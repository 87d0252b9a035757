//! How far a guest's memories and tables may grow.

use crate::limits::WasmLimits;
use ringbox_ring::TrapCause;
use wasmtime::{Error, ResourceLimiter, Result};

/// One instance's memory and tables.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: WasmLimits,
    memory: Grown,
    tables: Grown,
    denied: Option<TrapCause>,
}

/// What all memories, or all tables, of an instance have together.
///
/// What was let grow counts from then on, also if that fails after all: the engine tells of failed
/// growth that it never asked about, so there is nothing to take off for it.
#[derive(Debug, Default)]
struct Grown {
    total: usize,
}

/// One that wants to grow.
#[derive(Clone, Copy)]
struct Growth {
    current: usize,
    desired: usize,
    /// How large it may become by its own declaration.
    maximum: Option<usize>,
}

/// Whether it may.
#[derive(PartialEq, Eq)]
enum Verdict {
    Granted,
    BeyondLimit,
    BeyondItself,
}

impl Grown {
    fn grow(&mut self, growth: Growth, limit: usize) -> Verdict {
        let more = growth.desired.saturating_sub(growth.current);
        if more > limit.saturating_sub(self.total) {
            return Verdict::BeyondLimit;
        }
        if growth.maximum.is_some_and(|maximum| growth.desired > maximum) {
            return Verdict::BeyondItself;
        }
        self.total += more;
        Verdict::Granted
    }
}

impl Limiter {
    pub(crate) fn new(limits: WasmLimits) -> Self {
        Self { limits, memory: Grown::default(), tables: Grown::default(), denied: None }
    }

    /// What the guest wanted and did not get.
    pub(crate) fn denied(&self) -> Option<&TrapCause> {
        self.denied.as_ref()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let limit = self.limits.memory_bytes;
        let verdict = self.memory.grow(Growth { current, desired, maximum }, limit);
        if verdict == Verdict::BeyondLimit {
            self.denied = Some(TrapCause::Memory { limit, unit: "bytes of memory" });
        }
        Ok(verdict == Verdict::Granted)
    }

    // Failed growth is no error: the guest is told so.
    fn memory_grow_failed(&mut self, _: Error) -> Result<()> {
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let limit = self.limits.table_elements;
        let verdict = self.tables.grow(Growth { current, desired, maximum }, limit);
        if verdict == Verdict::BeyondLimit {
            self.denied = Some(TrapCause::Memory { limit, unit: "elements of tables" });
        }
        Ok(verdict == Verdict::Granted)
    }

    fn table_grow_failed(&mut self, _: Error) -> Result<()> {
        Ok(())
    }

    fn instances(&self) -> usize {
        self.limits.core_instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_that_fails_gives_nothing_back() {
        let limits = WasmLimits::default().table_elements(100).memory_bytes(100);
        let mut limiter = Limiter::new(limits);
        let (mut tables, mut memories) = (0, 0);
        for _ in 0..3 {
            limiter.table_grow_failed(Error::msg("overflow")).unwrap();
            limiter.memory_grow_failed(Error::msg("overflow")).unwrap();
            tables += u32::from(limiter.table_growing(0, 60, None).unwrap());
            memories += u32::from(limiter.memory_growing(0, 60, None).unwrap());
        }
        assert_eq!((tables, memories), (1, 1), "a second one is too much");
        assert!(limiter.denied().is_some());
    }

    #[test]
    fn what_is_beyond_its_own_maximum_does_not_count() {
        let mut limiter = Limiter::new(WasmLimits::default().table_elements(100));
        assert!(!limiter.table_growing(0, 60, Some(50)).unwrap());
        assert!(limiter.denied().is_none(), "that is no limit of the host's");
        assert!(limiter.table_growing(0, 100, Some(100)).unwrap());
    }
}
