//! The routing core of Ringbox: who calls a plugin, who answers, and how the two meet.
//!
//! ```text
//! caller > Link: a slot, its sid, the gate > PluginBackend::dispatch(sid, invocation)
//!                                                       |
//!                              whatever wall the plugin is behind
//!                                                       |
//! caller < Call / Stream < the slot wakes its waiter < Port: answer(sid, status, bytes)
//! ```
//!
//! A loader opens a place ([`Opening`]), hands the plugin the [`Port`] to answer through, and
//! attaches a [`PluginBackend`]. Callers call through the [`Link`] and get a [`Call`], which is a
//! future of one [`Reply`], or a [`Stream`] of frames. Both may be dropped at any time, polled from
//! any thread, and awaited by any executor: the ring has none of its own.
//!
//! The ring knows nothing of shared libraries, sandboxes or HTTP.
//!
//! | file | idea |
//! |---|---|
//! | `sid` | a call's name: which slot, which generation |
//! | `slot`, `held` | where a waiter and an answer meet |
//! | `queue` | a stream's frames, bounded |
//! | `payload` | an answer's bytes, and buffers that are used again |
//! | `lane`, `home` | what one thread owns: free slots, counts |
//! | `tally` | counts without shared writes, and the gate that knows when a plugin is idle |
//! | `fence` | a fence that costs its frequent side nothing |
//! | `timer`, `clock` | deadlines |
//! | `load` | the word that names one load of a plugin, and its instances |
//! | `link`, `port` | the caller's side and the plugin's |
//! | `numbers` | which plugin has which number, and what it did |
//! | `turn`, `backlog` | one at a time: whoever has the turn runs what queued |
//! | `switch` | a link that is replaced while it is in use |
//! | `call`, `stream`, `wake` | waiting |
//! | `backend`, `request`, `refusal`, `limits`, `state`, `metrics`, `error` | what the names say |

#![cfg_attr(
    loom,
    allow(dead_code, unused_imports, reason = "the models reach the parts without statics only")
)]

mod backend;
mod backlog;
mod call;
mod clock;
mod error;
mod fence;
mod held;
mod home;
mod lane;
mod later;
mod limits;
mod link;
mod load;
mod metrics;
#[cfg(all(test, loom))]
mod models;
mod near;
mod numbers;
mod payload;
mod port;
mod queue;
mod refusal;
mod request;
mod sid;
mod slot;
mod state;
mod stream;
mod switch;
mod sync;
mod tally;
mod timer;
mod turn;
mod wake;

pub use backend::PluginBackend;
pub use backlog::Claimed;
pub use call::{Call, Reply, Timed};
pub use error::{
    BadRequest, CallError, Fault, LinkError, Quarantine, StateError, TrapCause, Trapped,
    UnloadError,
};
pub use limits::Limits;
pub use link::{Attached, Link, Opening};
pub use metrics::{FaultMetrics, Metrics};
pub use payload::OwnedBytes;
pub use port::{Delivery, Port, Standing};
pub use refusal::Refusal;
pub use request::{Ask, EntryId, Header, Invocation, Named, Numbered, Request, Target};
pub use ringbox_abi::{RawStatus, Status};
pub use sid::{MAX_OPEN, Sid};
pub use stream::{Frame, FrameBuf, Recv, Stream};
pub use switch::Switch;
pub use turn::{Full, Holding, Turn};
