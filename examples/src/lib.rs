//! Programs that show Ringbox at work, in `examples/`, the plugins that they load, in `plugins/`,
//! and what they share.
//!
//! | example | shows |
//! |---|---|
//! | `demo` | one host, plugins of one source behind both walls: answers and times side by side |
//! | `host` | loading a library that the command line names, and calling it |
//! | `concurrent` | a hundred calls that take two seconds each, and two seconds in all |
//! | `stress` | calls from many threads for some seconds, and their rate |
//! | `backend` | the least that a backend is: ten lines that answer |
//!
//! | plugin | written with |
//! |---|---|
//! | `plugins/greeter` | `ringbox-guest`, for both walls: entries, streams, state, timers, requests |
//! | `plugins/headers` | the same: a filter of the headers of whole requests |
//! | `plugins/redact` | the same: it takes secrets out of JSON |
//! | `plugins/seed` | the same: it answers every request two seconds later, without a thread |
//! | `plugins/c`, `plugins/cpp` | the C header alone: the seed in C and in C++ |
//! | `plugins/wit-rust`, `plugins/wit-c` | the WIT alone: a component in Rust and in C |

mod build;
mod component;
mod wait;

pub use build::{Language, build_component, build_foreign, build_rust};
pub use component::{Maker, make_component};
pub use wait::{block_on, join_all};

/// The pages whose snippets are compiled with the examples.
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/ring.md")]
#[doc = include_str!("../../docs/choosing-a-wall.md")]
#[doc = include_str!("../../docs/plugins.md")]
#[cfg(doctest)]
pub struct Pages;
