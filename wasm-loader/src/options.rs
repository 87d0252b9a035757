//! How a component is loaded.

use crate::cache::Cache;
use crate::functions::HostFunction;
use crate::grants::Grants;
use crate::inspect::ComponentLimits;
use crate::limits::WasmLimits;
use ringbox_ring::Limits;

/// How many instances a plugin has.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Policy {
    /// One, which does one thing at a time.
    #[default]
    Single,
    /// So many, from the beginning on. A call goes to one that is free. What they keep in memory
    /// they do not share.
    Pool(u32),
    /// One for each call, made for it and dropped after its answer; so many at a time, at most.
    PerCall(u32),
}

/// Where a plugin's calls run.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mode {
    /// On the caller's thread, for as long as one call's budget.
    #[default]
    Inline,
    /// On the host's own threads, which they give to others at every tick: for plugins that compute
    /// for long. It costs every call the way to another thread and back.
    Cooperative,
}

/// How a component is loaded, and what the plugin may take.
///
/// ```
/// use ringbox_wasm::{Policy, WasmLimits, WasmOptions};
///
/// let options = WasmOptions::new()
///     .policy(Policy::Pool(4))
///     .wasm_limits(WasmLimits::default().memory_bytes(16 << 20));
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WasmOptions {
    /// What its calls may take, behind whatever wall.
    pub limits: Limits,
    /// What it may take as a sandboxed plugin.
    pub wasm_limits: WasmLimits,
    /// How many instances it has. Default: one.
    pub policy: Policy,
    /// Where its calls run. Default: on the caller's thread.
    pub mode: Mode,
    /// How large the component may be.
    pub component: ComponentLimits,
    /// What it may use of the world. Default: nothing.
    pub grants: Grants,
    /// Where compiled components are kept. Default: one for the process, in memory.
    pub cache: Cache,
    /// What it may call of whoever loads it.
    pub(crate) functions: Vec<HostFunction>,
}

impl WasmOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other limits on calls.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with other limits on what the sandbox gives.
    #[must_use]
    pub fn wasm_limits(mut self, limits: WasmLimits) -> Self {
        self.wasm_limits = limits;
        self
    }

    /// The same with another number of instances.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The same with its calls run elsewhere.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The same for larger components, or only smaller ones.
    #[must_use]
    pub fn component_limits(mut self, limits: ComponentLimits) -> Self {
        self.component = limits;
        self
    }

    /// The same with this granted. Each use replaces what was granted before.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// The same with compiled components kept elsewhere.
    #[must_use]
    pub fn cache(mut self, cache: &Cache) -> Self {
        self.cache = cache.clone();
        self
    }

    /// Grants a function of your own: a plugin that imports `interface` may call it as `name`. In
    /// WIT its type is `func(bytes: list<u8>) -> list<u8>`.
    ///
    /// It runs on the thread that runs the plugin, so it must not wait for the plugin, and should
    /// not wait for long at all. Its time is not the plugin's. Should it panic, the plugin's call
    /// ends as trapped.
    ///
    /// ```
    /// use ringbox_wasm::WasmOptions;
    ///
    /// let options = WasmOptions::new()
    ///     .host_function("acme:text/case@1.0.0", "upper", |text| text.to_ascii_uppercase());
    /// ```
    #[must_use]
    pub fn host_function(
        mut self,
        interface: &str,
        name: &str,
        function: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        self.functions.push(HostFunction::new(interface, name, function));
        self
    }
}
