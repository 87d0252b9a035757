//! The nylon-ring plugin ABI: its types, checked views of them, proofs of their layout, and
//! [`define_plugin!`] to write a plugin without `unsafe`.
//!
//! ```text
//!        host                              |                    plugin
//!                                          |
//!   Request, Headers (request.rs)  --------+-->  RequestView (request.rs), views (view.rs)
//!     own the text behind the views        |       check what came
//!                                          |
//!   raw::*: tables with RawStatus  <-------+---  v1::*: the definitions, letter by letter
//!     any number may come; Status is       |     define_plugin! fills the tables (plugin/),
//!     what it means (status.rs)            |       every edge checked and contained
//!                                          |
//!   OwnedBytes adopts  <-------------------+---  NrVec, NrOwnedBytes, NrBufferLease (owned.rs)
//!     and frees once                       |
//!                                          |
//!   NrHostExt, NrPluginExt (ext.rs), read through ExtView, never beyond the other's size
//!   published: the tables of nylon-ring 0.2 and 0.1        layout.rs: all of it, proved
//! ```
//!
//! A host loads [`PLUGIN_V1_SYMBOL`], reads a [`raw::PluginInfo`], then [`PLUGIN_EXT_V1_SYMBOL`] if
//! it is there, an [`NrPluginExt`]; calls `attach`, then `init`; then `handle` and `handle_entry`
//! from any number of threads; `shutdown` last, when it has left all others.
//!
//! `include/nylon_ring.h` says the same to C and C++.

mod ext;
mod layout;
mod macros;
mod owned;
pub mod plugin;
pub mod published;
pub mod raw;
mod request;
mod status;
#[rustfmt::skip]
#[expect(missing_docs, reason = "the definitions are kept letter by letter as they were given")]
pub mod v1;
mod view;

pub use ext::{
    ExtError, ExtTable, ExtView, LogLevel, NR_EXT_VERSION, NR_NO_ENTRY, NrHostExt, NrPluginExt,
    PLUGIN_EXT_V1_SYMBOL,
};
pub use owned::{NrBufferLease, NrKV, NrOwnedBytes, NrVec, OwnedBytes, ReleaseOwned, ReleaseVec};
pub use raw::{Identity, InfoError, NR_ABI_VERSION, PLUGIN_V1_SYMBOL};
pub use request::{
    CALL_METHOD, HeaderIter, Headers, MAX_HEADERS, Request, RequestError, RequestPart, RequestView,
};
pub use status::{RawStatus, Status};
pub use view::ViewError;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
