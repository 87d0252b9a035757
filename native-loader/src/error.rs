//! What can go wrong while a library is loaded or unmapped, and what to do about it.

use crate::copy::CopyError;
use crate::elf::Machine;
use crate::identity::Generation;
use crate::kind::FileKind;
use crate::signals::Signal;
use ringbox_abi::{ExtError, Status, ViewError};
use ringbox_ring::{LinkError, UnloadError};
use std::error::Error as StdError;
use std::io;
use thiserror::Error;

/// Why a library was not loaded.
///
/// Up to [`LoadError::System`] none of the library's code has run. After it, its constructors have,
/// so it stays mapped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Open(#[source] io::Error),
    /// There is a folder, or a device, in the file's place.
    #[error("this is no file: give the path of the library itself")]
    NotAFile,
    /// The file was written to, or replaced, while it was read.
    #[error(
        "the file changed while it was read: try again when it is written, and have it put in \
         place by a rename"
    )]
    Changing,
    /// The file is larger than a library is believed to be.
    #[error("the file has {len} bytes, over the limit of {limit}: raise `Options::file_bytes`")]
    TooLarge {
        /// Its size.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is something else.
    #[error("the file is no shared library, but {kind}")]
    NotALibrary {
        /// What it is.
        kind: FileKind,
    },
    /// The library is for another kind of machine.
    #[error("the library is for {found}, this process runs on {wanted}: build it for this target")]
    WrongArchitecture {
        /// The library's.
        found: Machine,
        /// The process'.
        wanted: Machine,
    },
    /// The file ends too early.
    #[error(
        "the library ends after {len} of at least {needed} bytes: try again when it is written, or \
         build it anew"
    )]
    Truncated {
        /// How many bytes there are.
        len: u64,
        /// How many there have to be.
        needed: u64,
    },
    /// The file begins as an ELF library, and then makes no sense.
    #[error("the library cannot be understood ({0}): build it anew")]
    Malformed(#[source] Box<dyn StdError + Send + Sync>),
    /// The library is no plugin, or not of the generation that was asked for.
    #[error(
        "the library does not export `{symbol}`: export it (in Rust by `define_plugin!`), or check \
         the generation that was asked for"
    )]
    NoSymbol {
        /// What was looked for.
        symbol: &'static str,
    },
    /// The library needs another one that lies beside it, where a private copy would not find it.
    #[error(
        "the library needs {library}, which it looks for beside itself: load it with \
         `Options::in_place`, or link that library into it"
    )]
    NeedsInPlace {
        /// The other one.
        library: String,
    },
    /// The file is loaded already, and a library that is loaded in place has its globals once.
    #[error(
        "the file is loaded already, and in place it can be loaded once: unmap it first, or load a \
         private copy"
    )]
    AlreadyInPlace,
    /// No private copy could be made.
    #[error("{0}: give a folder that can be written to, with `Options::copies_in`")]
    Copy(#[from] CopyError),
    /// A limit cannot be held, or there are too many plugins.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The system's loader said no.
    #[error(
        "the system does not load the library ({0}): install what it misses; if its folder for \
         copies forbids mapping code, give another with `Options::copies_in`"
    )]
    System(#[source] Box<dyn StdError + Send + Sync>),
    /// The plugin's getter returned null.
    #[error("the plugin returns no info: its getter must return the address of a static table")]
    NullInfo,
    /// A table is where no such table can be.
    #[error("the plugin's {table} is not aligned: it must be a static of the header's type")]
    Misaligned {
        /// Which one.
        table: &'static str,
    },
    /// The plugin speaks another version.
    #[error("the plugin speaks version {found} of the ABI, not {wanted}: build it for {wanted}")]
    Version {
        /// The plugin's.
        found: u32,
        /// The generation's.
        wanted: u32,
    },
    /// The plugin's info is smaller than its version prescribes.
    #[error(
        "the plugin's info says it has {found} bytes, {wanted} are needed: set `struct_size` to \
         the size of the header's type"
    )]
    InfoSize {
        /// The plugin's.
        found: u32,
        /// What is needed.
        wanted: u32,
    },
    /// The plugin's info has no table of functions.
    #[error("the plugin has no vtable: set `vtable` to the address of a static table")]
    NullVTable,
    /// The plugin cannot be called.
    #[error("the plugin's vtable has no `handle`: a plugin has to take calls")]
    NoHandle,
    /// The plugin's name or version cannot be read.
    #[error("the plugin's {what} cannot be read: {source}; it must be a static UTF-8 string")]
    BadText {
        /// `"name"` or `"version"`.
        what: &'static str,
        /// How it is broken.
        source: ViewError,
    },
    /// The plugin's extension cannot be used.
    #[error("the plugin's extension cannot be used: {0}; use the header's type, or export none")]
    Extension(#[source] ExtError),
    /// The size of the plugin's vtable is another generation's.
    #[error(
        "loaded as {loaded_as}, the plugin's vtable should have {expected} bytes, and it has \
         {found}: {}", advice(*found)
    )]
    WrongGeneration {
        /// What it was loaded as.
        loaded_as: Generation,
        /// The size that goes with it.
        expected: u64,
        /// The size that the library's symbols tell.
        found: u64,
    },
    /// The plugin did not take the extension's host table.
    #[error("the plugin's `attach` failed: {status}; its log may say why")]
    Attach {
        /// What it returned; [`Status::Panic`] where it panicked.
        status: Status,
    },
    /// The plugin did not start.
    #[error("the plugin's `init` failed: {status}; its log may say why")]
    Init {
        /// What it returned; [`Status::Panic`] where it panicked.
        status: Status,
    },
    /// The library replaced handlers of the process, and was not to.
    #[error(
        "the library replaced signal handlers ({}), which were put back: allow it with \
         `SignalPolicy::Report`",
        names(signals)
    )]
    SignalHandlers {
        /// Whose.
        signals: Vec<Signal>,
    },
}

