//! Numbers that mean something, the same behind both walls.

use std::fmt;

/// What became of a call: the statuses that both walls have.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// An answer; on a stream, a frame.
    Ok = 0,
    /// The plugin failed.
    Err = 1,
    /// The request, or the contract, was broken.
    Invalid = 2,
    /// The plugin doesn't do that.
    Unsupported = 3,
    /// A stream's ordinary end.
    StreamEnd = 4,
    /// The plugin panicked, and contained it.
    Panic = 5,
    /// A queue is full: the same again, later.
    Backpressure = 6,
}

/// A wall has the same statuses under the same names, in an enum of its own.
macro_rules! statuses {
    ($($from:ty => $to:ty),*) => {
        $(impl From<$from> for $to {
            #[inline]
            fn from(status: $from) -> Self {
                match status {
                    <$from>::Ok => Self::Ok,
                    <$from>::Err => Self::Err,
                    <$from>::Invalid => Self::Invalid,
                    <$from>::Unsupported => Self::Unsupported,
                    <$from>::StreamEnd => Self::StreamEnd,
                    <$from>::Panic => Self::Panic,
                    <$from>::Backpressure => Self::Backpressure,
                }
            }
        })*
    };
}

pub(crate) use statuses;

/// How much a line of the log matters.
#[derive(Debug, Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is odd.
    Warn,
    /// Something happened.
    Info,
    /// For whoever looks for a mistake.
    Debug,
    /// Everything.
    Trace,
}

/// The number of one call. No two calls of a plugin's have the same.
#[derive(Debug, Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(u64);

impl Sid {
    /// The sid with that number.
    #[must_use]
    pub const fn from_raw(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn as_raw(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
