//! How a library is to be loaded.

use ringbox_ring::Limits;
use std::path::{Path, PathBuf};

/// Which generation of the ABI a library speaks.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum NativeAbi {
    /// What its symbols say: version 1 where the extension marks it, else published nylon-ring
    /// 0.2, else version 1. Never 0.1, which no symbol tells from version 1.
    #[default]
    Auto,
    /// Version 1, with or without the extension.
    V1,
    /// Published nylon-ring 0.2.x.
    NylonRing02,
    /// Published nylon-ring 0.1.x. Its symbol, version and sizes are those of version 1, and its
    /// functions are not: asking for it where it isn't true is a crash.
    NylonRing01,
}

/// What to do about a library that replaces the process' signal handlers while it is loaded, as
/// Go's runtime does.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SignalPolicy {
    /// Load it, with a [`Warning`](crate::Warning) that names the signals.
    #[default]
    Report,
    /// Put the handlers back and fail.
    Refuse,
}

/// How a library is loaded, and what the plugin may take.
///
/// ```
/// use ringbox_native::{NativeAbi, Options, SignalPolicy};
/// use ringbox_ring::Limits;
/// use std::time::Duration;
///
/// let options = Options::new()
///     .abi(NativeAbi::V1)
///     .limits(Limits::default().deadline(Duration::from_secs(5)))
///     .signal_handlers(SignalPolicy::Refuse);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Which generation of the ABI it speaks. Default: what its symbols say.
    pub abi: NativeAbi,
    /// What its calls may take.
    pub limits: Limits,
    /// Whether to load the file itself rather than a private copy. Default: no.
    pub in_place: bool,
    /// What to do about replaced signal handlers. Default: report them.
    pub signal_handlers: SignalPolicy,
    /// Where private copies are made. Default: the system's folder for temporary files.
    pub copies_in: Option<PathBuf>,
    /// The largest file that is taken for a library, in bytes. Default: 1 GiB.
    pub file_bytes: u64,
    /// How many buffers of the host's the plugin may hold. Default: 1,024.
    pub leases: usize,
    /// How many bytes the buffers that it holds may have. Default: 256 MiB.
    pub lease_bytes: usize,
    /// How many wakes the plugin may have asked for and not had. Default: 1,024.
    pub timers: usize,
    /// How many lines the plugin may log in a second. Default: 1,000.
    pub log_lines: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            abi: NativeAbi::Auto,
            limits: Limits::default(),
            in_place: false,
            signal_handlers: SignalPolicy::Report,
            copies_in: None,
            file_bytes: 1 << 30,
            leases: 1024,
            lease_bytes: 256 << 20,
            timers: 1024,
            log_lines: 1000,
        }
    }
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for another generation of the ABI.
    #[must_use]
    pub fn abi(mut self, abi: NativeAbi) -> Self {
        self.abi = abi;
        self
    }

    /// The same with other limits on calls.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Loads the file itself, for a library that finds others beside it (`$ORIGIN`). It can then
    /// be loaded once in a process, and must not be written to while it is mapped.
    #[must_use]
    pub fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// The same with another policy on signal handlers.
    #[must_use]
    pub fn signal_handlers(mut self, policy: SignalPolicy) -> Self {
        self.signal_handlers = policy;
        self
    }

    /// Makes private copies in this folder. It must allow what is in it to be mapped as code (not
    /// be mounted `noexec`).
    #[must_use]
    pub fn copies_in(mut self, folder: &Path) -> Self {
        self.copies_in = Some(folder.to_owned());
        self
    }

    /// The same for larger files, or only smaller ones.
    #[must_use]
    pub fn file_bytes(mut self, bytes: u64) -> Self {
        self.file_bytes = bytes;
        self
    }

    /// The same with another bound on the buffers that the plugin may hold, their number and their
    /// bytes.
    #[must_use]
    pub fn leases(mut self, count: usize, bytes: usize) -> Self {
        self.leases = count;
        self.lease_bytes = bytes;
        self
    }

    /// The same with another bound on wakes that are due.
    #[must_use]
    pub fn timers(mut self, count: usize) -> Self {
        self.timers = count;
        self
    }

    /// The same with another bound on lines of log in a second.
    #[must_use]
    pub fn log_lines(mut self, lines: u32) -> Self {
        self.log_lines = lines;
        self
    }
}
