//! What waits for its turn with an instance: calls and the like, with all they borrowed copied.

use ringbox_ring::{EntryId, Header, Invocation, Request, Sid, Target};
use std::sync::mpsc::SyncSender;

/// What is to be done with an instance.
#[derive(Debug)]
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
    /// Whether it is the call `sid`.
    pub(crate) fn is_call(&self, sid: Sid) -> bool {
        matches!(self, Self::Call { sid: own, .. } if *own == sid)
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
    payload: Box<[u8]>,
}

#[derive(Debug)]
enum OwnedTarget {
    Entry(EntryId),
    Request {
        /// Path, method, query and headers, one after the other.
        text: Box<str>,
        path: usize,
        method: usize,
        query: usize,
        headers: Box<[(usize, usize)]>,
    },
}

impl OwnedCall {
    pub(crate) fn copy(call: &Invocation<'_>) -> Self {
        Self { target: OwnedTarget::copy(&call.target), payload: call.payload.into() }
    }

    /// About how much memory it takes.
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
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Invocation<'_>) -> R) -> R {
        f(&self.invocation(&self.headers()))
    }

    /// Its headers.
    pub(crate) fn headers(&self) -> Vec<Header<'_>> {
        let OwnedTarget::Request { text, path, method, query, headers } = &self.target else {
            return Vec::new();
        };
        let mut rest = &text[path + method + query..];
        let mut part = |len: usize| {
            let (first, after) = rest.split_at(len);
            rest = after;
            first
        };
        let header =
            |(name, value): &(usize, usize)| Header { name: part(*name), value: part(*value) };
        headers.iter().map(header).collect()
    }

    /// The call, with these headers.
    pub(crate) fn invocation<'a>(&'a self, headers: &'a [Header<'a>]) -> Invocation<'a> {
        match &self.target {
            OwnedTarget::Entry(id) => Invocation::entry_id(*id, &self.payload),
            OwnedTarget::Request { text, path, method, query, .. } => {
                let (path, rest) = text.split_at(*path);
                let (method, rest) = rest.split_at(*method);
                let query = &rest[..*query];
                Invocation::request(Request { path, method, query, headers }, &self.payload)
            }
        }
    }
}

impl OwnedTarget {
    fn copy(target: &Target<'_>) -> Self {
        match target {
            Target::Entry(id) => Self::Entry(*id),
            Target::Request(request) => {
                let mut text = String::with_capacity(
                    request.path.len() + request.method.len() + request.query.len(),
                );
                for part in [request.path, request.method, request.query] {
                    text.push_str(part);
                }
                let lengths = request.headers.iter().map(|header| {
                    text.push_str(header.name);
                    text.push_str(header.value);
                    (header.name.len(), header.value.len())
                });
                let headers = lengths.collect();
                Self::Request {
                    path: request.path.len(),
                    method: request.method.len(),
                    query: request.query.len(),
                    headers,
                    text: text.into(),
                }
            }
        }
    }
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
            Invocation::entry("echo", b""),
            Invocation::entry_id(EntryId::from_raw(7), b"seven"),
        ] {
            OwnedCall::copy(&call).with(|copy| assert_eq!(*copy, call));
        }
    }
}
