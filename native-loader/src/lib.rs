//! Loads nylon-ring plugins from shared libraries (ELF): the native wall of Ringbox, which is none.
//!
//! ```text
//! load(path, name, options)
//!   source   the file, read while it held still, and hashed
//!   kind     what it is, by its first bytes
//!   elf      read before it is run: machine, symbols, dependencies
//!   copy     a private copy, so that each load has its own globals
//!   library  dlopen, dlsym
//!   tables   info, vtable and extension, checked before anything else is called
//!   backend  attach, init --> a `ringbox_ring::PluginBackend`: v1 (and its extension), v02, v01
//!                                    |
//! Loaded: link, identity, warnings, unload, unload_and_unmap
//!
//! plugin --> callback, host_ext, published   what the host lets a plugin call
//!              context                       whose call it is, and what the plugin holds
//!              given, lease                  bytes that change hands
//!              timer, log                    wakes and lines
//! ```
//!
//! Native code is trusted: it runs in the process and can take it down. What is checked here is
//! what an honest mistake looks like: a wrong file, a wrong version, a broken view.
//!
//! ```no_run
//! use ringbox_native::{Options, load};
//! use ringbox_ring::Invocation;
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // SAFETY: this library was built by us from sources that we have read.
//! let plugin = unsafe { load(Path::new("libgreeter.so"), "greeter", &Options::new())? };
//! for warning in plugin.warnings() {
//!     eprintln!("{warning}");
//! }
//! let reply = plugin.link().call(&Invocation::entry("greet", b"World"))?.wait()?;
//! println!("{}", String::from_utf8_lossy(&reply));
//! plugin.unload(std::time::Duration::from_secs(5))?;
//! # Ok(())
//! # }
//! ```

#[cfg(not(unix))]
compile_error!(
    "ringbox-native loads ELF libraries: it needs Linux, or another system that has them"
);

mod backend;
mod callback;
mod context;
mod copy;
mod elf;
mod error;
mod given;
mod host_ext;
mod identity;
mod kind;
mod lease;
mod library;
mod load;
mod loaded;
mod log;
mod options;
mod published;
mod signals;
mod source;
mod tables;
mod timer;
mod warning;

pub use copy::CopyError;
pub use elf::Machine;
pub use error::{LoadError, UnmapError};
pub use identity::{Generation, Identity, Sha256};
pub use kind::FileKind;
pub use load::{Inspected, inspect, load};
pub use loaded::{Loaded, Unmapped, Usage};
pub use options::{NativeAbi, Options, SignalPolicy};
pub use signals::Signal;
pub use warning::Warning;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/native.md")]
struct Page;
