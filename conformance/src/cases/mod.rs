//! The cases, by what they are about. Each is called by a test of [`suite!`](macro@crate::suite).

#![expect(clippy::missing_panics_doc, reason = "panicking is how a case says that it failed")]

pub mod calls;
pub mod counters;
pub mod endings;
pub mod lifecycle;
pub mod panics;
pub mod payloads;
pub mod reentry;
pub mod requests;
pub mod sids;
pub mod state;
pub mod streams;
pub mod wakers;
