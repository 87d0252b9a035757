//! The order of loading. Each step can fail, and nothing of the library runs before the last check
//! that does not need it to.

#![expect(unsafe_code, reason = "maps a library and calls what it exports")]

use crate::backend::{Native, V01, V1, V02};
use crate::context::{Context, Kept};
use crate::copy::Copy;
use crate::elf::{self, Exports, Inspection, VTableProof};
use crate::error::LoadError;
use crate::identity::{Generation, Sha256};
use crate::library::{self, Getter, Library};
use crate::loaded::{InPlace, Loaded, Parts, Quiescent};
use crate::options::{NativeAbi, Options, SignalPolicy};
use crate::signals::{Handlers, Signal};
use crate::source;
use crate::tables::{self, Tables};
use crate::warning::Warning;
use ringbox_abi::published::{v01, v02};
use ringbox_abi::{NR_ABI_VERSION, PLUGIN_V1_SYMBOL};
use ringbox_ring::{Attached, Opening};
use std::ffi::{CStr, c_void};
use std::path::Path;

/// Loads a plugin from a shared library, and links it under `name`.
///
/// The file's first bytes say what it is, never its name. Unless it is loaded in place, a private
/// copy is what is mapped, so that two loads of one file are two plugins, and the file may be
/// replaced at any time.
///
/// # Errors
/// [`LoadError`] says what is wrong with the library, and what to do about it.
///
/// # Safety
/// The library's code is run in this process, which nothing protects from it: you trust it, and it
/// is of the generation that it claims, or that `options` claim for it. Should it be unmapped, its
/// destructors are trusted as well.
///
/// # Threads
/// Any thread may load at any time. It blocks while the file is read and the plugin starts. Two
/// loads at once may each report the signal handlers that the other one's library replaced.
///
/// ```no_run
/// use ringbox_native::{LoadError, Options, load};
///
/// // SAFETY: we have built this library ourselves.
/// let plugin = unsafe { load("plugins/libecho.so".as_ref(), "echo", &Options::new()) };
/// match plugin {
///     Ok(plugin) => println!("{} {}", plugin.identity().name, plugin.identity().version),
///     Err(LoadError::Changing) => println!("it is being written: try again"),
///     Err(error) => println!("{error}"),
/// }
/// ```
pub unsafe fn load(path: &Path, name: &str, options: &Options) -> Result<Loaded, LoadError> {
    let source = source::read(path, options.file_bytes)?;
    let inspection = elf::inspect(&source.bytes, path)?;
    let declared = inspection.exports.map(|exports| choose(options.abi, exports)).transpose()?;
    if let Some(library) = inspection.beside.clone().filter(|_| !options.in_place) {
        return Err(LoadError::NeedsInPlace { library });
    }
    let sha256 = Sha256::of(&source.bytes);
    let opening = Opening::new(name, options.limits)?;

    let handlers = Handlers::now();
    let (library, in_place) = if options.in_place {
        let in_place = InPlace::claim(path, source.stamp)?;
        // SAFETY: the caller trusts the library's code.
        let library = unsafe { Library::open(&in_place.path) }?;
        let in_place = in_place.keep();
        source.check_still(path)?;
        (library, Some(in_place))
    } else {
        let copy = Copy::make(&source.bytes, path, options.copies_in.as_deref())?;
        // SAFETY: as above. The copy can go when this is done: what is mapped stays.
        (unsafe { Library::open(copy.path()) }?, None)
    };
    drop(source);
    // From here on an error leaves the library mapped: its constructors may have left anything.
    replaced(&handlers, options.signal_handlers)?;

    let generation = match declared {
        Some(generation) => generation,
        None => choose(options.abi, library.exports())?,
    };
    let opened = Opened {
        context: Context::open(opening.port(), options),
        opening,
        library: &library,
        inspection: &inspection,
        generation,
        handlers,
        policy: options.signal_handlers,
    };
    let started = match generation {
        // SAFETY: the library is a plugin of this generation, says its caller.
        Generation::V1 | Generation::V1Extended => unsafe { opened.start_v1() },
        // SAFETY: as above.
        Generation::NylonRing02 => unsafe { opened.start_02() },
        // SAFETY: as above.
        Generation::NylonRing01 => unsafe { opened.start_01() },
    };
    let mut parts = started?;
    parts.warnings.extend(inspection.warnings());
    parts.warnings.extend(in_place.is_some().then_some(Warning::InPlace));
    Ok(Loaded::new(parts, library, generation, sha256, in_place))
}

