//! What all instances of one plugin share.

use crate::grants::Effective;
use crate::guest::Guest;
use crate::limits::WasmLimits;
use crate::log::LogRate;
use crate::state::State;
use crate::wasi::Printed;
use std::sync::atomic::AtomicBool;
use wasmtime::Engine;
use wasmtime::component::InstancePre;

/// One load of one component.
pub(crate) struct Plugin {
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<State>,
    pub(crate) guest: Guest,
    pub(crate) limits: WasmLimits,
    /// What one call may compute, in nanoseconds.
    pub(crate) budget: u64,
    /// The same for `init` and `shutdown`.
    pub(crate) start_budget: u64,
    pub(crate) log: LogRate,
    /// Whether the plugin was attached: once it is shut after that, it is unloaded.
    pub(crate) attached: AtomicBool,
    /// Whether calls may run on their caller's thread. Else they are fibers, on runners.
    pub(crate) inline: bool,
    /// Whether host functions need tokio: those of a real WASI grant do.
    pub(crate) tokio: bool,
    /// What it was granted.
    pub(crate) effective: Effective,
    /// What its instances have printed.
    pub(crate) printed: Printed,
}
