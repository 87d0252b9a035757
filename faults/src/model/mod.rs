//! Random calls, the same behind every wall, compared with the plugin that has no wall at all.
//!
//! ```text
//! a seed > plan.rs: rounds of calls for several threads > act.rs: run behind a wall > traces
//!                                                           |                          |
//!                              the inline plugin: the oracle's traces <--- compare.rs ---+
//!                                                 they differ? the plan gets smaller while they do
//! ```
//!
//! Each thread's calls are its own, so what comes of them doesn't depend on how threads interleave.
//! What does (a panic, a reload, an unload) happens between rounds, while kept calls are open. What
//! `docs/differences.md` declares is taken into account, and nothing else.

mod act;
mod compare;
mod plan;

pub use act::Subject;
pub use compare::{Difference, check};
pub use plan::Plan;
