//! Runs nylon-ring plugins that are WebAssembly components, in wasmtime.

pub mod cache;
mod grants;
pub mod inspect;
mod sys;
pub mod wasi;

pub use grants::{
    Access, Ask, Clocks, Effective, Grants, Randomness, Refused, Resolver, Rule, RuleError,
    SystemResolver,
};
pub use inspect::{ComponentLimits, InspectError, Inspection, inspect};
