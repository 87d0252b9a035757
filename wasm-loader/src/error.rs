//! What can go wrong while a component is loaded, and what to do about it.

use crate::cache::CompileError;
use crate::inspect::InspectError;
use crate::wasi;
use ringbox_ring::{LinkError, Status, Trapped};
use std::error::Error as StdError;
use std::io;
use thiserror::Error;

/// Why a component was not loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read, or is no plugin: seen before any of it is compiled.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// A limit was set to what cannot be held.
    #[error("the limit {name} cannot be {value}: it goes from {least} to {most}")]
    BadLimit {
        /// Which one.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// The least it can be.
        least: String,
        /// The most it can be.
        most: String,
    },
    /// The limits ask for an engine that cannot be.
    #[error("there is no engine for these limits: {0}")]
    Engine(#[source] Box<dyn StdError + Send + Sync>),
    /// The system gives no thread.
    #[error("a thread of the host's could not be started: {0}")]
    NoThread(#[source] io::Error),
    /// A ring's limit cannot be held, or there are too many plugins.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The component cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The component's WASI cannot be linked.
    #[error(transparent)]
    Wasi(#[from] wasi::LinkError),
    /// What was granted isn't there.
    #[error(transparent)]
    Grant(#[from] wasi::GrantError),
    /// The component imports what it isn't given.
    #[error("the component cannot be linked: {0}")]
    Imports(#[source] Box<dyn StdError + Send + Sync>),
    /// The component speaks a version of the contract that this host doesn't.
    #[error(
        "the component exports {found}, this host speaks {spoken}: use a newer host, or build it for {spoken}"
    )]
    Version {
        /// The component's interface.
        found: String,
        /// The host's.
        spoken: &'static str,
    },
    /// The component is no plugin.
    #[error(
        "the component does not export `{function}` of {interface}: build it for the world nylon:ring/plugin"
    )]
    NoExport {
        /// Of which interface.
        interface: &'static str,
        /// What was looked for.
        function: &'static str,
    },
    /// An export is not of the contract's type.
    #[error(
        "`{function}` of {interface} has another type than the contract's ({source}): build it with the contract's WIT"
    )]
    WrongType {
        /// Of which interface.
        interface: &'static str,
        /// Which.
        function: &'static str,
        /// How it differs.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The plugin was stopped while it started.
    #[error("the plugin did not start: {0}")]
    Trapped(#[source] Trapped),
    /// The plugin did not start.
    #[error("the plugin's `init` failed: {status}; its log may say why")]
    Init {
        /// What it returned.
        status: Status,
    },
}
