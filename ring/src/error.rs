//! What can go wrong, as data: one small type for each operation.

use ringbox_abi::{Status, ViewError};
use std::time::Duration;
use thiserror::Error;

/// Why an accepted call ended without the plugin's answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The plugin did not answer in time. It has been told; a late answer is dropped.
    #[error("no answer within {after:?}: raise the call's deadline, or see what keeps the plugin")]
    Deadline {
        /// The time that the call was given from when it began to wait.
        after: Duration,
    },
    /// The plugin kept the call, and nothing is left that could make it answer.
    #[error("the plugin returned without answering, and nothing can wake it")]
    Unanswered,
    /// The plugin's instance was lost to another call's fault. Calling again is safe if the
    /// request may be repeated.
    #[error("the plugin's instance was lost while the call was open: it can be tried again")]
    InstanceLost,
    /// The plugin was unloaded while the call was open.
    #[error("the plugin was unloaded while the call was open")]
    Unloaded,
    /// Frames came faster than they were read, by a way that cannot tell the plugin to wait.
    #[error(
        "the stream's queue of {frames} frames or {bytes} bytes is full: read faster, raise its limit, or have the plugin use frames that report backpressure"
    )]
    Overflow {
        /// How many frames may queue.
        frames: usize,
        /// How many bytes may queue.
        bytes: usize,
    },
    /// An answer or a frame was larger than the plugin may send.
    #[error("an answer of {len} bytes is over the plugin's limit of {limit}")]
    TooLarge {
        /// What was sent.
        len: u64,
        /// What is allowed.
        limit: usize,
    },
    /// The bytes of an answer could not be read.
    #[error("the plugin answered with a bad view: {0}")]
    BadView(#[from] ViewError),
    /// A status that has no meaning where it was sent: `StreamEnd` on a call with one answer,
    /// `Backpressure` or an unknown number on a stream.
    #[error("the plugin answered with a status that means nothing here: {0}")]
    BadStatus(Status),
    /// There was no memory for the answer.
    #[error("there is no memory for an answer of {len} bytes")]
    OutOfMemory {
        /// What was sent.
        len: usize,
    },
}

impl Fault {
    /// Whether calling again may go better, provided that the request may be repeated.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::InstanceLost | Self::Unloaded)
    }
}

/// Which part of a request does not fit the ABI.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("its {part} is {len} long, over the limit of {limit}")]
pub struct BadRequest {
    /// Which part.
    pub part: &'static str,
    /// Its length.
    pub len: usize,
    /// The most there can be.
    pub limit: usize,
}

/// Why a call has no reply.
///
/// It is two words long, since every call returns it or its reply: what a rare error has to say
/// is boxed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The plugin refused the request at once: it never took the call.
    #[error("the plugin refused the call: {status}")]
    Refused {
        /// What it said.
        status: Status,
    },
    /// The plugin took the call, and the call ended without its answer.
    #[error(transparent)]
    Fault(Box<Fault>),
    /// The plugin is unloaded, or is being unloaded.
    #[error("the plugin is unloaded: load it again")]
    Unloaded,
    /// The backend has no entry of that number.
    #[error("the plugin has no such entry: resolve the name with this plugin's own link")]
    NoSuchEntry,
    /// The request cannot be expressed in the ABI.
    #[error("the request does not fit the ABI: {0}")]
    BadRequest(Box<BadRequest>),
    /// Too many calls are open in this process (see [`MAX_OPEN`](crate::MAX_OPEN)).
    #[error("{} calls are open, which is the most: wait for some to end", crate::MAX_OPEN)]
    TooManyOpen,
    /// Only an answer inside dispatch was asked for, and the plugin did not give one.
    #[error("the plugin did not answer at once: call it with the form that waits")]
    NotImmediate,
    /// Waiting here would keep the thread that the answer needs.
    #[error("this thread is inside a plugin: blocking on another answer would deadlock, await it")]
    WouldDeadlock,
    /// The plugin's queue cannot take more just now.
    #[error("the plugin cannot take more data just now: send it again later")]
    Backpressure,
    /// The plugin ended the stream, so it takes no more data.
    #[error("the stream is over: its plugin takes no more data")]
    StreamOver,
    /// The thread is past the destruction of its thread-locals and can make no new calls.
    #[error("this thread is ending: make the call from one that runs")]
    ThreadEnding,
}

const _: () = assert!(size_of::<CallError>() == 16);

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl CallError {
    /// The fault that ended the call, if one did.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            _ => None,
        }
    }

    /// Whether the call ran out of time.
    pub fn is_deadline(&self) -> bool {
        matches!(self.fault(), Some(Fault::Deadline { .. }))
    }

    /// Whether calling again may go better, provided that the request may be repeated.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.is_retryable(),
            Self::TooManyOpen | Self::Backpressure => true,
            _ => false,
        }
    }
}

/// Why a backend did not take a call. It never saw the sid again after saying so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The plugin itself said no.
    #[error("the plugin refused the call: {0}")]
    Status(Status),
    /// The backend says no, and this is what the caller sees.
    #[error(transparent)]
    Because(CallError),
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Status(status) => Self::Refused { status },
            Refusal::Because(error) => error,
        }
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self::Because(error)
    }
}

/// Why a plugin could not be linked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Every place for a plugin is taken.
    #[error("{limit} plugins are linked, which is the most: unload some first")]
    TooManyPlugins {
        /// The limit that was met.
        limit: usize,
    },
    /// The system did not give the thread that deadlines need.
    #[error(
        "the timer thread could not be started ({0}): lower the number of threads, or raise its limit, and try again"
    )]
    NoTimer(std::io::ErrorKind),
    /// A limit was set to what cannot be held.
    #[error("the limit {name} cannot be {value}: it goes from {least} to {most}")]
    BadLimit {
        /// Which one.
        name: &'static str,
        /// What it was set to.
        value: usize,
        /// The least it can be.
        least: usize,
        /// The most it can be.
        most: usize,
    },
}

/// Why per-call state was not kept or found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StateError {
    /// The sid is not an open call of this plugin's.
    #[error("the call is not open, or is not this plugin's")]
    NotOpen,
    /// The call's state has as many keys as it can.
    #[error("the call's state has {} keys, which is the most", crate::state::MAX_KEYS)]
    TooManyKeys,
    /// The call's state would grow over its limit.
    #[error("the call's state would be {len} bytes, over its limit of {limit}")]
    TooLarge {
        /// What it would hold.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
}

/// Why a plugin was not taken out.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnloadError {
    /// It is gone already.
    #[error("the plugin is unloaded already")]
    AlreadyUnloaded,
    /// This thread is inside a plugin, whose code is still needed when this returns. The plugin
    /// takes no more calls, and those that were open have ended.
    #[error("this thread is inside a plugin: unload it from a thread that isn't")]
    WouldDeadlock,
    /// A thread does not come back from the plugin's code. The plugin takes no more calls, and
    /// those that were open have ended.
    #[error("a thread is still inside the plugin: unload it again once that has returned")]
    StillInside,
}
