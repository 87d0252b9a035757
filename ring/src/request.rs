//! What a caller asks of a plugin, borrowed for the time of the dispatch.

use crate::backend::PluginBackend;
use crate::refusal::{self, Refusal};
use crate::sid::Sid;

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

/// A call to an entry by its name: [`Invocation::entry`], before a request is made of it.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Named<'a> {
    /// The entry's name.
    pub name: &'a str,
    /// What the call brings.
    pub payload: &'a [u8],
}

/// A call to an entry that was resolved before: [`Invocation::entry_id`].
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Numbered<'a> {
    /// The entry's number.
    pub entry: EntryId,
    /// What the call brings.
    pub payload: &'a [u8],
}

/// What can be asked of a plugin: an [`Invocation`], or an entry alone. An entry's name or number
/// goes to the plugin in registers, and no request lies in memory on its way.
pub trait Ask: Copy + sealed::Sealed {
    /// What it brings.
    #[doc(hidden)]
    fn payload(&self) -> &[u8];

    /// The entry's number, where that is what it goes to.
    #[doc(hidden)]
    fn entry(&self) -> Option<EntryId>;

    /// Hands it to the plugin, by the method that is made for it.
    #[doc(hidden)]
    fn hand_to(self, backend: &dyn PluginBackend, sid: Sid) -> Result<(), Refusal>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for &super::Invocation<'_> {}
    impl Sealed for super::Named<'_> {}
    impl Sealed for super::Numbered<'_> {}
}

impl Ask for &Invocation<'_> {
    #[inline(always)]
    fn payload(&self) -> &[u8] {
        self.payload
    }

    #[inline(always)]
    fn entry(&self) -> Option<EntryId> {
        match self.target {
            Target::Entry(entry) => Some(entry),
            Target::Request(_) => None,
        }
    }

    #[inline(always)]
    fn hand_to(self, backend: &dyn PluginBackend, sid: Sid) -> Result<(), Refusal> {
        backend.dispatch(sid, self)
    }
}

impl Ask for Named<'_> {
    #[inline(always)]
    fn payload(&self) -> &[u8] {
        self.payload
    }

    #[inline(always)]
    fn entry(&self) -> Option<EntryId> {
        None
    }

    #[inline(always)]
    fn hand_to(self, backend: &dyn PluginBackend, sid: Sid) -> Result<(), Refusal> {
        backend.dispatch_name(sid, self.name, self.payload)
    }
}

impl Ask for Numbered<'_> {
    #[inline(always)]
    fn payload(&self) -> &[u8] {
        self.payload
    }

    #[inline(always)]
    fn entry(&self) -> Option<EntryId> {
        Some(self.entry)
    }

    #[inline(always)]
    fn hand_to(self, backend: &dyn PluginBackend, sid: Sid) -> Result<(), Refusal> {
        refusal::find(backend.dispatch_entry_raw(self.entry, sid, self.payload))
    }
}
