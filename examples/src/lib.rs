//! Programs that show Ringbox at work, in `examples/`, and what they share.
//!
//! | example | shows |
//! |---|---|
//! | `demo` | every way to call a plugin, a hundred calls that don't block one another, and what faults look like |
//! | `backend` | the least that a backend is: ten lines that answer |

mod wait;

pub use wait::{block_on, join_all};

/// The pages whose snippets are compiled with the examples.
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/ring.md")]
#[cfg(doctest)]
pub struct Pages;
