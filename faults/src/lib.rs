//! What goes wrong, on purpose: people run strangers' code in this host, and it has to be boring.
//!
//! ```text
//! table/    each fault once, behind each wall: what the caller sees > docs/faults.md
//! model/    random calls, the same behind every wall, compared with the plugin without one
//! fuzz      functions of bytes, for fuzzers and for their corpora
//! soak/     healthy and hostile plugins side by side for minutes, and what is left in the end
//!
//! underneath:  fixtures (plugins built on demand)   shape (a component that misbehaves where told)
//!              generated (a component by the dice)
//!              ground (a host with healthy siblings) wait (no wait without an end)   dice (a seed)
//! ```
//!
//! The plugins are those of the loaders' own tests, and what they are told is the conformance
//! suite's [`Script`](ringbox_conformance::script::Script).

#![expect(clippy::missing_panics_doc, reason = "panicking is how a test says that it failed")]

mod dice;
pub mod fixtures;
pub mod fuzz;
mod generated;
mod ground;
pub mod model;
mod shape;
pub mod soak;
pub mod table;
mod wait;

pub use dice::Dice;
pub use generated::generated;
pub use ground::{Ground, Wall};
pub use shape::Shape;
pub use wait::{PATIENCE, eventually, wait};
