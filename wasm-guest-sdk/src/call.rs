//! What a handler is called with.

use std::fmt;
use std::marker::PhantomData;
#[cfg(target_family = "wasm")]
use std::mem;
use std::str;

use crate::current;
use crate::reply::Outcome;
#[cfg(target_family = "wasm")]
use crate::request::LentHead;
use crate::request::{Head, KeptHead};
use crate::shared::Shared;
use crate::tasks::Hold;
use crate::{Host, Later, Now, Plugin, Reply, Request, Responder, Sid, Status, When};

/// A call, borrowed: nothing in it has to be dropped, so it costs no more than its parts.
#[derive(Copy, Clone)]
pub struct Incoming<'a> {
    pub(crate) sid: Sid,
    pub(crate) head: Head<'a>,
    pub(crate) payload: &'a [u8],
}

/// The same for as long as anybody wants it.
pub struct Kept {
    pub(crate) sid: Sid,
    pub(crate) head: KeptHead,
    pub(crate) payload: Vec<u8>,
}

/// As a call comes in: borrowed from the host.
#[cfg(not(target_family = "wasm"))]
pub type Arrived<'a> = Incoming<'a>;

/// As a call comes in: in the sandbox all of it is the plugin's, and lent to the handler, for whom it is
/// not moved unless it is kept.
#[cfg(target_family = "wasm")]
pub struct Arrived<'a> {
    pub(crate) sid: Sid,
    pub(crate) head: LentHead<'a>,
    pub(crate) payload: &'a mut Vec<u8>,
}

#[cfg(target_family = "wasm")]
impl Arrived<'_> {
    /// The same for as long as anybody wants it: it is taken out of where it was lent from.
    #[must_use]
    pub fn keep(self) -> Kept {
        Kept { sid: self.sid, head: self.head.keep(), payload: mem::take(self.payload) }
    }

    /// What a handler is called with.
    #[inline]
    #[must_use]
    pub fn borrow(&self) -> Incoming<'_> {
        Incoming { sid: self.sid, head: self.head.borrow(), payload: self.payload }
    }
}

impl<'a> Incoming<'a> {
    /// The same for as long as anybody wants it.
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub fn keep(self) -> Kept {
        Kept { sid: self.sid, head: self.head.keep(), payload: self.payload.to_vec() }
    }

    /// Itself.
    #[inline]
    #[must_use]
    pub fn borrow(&self) -> Self {
        *self
    }
}

impl Kept {
    /// What a handler is called with.
    #[must_use]
    pub fn borrow(&self) -> Incoming<'_> {
        Incoming { sid: self.sid, head: self.head.borrow(), payload: &self.payload }
    }

    /// Whose it is.
    #[must_use]
    pub fn sid(&self) -> Sid {
        self.sid
    }
}

/// One call, borrowed for as long as its handler runs.
#[derive(Copy, Clone)]
pub struct Call<'a> {
    host: &'a Host,
    tasks: &'a Hold,
    incoming: Incoming<'a>,
}

impl<'a> Call<'a> {
    /// Its number, which no other call of this plugin has.
    #[inline]
    #[must_use]
    pub fn sid(&self) -> Sid {
        self.incoming.sid
    }

    /// Its payload.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.incoming.payload
    }

    /// The host; clone it to keep it.
    #[inline]
    #[must_use]
    pub fn host(&self) -> &'a Host {
        self.host
    }

    /// Keeps a value with this call, for as long as it is open.
    ///
    /// # Errors
    /// As [`Host::set_state`].
    pub fn set_state(&self, key: &str, value: &[u8]) -> Result<(), crate::Refused> {
        self.host().set_state(self.sid(), key, value)
    }

    /// A copy of a value that is kept with this call.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.host().state(self.sid(), key)
    }

    /// Runs what speaks for this call: the responder leaves it to whoever contains its panic.
    pub(crate) fn within<R>(&self, body: impl FnOnce() -> R) -> R {
        current::within(None, self.sid(), false, body)
    }

    pub(crate) fn head(&self) -> Head<'a> {
        self.incoming.head
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("sid", &self.sid()).finish_non_exhaustive()
    }
}

