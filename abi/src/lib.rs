//! The nylon-ring plugin ABI: types, checked views, layout proofs, `define_plugin!`.

mod status;
#[rustfmt::skip]
#[expect(missing_docs, reason = "the definitions are kept letter by letter as they were given")]
pub mod v1;

pub use status::{RawStatus, Status};
