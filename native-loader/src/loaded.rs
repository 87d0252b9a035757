//! A loaded plugin: what it is, and how it goes.

#![expect(unsafe_code, reason = "asks the plugin whether it is idle, and unmaps it if it is")]

use crate::context::{Kept, PluginCtx};
use crate::error::{LoadError, UnmapError};
use crate::identity::{Generation, Identity, Sha256};
use crate::library::{self, Library};
use crate::signals::Handlers;
use crate::source::Stamp;
use crate::warning::Warning;
use ringbox_ring::{Attached, Link, UnloadError};
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A plugin that was loaded from a library. Dropping it unloads it without grace, and leaves the
/// library mapped.
#[derive(Debug)]
#[must_use = "dropping it unloads the plugin"]
pub struct Loaded {
    attached: Attached,
    context: Held,
    identity: Identity,
    generation: Generation,
    sha256: Sha256,
    warnings: Vec<Warning>,
    quiescent: Option<Quiescent>,
    library: Mutex<Mapping>,
}

/// The library of a plugin.
#[derive(Debug)]
enum Mapping {
    Mapped(Library, Option<InPlaceMark>),
    /// A thread looks whether it can be unmapped.
    Taken,
    Closed,
}

/// What the host keeps of the plugin, and an address in its library.
struct Held {
    context: Kept,
    /// An address only, never followed.
    address: usize,
    /// The system has unmapped its code.
    is_unmapped: AtomicBool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if *self.is_unmapped.get_mut() {
            // SAFETY: the plugin's code is unmapped, for which its backend had to be gone; and this
            // was the last that the loader had of the context.
            unsafe { self.context.free() };
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.context.get().port)
    }
}

/// How a plugin says whether its own threads have ended.
#[derive(Debug, Copy, Clone)]
pub(crate) struct Quiescent {
    pub(crate) ctx: PluginCtx,
    pub(crate) function: unsafe extern "C" fn(*mut c_void) -> u32,
}

/// What starting a plugin comes to.
pub(crate) struct Parts {
    pub(crate) attached: Attached,
    pub(crate) context: Kept,
    /// Where its code is.
    pub(crate) address: *const c_void,
    pub(crate) identity: Identity,
    pub(crate) quiescent: Option<Quiescent>,
    pub(crate) warnings: Vec<Warning>,
}

/// What became of a library that was closed.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unmapped {
    /// Its mappings are gone.
    Gone,
    /// The system keeps it: until threads that ran its code, and have thread-locals of it, end; or
    /// for ever, for a library that has unique symbols or asked for it.
    Kept,
}

/// What a plugin holds of its host just now.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Buffers that it was lent and has not given back.
    pub leases: usize,
    /// Their bytes.
    pub lease_bytes: usize,
    /// Wakes that it asked for and has not had.
    pub timers: usize,
    /// Replies that hold bytes of its own.
    pub bytes_in_use: usize,
    /// Lines of log that were too many, since it was loaded.
    pub suppressed_lines: u64,
}

impl Loaded {
    pub(crate) fn new(
        parts: Parts,
        library: Library,
        generation: Generation,
        sha256: Sha256,
        in_place: Option<InPlaceMark>,
    ) -> Self {
        let Parts { attached, context, address, identity, quiescent, warnings } = parts;
        Self {
            attached,
            context: Held {
                context,
                address: address as usize,
                is_unmapped: AtomicBool::new(false),
            },
            identity,
            generation,
            sha256,
            warnings,
            quiescent,
            library: Mutex::new(Mapping::Mapped(library, in_place)),
        }
    }

    /// The handle to call through.
    #[must_use]
    pub fn link(&self) -> Link {
        self.attached.link()
    }