/// A call that is answered by its [`Responder`], not by what its handler returns.
///
/// The handler returns `()`. Whatever becomes of the responder, the call is answered once: by it, or
/// by its drop.
#[derive(Debug)]
pub struct Deferred<T> {
    /// What the handler wants of the call.
    pub call: T,
    /// The promise to answer it.
    pub responder: Responder,
}

/// What a handler may take.
#[diagnostic::on_unimplemented(
    message = "a handler cannot take `{Self}`",
    note = "it takes one of `&[u8]`, `Vec<u8>`, `&str`, `String`, `()`, `Call`, `Request`, \
            or a `Deferred` of one of these"
)]
pub trait FromCall<'a>: Sized {
    /// [`Now`], or [`Later`] if a responder answers.
    type When: When;

    /// Makes it of the call.
    ///
    /// # Errors
    /// It can't be made, and this is the call's answer.
    fn from_call(call: Call<'a>) -> Result<Self, Reply<'static>>;
}

impl<'a> FromCall<'a> for Call<'a> {
    type When = Now;

    #[inline]
    fn from_call(call: Call<'a>) -> Result<Self, Reply<'static>> {
        Ok(call)
    }
}

impl<'a> FromCall<'a> for Request<'a> {
    type When = Now;

    #[inline]
    fn from_call(call: Call<'a>) -> Result<Self, Reply<'static>> {
        Ok(Request::new(call))
    }
}

impl<'a> FromCall<'a> for &'a [u8] {
    type When = Now;

    #[inline]
    fn from_call(call: Call<'a>) -> Result<Self, Reply<'static>> {
        Ok(call.payload())
    }
}

impl<'a> FromCall<'a> for Vec<u8> {
    type When = Now;

    fn from_call(call: Call<'a>) -> Result<Self, Reply<'static>> {
        Ok(call.payload().to_vec())
    }
}

impl<'a> FromCall<'a> for &'a str {
    type When = Now;

    #[inline]
    fn from_call(call: Call<'a>) -> Result<Self, Reply<'static>> {
        let invalid = || Reply::new(Status::Invalid, &b"the payload is not text in UTF-8"[..]);
        str::from_utf8(call.payload()).map_err(|_| invalid())
    }
}

impl<'a> FromCall<'a> for String {
    type When = Now;

    fn from_call(call: Call<'a>) -> Result<Self, Reply<'static>> {
        <&str>::from_call(call).map(str::to_owned)
    }
}

impl<'a> FromCall<'a> for () {
    type When = Now;

    #[inline]
    fn from_call(_: Call<'a>) -> Result<Self, Reply<'static>> {
        Ok(())
    }
}

impl<'a, T: FromCall<'a, When = Now>> FromCall<'a> for Deferred<T> {
    type When = Later;

    fn from_call(call: Call<'a>) -> Result<Self, Reply<'static>> {
        let wanted = T::from_call(call)?;
        Ok(Self { call: wanted, responder: Responder::new(call.tasks, call.sid()) })
    }
}

/// What an author's handler becomes: what runs, and whether it is async.
#[derive(Debug, Copy, Clone)]
pub struct Handler<F> {
    /// Whether it is async.
    pub waits: bool,
    /// What runs.
    pub run: F,
}

/// What a handler wants of a call, and how it answers; or the call's outcome, where that can't be
/// had.
///
/// # Errors
/// The call's outcome.
#[inline]
pub fn extract<'a, P: Plugin, A: FromCall<'a>>(
    shared: &'a Shared<P>,
    incoming: Incoming<'a>,
) -> Result<(Call<'a>, A, PhantomData<A::When>), Outcome> {
    let call = Call { host: &shared.host, tasks: &shared.tasks, incoming };
    match A::from_call(call) {
        Ok(wanted) => Ok((call, wanted, PhantomData)),
        Err(reply) => Err(call.host().deliver(call.sid(), reply)),
    }
}