fn advice(vtable_bytes: u64) -> &'static str {
    match vtable_bytes {
        24 => "that is version 1; load it with `NativeAbi::V1`",
        40 => "that is nylon-ring 0.1; load it with `NativeAbi::NylonRing01`",
        _ => "that is nylon-ring 0.2; load it with `NativeAbi::NylonRing02`",
    }
}

fn names(signals: &[Signal]) -> String {
    let names: Vec<_> = signals.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Why a library was not unmapped. Except for the first two, the plugin is unloaded, and unmapping
/// it can be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnmapError {
    /// The plugin could not be unloaded.
    #[error(transparent)]
    Unload(#[from] UnloadError),
    /// Another thread is unloading, or unmapping, the plugin just now.
    #[error("another thread is taking the plugin out: try again when it is done")]
    InProgress,
    /// The library is unmapped already.
    #[error("the library is unmapped already")]
    AlreadyUnmapped,
    /// The plugin has nothing that could tell whether its own threads still run.
    #[error(
        "the plugin cannot say whether its threads have ended: it stays mapped; a plugin with the \
         extension and `quiescent` can be unmapped"
    )]
    CannotTell,
    /// The plugin says that its threads may still run.
    #[error("the plugin's own threads may still run: try again later; `shutdown` should join them")]
    NotQuiescent,
    /// Replies still hold bytes that only the plugin can free.
    #[error("{count} replies hold bytes of the plugin's: drop them, then try again")]
    BytesInUse {
        /// How many.
        count: usize,
    },
    /// Signals would be handled by code that is gone.
    #[error("{} handled by the library: replace the handlers, then try again", names(signals))]
    SignalHandlers {
        /// Which.
        signals: Vec<Signal>,
    },
    /// The system did not close the library.
    #[error("the system did not close the library: {reason}")]
    System {
        /// What it said.
        reason: String,
    },
}
