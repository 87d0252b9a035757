//! What can go wrong while a component is compiled, or its code is kept.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Why a component was not compiled.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The compiler refuses it, although it is valid.
    #[error(
        "the component cannot be compiled: {0}; build it with other tools, or without what is named"
    )]
    Refused(Arc<str>),
    /// The compiler failed.
    #[error(
        "the compiler panicked: {0}; the component is at fault no more than the compiler: report it"
    )]
    Panicked(Arc<str>),
    /// There is no thread to compile on.
    #[error("no thread can be started to compile on: {0}; end some")]
    NoThread(Arc<io::Error>),
}

/// Why a directory cannot hold compiled components.
///
/// What is in there becomes code of this process, so nobody else may be able to put anything there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It cannot be made or read.
    #[error("{} cannot be used for compiled components: {source}; give a directory that can be made or read", .path.display())]
    Io {
        /// It, or a file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is a link, or no directory.
    #[error("{} is not itself a directory: give the directory, not a link to it", .path.display())]
    NotADirectory {
        /// It.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}, and this is user {user}: give a directory of one's own", .path.display())]
    ForeignOwner {
        /// It, or its key.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who this is.
        user: u32,
    },
    /// Others may use it.
    #[error("{} is open to others (mode {mode:o}): take it from them with `chmod {wanted:o}`", .path.display())]
    Open {
        /// It, or its key.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What its mode has to be.
        wanted: u32,
    },
    /// Its key is no key.
    #[error("{} is no key: remove it, and a new one is made", .path.display())]
    BadKey {
        /// The key's file.
        path: PathBuf,
    },
    /// The system gives no random numbers for a key.
    #[error("the system gives no random numbers for a key: {0}")]
    NoRandom(getrandom::Error),
}
