//! The promise to answer a call.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::Sleep;
use crate::current;
use crate::tasks::{self, Hold};
use crate::{Host, Inbox, IntoReply, Refused, Sid, Status, wall};

/// A promise to answer one call, which may be kept and sent elsewhere.
///
/// Answering consumes it:
///
/// ```compile_fail,E0382
/// fn twice(responder: ringbox_guest::Responder) {
///     responder.answer("once");
///     responder.answer("twice");
/// }
/// ```
///
/// Dropped unanswered, it answers with [`Status::Err`].
#[must_use = "dropping it answers with an error"]
pub struct Responder {
    tasks: Hold,
    sid: Sid,
    answered: bool,
}

impl Responder {
    pub(crate) fn new(tasks: &Hold, sid: Sid) -> Self {
        tasks.opened();
        Self { tasks: Hold::clone(tasks), sid, answered: false }
    }

    /// Whose answer this is.
    #[must_use]
    pub fn sid(&self) -> Sid {
        self.sid
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        self.tasks.host()
    }

    /// Answers, or ends a stream with a last frame: with whatever a handler may return. A
    /// [`Reply::refused`](crate::Reply::refused) comes too late, and is an answer with its status.
    pub fn answer<'a>(mut self, answer: impl IntoReply<'a>) {
        self.answered = true;
        if let Err(status) = self.host().deliver(self.sid, answer.into_reply()) {
            self.host().wire.answer(self.sid, tasks::too_late(status), &[]);
        }
    }

    /// Ends a stream the ordinary way.
    pub fn end(self) {
        self.answer(Status::StreamEnd);
    }

    /// Sends a frame of a stream; the promise stays.
    ///
    /// # Errors
    /// [`Refused::Full`]: the reader is behind, try again later; [`Refused::Over`]: it has left.
    pub fn frame(&self, frame: &[u8]) -> Result<(), Refused> {
        self.host().frame(self.sid, frame)
    }

    /// Sends a frame of a stream, when the reader has room for it. For async handlers.
    ///
    /// Resolves to an error where [`Responder::frame`] has one, except [`Refused::Full`].
    pub fn send<'a>(&'a self, frame: &'a [u8]) -> Send<'a> {
        Send { responder: self, frame, tries: 0, pause: None }
    }

    /// What the stream's caller sends from now on. For async handlers.
    pub fn inbox(&self) -> Inbox {
        Inbox::open(&self.tasks, self.sid)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.tasks.closed();
        if self.answered || current::speaks_for(self.sid) {
            return;
        }
        if wall::unwinds() {
            let text = b"the plugin panicked before answering";
            self.host().wire.answer(self.sid, Status::Panic, text);
        } else {
            self.host().wire.answer(self.sid, Status::Err, b"the plugin dropped this unanswered");
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("sid", &self.sid).finish_non_exhaustive()
    }
}

/// How long a sender waits for a reader before it tries again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: u32 = 8;

/// Sends a frame when there is room. See [`Responder::send`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Send<'a> {
    responder: &'a Responder,
    frame: &'a [u8],
    tries: u32,
    pause: Option<Sleep>,
}

impl Future for Send<'_> {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Some(pause) = &mut self.pause {
                if Pin::new(pause).poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }
            match self.responder.frame(self.frame) {
                Err(Refused::Full) => {
                    // Nobody says when there is room again. The first time it may be as soon as
                    // the plugin has been left.
                    let pause = match self.tries {
                        0 => Duration::ZERO,
                        tries => FIRST_PAUSE * (1 << (tries - 1).min(LONGEST_PAUSE)),
                    };
                    self.tries += 1;
                    self.pause = Some(crate::sleep(pause));
                }
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl fmt::Debug for Send<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Send").field("sid", &self.responder.sid).finish_non_exhaustive()
    }
}
