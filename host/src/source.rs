//! Where a plugin comes from.

use crate::error::LoadError;
use crate::options::LoadOptions;
use crate::resident::{Inline, Native, Resident};
use crate::sandbox;
use ringbox_ring::{PluginBackend, Port};
use std::fmt;
use std::path::{Path, PathBuf};
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
    Component(Component),
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

    /// A WebAssembly component, run in a sandbox: a path, or the component's own bytes.
    ///
    /// It needs no trust. It is given nothing of the world that its [`LoadOptions`] do not grant, and
    /// no more time and memory than their limits say.
    ///
    /// Loading it is [`LoadError::NoSandbox`] where this crate's feature `sandbox` is off.
    ///
    /// ```no_run
    /// use ringbox::{Host, Source};
    ///
    /// let host = Host::new();
    /// let plugin = host.load("filter", Source::component("plugins/filter.wasm"))?;
    /// # Ok::<(), ringbox::LoadError>(())
    /// ```
    pub fn component(component: impl Into<Component>) -> Self {
        Self(Kind::Component(component.into()))
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
            Kind::Component(component) => sandbox::load(component, name, options),
            Kind::Inline(make) => Ok(Box::new(Inline::load(&**make, name, options)?)),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Native(path) => write!(f, "Source::native({})", path.display()),
            Kind::Component(Component::Path(path)) => {
                write!(f, "Source::component({})", path.display())
            }
            Kind::Component(Component::Bytes(bytes)) => {
                write!(f, "Source::component({} bytes)", bytes.len())
            }
            Kind::Inline(_) => write!(f, "Source::inline(..)"),
        }
    }
}

/// A component: where it lies, or its own bytes.
#[derive(Clone)]
#[non_exhaustive]
pub enum Component {
    /// The path of its file. Reloading reads the file anew.
    Path(PathBuf),
    /// Its bytes.
    Bytes(Arc<[u8]>),
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

macro_rules! component_from {
    ($($variant:ident: $($type:ty),*;)*) => {
        $($(impl From<$type> for Component {
            fn from(source: $type) -> Self {
                Self::$variant(source.into())
            }
        })*)*
    };
}

component_from! {
    Path: &Path, PathBuf, &PathBuf, &str, String;
    Bytes: &[u8], Vec<u8>, Arc<[u8]>;
}
