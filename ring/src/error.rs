//! What can go wrong, as data: one small type for each operation.

use ringbox_abi::{Status, ViewError};
use std::fmt;
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
    /// The plugin's code was stopped by the wall around it, while it had this call.
    #[error(transparent)]
    Trapped(Box<Trapped>),
    /// The plugin refused the call, which had waited for its turn until then. A caller sees it as
    /// [`CallError::Refused`], as if it had been refused at once.
    #[error("the plugin refused the call: {status}")]
    Refused {
        /// What it said.
        status: Status,
    },
}

/// How the plugin's code was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the plugin's code was stopped: {cause}{}", LastWords(.stderr))]
#[non_exhaustive]
pub struct Trapped {
    /// Why.
    pub cause: TrapCause,
    /// The end of what it had written to its standard error.
    pub stderr: Box<[u8]>,
}

impl Trapped {
    /// A stop, with the end of what the plugin had written.
    #[must_use]
    pub const fn new(cause: TrapCause, stderr: Box<[u8]>) -> Self {
        Self { cause, stderr }
    }
}

/// Why a plugin's code was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrapCause {
    /// It computed for longer than one call may.
    #[error("it computed for more than {limit:?}; raise its budget, or have it do less at a time")]
    Budget {
        /// What it may take.
        limit: Duration,
    },
    /// Its caller had left, and nothing else needed it.
    #[error("its caller had left")]
    Cancelled,
    /// It needed more memory than it may have.
    #[error("it needed more than {limit} {unit}; raise the limit, or have it use less")]
    Memory {
        /// What it may have.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// It called itself too deeply.
    #[error("its stack overflowed; raise the limit, or have it recurse less")]
    Stack,
    /// It ended itself, as by `exit`.
    #[error("it exited with code {code}")]
    Exit {
        /// With what.
        code: i32,
    },
    /// It gave up, as a panic or `abort` does.
    #[error("it aborted")]
    Abort,
    /// It did what its wall does not allow.
    #[error("{0}")]
    Other(Box<str>),
}

struct LastWords<'a>(&'a [u8]);

impl fmt::Display for LastWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match String::from_utf8_lossy(self.0).trim() {
            "" => Ok(()),
            text => write!(f, "; its last words: {text}"),
        }
    }
}

/// Why a plugin takes no calls for a while.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the plugin failed {failures} times in a row, and rests for {rest:?}; the last time: {last}"
)]
#[non_exhaustive]
pub struct Quarantine {
    /// How often it failed.
    pub failures: u32,
    /// How long it takes no calls, from its last failure.
    pub rest: Duration,
    /// How it failed the last time.
    pub last: Fault,
}

impl Quarantine {
    /// A rest after so many failures.
    #[must_use]
    pub const fn new(failures: u32, rest: Duration, last: Fault) -> Self {
        Self { failures, rest, last }
    }
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
    /// Too many calls wait for their turn with the plugin, which takes one at a time.
    #[error("too many calls wait for the plugin: call it again later, or give it more instances")]
    QueueFull,
    /// The plugin keeps as many calls open as it may.
    #[error("the plugin keeps {limit} calls open, which is the most: wait for some to end")]
    TooManyKept {
        /// The limit that was met.
        limit: u32,
    },
    /// The plugin failed too often, and takes no calls for a while.
    #[error(transparent)]
    Quarantined(Box<Quarantine>),
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
        match fault {
            Fault::Refused { status } => Self::Refused { status },
            fault => Self::Fault(Box::new(fault)),
        }
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
            Self::TooManyOpen
            | Self::Backpressure
            | Self::QueueFull
            | Self::TooManyKept { .. }
            | Self::Quarantined(_) => true,
            _ => false,
        }
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
    /// A plugin's instances answer through ports of their own, of which it has had the most.
    #[error("a plugin has {limit} instances at most: make its pool smaller")]
    TooManyInstances {
        /// The limit that was met.
        limit: u32,
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
