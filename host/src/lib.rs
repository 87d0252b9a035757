//! Ringbox: one plugin host for the nylon-ring ABI.
//!
//! ```text
//! Host > load(name, Source) > Plugin > call, call_response, call_stream, request ...
//!                                |
//!                          Entry, looked up once
//! ```
//!
//! A [`Host`] loads plugins under names. A [`Plugin`] is a handle to call through: it is cheap to
//! clone, it follows reloads, and it may outlive its host. How the plugin is shipped, and with that
//! which wall it runs behind, is said by its [`Source`] and nowhere else.
//!
//! What may wait is `async`, and runs on any executor; what never waits is a plain function.
//!
//! Replies ([`Reply`]) and frames ([`Frame`]) are bytes with a status.
//! What a plugin does wrong ends as a typed [`Fault`] of the call that it did it to.
//!
//! The feature `sandbox` is on by default. Without it there is no WebAssembly in the program, which
//! builds in a fraction of the time: native and inline plugins are as ever, and loading a component
//! is [`LoadError::NoSandbox`].

mod answer;
mod entry;
mod error;
mod histogram;
mod host;
mod inspect;
mod metrics;
mod options;
mod plugin;
mod request;
mod resident;
#[cfg(feature = "sandbox")]
mod sandbox;
#[cfg(not(feature = "sandbox"))]
#[path = "no_sandbox.rs"]
mod sandbox;
mod source;

pub use entry::Entry;
pub use error::{LoadError, ReloadError, UnloadError};
pub use histogram::{Latency, SAMPLING};
pub use host::Host;
pub use inspect::{InspectError, Inspected, inspect};
pub use metrics::{HostMetrics, PluginMetrics};
pub use options::LoadOptions;
pub use plugin::Plugin;
pub use request::Request;
pub use resident::{About, Wall};
pub use source::{Component, Source};

pub use ringbox_native::{
    Generation, Inspected as NativeInspected, LoadError as NativeLoadError, NativeAbi,
    Options as NativeOptions, SignalPolicy,
};
pub use ringbox_ring::{
    BadRequest, CallError, Delivery, EntryId, Fault, FaultMetrics, Frame, FrameBuf, Header,
    Invocation, Limits, LinkError, Metrics, OwnedBytes, PluginBackend, Port, RawStatus, Refusal,
    Reply, Sid, Status, Stream, Target, UnloadError as RingUnloadError,
};
#[cfg(feature = "sandbox")]
pub use ringbox_wasm::{
    About as SandboxAbout, Access, Ask, Cache, Clocks, ComponentLimits, Grants,
    InspectError as ComponentInspectError, Inspection, LoadError as ComponentLoadError, Mode,
    Policy, Randomness, Rule, WasmLimits, WasmOptions,
};
