//! Who would provide what a plugin imports.

use super::contract::{Fit, Package};
use super::name::{InterfaceName, Version};
use crate::wasi::known;

/// Something that a component imports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// Its full name, with its version: `wasi:cli/stderr@0.2.3`.
    pub name: String,
    /// Who would provide it.
    pub provider: Provider,
}

/// Who provides an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// The host: it is part of the contract.
    Host,
    /// The host's WASI.
    Wasi(Capability),
    /// A later host.
    Newer {
        /// The version that is imported.
        found: Version,
        /// The one that is known.
        known: Version,
    },
    /// Nobody.
    Unknown,
}

/// What an interface of WASI is for, and so which grant makes it more than a stand-in.
///
/// Rust's standard library imports most of them whether they are used or not, so none of them is an
/// error. What isn't granted does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Streams, their errors, and waiting for them: what the others are built of.
    Io,
    /// Standard input (empty), output and error (captured).
    Stdio,
    /// Ending itself, which is a trap.
    Exit,
    /// Variables, which `Grants::env` gives.
    Environment,
    /// Clocks, which `Grants::clocks` makes real.
    Clocks,
    /// Random numbers, which `Grants::random` makes real.
    Random,
    /// Directories, which `Grants::directory` gives.
    Files,
    /// Connections, which `Grants::network` allows.
    Network,
}

/// Who provides what has this name.
pub(crate) fn provider(full_name: &str) -> Provider {
    let Some(name) = InterfaceName::parse(full_name) else { return Provider::Unknown };
    if let Some(package) = Package::of(&name) {
        return match package.import(&name).0 {
            Fit::Known => Provider::Host,
            Fit::Newer { found, known } => Provider::Newer { found, known },
            Fit::NotInIt => Provider::Unknown,
        };
    }
    known::capability(&name).map_or(Provider::Unknown, Provider::Wasi)
}