/// Looks at a shared library without running any of it: what [`load`] sees before it maps it.
///
/// # Errors
/// [`LoadError`], for all that can be wrong with a library that is not loaded yet.
///
/// ```no_run
/// let library = ringbox_native::inspect("plugins/libecho.so".as_ref(), &Default::default())?;
/// println!("{:?}, SHA-256 {}", library.generation, library.sha256);
/// # Ok::<(), ringbox_native::LoadError>(())
/// ```
pub fn inspect(path: &Path, options: &Options) -> Result<Inspected, LoadError> {
    let source = source::read(path, options.file_bytes)?;
    let inspection = elf::inspect(&source.bytes, path)?;
    let generation = inspection.exports.map(|exports| choose(options.abi, exports)).transpose()?;
    if let Some(library) = inspection.beside.clone().filter(|_| !options.in_place) {
        return Err(LoadError::NeedsInPlace { library });
    }
    let bytes = source.bytes.len() as u64;
    Ok(Inspected {
        bytes,
        generation,
        sha256: Sha256::of(&source.bytes),
        warnings: inspection.warnings().collect(),
    })
}

/// What a shared library says about itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspected {
    /// Its size.
    pub bytes: u64,
    /// The generation of the ABI that its symbols say. None where they cannot be read without
    /// loading it.
    pub generation: Option<Generation>,
    /// The SHA-256 of its bytes.
    pub sha256: Sha256,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
}

/// The generation that the symbols say, if it may be the one that is asked for.
fn choose(abi: NativeAbi, exports: Exports) -> Result<Generation, LoadError> {
    let Exports { v1, ext_v1, v02 } = exports;
    let v1_if = |is: bool| {
        is.then_some(if ext_v1.is_some() { Generation::V1Extended } else { Generation::V1 })
    };
    let missing = |symbol: &'static str| LoadError::NoSymbol { symbol };
    const V1: &str = "nylon_ring_get_plugin_v1";
    const V02: &str = "nylon_ring_get_plugin";
    match abi {
        NativeAbi::Auto if v1.is_some() && ext_v1.is_some() => Ok(Generation::V1Extended),
        NativeAbi::Auto if v02.is_some() => Ok(Generation::NylonRing02),
        NativeAbi::Auto | NativeAbi::V1 => v1_if(v1.is_some()).ok_or(missing(V1)),
        NativeAbi::NylonRing02 => v02.map(|_| Generation::NylonRing02).ok_or(missing(V02)),
        NativeAbi::NylonRing01 if v1.is_some() && ext_v1.is_some() => {
            // The extension marks it as version 1, whose vtable has 24 bytes.
            let loaded_as = Generation::NylonRing01;
            let (expected, found) = (loaded_as.vtable_bytes(), Generation::V1.vtable_bytes());
            Err(LoadError::WrongGeneration { loaded_as, expected, found })
        }
        NativeAbi::NylonRing01 => v1.map(|_| Generation::NylonRing01).ok_or(missing(V1)),
    }
}

/// The signals whose handlers were replaced since. Where that is not allowed they are put back.
fn replaced(before: &Handlers, policy: SignalPolicy) -> Result<Vec<Signal>, LoadError> {
    let signals = before.changed(&Handlers::now());
    if signals.is_empty() || policy == SignalPolicy::Report {
        return Ok(signals);
    }
    before.restore(&signals);
    Err(LoadError::SignalHandlers { signals })
}

/// A library that is mapped, and nothing of which was called yet.
struct Opened<'a> {
    opening: Opening,
    context: Kept,
    library: &'a Library,
    inspection: &'a Inspection,
    generation: Generation,
    handlers: Handlers,
    policy: SignalPolicy,
}

