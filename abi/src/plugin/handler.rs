//! The shapes that a handler may have: with the plugin's [`Cx`] in front or without it.
//!
//! Each trait is implemented for functions. The second type parameter only tells the two shapes
//! apart and is always inferred.

use super::{
    lifecycle::Cx,
    reply::{IntoReply, IntoTaken, Reply, Taken},
};
use crate::{RequestView, Status};

/// Marks functions without a [`Cx`].
#[derive(Debug)]
pub struct Bare;

/// Marks functions that take a [`Cx`] first.
#[derive(Debug)]
pub struct WithCx;

macro_rules! handler {
    (
        $(#[$doc:meta])*
        $name:ident($($arg:ident: $ty:ty),*) -> $out:ty, $into:ident::$method:ident, $shape:literal
    ) => {
        $(#[$doc])*
        #[diagnostic::on_unimplemented(
            message = "`{Self}` is not a handler of this kind",
            note = $shape
        )]
        pub trait $name<S, Shape> {
            /// Runs it.
            fn call(&self, cx: &Cx<S>, $($arg: $ty),*) -> $out;
        }

        impl<S, F, R> $name<S, Bare> for F
        where
            F: Fn($($ty),*) -> R,
            R: $into,
        {
            #[inline]
            fn call(&self, _cx: &Cx<S>, $($arg: $ty),*) -> $out {
                self($($arg),*).$method()
            }
        }

        impl<S, F, R> $name<S, WithCx> for F
        where
            F: Fn(&Cx<S>, $($ty),*) -> R,
            R: $into,
        {
            #[inline]
            fn call(&self, cx: &Cx<S>, $($arg: $ty),*) -> $out {
                self(cx, $($arg),*).$method()
            }
        }
    };
}

handler! {
    /// Handles calls of one entry.
    Handler(sid: u64, payload: &[u8]) -> Reply, IntoReply::into_reply,
    "an entry is `fn(sid: u64, payload: &[u8]) -> R` or `fn(&Cx<State>, u64, &[u8]) -> R`"
}

handler! {
    /// Handles whole requests that no entry takes.
    FallbackHandler(sid: u64, request: RequestView<'_>, payload: &[u8]) -> Reply,
    IntoReply::into_reply,
    "it is `fn(sid: u64, RequestView<'_>, &[u8]) -> R`, or that with `&Cx<State>` in front"
}

handler! {
    /// Handles data that the caller sends into a stream.
    DataHandler(sid: u64, data: &[u8]) -> Taken, IntoTaken::into_taken,
    "it is `fn(sid: u64, data: &[u8]) -> R` or `fn(&Cx<State>, u64, &[u8]) -> R`"
}

handler! {
    /// Handles the close of a stream, or a cancel.
    SidHandler(sid: u64) -> Taken, IntoTaken::into_taken,
    "it is `fn(sid: u64) -> R` or `fn(&Cx<State>, u64) -> R`"
}

handler! {
    /// Handles a wake that was asked for.
    WakeHandler(token: u64) -> Taken, IntoTaken::into_taken,
    "it is `fn(token: u64) -> R` or `fn(&Cx<State>, u64) -> R`"
}

handler! {
    /// Handles what a host call came to.
    CallDoneHandler(token: u64, status: Status, payload: &[u8]) -> Taken, IntoTaken::into_taken,
    "it is `fn(token: u64, Status, &[u8]) -> R`, or that with `&Cx<State>` in front"
}

/// Takes the state apart at the end: `fn()` or `fn(State)`.
#[diagnostic::on_unimplemented(message = "`shutdown` is `fn()` or `fn(State)`, not `{Self}`")]
pub trait ShutdownHandler<S, Shape> {
    /// Runs it.
    fn call(&self, state: S);
}

impl<S, F: Fn()> ShutdownHandler<S, Bare> for F {
    fn call(&self, state: S) {
        self();
        drop(state);
    }
}

impl<S, F: Fn(S)> ShutdownHandler<S, WithCx> for F {
    fn call(&self, state: S) {
        self(state);
    }
}
