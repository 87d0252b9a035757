//! How a plugin is loaded.

use ringbox_native as native;
use ringbox_ring::Limits;
use std::time::Duration;

/// How a plugin is loaded, and what it may take. The defaults suit most.
///
/// ```
/// use ringbox::{Limits, LoadOptions, NativeAbi};
/// use std::time::Duration;
///
/// let options = LoadOptions::new()
///     .limits(Limits::default().deadline(Duration::from_secs(2)))
///     .native_abi(NativeAbi::NylonRing01)
///     .pinned();
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadOptions {
    /// What the plugin may take.
    pub limits: Limits,
    /// How long calls that are open may go on when the plugin is reloaded, before they end with
    /// `Fault::Unloaded`. Default: 5 s.
    pub grace: Duration,
    /// Whether the plugin stays until the process ends: unloading and reloading it are errors.
    pub pinned: bool,
    /// Whether a native plugin's library is unmapped when it is unloaded and provably idle.
    pub unmap: bool,
    /// What else concerns native plugins only. Its limits are not used: those above are.
    pub native: native::Options,
    /// What else concerns sandboxed plugins only. Its limits on calls are not used: those above are.
    #[cfg(feature = "sandbox")]
    pub wasm: ringbox_wasm::WasmOptions,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            grace: Duration::from_secs(5),
            pinned: false,
            unmap: false,
            native: native::Options::default(),
            #[cfg(feature = "sandbox")]
            wasm: ringbox_wasm::WasmOptions::default(),
        }
    }
}

impl LoadOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With this grace at a reload.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// For a plugin that stays until the process ends.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }

    /// With the library unmapped when the plugin is unloaded and provably idle.
    #[must_use]
    pub fn unmap(mut self) -> Self {
        self.unmap = true;
        self
    }

    /// For a native plugin of this generation, where its symbols don't tell.
    #[must_use]
    pub fn native_abi(mut self, abi: native::NativeAbi) -> Self {
        self.native.abi = abi;
        self
    }

    /// From where the file lies, without a private copy. The plugin then shares its globals with
    /// other loads of the same file, and reloading gets the old image.
    #[must_use]
    pub fn in_place(mut self) -> Self {
        self.native.in_place = true;
        self
    }

    /// With this answer to a native plugin that replaces the process' signal handlers.
    #[must_use]
    pub fn signal_handlers(mut self, policy: native::SignalPolicy) -> Self {
        self.native.signal_handlers = policy;
        self
    }
}
