//! A link that is replaced while threads call through it.

use crate::link::Link;
use crate::load::LoadId;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where callers find the link that serves a name now. Reading it is one load.
#[derive(Debug)]
pub struct Switch(AtomicU64);

impl Switch {
    /// Starts with `link`.
    pub fn new(link: Link) -> Self {
        Self(AtomicU64::new(link.0.as_raw()))
    }

    /// The link to call through now.
    #[inline(always)]
    pub fn link(&self) -> Link {
        Link(LoadId::from_raw(self.0.load(Ordering::Acquire)))
    }

    /// Sends callers to `link` from here on, and returns the one they went to before.
    pub fn switch(&self, link: Link) -> Link {
        Link(LoadId::from_raw(self.0.swap(link.0.as_raw(), Ordering::AcqRel)))
    }
}