impl Opened<'_> {
    /// # Safety
    /// As [`Library::getter`].
    unsafe fn getter(&self, name: &'static CStr) -> Result<Getter, LoadError> {
        // SAFETY: asked of the caller.
        let getter = unsafe { self.library.getter(name) };
        // A name of the ABI's is text.
        getter.ok_or(LoadError::NoSymbol { symbol: name.to_str().unwrap_or_default() })
    }

    /// Whether the vtable is this generation's, as far as the file's symbols tell.
    fn prove(&self, getter: Getter, vtable: *const c_void) -> Result<VTableProof, LoadError> {
        let exports = self.inspection.exports.unwrap_or_default();
        let own = match self.generation {
            Generation::NylonRing02 => exports.v02,
            _ => exports.v1,
        };
        let shift = own.and_then(|own| library::shift(getter as *const c_void, own));
        let Some(shift) = shift else { return Ok(VTableProof::Unknown) };
        self.inspection.check_vtable(self.generation, (vtable as u64).wrapping_sub(shift))
    }

    /// # Safety
    /// The library is a version 1 plugin.
    unsafe fn start_v1(self) -> Result<Parts, LoadError> {
        // SAFETY: it exports version 1's getter.
        let getter = unsafe { self.getter(PLUGIN_V1_SYMBOL) }?;
        // SAFETY: which is that of a version 1 plugin.
        let tables: Tables<ringbox_abi::raw::PluginVTable> =
            unsafe { tables::read(getter, NR_ABI_VERSION) }?;
        let proof = self.prove(getter, tables.address)?;
        let mut ext = None;
        if self.generation == Generation::V1Extended {
            // SAFETY: it exports the extension's getter as well.
            if let Some(getter) = unsafe { self.library.ext_getter() } {
                // SAFETY: the plugin's own function, which takes nothing.
                let table = unsafe { getter() };
                // SAFETY: what such a plugin returns is null, misaligned, or such a table.
                ext = Some(*unsafe { tables::read_ext(table) }?);
            }
        }
        let mut warnings = Vec::new();
        if ext.is_none() {
            warnings.push(Warning::NoExtension);
            warnings.extend((proof == VTableProof::Unknown).then_some(Warning::AssumedVersion1));
        }
        let quiescent = ext.and_then(|ext| ext.quiescent);
        let quiescent = quiescent.map(|function| Quiescent { ctx: tables.ctx, function });
        // SAFETY: the tables are this plugin's, and the library is mapped for as long as
        // the backend is there.
        let backend = unsafe { V1::new(tables.vtable, ext, tables.ctx, self.context.get()) }?;
        self.finish(backend, tables, quiescent, warnings)
    }

    /// # Safety
    /// The library is a plugin made for nylon-ring 0.2.
    unsafe fn start_02(self) -> Result<Parts, LoadError> {
        // SAFETY: it exports that generation's getter.
        let getter = unsafe { self.getter(v02::PLUGIN_SYMBOL) }?;
        // SAFETY: which is that of such a plugin.
        let tables: Tables<v02::PluginVTable> = unsafe { tables::read(getter, v02::ABI_VERSION) }?;
        self.prove(getter, tables.address)?;
        // SAFETY: the table is this plugin's, and the library is mapped for as long as
        // the backend is there.
        let backend = unsafe { V02::new(tables.vtable, self.context.get()) }?;
        self.finish(backend, tables, None, Vec::new())
    }

    /// # Safety
    /// The library is a plugin made for nylon-ring 0.1.
    unsafe fn start_01(self) -> Result<Parts, LoadError> {
        // SAFETY: it exports that generation's getter.
        let getter = unsafe { self.getter(v01::PLUGIN_SYMBOL) }?;
        // SAFETY: which is that of such a plugin.
        let tables: Tables<v01::PluginVTable> = unsafe { tables::read(getter, v01::ABI_VERSION) }?;
        self.prove(getter, tables.address)?;
        // SAFETY: the table is this plugin's, and the library is mapped for as long as
        // the backend is there.
        let backend = unsafe { V01::new(tables.vtable, self.context.get()) }?;
        self.finish(backend, tables, None, Vec::new())
    }

    /// Starts the plugin, and puts it in its place.
    fn finish<V>(
        self,
        backend: impl Native,
        tables: Tables<V>,
        quiescent: Option<Quiescent>,
        mut warnings: Vec<Warning>,
    ) -> Result<Parts, LoadError> {
        let Self { opening, context, handlers, policy, .. } = self;
        if let Err(error) = backend.start(context.get()) {
            // It didn't start, so it isn't shut down; but it may have asked for wakes.
            context.get().end();
            return Err(error);
        }
        match replaced(&handlers, policy) {
            Ok(signals) if signals.is_empty() => {}
            Ok(signals) => warnings.push(Warning::SignalHandlers { signals }),
            Err(error) => {
                backend.shutdown();
                return Err(error);
            }
        }
        let attached: Attached = opening.attach(backend);
        context.get().serve();
        Ok(Parts {
            attached,
            context,
            address: tables.code,
            identity: tables.identity,
            quiescent,
            warnings,
        })
    }
}
