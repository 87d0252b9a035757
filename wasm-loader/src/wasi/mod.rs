//! WASI 0.2, interface by interface: what a plugin was granted, and stand-ins for the rest.
//!
//! ```text
//!                    nothing that waits is granted        files, network or waiting are
//! cli, random        ours                                 ours
//! io, stdio, clocks  ours: at once, on any thread         wasmtime-wasi's, async
//! filesystem         stand-in: no directory               wasmtime-wasi's if directories are granted
//! sockets            stand-in: access denied              wasmtime-wasi's if a rule is; names are ours
//! ```
//!
//! Streams and pollables are handles that pass between interfaces, so all of a linker's come from
//! one side: `wasi:io` is wholly ours or wholly wasmtime-wasi's. Its asynchronous functions need a
//! fiber for each call, and its synchronous ones wait for tokio and panic inside of it, so neither
//! is linked before it has to be. A plugin that imports WASI only because its standard library does
//! (which is nearly every one) runs on its caller's thread. Stand-ins hand out no handle that they
//! would have to answer for, so they mix with either.

mod clock;
mod directories;
mod hosted;
mod inert;
pub(crate) mod known;
mod link;
mod lookup;
mod output;
mod random;
mod stand_in;
mod trap;

pub use link::{LinkError, add_to_linker};
use output::Stream;
pub use output::{Output, Printed};
pub use trap::WasiTrap;

use crate::grants::Effective;
use clock::Clock;
use hosted::Hosted;
use inert::Pollables;
use random::Random;
use std::fmt;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Where a store keeps its instance's WASI.
pub trait HasWasi: Send + 'static {
    /// It.
    fn wasi(&mut self) -> &mut Wasi;
}

/// An instance's WASI: one for each store.
pub struct Wasi {
    environment: Vec<(String, String)>,
    clock: Clock,
    random: Random,
    stdout: Stream,
    stderr: Stream,
    /// The last of what was printed as errors, by this instance alone.
    last_words: Output,
    pollables: Pollables,
    hosted: Hosted,
}

/// Why an instance can't have what it was granted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GrantError {
    /// A directory cannot be opened.
    #[error("the directory {} that is granted cannot be opened: {source}; make it, or don't grant it", .path.display())]
    Directory {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory lies in another one that the plugin may write to, so that it could put a link in
    /// its place.
    #[error(
        "the directory {} that is granted lies in {}, where the plugin could put a link in its \
         place; grant directories that lie side by side, or the outer one for reading",
        .path.display(), .within.display()
    )]
    Nested {
        /// The one inside.
        path: PathBuf,
        /// The one that the plugin may write to.
        within: PathBuf,
    },
}

/// So much of what it printed travels with the fault of a plugin that trapped.
const FAULT_BYTES: usize = 1024;

impl Wasi {
    /// WASI for one instance of a plugin.
    ///
    /// # Errors
    ///
    /// [`GrantError`]
    pub fn new(effective: &Effective, printed: &Printed) -> Result<Self, GrantError> {
        let last_words = Output::new(FAULT_BYTES);
        let stdout = Stream::new(&printed.stdout, None);
        let stderr = Stream::new(&printed.stderr, Some(&last_words));
        Ok(Self {
            environment: effective.environment.clone(),
            clock: Clock::new(effective.clocks),
            random: Random::new(effective.random),
            pollables: Pollables::default(),
            hosted: Hosted::new(effective, &stdout, &stderr)?,
            stdout,
            stderr,
            last_words,
        })
    }

    /// The last of what it has printed as errors: what a plugin says before it traps.
    #[must_use]
    pub fn stderr_tail(&self) -> Vec<u8> {
        self.last_words.tail(FAULT_BYTES)
    }
}

impl fmt::Debug for Wasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasi")
            .field("clock", &self.clock)
            .field("last_words", &self.last_words)
            .finish_non_exhaustive()
    }
}
