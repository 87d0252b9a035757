//! What can go wrong with loading and unloading.

use ringbox_native as native;
use ringbox_ring::{LinkError, UnloadError as RingUnloadError};
use thiserror::Error;

/// Why a plugin was not loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Another plugin has the name, or is being loaded under it.
    #[error("a plugin named {name:?} is loaded already: reload it, or unload it first")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The plugin's library was not loaded.
    #[error("plugin {name:?}: {source}")]
    Native {
        /// The name it was to have.
        name: String,
        /// Why.
        source: native::LoadError,
    },
    /// The component was not loaded.
    #[cfg(feature = "sandbox")]
    #[error("plugin {name:?}: {source}")]
    Component {
        /// The name it was to have.
        name: String,
        /// Why.
        source: ringbox_wasm::LoadError,
    },
    /// It was given as a component, and this program has no sandbox to run it in.
    #[error(
        "plugin {name:?} was given as a component, and this program is built without a sandbox: build the crate `ringbox` with its feature `sandbox`"
    )]
    NoSandbox {
        /// The name it was to have.
        name: String,
    },
    /// What was given as a component is a shared library, whose code nothing would hold.
    #[error(
        "plugin {name:?} is a shared library, and was given as a component: if you trust its code, load it with `Source::native`, which is unsafe"
    )]
    NeedsTrust {
        /// The name it was to have.
        name: String,
    },
    /// The routing core did not take it.
    #[error("plugin {name:?}: {source}")]
    Link {
        /// The name it was to have.
        name: String,
        /// Why.
        source: LinkError,
    },
    /// What makes the plugin panicked.
    #[error("plugin {name:?} panicked while it was made")]
    Panicked {
        /// The name it was to have.
        name: String,
    },
}

/// Why a plugin was not unloaded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnloadError {
    /// No plugin has the name.
    #[error("no plugin named {name:?} is loaded")]
    NotLoaded {
        /// The name.
        name: String,
    },
    /// It was loaded to stay.
    #[error("plugin {name:?} is pinned: it stays until the process ends")]
    Pinned {
        /// The name.
        name: String,
    },
    /// It is being loaded, reloaded or unloaded by another thread, or this one is inside of that.
    #[error("plugin {name:?} is being loaded, reloaded or unloaded just now: try again")]
    Busy {
        /// The name.
        name: String,
    },
    /// It could not be taken out now.
    #[error("plugin {name:?}: {source}")]
    Ring {
        /// The name.
        name: String,
        /// Why.
        source: RingUnloadError,
    },
}

/// Why a plugin was not reloaded. What served before goes on serving.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The new one was not loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is none to reload, or not now.
    #[error(transparent)]
    Unload(#[from] UnloadError),
}
