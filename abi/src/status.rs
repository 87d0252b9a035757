//! A status on the wire is an integer; what it means is an enum.
//!
//! [`RawStatus`] is what crosses the boundary: any `u32` is a valid one. [`Status`] is what callers
//! see. The conversion happens once, at the border, and loses nothing: a number without a name is
//! kept in [`Status::Unknown`].

use std::fmt;

use crate::v1::NrStatus;

/// A status as it travels: any 32-bit number, meant or not.
///
/// A foreign module may send a number that has no name yet. A Rust enum that receives it would be
/// undefined behaviour, this type is not.
///
/// ```
/// use ringbox_abi::{RawStatus, Status};
/// assert_eq!(Status::from(RawStatus(9)), Status::Unknown(9));
/// assert_eq!(RawStatus::from(Status::Unknown(9)), RawStatus(9));
/// assert_eq!(format!("{:?}", RawStatus::STREAM_END), "StreamEnd");
/// ```
#[repr(transparent)]
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct RawStatus(pub u32);

impl RawStatus {
    /// An answer, or a frame of a stream.
    pub const OK: Self = Self(0);
    /// The plugin failed; the payload may say why.
    pub const ERR: Self = Self(1);
    /// The request breaks the contract.
    pub const INVALID: Self = Self(2);
    /// Nobody here does that.
    pub const UNSUPPORTED: Self = Self(3);
    /// A stream came to its ordinary end.
    pub const STREAM_END: Self = Self(4);
    /// A panic was contained; the payload is its message.
    pub const PANIC: Self = Self(5);
    /// A bounded queue is full: try again later.
    pub const BACKPRESSURE: Self = Self(6);

    /// What the number means.
    #[inline]
    #[must_use]
    pub const fn meaning(self) -> Status {
        match self.0 {
            0 => Status::Ok,
            1 => Status::Err,
            2 => Status::Invalid,
            3 => Status::Unsupported,
            4 => Status::StreamEnd,
            5 => Status::Panic,
            6 => Status::Backpressure,
            other => Status::Unknown(other),
        }
    }
}

impl fmt::Debug for RawStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.meaning(), f)
    }
}

impl From<Status> for RawStatus {
    #[inline]
    fn from(status: Status) -> Self {
        status.raw()
    }
}

impl From<NrStatus> for RawStatus {
    #[inline]
    fn from(status: NrStatus) -> Self {
        Self(status as u32)
    }
}

/// What a status means.
///
/// [`Status::Unknown`] carries only numbers without a name when it comes from a [`RawStatus`]; one
/// built by hand with a named number compares unequal to the named variant.
#[non_exhaustive]
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
pub enum Status {
    /// An answer, or a frame of a stream.
    Ok,
    /// The plugin failed; the payload may say why.
    Err,
    /// The request breaks the contract.
    Invalid,
    /// Nobody here does that.
    Unsupported,
    /// A stream came to its ordinary end.
    StreamEnd,
    /// A panic was contained; the payload is its message.
    Panic,
    /// A bounded queue is full: try again later.
    Backpressure,
    /// A number that this version has no name for.
    Unknown(u32),
}

impl Status {
    /// The number that travels.
    #[inline]
    #[must_use]
    pub const fn raw(self) -> RawStatus {
        match self {
            Self::Ok => RawStatus::OK,
            Self::Err => RawStatus::ERR,
            Self::Invalid => RawStatus::INVALID,
            Self::Unsupported => RawStatus::UNSUPPORTED,
            Self::StreamEnd => RawStatus::STREAM_END,
            Self::Panic => RawStatus::PANIC,
            Self::Backpressure => RawStatus::BACKPRESSURE,
            Self::Unknown(number) => RawStatus(number),
        }
    }

    /// Whether this is [`Status::Ok`].
    #[inline]
    #[must_use]
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }

    /// Whether a stream continues after it: only [`Status::Ok`] is a frame.
    #[inline]
    #[must_use]
    pub const fn is_frame(self) -> bool {
        matches!(self, Self::Ok)
    }

    /// Whether it ends a stream properly.
    ///
    /// [`Status::Backpressure`] and [`Status::Unknown`] are neither frame nor end: a plugin that
    /// sends one on a stream is at fault.
    #[inline]
    #[must_use]
    pub const fn ends_stream(self) -> bool {
        matches!(
            self,
            Self::Err | Self::Invalid | Self::Unsupported | Self::StreamEnd | Self::Panic
        )
    }
}

impl From<RawStatus> for Status {
    #[inline]
    fn from(raw: RawStatus) -> Self {
        raw.meaning()
    }
}

impl From<NrStatus> for Status {
    #[inline]
    fn from(status: NrStatus) -> Self {
        RawStatus::from(status).meaning()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Err => "error",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::StreamEnd => "end of stream",
            Self::Panic => "panic",
            Self::Backpressure => "backpressure",
            Self::Unknown(number) => return write!(f, "unknown status {number}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives_the_way_there_and_back() {
        for number in (0..20).chain([u32::MAX - 1, u32::MAX]) {
            assert_eq!(Status::from(RawStatus(number)).raw(), RawStatus(number));
            assert_eq!(matches!(RawStatus(number).meaning(), Status::Unknown(_)), number > 6);
        }
    }

    #[test]
    fn the_four_of_version_1_mean_the_same() {
        for (theirs, ours) in [
            (NrStatus::Ok, Status::Ok),
            (NrStatus::Err, Status::Err),
            (NrStatus::Invalid, Status::Invalid),
            (NrStatus::Unsupported, Status::Unsupported),
        ] {
            assert_eq!(Status::from(theirs), ours);
            assert_eq!(RawStatus::from(theirs), ours.raw());
        }
    }

    #[test]
    fn a_status_is_a_frame_or_an_end_or_a_fault() {
        for number in 0..20 {
            let status = RawStatus(number).meaning();
            assert_eq!(status.is_frame(), number == 0);
            assert_eq!(status.ends_stream(), (1..=5).contains(&number));
        }
    }

    #[test]
    fn debug_and_display_name_what_they_show() {
        assert_eq!(format!("{:?}", RawStatus::BACKPRESSURE), "Backpressure");
        assert_eq!(format!("{:?}", RawStatus(77)), "Unknown(77)");
        assert_eq!(Status::Unknown(77).to_string(), "unknown status 77");
        assert_eq!(Status::StreamEnd.to_string(), "end of stream");
    }
}
