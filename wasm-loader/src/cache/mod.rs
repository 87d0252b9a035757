//! Compiled components, kept so that the next load of the same bytes needn't compile.
//!
//! In memory always, up to a bound; in a directory only if the operator names one. What is compiled
//! is never accepted from anywhere else. Two loads of the same bytes at the same time compile once.

mod code;
mod compiler;
mod directory;
mod error;
mod key;
mod memory;

pub use error::{CacheError, CompileError};

use code::Code;
use directory::{Directory, Found};
use key::Key;
use memory::Memory;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use wasmtime::Engine;
use wasmtime::component::Component;

/// So much code is kept in memory, by default.
const MEMORY_BYTES: usize = 256 << 20;

/// Compiled components. Clones are the same cache; it is meant to be one for all of a host's
/// plugins.
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

struct Shared {
    directory: Option<Directory>,
    state: Mutex<State>,
    hits: AtomicU64,
    misses: AtomicU64,
    rejected: AtomicU64,
    unwritten: AtomicU64,
}

struct State {
    memory: Memory,
    /// What is being compiled, or read, right now.
    flights: HashMap<Key, Arc<Flight>>,
}

/// One compilation that several loads may wait for.
#[derive(Default)]
struct Flight {
    landed: Mutex<Option<Result<Code, CompileError>>>,
    changed: Condvar,
}

/// What a cache has done, and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CacheStats {
    /// Loads that found their component compiled, or being compiled.
    pub hits: u64,
    /// Loads that compiled.
    pub misses: u64,
    /// Files that were not what was put into the directory. They are removed, and compiled anew.
    pub rejected: u64,
    /// Compiled components that could not be written into the directory.
    pub unwritten: u64,
    /// Components in memory.
    pub kept: usize,
    /// Their code.
    pub kept_bytes: usize,
}

/// The process' own, for whoever names no other.
static SHARED: LazyLock<Cache> = LazyLock::new(Cache::memory);

impl Default for Cache {
    /// The process' cache in memory: the same each time.
    fn default() -> Self {
        SHARED.clone()
    }
}

impl Cache {
    /// A cache in memory, of 256 MiB of code.
    #[must_use]
    pub fn memory() -> Self {
        Self::memory_of(MEMORY_BYTES)
    }

    /// A cache in memory, of so many bytes of code. Whatever was used longest ago goes first.
    #[must_use]
    pub fn memory_of(bytes: usize) -> Self {
        Self::new(None, bytes)
    }

    /// A cache in memory and, for the next process, in a directory. It is made with mode 0700 if it
    /// isn't there. Several processes may share it. It isn't bounded: remove it to empty it.
    ///
    /// # Errors
    ///
    /// [`CacheError`] unless the directory and its key are this user's alone: what is in there is
    /// run.
    pub fn directory(path: impl AsRef<Path>) -> Result<Self, CacheError> {
        Ok(Self::new(Some(Directory::open(path.as_ref())?), MEMORY_BYTES))
    }

    fn new(directory: Option<Directory>, bytes: usize) -> Self {
        let state = State { memory: Memory::new(bytes), flights: HashMap::new() };
        Self {
            shared: Arc::new(Shared {
                directory,
                state: Mutex::new(state),
                hits: AtomicU64::new(0),
                misses: AtomicU64::new(0),
                rejected: AtomicU64::new(0),
                unwritten: AtomicU64::new(0),
            }),
        }
    }

    /// A component's code: kept, or compiled now. It waits for as long as that takes, which nothing
    /// cuts short, so the bytes should have been inspected before.
    ///
    /// # Errors
    ///
    /// [`CompileError`]
    pub(crate) fn compile(&self, engine: &Engine, wasm: &[u8]) -> Result<Component, CompileError> {
        let shared = &*self.shared;
        let key = Key::new(engine, wasm);
        let boarded = {
            let mut state = shared.state();
            match state.memory.get(&key) {
                Some(code) => Boarded::There(code),
                None => state.board(key),
            }
        };
        let code = match boarded {
            Boarded::There(code) => code,
            Boarded::Waiting(flight) => flight.wait()?,
            Boarded::Flying(flight) => {
                return Landing { shared, key, flight }.fly(engine, wasm);
            }
        };
        shared.hits.fetch_add(1, Ordering::Relaxed);
        code.revive(engine).map_err(|error| CompileError::Refused(format!("{error:#}").into()))
    }

