//! What waits for its turn with an instance: calls and the like, with all they borrowed copied.

use crate::packed::Packed;
use ringbox_ring::{EntryId, Header, Invocation, Request, Sid, Target};
use std::sync::mpsc::SyncSender;

/// What is to be done with an instance.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most jobs are calls, and an allocation costs more")]
pub(crate) enum Job {
    Call {
        sid: Sid,
        call: OwnedCall,
    },
    Data {
        sid: Sid,
        data: Box<[u8]>,
    },
    Close {
        sid: Sid,
    },
    /// Surely, or if the guest keeps the call.
    Cancel {
        sid: Sid,
        surely: bool,
    },
    /// Offer again what the guest had no room for.
    Retry,
    /// Of the instance that asked for it, and no other.
    Wake {
        instance: u64,
        token: u64,
    },
    /// Somebody waits for a number.
    Resolve {
        name: Box<str>,
        answer: SyncSender<Option<u32>>,
    },
}

impl Job {
    /// The call that it is.
    pub(crate) fn call(&self) -> Option<Sid> {
        match self {
            Self::Call { sid, .. } => Some(*sid),
            _ => None,
        }
    }

    /// The stream that it brings something for.
    pub(crate) fn stream(&self) -> Option<Sid> {
        match self {
            Self::Data { sid, .. } | Self::Close { sid } => Some(*sid),
            _ => None,
        }
    }
}

/// A call that owns what it brings.
#[derive(Debug)]
pub(crate) struct OwnedCall {
    target: OwnedTarget,
    /// The target's text, then the payload.
    packed: Packed,
}

#[derive(Debug)]
enum OwnedTarget {
    Entry(EntryId),
    /// Path, method, query and headers, one after the other.
    Request {
        path: usize,
        method: usize,
        query: usize,
        headers: Box<[(usize, usize)]>,
    },
}

impl OwnedCall {
    pub(crate) fn copy(call: &Invocation<'_>) -> Self {
        match &call.target {
            Target::Entry(id) => Self {
                target: OwnedTarget::Entry(*id),
                packed: Packed::copy([].into_iter(), call.payload),
            },
            Target::Request(request) => {
                let headers = request.headers.iter();
                let lengths = headers.clone().map(|header| (header.name.len(), header.value.len()));
                let text = [request.path, request.method, request.query].into_iter();
                let text = text.chain(headers.flat_map(|header| [header.name, header.value]));
                Self {
                    target: OwnedTarget::Request {
                        path: request.path.len(),
                        method: request.method.len(),
                        query: request.query.len(),
                        headers: lengths.collect(),
                    },
                    packed: Packed::copy(text, call.payload),
                }
            }
        }
    }

    /// About how much memory it takes, and no less than its bytes.
    pub(crate) fn bytes(call: &Invocation<'_>) -> usize {
        let target = match &call.target {
            Target::Entry(_) => 0,
            Target::Request(request) => {
                let headers = request.headers.iter();
                let headers: usize =
                    headers.map(|header| header.name.len() + header.value.len() + 16).sum();
                request.path.len() + request.method.len() + request.query.len() + headers
            }
        };
        target + call.payload.len()
    }

    /// The call as it was.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Invocation<'_>) -> R) -> R {
        f(&self.invocation(&self.headers()))
    }

    /// Its headers.
    #[inline]
    pub(crate) fn headers(&self) -> Vec<Header<'_>> {
        let OwnedTarget::Request { path, method, query, headers } = &self.target else {
            return Vec::new();
        };
        if headers.is_empty() {
            return Vec::new();
        }
        let mut rest = &self.packed.parts().0[path + method + query..];
        let header = |(name, value): &(usize, usize)| Header {
            name: part(&mut rest, *name),
            value: part(&mut rest, *value),
        };
        headers.iter().map(header).collect()
    }

    /// The call, with these headers.
    #[inline]
    pub(crate) fn invocation<'a>(&'a self, headers: &'a [Header<'a>]) -> Invocation<'a> {
        let (mut rest, payload) = self.packed.parts();
        match &self.target {
            OwnedTarget::Entry(id) => Invocation::entry_id(*id, payload),
            OwnedTarget::Request { path, method, query, .. } => {
                let path = part(&mut rest, *path);
                let method = part(&mut rest, *method);
                let query = part(&mut rest, *query);
                Invocation::request(Request { path, method, query, headers }, payload)
            }
        }
    }
}

/// Takes so many bytes off the front.
#[inline]
fn part<'a>(rest: &mut &'a str, len: usize) -> &'a str {
    let (first, after) = rest.split_at(len);
    *rest = after;
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_call_is_what_it_was() {
        let headers =
            [Header { name: "größe", value: "日本語" }, Header { name: "", value: "empty" }];
        let request = Request { query: "a=1", headers: &headers, ..Request::new("PUT", "/ü") };
        for call in [
            Invocation::request(request, b"body"),
            Invocation::request(request, &[7; 1000]),
            Invocation::entry("echo", b""),
            Invocation::entry_id(EntryId::from_raw(7), b"seven"),
        ] {
            OwnedCall::copy(&call).with(|copy| assert_eq!(*copy, call));
        }
    }
}
