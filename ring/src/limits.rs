//! What one plugin may take.

use crate::error::LinkError;
use crate::queue::MAX_FRAMES;
use std::time::Duration;

/// What a plugin may take of the host, and how long it may take. All of it is enforced.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// How long a call waits for its answer, and a stream's reader for the next frame, unless the
    /// call says otherwise. `Duration::MAX` is for ever. Default: 30 s.
    pub deadline: Duration,
    /// The largest answer or frame, in bytes. Default: 64 MiB.
    pub answer_bytes: usize,
    /// How many frames of a stream queue before the plugin is told to wait. Default: 64.
    pub stream_frames: usize,
    /// How many bytes of a stream queue before the plugin is told to wait. One frame always fits
    /// into an empty queue. Default: 64 MiB.
    pub stream_bytes: usize,
    /// How many bytes of state the plugin may keep with one call. Default: 64 KiB.
    pub state_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            answer_bytes: 64 << 20,
            stream_frames: 64,
            stream_bytes: 64 << 20,
            state_bytes: 64 << 10,
        }
    }
}

impl Limits {
    /// The same with another deadline.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same with another largest answer.
    #[must_use]
    pub const fn answer_bytes(mut self, bytes: usize) -> Self {
        self.answer_bytes = bytes;
        self
    }

    /// The same with another queue length for streams.
    #[must_use]
    pub const fn stream_frames(mut self, frames: usize) -> Self {
        self.stream_frames = frames;
        self
    }

    /// The same with another queue size for streams.
    #[must_use]
    pub const fn stream_bytes(mut self, bytes: usize) -> Self {
        self.stream_bytes = bytes;
        self
    }

    /// The same with another bound on a call's state.
    #[must_use]
    pub const fn state_bytes(mut self, bytes: usize) -> Self {
        self.state_bytes = bytes;
        self
    }

    pub(crate) fn check(&self) -> Result<(), LinkError> {
        let most_bytes = u32::MAX as usize;
        let checks = [
            ("answer_bytes", self.answer_bytes, 0, most_bytes),
            ("stream_frames", self.stream_frames, 1, MAX_FRAMES),
            ("stream_bytes", self.stream_bytes, 0, most_bytes),
            ("state_bytes", self.state_bytes, 0, most_bytes),
        ];
        for (name, value, least, most) in checks {
            if !(least..=most).contains(&value) {
                return Err(LinkError::BadLimit { name, value, least, most });
            }
        }
        Ok(())
    }
}

/// A deadline in the clock's unit.
pub(crate) fn nanos(deadline: Duration) -> u64 {
    u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX)
}
