//! What a plugin made with [`define_plugin!`](crate::define_plugin) is made of.
//!
//! ```text
//!   host --> edge (edge.rs: context checked, panics caught, default answers)
//!              |  views checked, entry found
//!              v
//!            handler (handler.rs: yours)  --returns-->  Reply (reply.rs)
//!              |                                          |
//!              +-- Host, Responder, Lease (host.rs) ------+--> host
//! ```
//!
//! Your state lives in [`Cx`] from `init` to `shutdown`. By the contract no function of the plugin
//! runs while or after `shutdown` does, until the next `init`.

mod edge;
mod handler;
mod host;
mod lifecycle;
mod reply;

#[doc(hidden)]
pub use edge::answer;
pub use edge::{DefinedPlugin, Edge, contain};
pub use handler::{
    CallDoneHandler, DataHandler, FallbackHandler, Handler, ShutdownHandler, SidHandler,
    WakeHandler,
};
pub use host::{Host, Lease, Refused, Responder};
pub use lifecycle::{Cx, Entry, Plugin, Spec, default_init, started};
pub use reply::{IntoReply, IntoTaken, Later, Reply, Taken};
