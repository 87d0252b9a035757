//! Whole requests.

use std::fmt;
#[cfg(target_family = "wasm")]
use std::mem::take;

use crate::Call;

#[cfg(target_family = "wasm")]
use crate::sandbox::{Header, Owned};

/// What a call says of itself beside its payload.
#[derive(Copy, Clone)]
pub(crate) enum Head<'a> {
    /// It is of an entry with this name.
    Entry(&'static str),
    /// It is a whole request, borrowed from the host.
    #[cfg(not(target_family = "wasm"))]
    View(ringbox_abi::RequestView<'a>),
    /// It is a whole request that is kept.
    Kept(&'a Owned),
}

/// The same for as long as anybody wants it.
pub(crate) enum KeptHead {
    Entry(&'static str),
    Request(Owned),
}

impl KeptHead {
    #[inline]
    pub(crate) fn borrow(&self) -> Head<'_> {
        match self {
            Self::Entry(name) => Head::Entry(name),
            Self::Request(owned) => Head::Kept(owned),
        }
    }
}

/// The same as it comes in to the sandbox: the plugin's, and lent to its handler.
#[cfg(target_family = "wasm")]
pub(crate) enum LentHead<'a> {
    Entry(&'static str),
    Request(&'a mut Owned),
}

#[cfg(target_family = "wasm")]
impl LentHead<'_> {
    #[inline]
    pub(crate) fn borrow(&self) -> Head<'_> {
        match self {
            Self::Entry(name) => Head::Entry(name),
            Self::Request(owned) => Head::Kept(owned),
        }
    }

    pub(crate) fn keep(self) -> KeptHead {
        match self {
            Self::Entry(name) => KeptHead::Entry(name),
            Self::Request(Owned { path, method, query, headers }) => KeptHead::Request(Owned {
                path: take(path),
                method: take(method),
                query: take(query),
                headers: take(headers),
            }),
        }
    }
}

/// A whole request that is the plugin's own.
#[cfg(not(target_family = "wasm"))]
#[derive(Clone)]
pub(crate) struct Owned {
    path: String,
    method: String,
    query: String,
    headers: Vec<Header>,
}

#[cfg(not(target_family = "wasm"))]
#[derive(Clone)]
struct Header {
    key: String,
    value: String,
}

#[cfg(not(target_family = "wasm"))]
impl Head<'_> {
    pub(crate) fn keep(self) -> KeptHead {
        let header = |(key, value): (&str, &str)| Header { key: key.into(), value: value.into() };
        match self {
            Self::Entry(name) => KeptHead::Entry(name),
            Self::View(view) => KeptHead::Request(Owned {
                path: view.path().into(),
                method: view.method().into(),
                query: view.query().into(),
                headers: view.headers().map(header).collect(),
            }),
            Self::Kept(owned) => KeptHead::Request(owned.clone()),
        }
    }
}

/// A whole request, borrowed for as long as its handler runs.
///
/// A call of an entry is one too: its method is `CALL`, its path the entry's name.
#[derive(Copy, Clone)]
pub struct Request<'a> {
    call: Call<'a>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(call: Call<'a>) -> Self {
        Self { call }
    }

    /// `GET`, `POST`, ..
    #[must_use]
    pub fn method(&self) -> &'a str {
        match self.call.head() {
            Head::Entry(_) => "CALL",
            #[cfg(not(target_family = "wasm"))]
            Head::View(view) => view.method(),
            Head::Kept(owned) => &owned.method,
        }
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &'a str {
        match self.call.head() {
            Head::Entry(name) => name,
            #[cfg(not(target_family = "wasm"))]
            Head::View(view) => view.path(),
            Head::Kept(owned) => &owned.path,
        }
    }

    /// The query, without its question mark.
    #[must_use]
    pub fn query(&self) -> &'a str {
        match self.call.head() {
            Head::Entry(_) => "",
            #[cfg(not(target_family = "wasm"))]
            Head::View(view) => view.query(),
            Head::Kept(owned) => &owned.query,
        }
    }

    /// The headers' names and values, in their order.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers(match self.call.head() {
            Head::Entry(_) => Inner::Owned([].iter()),
            #[cfg(not(target_family = "wasm"))]
            Head::View(view) => Inner::View(view.headers()),
            Head::Kept(owned) => Inner::Owned(owned.headers.iter()),
        })
    }

    /// The first header of that name, whose case doesn't matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.call.payload()
    }

    /// What it has of any call: sid and host.
    #[must_use]
    pub fn call(&self) -> Call<'a> {
        self.call
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// The names and values of a request's headers. See [`Request::headers`].
pub struct Headers<'a>(Inner<'a>);

enum Inner<'a> {
    #[cfg(not(target_family = "wasm"))]
    View(ringbox_abi::HeaderIter<'a>),
    Owned(std::slice::Iter<'a, Header>),
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            #[cfg(not(target_family = "wasm"))]
            Inner::View(headers) => headers.next(),
            Inner::Owned(headers) => headers.next().map(|Header { key, value }| (&**key, &**value)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            #[cfg(not(target_family = "wasm"))]
            Inner::View(headers) => headers.size_hint(),
            Inner::Owned(headers) => headers.size_hint(),
        }
    }
}

impl ExactSizeIterator for Headers<'_> {}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers").field("left", &self.len()).finish()
    }
}