    /// What it has done, and holds.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let shared = &*self.shared;
        let state = shared.state();
        CacheStats {
            hits: shared.hits.load(Ordering::Relaxed),
            misses: shared.misses.load(Ordering::Relaxed),
            rejected: shared.rejected.load(Ordering::Relaxed),
            unwritten: shared.unwritten.load(Ordering::Relaxed),
            kept: state.memory.len(),
            kept_bytes: state.memory.bytes(),
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

/// How a load comes by its code.
enum Boarded {
    /// It is kept.
    There(Code),
    /// Somebody else is compiling it.
    Waiting(Arc<Flight>),
    /// It has to find it, or to compile it.
    Flying(Arc<Flight>),
}

impl State {
    /// Joins a compilation, or begins one.
    fn board(&mut self, key: Key) -> Boarded {
        if let Some(flight) = self.flights.get(&key) {
            return Boarded::Waiting(flight.clone());
        }
        let flight = Arc::new(Flight::default());
        self.flights.insert(key, flight.clone());
        Boarded::Flying(flight)
    }
}

impl Flight {
    fn wait(&self) -> Result<Code, CompileError> {
        let landed = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        let landed = self
            .changed
            .wait_while(landed, |landed| landed.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let gone = || Err(CompileError::Panicked("the load that compiled it ended".into()));
        landed.clone().unwrap_or_else(gone)
    }
}

/// A compilation under way. However it ends, whoever waits for it is told.
struct Landing<'a> {
    shared: &'a Shared,
    key: Key,
    flight: Arc<Flight>,
}

impl Landing<'_> {
    fn fly(self, engine: &Engine, wasm: &[u8]) -> Result<Component, CompileError> {
        match self.shared.find_or_compile(&self.key, engine, wasm) {
            Ok((component, code)) => {
                self.shared.state().memory.put(self.key, code.clone());
                self.tell(Ok(code));
                Ok(component)
            }
            Err(error) => {
                self.tell(Err(error.clone()));
                Err(error)
            }
        }
    }

    fn tell(&self, result: Result<Code, CompileError>) {
        let mut landed = self.flight.landed.lock().unwrap_or_else(PoisonError::into_inner);
        landed.get_or_insert(result);
        self.flight.changed.notify_all();
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.tell(Err(CompileError::Panicked("the load that compiled it ended".into())));
        self.shared.state().flights.remove(&self.key);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find_or_compile(
        &self,
        key: &Key,
        engine: &Engine,
        wasm: &[u8],
    ) -> Result<(Component, Code), CompileError> {
        if let Some(found) = self.find(key, engine) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(found);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let component = compiler::compile(engine, wasm)?;
        let code = Code::of(&component)
            .map_err(|error| CompileError::Refused(format!("{error:#}").into()))?;
        self.write(key, &code);
        Ok((component, code))
    }

    /// A component from the directory.
    fn find(&self, key: &Key, engine: &Engine) -> Option<(Component, Code)> {
        let directory = self.directory.as_ref()?;
        let reason = match directory.get(key) {
            Found::Nothing => return None,
            Found::Code(code) => match code.revive(engine) {
                Ok(component) => return Some((component, code)),
                Err(_) => {
                    directory.remove(key);
                    "the engine refuses it"
                }
            },
            Found::Rejected(reason) => reason,
        };
        self.rejected.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(target: "ringbox::cache", %key, reason, "compiled code was thrown away");
        None
    }

    fn write(&self, key: &Key, code: &Code) {
        let Some(directory) = &self.directory else { return };
        if let Err(error) = directory.put(key, code) {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(target: "ringbox::cache", %key, %error, "compiled code is not kept");
        }
    }
}
