//! What is wrong with a component, seen before it is compiled, and what to do about it.

use super::name::Version;
use std::io;
use thiserror::Error;

/// Why a file is no plugin that can be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Open(#[source] io::Error),
    /// There is a folder, or a device, in the file's place.
    #[error("this is no file: give the path of the component itself")]
    NotAFile,
    /// The bytes are something else.
    #[error(
        "this is no WebAssembly (it begins with {start:02x?}): give a component, as built for \
         wasm32-wasip2"
    )]
    NotWasm {
        /// The first bytes, at most eight.
        start: Vec<u8>,
    },
    /// WebAssembly as text.
    #[error("this is WebAssembly as text: turn it into a binary with `wasm-tools parse`")]
    Text,
    /// A core module.
    #[error(
        "this is a core module, and a plugin is a component: build it for wasm32-wasip2, or turn \
         it into one with `wasm-tools component new`"
    )]
    CoreModule,
    /// A binary of a version that doesn't exist yet, or no longer.
    #[error(
        "this is WebAssembly of an unknown version ({version:#x}): build it with current tools"
    )]
    UnknownVersion {
        /// The version and layer field.
        version: u32,
    },
    /// The bytes end too early.
    #[error("the component is cut off after {len} bytes: copy or build it anew")]
    Truncated {
        /// How many there are.
        len: u64,
    },
    /// The bytes begin as a component, and then break its rules.
    #[error("the component is not valid at byte {offset}: {message}; build it anew")]
    Invalid {
        /// Where.
        offset: u64,
        /// How.
        message: String,
    },
    /// It is larger than a plugin may be.
    #[error("{bound} is over its limit: {found} of at most {most}; make it smaller, or raise {}", .bound.option())]
    TooLarge {
        /// Which bound.
        bound: Bound,
        /// How much there is, at least.
        found: u64,
        /// How much there may be.
        most: u64,
    },
    /// It hands components around as values, so that nobody can tell how much it instantiates.
    #[error(
        "the component imports or exports components inside itself, at byte {offset}, which is \
         not supported: link them into one when you build it"
    )]
    ComponentValue {
        /// Where.
        offset: u64,
    },
    /// It is no plugin.
    #[error(
        "the component does not export `nylon:ring/guest@1.0.0`: implement the world \
         `nylon:ring/plugin`{}", near(.exports)
    )]
    NoGuest {
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// A plugin for a later host.
    #[error(
        "the plugin is built for `{name}`, and this host knows {known}: use a newer host, or build \
         the plugin for {known}"
    )]
    Newer {
        /// The interface.
        name: String,
        /// Its version.
        found: Version,
        /// This host's.
        known: Version,
    },
    /// An interface of the contract without one of its functions.
    #[error(
        "`{interface}` lacks the function `{function}`: generate it anew from the project's WIT"
    )]
    MissingFunction {
        /// The interface.
        interface: String,
        /// The function.
        function: &'static str,
    },
    /// A function of the contract with another type.
    #[error(
        "`{function}` of `{interface}` is {found}, and has to be {wanted}: generate it anew from \
         the project's WIT"
    )]
    WrongSignature {
        /// The interface.
        interface: String,
        /// The function.
        function: &'static str,
        /// Its type.
        found: String,
        /// What its type has to be.
        wanted: &'static str,
    },
    /// Something is imported that no host of ours has.
    #[error("the plugin imports `{name}`, which this host does not have: {}", remedy(.name))]
    UnknownImport {
        /// What.
        name: String,
    },
    /// What the plugin says that it asks for cannot be read.
    #[error(
        "the plugin's section `{}` is not understood in line {line}: {message}",
        super::ASK_SECTION
    )]
    BadAsk {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        message: &'static str,
    },
    /// What the plugin says that it is called cannot be read.
    #[error(
        "the plugin's section `{}`, with its name and version, is no use: {message}; write \
         `name ..` and `version ..`, a line each, or leave it out",
        super::PLUGIN_SECTION
    )]
    BadIdentity {
        /// What is wrong with it.
        message: &'static str,
    },
}

/// A bound on a component: a field of [`ComponentLimits`](super::ComponentLimits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bound {
    /// Its size.
    Bytes,
    /// Its functions.
    Functions,
    /// Its largest function.
    FunctionBytes,
    /// Its core modules.
    Modules,
    /// What it instantiates.
    Instances,
    /// How deep it nests components.
    Nesting,
}

impl Bound {
    fn option(self) -> &'static str {
        match self {
            Self::Bytes => "`ComponentLimits::bytes`",
            Self::Functions => "`ComponentLimits::functions`",
            Self::FunctionBytes => "`ComponentLimits::function_bytes`",
            Self::Modules => "`ComponentLimits::modules`",
            Self::Instances => "`ComponentLimits::instances`",
            Self::Nesting => "`ComponentLimits::nesting`",
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes => "the component's size in bytes",
            Self::Functions => "the number of functions",
            Self::FunctionBytes => "the size of a function in bytes",
            Self::Modules => "the number of core modules",
            Self::Instances => "the number of instances",
            Self::Nesting => "the depth of nested components",
        })
    }
}

/// Names up to three exports, so that a wrong name is seen next to the right one.
fn near(exports: &[String]) -> String {
    if exports.is_empty() {
        return " (it exports nothing)".to_owned();
    }
    let shown: Vec<_> = exports.iter().take(3).map(|name| format!("`{name}`")).collect();
    format!(" (it exports {}{})", shown.join(", "), if exports.len() > 3 { ", .." } else { "" })
}

/// What whoever built it can do about an import.
fn remedy(name: &str) -> &'static str {
    if name.starts_with("wasi:http/") {
        "there is no HTTP for plugins; call a service of the host's, or open a socket, which \
         `Grants::network` allows"
    } else if name.starts_with("wasi:") && name.contains("@0.3") {
        "it has WASI 0.2; build for wasm32-wasip2"
    } else if name.starts_with("wasi:") {
        "no grant brings it; build for wasm32-wasip2 without it"
    } else if name.starts_with("nylon:ring") {
        "generate its bindings anew from the project's WIT"
    } else {
        "if it is a function of yours, grant it with `WasmOptions::host_function`; if it is another \
         component's, link that one into the plugin"
    }
}
