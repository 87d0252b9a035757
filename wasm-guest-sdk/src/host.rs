//! What a plugin may ask of its host.

use std::error;
use std::fmt;
use std::time::Duration;

use crate::wall::Wire;
use crate::{Level, Sid, Status};

/// The host, as this plugin may use it: from any thread, cloned as often as needed.
#[derive(Clone)]
pub struct Host {
    pub(crate) wire: Wire,
}

/// Tokens from here on are this crate's own.
pub(crate) const OWN_TOKENS: u64 = 1 << 63;

/// As the host counts time: at most five hundred years.
pub(crate) const fn nanos(duration: Duration) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let seconds = duration.as_secs();
    if seconds > u64::MAX / SECOND {
        return u64::MAX;
    }
    (seconds * SECOND).saturating_add(duration.subsec_nanos() as u64)
}

impl Host {
    /// Writes one line to the host's log, if it has one.
    pub fn log(&self, level: Level, message: &str) {
        self.wire.log(level, message);
    }

    /// Has [`Plugin::woken`](crate::Plugin::woken) called with `token` after `delay`. Tokens are the
    /// plugin's own, below 2^63. Async handlers need none of it: they [`sleep`](crate::sleep).
    ///
    /// # Errors
    /// [`Refused::Full`]: the plugin has as many timers as it may.
    pub fn wake_after(&self, token: u64, delay: Duration) -> Result<(), Refused> {
        if token >= OWN_TOKENS {
            return Err(Refused::Failed);
        }
        Refused::unless_ok(self.wire.wake_after(token, nanos(delay)))
    }

    /// Keeps a value with a call, for as long as that is open.
    ///
    /// # Errors
    /// [`Refused::Over`]: the call is; [`Refused::Failed`]: it would be more than may be kept.
    pub fn set_state(&self, sid: Sid, key: &str, value: &[u8]) -> Result<(), Refused> {
        Refused::unless_ok(self.wire.set_state(sid, key, value))
    }

    /// A copy of a value that is kept with a call.
    #[must_use]
    pub fn state(&self, sid: Sid, key: &str) -> Option<Vec<u8>> {
        self.wire.state(sid, key)
    }

    pub(crate) fn frame(&self, sid: Sid, payload: &[u8]) -> Result<(), Refused> {
        Refused::unless_ok(self.wire.frame(sid, payload))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// The host said no.
#[non_exhaustive]
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is no room: the same may work later.
    Full,
    /// The call is over.
    Over,
    /// The host doesn't offer this.
    Unsupported,
    /// Anything else.
    Failed,
}

impl Refused {
    pub(crate) fn unless_ok(status: Status) -> Result<(), Self> {
        match status {
            Status::Ok => Ok(()),
            Status::Backpressure => Err(Self::Full),
            Status::Invalid => Err(Self::Over),
            Status::Unsupported => Err(Self::Unsupported),
            Status::Err | Status::StreamEnd | Status::Panic => Err(Self::Failed),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "there is no room; try again later",
            Self::Over => "the call is over",
            Self::Unsupported => "the host does not offer this",
            Self::Failed => "the host refused",
        })
    }
}

impl error::Error for Refused {}
