//! Runs nylon-ring plugins that are WebAssembly components, in wasmtime.

mod grants;
pub mod inspect;
pub mod wasi;

pub use grants::{
    Access, Ask, Clocks, Effective, Grants, Randomness, Refused, Resolver, Rule, RuleError,
    SystemResolver,
};
pub use inspect::{ComponentLimits, InspectError, Inspection, inspect};
