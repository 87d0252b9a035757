//! A loaded plugin as the host keeps it, whichever wall it is behind.

#![expect(unsafe_code, reason = "`Source::native` is where a caller vouches for native code")]

use crate::error::LoadError;
use crate::options::LoadOptions;
use ringbox_native as native;
use ringbox_ring::{Attached, Link, Opening, PluginBackend, Port, UnloadError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

/// A plugin that is loaded. Dropping it unloads it without grace.
pub(crate) trait Resident: Send + Sync {
    fn link(&self) -> Link;

    fn about(&self) -> About;

    fn unload(&self, grace: Duration) -> Result<(), UnloadError>;
}

/// What is known of a plugin beside its calls.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// The wall that it runs behind.
    pub wall: Wall,
    /// What it says its name is, where it says so.
    pub reported_name: Option<String>,
    /// What it says its version is, where it says so.
    pub reported_version: Option<String>,
    /// The SHA-256 of the file that it was loaded from, in hexadecimal.
    pub sha256: Option<String>,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// How many buffers of the host's a native plugin holds and has not answered with.
    pub leases: Option<u64>,
}

/// What is between a plugin and the host.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wall {
    /// Nothing: it is part of the program.
    Inline,
    /// Nothing but the ABI: a shared library in this process.
    Native(native::Generation),
    /// A sandbox around a WebAssembly component.
    #[cfg(feature = "sandbox")]
    Sandbox(ringbox_wasm::About),
}

/// The first bytes of a shared library, whatever its file is called.
pub(crate) const ELF: &[u8] = b"\x7fELF";

pub(crate) struct Inline(Attached);

impl Inline {
    pub(crate) fn load(
        make: &(dyn Fn(Port) -> Box<dyn PluginBackend> + Send + Sync),
        name: &str,
        options: &LoadOptions,
    ) -> Result<Self, LoadError> {
        let opening = Opening::new(name, options.limits)
            .map_err(|source| LoadError::Link { name: name.into(), source })?;
        let port = opening.port();
        let backend = catch_unwind(AssertUnwindSafe(|| make(port)))
            .map_err(|_| LoadError::Panicked { name: name.into() })?;
        Ok(Self(opening.attach_boxed(backend)))
    }
}

impl Resident for Inline {
    fn link(&self) -> Link {
        self.0.link()
    }

    fn about(&self) -> About {
        About {
            wall: Wall::Inline,
            reported_name: None,
            reported_version: None,
            sha256: None,
            warnings: Vec::new(),
            leases: None,
        }
    }

    fn unload(&self, grace: Duration) -> Result<(), UnloadError> {
        self.0.link().unload(grace)
    }
}

pub(crate) struct Native {
    loaded: native::Loaded,
    unmap: bool,
}

impl Native {
    pub(crate) fn load(path: &Path, name: &str, options: &LoadOptions) -> Result<Self, LoadError> {
        let native = options.native.clone().limits(options.limits);
        // SAFETY: the path comes from `Source::native`, whose caller vouched for the library.
        let loaded = unsafe { native::load(path, name, &native) }
            .map_err(|source| LoadError::Native { name: name.into(), source })?;
        Ok(Self { loaded, unmap: options.unmap })
    }
}

/// A host that is dropped unloads its plugins by dropping them. What was to be unmapped is then too;
/// and so is what could not be when it was unloaded, and can be now.
impl Drop for Native {
    fn drop(&mut self) {
        if self.unmap {
            // Whatever keeps it mapped has been logged.
            let _ = self.unload(Duration::ZERO);
        }
    }
}

impl Resident for Native {
    fn link(&self) -> Link {
        self.loaded.link()
    }

    fn about(&self) -> About {
        let identity = self.loaded.identity();
        About {
            wall: Wall::Native(self.loaded.generation()),
            reported_name: Some(identity.name.to_string()),
            reported_version: Some(identity.version.to_string()),
            sha256: Some(self.loaded.sha256().to_string()),
            warnings: self.loaded.warnings().iter().map(ToString::to_string).collect(),
            leases: Some(self.loaded.usage().leases as u64),
        }
    }

    fn unload(&self, grace: Duration) -> Result<(), UnloadError> {
        if !self.unmap {
            return self.loaded.unload(grace);
        }
        match self.loaded.unload_and_unmap(grace) {
            Ok(_) => Ok(()),
            Err(native::UnmapError::Unload(error)) => Err(error),
            Err(native::UnmapError::AlreadyUnmapped) => Ok(()),
            Err(reason) => {
                // It is unloaded, which is what was asked; its library stays, which costs memory.
                tracing::warn!(plugin = &*self.link().name(), %reason, "the library stays mapped");
                Ok(())
            }
        }
    }
}
