//! Compiled components, kept so that the next load of the same bytes needn't compile.
//!
//! In memory always, up to a bound; in a directory only if the operator names one. What is compiled
//! is never accepted from anywhere else. Two loads of the same bytes at the same time compile once.
#![expect(unsafe_code, reason = "compiled code that was kept is run again")]

mod compiler;
mod directory;
mod error;
mod key;
mod memory;

pub use error::{CacheError, CompileError};

use directory::{Authentic, Directory, Found};
use key::Key;
use memory::Memory;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    /// What is being compiled, or read, right now. (An engine's own, as components are.)
    flights: HashMap<Key, Vec<Arc<Flight>>>,
}

/// One compilation that several loads may wait for.
struct Flight {
    engine: Engine,
    landed: Mutex<Option<Result<Component, CompileError>>>,
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

impl Default for Cache {
    fn default() -> Self {
        Self::memory()
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
    pub fn compile(&self, engine: &Engine, wasm: &[u8]) -> Result<Component, CompileError> {
        let shared = &*self.shared;
        let key = Key::new(engine, wasm);
        let (flight, mine) = {
            let mut state = shared.state();
            if let Some(component) = state.memory.get(&key, engine) {
                shared.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(component);
            }
            state.board(key, engine)
        };
        if !mine {
            shared.hits.fetch_add(1, Ordering::Relaxed);
            return flight.wait();
        }
        let landing = Landing { shared, key, flight: &flight };
        landing.land(shared.find_or_compile(&key, engine, wasm))
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

impl State {
    /// Joins a compilation, or begins one: then the second is true.
    fn board(&mut self, key: Key, engine: &Engine) -> (Arc<Flight>, bool) {
        let flights = self.flights.entry(key).or_default();
        match flights.iter().find(|flight| Engine::same(&flight.engine, engine)) {
            Some(flight) => (flight.clone(), false),
            None => {
                let flight = Arc::new(Flight {
                    engine: engine.clone(),
                    landed: Mutex::default(),
                    changed: Condvar::new(),
                });
                flights.push(flight.clone());
                (flight, true)
            }
        }
    }

    /// A compilation is over.
    fn leave(&mut self, key: Key, flight: &Arc<Flight>) {
        if let Entry::Occupied(mut flights) = self.flights.entry(key) {
            flights.get_mut().retain(|other| !Arc::ptr_eq(other, flight));
            if flights.get().is_empty() {
                flights.remove();
            }
        }
    }
}

impl Flight {
    fn wait(&self) -> Result<Component, CompileError> {
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
    flight: &'a Arc<Flight>,
}

impl Landing<'_> {
    fn land(self, result: Result<Component, CompileError>) -> Result<Component, CompileError> {
        if let Ok(component) = &result {
            self.shared.state().memory.put(self.key, component.clone());
        }
        self.tell(&result);
        result
    }

    fn tell(&self, result: &Result<Component, CompileError>) {
        let mut landed = self.flight.landed.lock().unwrap_or_else(PoisonError::into_inner);
        landed.get_or_insert_with(|| result.clone());
        self.flight.changed.notify_all();
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.tell(&Err(CompileError::Panicked("the load that compiled it ended".into())));
        self.shared.state().leave(self.key, self.flight);
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
    ) -> Result<Component, CompileError> {
        if let Some(component) = self.find(key, engine) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(component);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let component = compiler::compile(engine, wasm)?;
        self.write(key, &component);
        Ok(component)
    }

    /// A component from the directory.
    fn find(&self, key: &Key, engine: &Engine) -> Option<Component> {
        let directory = self.directory.as_ref()?;
        let reason = match directory.get(key) {
            Found::Nothing => return None,
            Found::Code(code) => match revive(engine, &code) {
                Ok(component) => return Some(component),
                Err(_) => {
                    directory.remove(key);
                    "the engine refuses it"
                }
            },
            Found::Rejected(reason) => reason,
        };
        self.rejected.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(target: "ringbox::cache", %key, reason, "a compiled component was thrown away");
        None
    }

    fn write(&self, key: &Key, component: &Component) {
        let Some(directory) = &self.directory else { return };
        let written = component
            .serialize()
            .map_err(|error| error.to_string())
            .and_then(|code| directory.put(key, &code).map_err(|error| error.to_string()));
        if let Err(error) = written {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(target: "ringbox::cache", %key, error, "a compiled component is not kept");
        }
    }
}

/// Makes a component of code that was kept.
fn revive(engine: &Engine, code: &Authentic) -> wasmtime::Result<Component> {
    // SAFETY: the bytes have to be what `Component::serialize` gave, unchanged. `Authentic` is only
    // made of a file whose MAC was right under this directory's key, which is 32 random bytes in a
    // file of mode 0600, of this user, in a directory of mode 0700, of this user; a MAC under it is
    // made in one place, `Directory::put`, of what `Component::serialize` gave just before. The MAC
    // covers the key that the code is filed under: the component's hash, the engine's full version,
    // its settings and the machine, all compared with what is wanted here. The bytes are our own
    // copy, read before the MAC was checked, so nobody changes them after.
    unsafe { Component::deserialize(engine, code.code()) }
}
