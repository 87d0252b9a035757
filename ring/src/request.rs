//! What a caller asks of a plugin, borrowed for the time of the dispatch.

/// A request as the plugin sees it.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// Its path, or the entry's name where the method is [`Request::CALL`].
    pub path: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its query, without the question mark.
    pub query: &'a str,
    /// Its headers, in order.
    pub headers: &'a [Header<'a>],
}

/// One header of a request.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
}

/// The number that a plugin gave to an entry's name when it was resolved.
///
/// It means something to the link that resolved it, and to no other.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(u32);

impl EntryId {
    /// Takes the number that the plugin gave.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The number that the plugin gave.
    pub const fn as_raw(self) -> u32 {
        self.0
    }
}

/// Whom a call goes to.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Target<'a> {
    /// The plugin's request handler.
    Request(Request<'a>),
    /// An entry that was resolved before, so that no name is looked up.
    Entry(EntryId),
}

/// One call: whom it goes to, and what it brings.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Invocation<'a> {
    /// Whom it goes to.
    pub target: Target<'a>,
    /// What it brings.
    pub payload: &'a [u8],
}

impl<'a> Request<'a> {
    /// The method of a call to an entry by its name.
    pub const CALL: &'static str = "CALL";

    /// A request without query and headers.
    pub const fn new(method: &'a str, path: &'a str) -> Self {
        Self { path, method, query: "", headers: &[] }
    }
}

impl<'a> Invocation<'a> {
    /// A call to an entry by its name.
    #[inline(always)]
    pub const fn entry(name: &'a str, payload: &'a [u8]) -> Self {
        Self { target: Target::Request(Request::new(Request::CALL, name)), payload }
    }

    /// A call to an entry that was resolved before.
    #[inline(always)]
    pub const fn entry_id(id: EntryId, payload: &'a [u8]) -> Self {
        Self { target: Target::Entry(id), payload }
    }

    /// A whole request.
    #[inline(always)]
    pub const fn request(request: Request<'a>, body: &'a [u8]) -> Self {
        Self { target: Target::Request(request), payload: body }
    }
}
