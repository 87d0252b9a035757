//! The host: which plugins there are, and how they come, go and are replaced.

use crate::error::{LoadError, ReloadError, UnloadError};
use crate::histogram::Histogram;
use crate::metrics::HostMetrics;
use crate::options::LoadOptions;
use crate::plugin::{Plugin, Shared};
use crate::resident::{About, Resident};
use crate::source::Source;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use ringbox_ring::{Switch, UnloadError as RingUnloadError};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// A host of plugins. It is cheap to clone, and all of its methods take `&self`.
///
/// Dropping the last clone unloads every plugin without grace; calls that were open end with
/// `Fault::Unloaded`, and handles that are left give `CallError::Unloaded`.
///
/// ```
/// use ringbox::{Host, Invocation, PluginBackend, Port, RawStatus, Refusal, Sid, Source};
///
/// struct Echo(Port);
///
/// impl PluginBackend for Echo {
///     fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
///         let _ = self.0.answer(sid, RawStatus::OK, call.payload);
///         Ok(())
///     }
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Host::new();
/// let plugin = host.load("echo", Source::inline(Echo))?;
/// let reply = plugin.call_response("echo", b"hello").await?;
/// assert_eq!(&reply[..], b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Host(Arc<Registry>);

#[derive(Default)]
struct Registry {
    plugins: DashMap<Box<str>, Place>,
}

/// Who has a name.
#[derive(Clone)]
enum Place {
    /// A plugin that is being loaded. Its code runs meanwhile, so no lock is held.
    Loading,
    Loaded(Arc<Loaded>),
}

struct Loaded {
    shared: Arc<Shared>,
    source: Source,
    options: LoadOptions,
    /// The plugin itself. The lock is held to look, never while its code runs.
    resident: Mutex<Arc<dyn Resident>>,
    /// Whoever replaces or unloads the plugin has this. Nobody waits for it: the plugin's code runs
    /// meanwhile, and may ask for it.
    turn: Mutex<()>,
}

impl Host {
    /// A host without plugins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads a plugin under a name, with the default options.
    ///
    /// # Errors
    /// See [`LoadError`]. Nothing stays behind of a plugin that was not loaded, except for native
    /// code that ran already.
    pub fn load(&self, name: &str, source: Source) -> Result<Plugin, LoadError> {
        self.load_with(name, source, LoadOptions::default())
    }

    /// Loads a plugin under a name.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_with(
        &self,
        name: &str,
        source: Source,
        options: LoadOptions,
    ) -> Result<Plugin, LoadError> {
        let place = Claim::new(&self.0, name)?;
        let started = Instant::now();
        let resident = source.load(name, &options).inspect_err(|error| {
            tracing::warn!(plugin = name, %error, "not loaded");
        })?;
        tell_loaded(name, &*resident, started.elapsed());
        let shared = Arc::new(Shared {
            name: name.into(),
            switch: Switch::new(resident.link()),
            latency: Histogram::default(),
            reloads: AtomicU64::new(0),
        });
        let plugin = Plugin(shared.clone());
        place.fill(Loaded {
            shared,
            source,
            options,
            resident: Mutex::new(resident.into()),
            turn: Mutex::new(()),
        });
        Ok(plugin)
    }

    /// The plugin that is loaded under a name.
    pub fn plugin(&self, name: &str) -> Option<Plugin> {
        Some(Plugin(self.loaded(name)?.shared.clone()))
    }

    /// The names of the plugins that are loaded, sorted.
    pub fn names(&self) -> Vec<String> {
        self.all().iter().map(|loaded| loaded.shared.name.to_string()).collect()
    }

    /// What is known of a plugin beside its calls: its wall, its version, its file's hash.
    pub fn about(&self, name: &str) -> Option<About> {
        Some(self.loaded(name)?.resident().about())
    }

    /// Unloads a plugin at once: calls that are open end with `Fault::Unloaded`.
    ///
    /// # Errors
    /// See [`UnloadError`].
    pub fn unload(&self, name: &str) -> Result<(), UnloadError> {
        self.unload_with_grace(name, Duration::ZERO)
    }

    /// Unloads a plugin: no more calls are let in, and those that are open have `grace` to end.
    ///
    /// It blocks for up to that long, so in asynchronous code call it where blocking is allowed.
    ///
    /// # Errors
    /// See [`UnloadError`]. A plugin that a thread doesn't come back from stays under its name,
    /// closed, until unloading it again succeeds.
    pub fn unload_with_grace(&self, name: &str, grace: Duration) -> Result<(), UnloadError> {
        let loaded = self.loaded(name).ok_or_else(|| not_loaded(name))?;
        if loaded.options.pinned {
            return Err(UnloadError::Pinned { name: name.into() });
        }
        self.take_out(&loaded, grace)
    }

    /// Loads a plugin anew from its source, switches its callers over, and unloads the old one
    /// with the grace of its options. A failed load leaves the old one serving.
    ///
    /// It blocks until the old one is gone.
    ///
    /// # Errors
    /// See [`ReloadError`].
    pub fn reload(&self, name: &str) -> Result<(), ReloadError> {
        let loaded = self.loaded(name).ok_or_else(|| not_loaded(name))?;
        loaded.reload(loaded.options.grace)
    }

    /// The same with another grace.
    ///
    /// # Errors
    /// See [`ReloadError`].
    pub fn reload_with_grace(&self, name: &str, grace: Duration) -> Result<(), ReloadError> {
        self.loaded(name).ok_or_else(|| not_loaded(name))?.reload(grace)
    }

    /// Reloads every plugin that isn't pinned, one after the other. All are tried; those that
    /// failed are returned by name.
    pub fn reload_all(&self) -> Vec<(String, ReloadError)> {
        let loaded = self.all();
        let movable = loaded.iter().filter(|loaded| !loaded.options.pinned);
        movable
            .filter_map(|loaded| {
                let error = loaded.reload(loaded.options.grace).err()?;
                Some((loaded.shared.name.to_string(), error))
            })
            .collect()
    }

    /// Unloads every plugin, pinned ones too, with `grace` for all of them together. For the end
    /// of a program. Those that could not be unloaded are returned by name.
    pub fn drain(&self, grace: Duration) -> Vec<(String, UnloadError)> {
        let started = Instant::now();
        let all = self.all();
        all.iter()
            .filter_map(|loaded| {
                let left = grace.saturating_sub(started.elapsed());
                let error = self.take_out(loaded, left).err()?;
                Some((loaded.shared.name.to_string(), error))
            })
            .collect()
    }

    /// What all plugins did.
    pub fn metrics(&self) -> HostMetrics {
        let all = self.all();
        let plugins = all.iter().map(|loaded| Plugin(loaded.shared.clone()).metrics()).collect();
        HostMetrics { plugins }
    }

    /// Unloads a plugin, pinned or not, and frees its name.
    fn take_out(&self, loaded: &Arc<Loaded>, grace: Duration) -> Result<(), UnloadError> {
        let name = &*loaded.shared.name;
        let turn = loaded.take_turn()?;
        match loaded.resident().unload(grace) {
            Ok(()) | Err(RingUnloadError::AlreadyUnloaded) => {}
            Err(source) => return Err(UnloadError::Ring { name: name.into(), source }),
        }
        drop(turn);
        self.0.plugins.remove_if(name, |_, place| place.is(loaded));
        tracing::info!(plugin = name, "unloaded");
        Ok(())
    }

    fn loaded(&self, name: &str) -> Option<Arc<Loaded>> {
        match self.0.plugins.get(name)?.value() {
            Place::Loaded(loaded) => Some(loaded.clone()),
            Place::Loading => None,
        }
    }

    /// All that are loaded, by name. The registry isn't locked afterwards.
    fn all(&self) -> Vec<Arc<Loaded>> {
        let mut all: Vec<_> = self
            .0
            .plugins
            .iter()
            .filter_map(|place| match place.value() {
                Place::Loaded(loaded) => Some(loaded.clone()),
                Place::Loading => None,
            })
            .collect();
        all.sort_by(|a, b| a.shared.name.cmp(&b.shared.name));
        all
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.names()).finish()
    }
}

