//! The nylon-ring plugin ABI: types, checked views, layout proofs, `define_plugin!`.

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
