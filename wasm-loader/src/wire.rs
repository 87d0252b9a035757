//! The contract's types, as they cross into a component and out of it.

use ringbox_abi::{RawStatus, Status};
use ringbox_ring::{Header, Request};
use wasmtime::component::{ComponentType, Lift, Lower};

/// `nylon:ring/types.status`. A case's place is the number that travels in the native ABI.
#[derive(ComponentType, Lift, Lower, Debug, Copy, Clone, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "a guest's statuses are all made by lifting")]
pub(crate) enum WireStatus {
    #[component(name = "ok")]
    Ok,
    #[component(name = "err")]
    Err,
    #[component(name = "invalid")]
    Invalid,
    #[component(name = "unsupported")]
    Unsupported,
    #[component(name = "stream-end")]
    StreamEnd,
    #[component(name = "panic")]
    Panic,
    #[component(name = "backpressure")]
    Backpressure,
}

const _: () = assert!(WireStatus::StreamEnd as u32 == RawStatus::STREAM_END.0);
const _: () = assert!(WireStatus::Backpressure as u32 == RawStatus::BACKPRESSURE.0);

impl WireStatus {
    #[inline(always)]
    pub(crate) const fn raw(self) -> RawStatus {
        RawStatus(self as u32)
    }

    pub(crate) fn meaning(self) -> Status {
        self.raw().meaning()
    }
}

/// `nylon:ring-ext/log.level`.
#[derive(ComponentType, Lift, Lower, Debug, Copy, Clone, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "a guest's levels are all made by lifting")]
pub(crate) enum WireLevel {
    #[component(name = "error")]
    Error,
    #[component(name = "warn")]
    Warn,
    #[component(name = "info")]
    Info,
    #[component(name = "debug")]
    Debug,
    #[component(name = "trace")]
    Trace,
}

/// `nylon:ring/types.header`.
#[derive(ComponentType, Lower, Debug, Copy, Clone)]
#[component(record)]
pub(crate) struct WireHeader<'a> {
    key: &'a str,
    value: &'a str,
}

/// `nylon:ring/types.request`.
#[derive(ComponentType, Lower, Debug, Copy, Clone)]
#[component(record)]
pub(crate) struct WireRequest<'a> {
    path: &'a str,
    method: &'a str,
    query: &'a str,
    headers: &'a [WireHeader<'a>],
}

/// Requests with no more headers than this are passed without an allocation.
const FEW: usize = 16;

/// A request's headers, as the guest takes them.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack, for one call")]
pub(crate) enum WireHeaders<'a> {
    None,
    Few([WireHeader<'a>; FEW], usize),
    Many(Vec<WireHeader<'a>>),
}

impl<'a> WireHeaders<'a> {
    #[inline(always)]
    pub(crate) fn of(request: &Request<'a>) -> Self {
        if request.headers.is_empty() { Self::None } else { Self::some(request.headers) }
    }

    #[inline(never)]
    fn some(headers: &'a [Header<'a>]) -> Self {
        let wire = |header: &Header<'a>| WireHeader { key: header.name, value: header.value };
        if headers.len() > FEW {
            return Self::Many(headers.iter().map(wire).collect());
        }
        let mut few = [WireHeader { key: "", value: "" }; FEW];
        for (few, header) in few.iter_mut().zip(headers) {
            *few = wire(header);
        }
        Self::Few(few, headers.len())
    }

    /// The whole request, with these headers.
    #[inline(always)]
    pub(crate) fn with(&'a self, request: &Request<'a>) -> WireRequest<'a> {
        let headers = match self {
            Self::None => &[],
            Self::Few(headers, count) => &headers[..*count],
            Self::Many(headers) => &**headers,
        };
        WireRequest { path: request.path, method: request.method, query: request.query, headers }
    }
}
