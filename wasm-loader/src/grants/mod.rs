//! What a plugin may use of the world: nothing, unless its operator grants it.
//!
//! ```text
//! Ask       what the plugin could use (its imports), and of that what it names
//! Grants    what the operator allows
//! Effective what is in both: the only thing that WASI ever looks at
//! ```

mod ask;
mod effective;
mod net;
mod policy;
mod rule;

pub use ask::{Access, Ask};
pub use effective::{Effective, Refused};
pub(crate) use policy::{Network, NoAddress, Question};
pub use policy::{Resolver, SystemResolver};
pub use rule::{Rule, RuleError};

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an operator allows a plugin. [`Grants::new`] is nothing.
///
/// ```
/// use ringbox_wasm::{Access, Clocks, Grants};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let grants = Grants::new()
///     .env("GREETING", "Hello")
///     .directory("/srv/plugin/data", "/data", Access::Read)
///     .network("api.example.com:443".parse()?)
///     .clocks(Clocks::Real);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Grants {
    environment: BTreeMap<String, String>,
    directories: Vec<Directory>,
    rules: Vec<Rule>,
    udp: bool,
    resolver: Arc<dyn Resolver>,
    clocks: Clocks,
    random: Randomness,
    waiting: bool,
    output_bytes: usize,
}

/// A directory of the host's under the name that a plugin knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
    pub(crate) access: Access,
}

/// What a plugin's clocks tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Clocks {
    /// A time of the plugin's own, the same at each start: it begins with 2000, each look at a
    /// clock takes a microsecond of it, and waiting takes as long as is waited for, without anyone
    /// waiting.
    #[default]
    Virtual,
    /// The host's time.
    Real,
}

/// Where a plugin's random numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Randomness {
    /// From this number: the same ones in each of the plugin's instances. Enough for hash tables;
    /// not for secrets, names that have to be unique, or tables whose keys an enemy chooses.
    Seeded(u64),
    /// From the system.
    Real,
}

impl Default for Randomness {
    fn default() -> Self {
        Self::Seeded(0)
    }
}

/// So much of what a plugin prints is kept, by default.
const OUTPUT_BYTES: usize = 64 << 10;

impl Default for Grants {
    fn default() -> Self {
        Self {
            environment: BTreeMap::new(),
            directories: Vec::new(),
            rules: Vec::new(),
            udp: false,
            resolver: Arc::new(SystemResolver),
            clocks: Clocks::default(),
            random: Randomness::default(),
            waiting: false,
            output_bytes: OUTPUT_BYTES,
        }
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables are where secrets are: their names are enough.
        f.debug_struct("Grants")
            .field("environment", &self.environment.keys())
            .field("directories", &self.directories)
            .field("rules", &self.rules)
            .field("udp", &self.udp)
            .field("clocks", &self.clocks)
            .field("random", &self.random)
            .field("waiting", &self.waiting)
            .field("output_bytes", &self.output_bytes)
            .finish_non_exhaustive()
    }
}

impl Grants {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a variable in the plugin's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// The same with a variable of the host's own environment, if it is set there, and is text.
    #[must_use]
    pub fn inherit_env(self, name: &str) -> Self {
        match std::env::var(name) {
            Ok(value) => self.env(name, value),
            Err(_) => self,
        }
    }

    /// The same with a directory: `host` is where it is, `guest` the absolute path that the plugin
    /// sees. What lies outside cannot be reached through it, by `..` or by links. It is opened once
    /// for each load, and must not lie in another one that the same plugin may write to.
    #[must_use]
    pub fn directory(
        mut self,
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: Access,
    ) -> Self {
        let host = host.as_ref().to_owned();
        self.directories.push(Directory { host, guest: guest.into(), access });
        self
    }

    /// The same with something that may be connected to. Without a rule there is no network. There
    /// is none for listening.
    #[must_use]
    pub fn network(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The same with UDP to what the rules name, not only TCP.
    #[must_use]
    pub fn udp(mut self) -> Self {
        self.udp = true;
        self
    }

    /// The same with names looked up by something other than the system.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// The same with other clocks.
    #[must_use]
    pub fn clocks(mut self, clocks: Clocks) -> Self {
        self.clocks = clocks;
        self
    }

    /// The same with other random numbers.
    #[must_use]
    pub fn random(mut self, random: Randomness) -> Self {
        self.random = random;
        self
    }

    /// Lets the plugin wait for a real clock. Its calls then run on threads for that.
    #[must_use]
    pub fn waiting(mut self) -> Self {
        self.waiting = true;
        self
    }

    /// The same with another bound on what is kept of each of standard output and error. The end is
    /// kept, and what came before it is counted.
    #[must_use]
    pub fn output_bytes(mut self, bytes: usize) -> Self {
        self.output_bytes = bytes;
        self
    }
}
