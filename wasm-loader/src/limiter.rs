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
#[derive(Debug, Default)]
struct Grown {
    total: usize,
    /// By how much the last one grew, should that fail after all.
    last: usize,
}

impl Grown {
    fn grow(&mut self, current: usize, desired: usize, limit: usize) -> bool {
        let more = desired.saturating_sub(current);
        let fits = more <= limit.saturating_sub(self.total);
        self.last = if fits { more } else { 0 };
        self.total += self.last;
        fits
    }

    fn failed(&mut self) {
        self.total -= std::mem::take(&mut self.last);
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
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let limit = self.limits.memory_bytes;
        let fits = self.memory.grow(current, desired, limit);
        if !fits {
            self.denied = Some(TrapCause::Memory { limit, unit: "bytes of memory" });
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _: Error) -> Result<()> {
        self.memory.failed();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let limit = self.limits.table_elements;
        let fits = self.tables.grow(current, desired, limit);
        if !fits {
            self.denied = Some(TrapCause::Memory { limit, unit: "elements of tables" });
        }
        Ok(fits)
    }

    fn table_grow_failed(&mut self, _: Error) -> Result<()> {
        self.tables.failed();
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
