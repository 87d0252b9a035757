//! A plugin's lines in the host's log.

use crate::context::Context;
use ringbox_abi::LogLevel;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// Longer lines are cut.
pub(crate) const MOST_BYTES: usize = 4096;

/// How many lines a second may go through, and how many did.
pub(crate) struct LogRate {
    most: u32,
    second: AtomicU64,
    lines: AtomicU32,
    suppressed: AtomicU64,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl LogRate {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            second: AtomicU64::new(0),
            lines: AtomicU32::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Lines that did not go through.
    pub(crate) fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }

    /// Whether one more line may. (At the turn of a second two threads may let a few more pass.)
    fn admit(&self, second: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        let taken = self.lines.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lines| {
            (lines < self.most).then_some(lines + 1)
        });
        if taken.is_err() {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
        }
        taken.is_ok()
    }
}

/// Writes a line of the plugin's.
pub(crate) fn line(context: &Context, level: LogLevel, message: &[u8]) {
    if !context.log.admit(START.elapsed().as_secs()) {
        return;
    }
    let message = String::from_utf8_lossy(message);
    let plugin = &*context.port.plugin_name();
    match level {
        LogLevel::Error => tracing::error!(target: "ringbox::plugin", plugin, "{message}"),
        LogLevel::Warn => tracing::warn!(target: "ringbox::plugin", plugin, "{message}"),
        LogLevel::Debug => tracing::debug!(target: "ringbox::plugin", plugin, "{message}"),
        LogLevel::Trace => tracing::trace!(target: "ringbox::plugin", plugin, "{message}"),
        _ => tracing::info!(target: "ringbox::plugin", plugin, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines() {
        let rate = LogRate::new(2);
        let admitted = [5, 5, 5, 5, 6].map(|second| rate.admit(second));
        assert_eq!(admitted, [true, true, false, false, true]);
        assert_eq!(rate.suppressed(), 2);
    }
}
