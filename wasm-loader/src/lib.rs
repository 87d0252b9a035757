//! Runs nylon-ring plugins that are WebAssembly components, in wasmtime: deny by default, every limit
//! enforced. `docs/sandbox.md` says how.
//!
//! ```text
//! load(path, name, options)
//!   engine   one a process and configuration
//!   host     what plugins may call: one table, from which linkers are generated
//!   guest    what they export, found and checked once
//!   place    starts an instance --> backend: a `ringbox_ring::PluginBackend`
//!                                    |
//! Loaded: link, about, usage, unload
//!
//! backend > place: a turn, a queue, a port > live: the store, and the ways into it > the guest
//!             |                                meter, limiter, trap
//!             +-- runner: threads that run what queued; clock: ticks and what is due
//!             +-- recover: when an instance that was lost is replaced
//! ```

#[cfg(not(unix))]
compile_error!("ringbox-wasm reads a thread's clock and stack as Unix has them");

mod backend;
pub mod cache;
mod clock;
mod cpu;
mod engine;
mod error;
mod fiber;
mod functions;
mod grants;
mod guest;
mod host;
pub mod inspect;
mod job;
mod life;
mod limiter;
mod limits;
mod live;
mod load;
mod loaded;
mod log;
mod lost;
mod meter;
mod moment;
mod numbers;
mod options;
mod packed;
mod per_call;
mod place;
mod plugin;
mod recover;
mod runner;
mod stack;
mod state;
mod sys;
mod trap;
pub mod wasi;
mod wire;
mod work;

pub use cache::Cache;
pub use error::LoadError;
pub use grants::{
    Access, Ask, Clocks, Effective, Grants, Randomness, Refused, Resolver, Rule, RuleError,
    SystemResolver,
};
pub use inspect::{ComponentLimits, InspectError, Inspection, inspect};
pub use limits::WasmLimits;
pub use load::{load, load_bytes};
pub use loaded::{About, Loaded, Usage};
pub use options::{Mode, Policy, WasmOptions};

#[cfg(doctest)]
#[doc = include_str!("../../docs/grants.md")]
struct GrantsPage;
