//! What this process takes of the machine, as Linux tells it.

#![expect(unsafe_code, reason = "has memory kept so that what leaks shows")]

use std::fmt;
use std::fs;

/// What this process takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gauge {
    /// Memory, in KiB.
    pub(super) resident: u64,
    pub(super) threads: usize,
    pub(super) files: usize,
    /// Mappings of the library that is unmapped each time that it goes.
    pub(super) visitors: usize,
}

impl Gauge {
    /// Has all threads share one heap. Those that have one each leave it in pieces, some megabytes
    /// more or less each time, and what leaks must be told from that.
    pub(super) fn prepare() {
        // SAFETY: it takes numbers, and may be called at any time from any thread.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }

    /// Looks.
    pub(super) fn read() -> Self {
        // SAFETY: it takes a number, and may be called at any time from any thread.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0);
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
        let count = |folder| fs::read_dir(folder).map_or(0, Iterator::count);
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Self {
            resident: resident.unwrap_or(0),
            threads: count("/proc/self/task"),
            files: count("/proc/self/fd"),
            visitors: maps.lines().filter(|line| line.contains("libfixture.so")).count(),
        }
    }
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident, threads, files, visitors } = self;
        let mib = *resident as f64 / 1024.0;
        write!(f, "{mib:.1} MiB, {threads} threads, {files} files, {visitors} passing mappings")
    }
}
