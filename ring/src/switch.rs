//! A link that is replaced while threads call through it.

#![expect(unsafe_code, reason = "a link is kept as the address of its cell")]

use crate::link::{Link, LinkCell};
use std::sync::atomic::{AtomicPtr, Ordering};

/// Where callers find the link that serves a name now. Reading it is one load.
#[derive(Debug)]
pub struct Switch(AtomicPtr<LinkCell>);

impl Switch {
    /// Starts with `link`.
    pub fn new(link: Link) -> Self {
        Self(AtomicPtr::new(link.as_ptr()))
    }

    /// The link to call through now.
    #[inline(always)]
    pub fn link(&self) -> Link {
        let cell = self.0.load(Ordering::Acquire);
        // SAFETY: the pointer came from a link, whose cell is never freed.
        Link::from_cell(unsafe { &*cell })
    }

    /// Sends callers to `link` from here on, and returns the one they went to before.
    pub fn switch(&self, link: Link) -> Link {
        let cell = self.0.swap(link.as_ptr(), Ordering::AcqRel);
        // SAFETY: as above.
        Link::from_cell(unsafe { &*cell })
    }
}