/// A name that is claimed while its plugin is loaded, and given up if that fails.
struct Claim<'a> {
    registry: &'a Registry,
    name: Box<str>,
    filled: bool,
}

impl<'a> Claim<'a> {
    fn new(registry: &'a Registry, name: &str) -> Result<Self, LoadError> {
        match registry.plugins.entry(name.into()) {
            Entry::Occupied(_) => Err(LoadError::NameTaken { name: name.into() }),
            Entry::Vacant(vacant) => {
                vacant.insert(Place::Loading);
                Ok(Self { registry, name: name.into(), filled: false })
            }
        }
    }

    fn fill(mut self, loaded: Loaded) {
        self.registry.plugins.insert(self.name.clone(), Place::Loaded(Arc::new(loaded)));
        self.filled = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.filled {
            self.registry.plugins.remove(&self.name);
        }
    }
}

impl Place {
    fn is(&self, this: &Arc<Loaded>) -> bool {
        matches!(self, Self::Loaded(loaded) if Arc::ptr_eq(loaded, this))
    }
}

impl Loaded {
    fn resident(&self) -> Arc<dyn Resident> {
        self.resident.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The right to replace or unload the plugin. It isn't waited for: whoever has it may be
    /// waiting for this very thread to leave the plugin.
    fn take_turn(&self) -> Result<MutexGuard<'_, ()>, UnloadError> {
        match self.turn.try_lock() {
            Ok(turn) => Ok(turn),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(UnloadError::Busy { name: self.shared.name.to_string() })
            }
        }
    }

    fn reload(&self, grace: Duration) -> Result<(), ReloadError> {
        let name = &*self.shared.name;
        if self.options.pinned {
            return Err(UnloadError::Pinned { name: name.into() }.into());
        }
        let _turn = self.take_turn()?;
        if !self.resident().link().is_loaded() {
            return Err(not_loaded(name).into());
        }
        let started = Instant::now();
        let fresh: Arc<dyn Resident> = self
            .source
            .load(name, &self.options)
            .inspect_err(|error| {
                tracing::warn!(plugin = name, %error, "not reloaded: the old one goes on serving");
            })?
            .into();
        tell_loaded(name, &*fresh, started.elapsed());
        self.shared.switch.switch(fresh.link());
        self.shared.reloads.fetch_add(1, Ordering::Relaxed);
        let mut resident = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *resident, fresh);
        drop(resident);
        if let Err(error) = old.unload(grace) {
            // It takes no calls any more, and what it leaves behind is memory.
            tracing::warn!(plugin = name, %error, "the replaced plugin could not be shut down");
        }
        Ok(())
    }
}

fn not_loaded(name: &str) -> UnloadError {
    UnloadError::NotLoaded { name: name.into() }
}

fn tell_loaded(name: &str, resident: &dyn Resident, took: Duration) {
    let about = resident.about();
    for warning in &about.warnings {
        tracing::warn!(plugin = name, "{warning}");
    }
    tracing::info!(
        plugin = name,
        wall = ?about.wall,
        version = about.reported_version.as_deref().unwrap_or(""),
        sha256 = about.sha256.as_deref().unwrap_or(""),
        ?took,
        "loaded"
    );
}
