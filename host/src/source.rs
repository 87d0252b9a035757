//! Where a plugin comes from.

use crate::error::LoadError;
use crate::options::LoadOptions;
use crate::resident::{Inline, Native, Resident};
use ringbox_ring::{PluginBackend, Port};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a plugin comes from, and with that, which wall it runs behind.
///
/// A source is kept with its plugin: reloading loads from it anew.
#[derive(Clone)]
pub struct Source(Kind);

type Make = dyn Fn(Port) -> Box<dyn PluginBackend> + Send + Sync;

#[derive(Clone)]
enum Kind {
    Native(PathBuf),
    Inline(Arc<Make>),
}

impl Source {
    /// A shared library, run inside this process with all of its rights.
    ///
    /// # Safety
    /// Loading it runs its code, now and at each reload: nothing keeps native code from anything
    /// that this process may do. The caller vouches for the file, and for whoever may replace it:
    /// that it keeps the ABI's contract (what it exports is what it says; it answers no call after
    /// its `shutdown` returned through anything but the host's functions; its threads don't touch
    /// what was lent for a call after that call).
    #[expect(unsafe_code, reason = "native code is trusted or not loaded")]
    pub unsafe fn native(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Native(path.into()))
    }

    /// A plugin written in Rust, in this very program: for tests, and for what needs no wall.
    ///
    /// `make` is called with the port to answer through, at the load and at each reload.
    pub fn inline<B: PluginBackend>(make: impl Fn(Port) -> B + Send + Sync + 'static) -> Self {
        Self(Kind::Inline(Arc::new(move |port| Box::new(make(port)))))
    }

    pub(crate) fn load(
        &self,
        name: &str,
        options: &LoadOptions,
    ) -> Result<Box<dyn Resident>, LoadError> {
        match &self.0 {
            Kind::Native(path) => Ok(Box::new(Native::load(path, name, options)?)),
            Kind::Inline(make) => Ok(Box::new(Inline::load(&**make, name, options)?)),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Native(path) => write!(f, "Source::native({})", path.display()),
            Kind::Inline(_) => write!(f, "Source::inline(..)"),
        }
    }
}