    /// What the plugin says it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The generation of the ABI that it was loaded as.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The hash of the bytes that were loaded.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// What is odd about it.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What it holds of the host.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let context = self.context.context.get();
        let (leases, lease_bytes) = context.leases.held();
        Usage {
            leases,
            lease_bytes,
            timers: context.timers.load(Ordering::Relaxed),
            bytes_in_use: context.given(),
            suppressed_lines: context.log.suppressed(),
        }
    }

    /// The owner's end of the plugin, for those who will never unmap its library.
    ///
    /// ```no_run
    /// # fn link(plugin: ringbox_native::Loaded) -> ringbox_ring::Link {
    /// plugin.into_attached().detach() // lives until somebody calls `Link::unload`
    /// # }
    /// ```
    pub fn into_attached(self) -> Attached {
        self.attached
    }

    /// Takes the plugin out, as [`Link::unload`] does. Its library stays mapped.
    ///
    /// # Errors
    /// Those of [`Link::unload`].
    pub fn unload(&self, grace: Duration) -> Result<(), UnloadError> {
        self.link().unload(grace)
    }

    /// Takes the plugin out and unmaps its library, if that is provably safe: no thread is inside
    /// it, no reply holds bytes of its own, no signal is handled by it, and its `quiescent` says
    /// that its own threads have ended. On an error the library stays mapped, and this can be
    /// called again.
    ///
    /// # Errors
    /// [`UnmapError`] says what is in the way.
    pub fn unload_and_unmap(&self, grace: Duration) -> Result<Unmapped, UnmapError> {
        match self.unload(grace) {
            Ok(()) | Err(UnloadError::AlreadyUnloaded) => {}
            Err(error) => return Err(error.into()),
        }
        if !self.context.context.get().is_over() {
            return Err(UnmapError::InProgress);
        }
        let (library, mark) = self.take()?;
        if let Err(error) = self.is_idle() {
            *self.lock() = Mapping::Mapped(library, mark);
            return Err(error);
        }
        self.context.context.get().leases.clear();
        // SAFETY: the ring has seen every thread of its own leave the plugin, for good; no reply
        // holds its bytes, so no release is called; no signal leads into it; and the plugin says
        // that no thread of its own is left. What is left of the tables is in the backend, which
        // is gone, and in `quiescent`, which is asked only while the library is mapped.
        let closed = unsafe { library.close() };
        *self.lock() = Mapping::Closed;
        let gone = closed.map_err(|reason| UnmapError::System { reason })?;
        if !gone {
            return Ok(Unmapped::Kept);
        }
        self.context.is_unmapped.store(true, Ordering::Relaxed);
        if let Some(mark) = mark {
            mark.clear();
        }
        Ok(Unmapped::Gone)
    }

    fn take(&self) -> Result<(Library, Option<InPlaceMark>), UnmapError> {
        let mut mapping = self.lock();
        match std::mem::replace(&mut *mapping, Mapping::Taken) {
            Mapping::Mapped(library, mark) => Ok((library, mark)),
            Mapping::Taken => Err(UnmapError::InProgress),
            Mapping::Closed => {
                *mapping = Mapping::Closed;
                Err(UnmapError::AlreadyUnmapped)
            }
        }
    }

    /// Whether nothing can run the library's code any more. The plugin is shut down.
    fn is_idle(&self) -> Result<(), UnmapError> {
        let quiescent = self.quiescent.ok_or(UnmapError::CannotTell)?;
        // SAFETY: the plugin's function and context, which may be asked after `shutdown` too; the
        // library is mapped, for this thread has taken it.
        if unsafe { (quiescent.function)(quiescent.ctx.0) } != 1 {
            return Err(UnmapError::NotQuiescent);
        }
        // With its threads gone, the plugin gives no more: this only sinks.
        let count = self.context.context.get().given();
        if count != 0 {
            return Err(UnmapError::BytesInUse { count });
        }
        let signals = Handlers::now().inside(self.context.address as *const c_void);
        if !signals.is_empty() {
            return Err(UnmapError::SignalHandlers { signals });
        }
        Ok(())
    }

    /// No plugin's code runs under this lock.
    fn lock(&self) -> MutexGuard<'_, Mapping> {
        self.library.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files that are mapped in place.
static IN_PLACE: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

fn in_place() -> MutexGuard<'static, BTreeSet<(u64, u64)>> {
    IN_PLACE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is about to be mapped in place. Dropping it takes that back.
pub(crate) struct InPlace {
    pub(crate) path: PathBuf,
    mark: Option<InPlaceMark>,
}

/// A file that is mapped in place.
#[derive(Debug)]
pub(crate) struct InPlaceMark((u64, u64));

impl InPlace {
    pub(crate) fn claim(path: &Path, stamp: Stamp) -> Result<Self, LoadError> {
        // With a slash in it, or the system would look for it elsewhere.
        let path = path.canonicalize().map_err(LoadError::Open)?;
        let file = (stamp.device, stamp.inode);
        if library::is_mapped(&path) || !in_place().insert(file) {
            return Err(LoadError::AlreadyInPlace);
        }
        Ok(Self { path, mark: Some(InPlaceMark(file)) })
    }

    pub(crate) fn keep(mut self) -> InPlaceMark {
        self.mark.take().unwrap_or(InPlaceMark((0, 0)))
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        if let Some(mark) = self.mark.take() {
            mark.clear();
        }
    }
}

impl InPlaceMark {
    fn clear(self) {
        in_place().remove(&self.0);
    }
}
