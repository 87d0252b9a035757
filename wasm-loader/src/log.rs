//! A plugin's lines in the host's log.

use crate::wire::WireLevel;
use ringbox_ring::Port;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Longer lines are cut.
pub(crate) const MOST_BYTES: usize = 4096;

/// What a line costs beside its bytes: empty lines are not for nothing.
const LINE: u64 = 64;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Writes a line of the host's own. Whoever listens is not the host's, and should it panic, a turn
/// that is held meanwhile must not be lost with it.
pub(crate) fn contained(write: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(write)) {
        std::mem::forget(panic);
    }
}

/// How many bytes may go through: a bucket of one second's worth, which fills again as time goes by.
#[derive(Debug)]
pub(crate) struct LogRate {
    /// Bytes a second.
    most: u64,
    /// When the bucket will be full again, in nanoseconds since `START`.
    full_at: AtomicU64,
    suppressed: AtomicU64,
}

impl LogRate {
    pub(crate) fn new(bytes: u32) -> Self {
        Self { most: bytes.into(), full_at: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// Lines that did not go through.
    pub(crate) fn suppressed(&self) -> u64 {
        self.suppressed.load(Relaxed)
    }

    /// Whether a line of so many bytes may.
    fn admit(&self, bytes: usize, now: u64) -> bool {
        const SECOND: u64 = 1_000_000_000;
        let cost = (bytes as u64 + LINE) * SECOND;
        let next = |full_at: u64| {
            let after = full_at.max(now) + cost.checked_div(self.most)?;
            (after <= now + SECOND).then_some(after)
        };
        let admitted = self.full_at.fetch_update(Relaxed, Relaxed, next).is_ok();
        if !admitted {
            self.suppressed.fetch_add(1, Relaxed);
        }
        admitted
    }

    /// Writes a line of the plugin's.
    pub(crate) fn line(&self, port: Port, level: WireLevel, message: &str) {
        let message = &message[..message.floor_char_boundary(MOST_BYTES)];
        if !self.admit(message.len(), START.elapsed().as_nanos() as u64) {
            return;
        }
        let plugin = &*port.plugin_name();
        match level {
            WireLevel::Error => tracing::error!(target: "ringbox::plugin", plugin, "{message}"),
            WireLevel::Warn => tracing::warn!(target: "ringbox::plugin", plugin, "{message}"),
            WireLevel::Info => tracing::info!(target: "ringbox::plugin", plugin, "{message}"),
            WireLevel::Debug => tracing::debug!(target: "ringbox::plugin", plugin, "{message}"),
            WireLevel::Trace => tracing::trace!(target: "ringbox::plugin", plugin, "{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_bytes() {
        let rate = LogRate::new(2 * (100 + LINE as u32));
        let admitted = [0, 0, 0, 400, 600].map(|ms| rate.admit(100, ms * 1_000_000));
        assert_eq!(admitted, [true, true, false, false, true]);
        assert_eq!(rate.suppressed(), 2);
    }

    #[test]
    fn a_limit_of_0_lets_nothing_through() {
        assert!(!LogRate::new(0).admit(0, 0));
    }
}
