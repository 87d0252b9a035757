//! What a file is, before any of it runs.

use crate::options::LoadOptions;
use crate::sandbox;
use ringbox_native as native;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use thiserror::Error;

/// Looks at a plugin's file and runs none of it: what it is, what it asks for, and, by
/// [`Inspected::report`], what it would get.
///
/// The first bytes say what a file is, never its name. The limits and grants of `options` are those
/// that it would be loaded with.
///
/// # Errors
/// It cannot be read, or it is no plugin: the error says what it is instead, and what to do.
///
/// ```no_run
/// use ringbox::{LoadOptions, inspect};
///
/// let options = LoadOptions::new();
/// println!("{}", inspect("plugins/filter.wasm", &options)?.report(&options));
/// # Ok::<(), ringbox::InspectError>(())
/// ```
pub fn inspect(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Inspected, InspectError> {
    let path = path.as_ref();
    if start(path).map_err(InspectError::Open)? == *b"\0asm" {
        return sandbox::inspect(path, options);
    }
    Ok(Inspected::Native(native::inspect(path, &options.native)?))
}

/// A file's first bytes. What is no file has none, and opening it might wait.
pub(crate) fn start(path: &Path) -> io::Result<[u8; 4]> {
    let mut start = [0; 4];
    if std::fs::metadata(path)?.is_file() {
        match File::open(path)?.read_exact(&mut start) {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
            _ => {}
        }
    }
    Ok(start)
}

/// What a plugin's file is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Inspected {
    /// A shared library: code that is trusted, or not loaded.
    Native(native::Inspected),
    /// A component, which runs in a sandbox.
    #[cfg(feature = "sandbox")]
    Component(Box<ringbox_wasm::Inspection>),
}

/// Why a file is no plugin that could be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Open(#[source] io::Error),
    /// It is neither a shared library that is a plugin nor a component.
    #[error(transparent)]
    Native(#[from] native::LoadError),
    /// It is WebAssembly, and no component that is valid and within its limits.
    #[cfg(feature = "sandbox")]
    #[error(transparent)]
    Component(#[from] ringbox_wasm::InspectError),
    /// It is WebAssembly, and this program has no sandbox.
    #[error(
        "the file is WebAssembly, and this program is built without a sandbox: build the crate `ringbox` with its feature `sandbox`"
    )]
    NoSandbox,
}

impl Inspected {
    /// What it is, asks for, and would get with these options: for people to read.
    pub fn report<'a>(&'a self, options: &'a LoadOptions) -> impl fmt::Display + use<'a> {
        Report { inspected: self, options }
    }
}

struct Report<'a> {
    inspected: &'a Inspected,
    #[cfg_attr(
        not(feature = "sandbox"),
        expect(dead_code, reason = "what a library gets is no matter of options")
    )]
    options: &'a LoadOptions,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.inspected {
            #[cfg(feature = "sandbox")]
            Inspected::Component(component) => {
                write!(f, "{}", component.report(&self.options.wasm.grants))
            }
            Inspected::Native(library) => report_library(library, f),
        }
    }
}

fn report_library(library: &native::Inspected, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match library.generation {
        Some(generation) => writeln!(f, "a plugin: a shared library of {generation}")?,
        None => writeln!(f, "a shared library: what it exports shows when it is loaded")?,
    }
    writeln!(f, "  {} bytes, SHA-256 {}", library.bytes, library.sha256)?;
    for warning in &library.warnings {
        writeln!(f, "  {warning}")?;
    }
    writeln!(f, "would get:\n  all that this process may do: load it only if you trust it")?;
    writeln!(f, "would run:\n  on its caller's thread, and on threads of its own")
}
