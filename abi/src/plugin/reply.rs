//! What a handler returns, and what it means.

use std::{borrow::Cow, fmt::Display};

use crate::Status;

/// The answer comes later, or has been given already: nothing is sent on return.
///
/// Who returns it owes the `sid` an answer: through [`Host`](super::Host), or better through a
/// [`Responder`](super::Responder), which can't forget.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Later;

/// What to do when a handler returns.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: see [`Later`].
    Later,
    /// The request breaks the contract, or asks for what isn't here: it is handed back with this
    /// status, no answer is owed and none may follow. (`Ok` would accept it: it is taken for `Err`.)
    Refused(Status),
    /// Answer now.
    Now {
        /// The answer's status.
        status: Status,
        /// Its payload.
        payload: Cow<'static, [u8]>,
    },
}

impl Reply {
    /// An answer with this status and payload.
    pub fn new(status: Status, payload: impl Into<Cow<'static, [u8]>>) -> Self {
        Self::Now { status, payload: payload.into() }
    }

    /// An [`Status::Ok`] with this payload.
    pub fn ok(payload: impl Into<Cow<'static, [u8]>>) -> Self {
        Self::new(Status::Ok, payload)
    }

    /// An [`Status::Err`] that says why.
    pub fn error(reason: impl Display) -> Self {
        Self::new(Status::Err, reason.to_string().into_bytes())
    }
}

/// What a handler of requests may return.
///
/// Bytes and text are an [`Status::Ok`] with that payload, a [`Status`] is an answer without one, an
/// error is [`Status::Err`] with its text, and [`Later`] is no answer yet.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an answer to a request",
    note = "return bytes, text, a `Status`, a `Reply`, `Later`, or a `Result` of one of these"
)]
pub trait IntoReply {
    /// The reply.
    fn into_reply(self) -> Reply;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Reply {
        self
    }
}

impl IntoReply for Later {
    fn into_reply(self) -> Reply {
        Reply::Later
    }
}

impl IntoReply for Status {
    fn into_reply(self) -> Reply {
        Reply::new(self, &[][..])
    }
}

impl IntoReply for Vec<u8> {
    fn into_reply(self) -> Reply {
        Reply::ok(self)
    }
}

impl IntoReply for &'static [u8] {
    fn into_reply(self) -> Reply {
        Reply::ok(self)
    }
}

impl IntoReply for String {
    fn into_reply(self) -> Reply {
        Reply::ok(self.into_bytes())
    }
}

impl IntoReply for &'static str {
    fn into_reply(self) -> Reply {
        Reply::ok(self.as_bytes())
    }
}

impl<T: IntoReply, E: Display> IntoReply for Result<T, E> {
    fn into_reply(self) -> Reply {
        match self {
            Ok(value) => value.into_reply(),
            Err(error) => Reply::error(error),
        }
    }
}

/// What became of something that is not answered by itself: data into a stream, its close, a wake.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Reported to the host as it is.
    Status(Status),
    /// Ends the stream with [`Status::Err`] and this text.
    Failed(String),
}

/// What the other handlers may return: nothing, a [`Status`], or a `Result` whose error ends the
/// stream.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what such a handler returns",
    note = "return nothing, a `Status`, or a `Result<(), _>` whose error ends the stream"
)]
pub trait IntoTaken {
    /// What became of it.
    fn into_taken(self) -> Taken;
}

impl IntoTaken for () {
    fn into_taken(self) -> Taken {
        Taken::Status(Status::Ok)
    }
}

impl IntoTaken for Status {
    fn into_taken(self) -> Taken {
        Taken::Status(self)
    }
}

impl<E: Display> IntoTaken for Result<(), E> {
    fn into_taken(self) -> Taken {
        match self {
            Ok(()) => Taken::Status(Status::Ok),
            Err(error) => Taken::Failed(error.to_string()),
        }
    }
}
