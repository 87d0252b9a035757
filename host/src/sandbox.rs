//! Plugins that are components: the part of the host that needs the feature `sandbox`.

use crate::error::LoadError;
use crate::inspect::{InspectError, Inspected};
use crate::options::LoadOptions;
use crate::resident::{About, ELF, Resident, Wall};
use crate::source::Component;
use ringbox_ring::{Link, UnloadError};
use ringbox_wasm::{self as wasm, Grants, Policy, WasmLimits};
use std::path::Path;
use std::time::Duration;

pub(crate) fn load(
    component: &Component,
    name: &str,
    options: &LoadOptions,
) -> Result<Box<dyn Resident>, LoadError> {
    let wasm = options.wasm.clone().limits(options.limits);
    let loaded = match component {
        Component::Path(path) => wasm::load(path, name, &wasm),
        Component::Bytes(bytes) => wasm::load_bytes(bytes, name, &wasm),
    };
    match loaded {
        Ok(loaded) => Ok(Box::new(Sandboxed(loaded))),
        Err(wasm::LoadError::Inspect(wasm::InspectError::NotWasm { start }))
            if start.starts_with(ELF) =>
        {
            Err(LoadError::NeedsTrust { name: name.into() })
        }
        Err(source) => Err(LoadError::Component { name: name.into(), source }),
    }
}

pub(crate) fn inspect(path: &Path, options: &LoadOptions) -> Result<Inspected, InspectError> {
    let inspection = wasm::inspect::inspect_file(path, &options.wasm.component)?;
    Ok(Inspected::Component(Box::new(inspection)))
}

struct Sandboxed(wasm::Loaded);

impl Resident for Sandboxed {
    fn link(&self) -> Link {
        self.0.link()
    }

    fn about(&self) -> About {
        About {
            wall: Wall::Sandbox(self.0.about()),
            reported_name: self.0.name().map(str::to_owned),
            reported_version: self.0.version().map(str::to_owned),
            sha256: Some(self.0.sha256().to_string()),
            warnings: self.0.effective().refused().iter().map(ToString::to_string).collect(),
            leases: None,
        }
    }

    fn unload(&self, grace: Duration) -> Result<(), UnloadError> {
        self.0.unload(grace)
    }
}

/// What concerns sandboxed plugins only.
impl LoadOptions {
    /// With this granted to a sandboxed plugin, which else gets nothing of the world.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.wasm = self.wasm.grants(grants);
        self
    }

    /// With so many instances of a sandboxed plugin.
    #[must_use]
    pub fn instances(mut self, policy: Policy) -> Self {
        self.wasm = self.wasm.policy(policy);
        self
    }

    /// With these limits on what a sandboxed plugin takes.
    #[must_use]
    pub fn wasm_limits(mut self, limits: WasmLimits) -> Self {
        self.wasm = self.wasm.wasm_limits(limits);
        self
    }

    /// With compiled components kept in this cache.
    #[must_use]
    pub fn cache(mut self, cache: &wasm::Cache) -> Self {
        self.wasm = self.wasm.cache(cache);
        self
    }

    /// With a sandboxed plugin's calls run elsewhere than on their caller's thread.
    #[must_use]
    pub fn mode(mut self, mode: wasm::Mode) -> Self {
        self.wasm = self.wasm.mode(mode);
        self
    }

    /// With a function of your own granted to a sandboxed plugin: see
    /// [`WasmOptions::host_function`](wasm::WasmOptions::host_function).
    #[must_use]
    pub fn host_function(
        mut self,
        interface: &str,
        name: &str,
        function: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        self.wasm = self.wasm.host_function(interface, name, function);
        self
    }
}
