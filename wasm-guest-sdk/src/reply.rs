//! What a handler returns, and what it means.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;

use crate::{Call, Host, Sid, Status};

/// An answer, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<'a>(pub(crate) Kind<'a>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    Now { status: Status, payload: Cow<'a, [u8]> },
    Refused(Status),
    Elsewhere,
}

impl<'a> Reply<'a> {
    /// An answer with this status and payload.
    #[inline]
    pub fn new(status: Status, payload: impl Into<Cow<'a, [u8]>>) -> Self {
        Self(Kind::Now { status, payload: payload.into() })
    }

    /// A [`Status::Ok`] with this payload.
    #[inline]
    pub fn ok(payload: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::new(Status::Ok, payload)
    }

    /// A [`Status::Err`] that says why.
    pub fn error(reason: impl Display) -> Self {
        Self::new(Status::Err, reason.to_string().into_bytes())
    }

    /// The call is handed back, as if the plugin had never taken it. (After an await it is too late
    /// for that: then it is an answer with this status.)
    #[must_use]
    pub fn refused(status: Status) -> Self {
        Self(Kind::Refused(status))
    }
}

/// Marks handlers that answer by what they return.
#[derive(Debug)]
pub enum Now {}

/// Marks handlers that take a [`Deferred`](crate::Deferred): its responder answers.
#[derive(Debug)]
pub enum Later {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Now {}
    impl Sealed for super::Later {}
}

/// [`Now`] or [`Later`]: when a handler answers.
pub trait When: sealed::Sealed {
    /// Whether a responder answers.
    const LATER: bool;
}

impl When for Now {
    const LATER: bool = false;
}

impl When for Later {
    const LATER: bool = true;
}

/// What a handler may return.
///
/// Bytes and text are a [`Status::Ok`] with that payload, `()` one without, a [`Status`] is an
/// answer without a payload, an error is [`Status::Err`] with its text. A handler that takes a
/// [`Deferred`](crate::Deferred) returns `()`, and `When` is [`Later`] then.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an answer to a call",
    note = "return bytes, text, `()`, a `Status`, a `Reply`, or a `Result` of one of these; \
            a handler that takes a `Deferred` returns `()`, since its responder answers",
    note = "the table says of an async handler that it is: `\"name\" => async handler`"
)]
pub trait IntoReply<'a, When = Now> {
    /// The reply.
    fn into_reply(self) -> Reply<'a>;
}

impl IntoReply<'_, Later> for () {
    #[inline]
    fn into_reply(self) -> Reply<'static> {
        Reply(Kind::Elsewhere)
    }
}

impl<'a> IntoReply<'a> for Reply<'a> {
    #[inline]
    fn into_reply(self) -> Self {
        self
    }
}

macro_rules! into_reply {
    ($($lifetime:lifetime $ty:ty, |$value:ident| $reply:expr;)*) => {
        $(impl<$lifetime> IntoReply<$lifetime> for $ty {
            #[inline]
            fn into_reply(self) -> Reply<$lifetime> {
                let $value = self;
                $reply
            }
        })*
    };
}

into_reply! {
    'a &'a [u8], |bytes| Reply::ok(bytes);
    'a &'a str, |text| Reply::ok(text.as_bytes());
    'a &'a Vec<u8>, |bytes| Reply::ok(&bytes[..]);
    'a &'a String, |text| Reply::ok(text.as_bytes());
    'a Vec<u8>, |bytes| Reply::ok(bytes);
    'a String, |text| Reply::ok(text.into_bytes());
    'a Cow<'a, [u8]>, |bytes| Reply::ok(bytes);
    'a Cow<'a, str>, |text| match text {
        Cow::Borrowed(text) => Reply::ok(text.as_bytes()),
        Cow::Owned(text) => Reply::ok(text.into_bytes()),
    };
    'a Status, |status| Reply::new(status, &[][..]);
    'a (), |nothing| {
        let () = nothing;
        Reply::ok(&[][..])
    };
}

impl<'a, const N: usize> IntoReply<'a> for &'a [u8; N] {
    #[inline]
    fn into_reply(self) -> Reply<'a> {
        Reply::ok(&self[..])
    }
}

impl<const N: usize> IntoReply<'_> for [u8; N] {
    #[inline]
    fn into_reply(self) -> Reply<'static> {
        Reply::ok(self.to_vec())
    }
}

impl<'a, T: IntoReply<'a>, E: Display> IntoReply<'a> for Result<T, E> {
    #[inline]
    fn into_reply(self) -> Reply<'a> {
        match self {
            Ok(value) => value.into_reply(),
            Err(error) => Reply::error(error),
        }
    }
}

/// Whether the plugin took a call; the status with which it is handed back if not.
pub type Outcome = Result<(), Status>;

impl Host {
    /// Does what a reply says.
    #[inline]
    pub(crate) fn deliver(&self, sid: Sid, reply: Reply<'_>) -> Outcome {
        match reply.0 {
            Kind::Now { status, payload: Cow::Borrowed(payload) } => {
                self.wire.answer(sid, status, payload);
            }
            Kind::Now { status, payload: Cow::Owned(payload) } => {
                self.wire.answer_owned(sid, status, payload);
            }
            Kind::Refused(status) => return Err(status),
            Kind::Elsewhere => {}
        }
        Ok(())
    }
}

/// Answers a call with what its handler returned.
///
/// # Errors
/// The call is refused.
#[inline]
pub fn conclude<'a, W: When, R: IntoReply<'a, W>>(
    call: Call<'a>,
    _when: PhantomData<W>,
    returned: R,
) -> Outcome {
    call.host().deliver(call.sid(), returned.into_reply())
}

/// Runs a handler, and answers a call with what it returns.
///
/// # Errors
/// The call is refused.
#[inline]
pub fn settle<'a, W: When, R: IntoReply<'a, W>>(
    call: Call<'a>,
    when: PhantomData<W>,
    handler: impl FnOnce() -> R,
) -> Outcome {
    // Who answers for a panic: whoever contains it, not the responder that unwinds with it.
    let returned = if W::LATER { call.within(handler) } else { handler() };
    conclude(call, when, returned)
}
