//! The contract's types, as they cross into a component and out of it.

use ringbox_abi::{RawStatus, Status};
use ringbox_ring::Request;
use wasmtime::component::{ComponentType, Lift, Lower};

/// `nylon:ring/types.status`. A case's place is the number that travels in the native ABI.
#[derive(ComponentType, Lift, Lower, Debug, Copy, Clone, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
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

/// Runs `f` with the request as the guest takes it.
#[inline(always)]
pub(crate) fn with_request<R>(request: &Request<'_>, f: impl FnOnce(WireRequest<'_>) -> R) -> R {
    let whole = |headers| WireRequest {
        path: request.path,
        method: request.method,
        query: request.query,
        headers,
    };
    let header = |at: usize| {
        let header = &request.headers[at];
        WireHeader { key: header.name, value: header.value }
    };
    match request.headers.len() {
        0 => f(whole(&[])),
        count @ 1..=FEW => {
            let none = WireHeader { key: "", value: "" };
            let headers: [_; FEW] =
                std::array::from_fn(|at| if at < count { header(at) } else { none });
            f(whole(&headers[..count]))
        }
        count => f(whole(&(0..count).map(header).collect::<Vec<_>>())),
    }
}
