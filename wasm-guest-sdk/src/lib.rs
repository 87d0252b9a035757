//! Write a nylon-ring plugin once: the same source is a shared library and a component.
//!
//! ```text
//!    native wall                                                        sandbox
//!   define_plugin! <-- native.rs <--+                      +--> sandbox.rs --> WIT exports
//!                                   |                      |
//!        the host's call  --->  plugin! (macros.rs): a table of names and handlers
//!                                   |
//!                  Call, Request (call.rs, request.rs): what a handler may ask for
//!                                   |
//!                    your handler: fn(&self, A) -> R, or async
//!                                   |                       |
//!             Reply (reply.rs): what it returns      Tasks (tasks.rs): polled in the call, then
//!             Responder (responder.rs): or later     when the host wakes the plugin (clock.rs)
//!                                   |                       |
//!                                  Host (host.rs): what goes back
//! ```
//!
//! A plugin is a type that implements [`Plugin`], named in [`plugin!`]. The guide is
//! `docs/plugins.md` of the repository.
//!
//! ```
//! use ringbox_guest::{Deferred, Error, Host, Plugin};
//! use std::sync::Mutex;
//!
//! /// Calls of `wait` are answered when somebody calls `open`.
//! #[derive(Default)]
//! struct Gate {
//!     waiting: Mutex<Vec<ringbox_guest::Responder>>,
//! }
//!
//! impl Plugin for Gate {
//!     fn new(_host: &Host) -> Result<Self, Error> {
//!         Ok(Self::default())
//!     }
//! }
//!
//! impl Gate {
//!     fn wait(&self, Deferred { responder, .. }: Deferred<()>) {
//!         self.waiting.lock().unwrap().push(responder);
//!     }
//!
//!     fn open(&self, with: &str) -> String {
//!         let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
//!         let count = waiting.len();
//!         for responder in waiting {
//!             responder.answer(with);
//!         }
//!         count.to_string()
//!     }
//! }
//!
//! ringbox_guest::plugin! {
//!     type: Gate,
//!     entries: { "wait" => Gate::wait, "open" => Gate::open },
//!     exports: none, // for this example alone: it is no library
//! }
//! # fn main() {}
//! ```

mod call;
mod clock;
mod current;
#[cfg(any(all(target_family = "wasm", feature = "heap"), test))]
mod heap;
mod host;
mod inbox;
mod macros;
mod map;
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
pub mod native;
mod plugin;
pub mod raw;
mod reply;
mod request;
mod responder;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod sandbox;
mod shared;
mod status;
mod sync;
mod tasks;

#[cfg(not(target_family = "wasm"))]
use native as wall;
#[cfg(target_family = "wasm")]
use sandbox as wall;

pub use call::{Call, Deferred, FromCall};
pub use clock::{Sleep, sleep};
pub use host::{Host, Refused};
pub use inbox::{Inbox, Recv};
pub use plugin::{Error, Plugin};
pub use reply::{IntoReply, Later, Now, Reply, When};
pub use request::{Headers, Request};
pub use responder::{Responder, Send};
pub use status::{Level, Sid, Status};
pub use tasks::{YieldNow, yield_now};

/// What [`plugin!`] is made of. No author names it.
#[doc(hidden)]
pub mod inside {
    pub use crate::call::{Arrived, Handler, extract};
    pub use crate::reply::{Outcome, conclude, settle};
    pub use crate::shared::{Shared, distinct, understood};
    #[cfg(not(target_family = "wasm"))]
    pub use ringbox_abi as abi;
    pub use std::sync::Arc;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
