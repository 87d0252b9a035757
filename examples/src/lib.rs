//! Programs that show Ringbox at work, in `examples/`, the plugins that they load, in `plugins/`,
//! and what they share.
//!
//! | example | shows |
//! |---|---|
//! | `demo` | one host, plugins of several kinds: the same calls, their answers and times side by side |
//! | `host` | loading a library that the command line names, and calling it |
//! | `concurrent` | a hundred calls that take two seconds each, and two seconds in all |
//! | `stress` | calls from many threads for some seconds, and their rate |
//! | `backend` | the least that a backend is: ten lines that answer |
//!
//! | plugin | written with |
//! |---|---|
//! | `plugins/seed` | version 1's definitions and nothing else |
//! | `plugins/c`, `plugins/cpp` | the C header: the same plugin in C and in C++ |
//! | `plugins/greeter` | `define_plugin!`: entries, streams, state, timers |

mod build;
mod wait;

pub use build::{Language, build_foreign, build_rust};
pub use wait::{block_on, join_all};

/// The pages whose snippets are compiled with the examples.
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/ring.md")]
#[cfg(doctest)]
pub struct Pages;
