//! One suite that every Ringbox plugin backend passes.
//!
//! A backend's tests call it with one line, and get one test for each case:
//!
//! ```
//! ringbox_conformance::suite!(inline, ringbox_conformance::Inline);
//! ```
//!
//! ```text
//! suite!(name, column) > a #[test] for each case > Ground: loads the column's test plugin
//!                                                     |
//!      what came back, and counters that add up < Script: what the plugin shall do
//! ```
//!
//! The cases are written once, in this crate. They speak to a **test plugin** that each backend
//! has built its own way, and that does what the bytes of its calls say: it is an interpreter of
//! [`script`]s. A [`Column`] is the harness that loads it. [`Inline`] is the first column, a plain
//! Rust backend with no wall at all, and so the oracle for the others.
//!
//! Where a column cannot do what a case needs, it says so by an [`Ability`] that it lacks; the case
//! is not asked, and `docs/differences.md` has to say why. Nothing else may differ.
//!
//! # The test plugin
//! - A request whose method is not `CALL` is answered with `Ok` and [`script::dump`] of itself.
//! - The entry `echo` answers with `Ok` and its payload.
//! - The entry `run` does what the [`script::Step`]s in its payload say.
//! - The two are also entries number 0 and 1, for calls by number.
//! - Any other entry is refused with `Unsupported`, a script that cannot be read with `Invalid`.
//! - When it is shut down it calls the hook with the bytes `shutdown`.
//!
//! A plugin that is written in Rust uses [`script::Machine`], which leaves it to implement
//! [`script::Hands`]. With `default-features = false` this crate is that module alone.

#![forbid(unsafe_code)]

pub mod script;

#[cfg(feature = "suite")]
pub mod cases;
#[cfg(feature = "suite")]
mod column;
#[cfg(feature = "suite")]
mod differences;
#[cfg(feature = "suite")]
mod executor;
#[cfg(feature = "suite")]
mod ground;
#[cfg(feature = "suite")]
mod inline;
#[cfg(feature = "suite")]
mod suite;

#[cfg(feature = "suite")]
pub use column::{Ability, Column, Hook, LoadFailure, Setup};
#[cfg(feature = "suite")]
pub use ground::{Answer, Counts, Ground, Plugin};
#[cfg(feature = "suite")]
pub use inline::Inline;
#[cfg(feature = "suite")]
#[doc(hidden)]
pub use {differences::check_declared, ground::ask};

/// The README's code, as a doc test.
#[cfg(all(doctest, feature = "suite"))]
#[doc = include_str!("../README.md")]
struct Readme;
