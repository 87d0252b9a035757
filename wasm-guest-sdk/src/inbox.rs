//! What a stream's caller sends to the plugin.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::Lock;
use crate::tasks::Hold;
use crate::{Sid, Status};

/// Data that waits to be received: so many pieces at most, and so many bytes of all but the last.
const PIECES: usize = 64;
const BYTES: usize = 1 << 20;

/// Receives what the stream's caller sends. While it is there, the plugin's
/// [`data`](crate::Plugin::data) isn't asked. When it is full, the caller is told so.
pub struct Inbox {
    tasks: Hold,
    sid: Sid,
    post: Arc<Post>,
}

/// The part of an inbox that data reaches.
#[derive(Default)]
pub(crate) struct Post {
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    /// So few that moving them up costs less than a queue that doesn't.
    pieces: Vec<Vec<u8>>,
    bytes: usize,
    closed: bool,
    waker: Option<Waker>,
}

impl Post {
    pub(crate) fn put(&self, data: &[u8]) -> Status {
        let mut state = self.state.lock();
        if state.closed {
            return Status::Invalid;
        }
        if state.pieces.len() >= PIECES || state.bytes >= BYTES {
            return Status::Backpressure;
        }
        state.bytes += data.len();
        state.pieces.push(data.to_vec());
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Status::Ok
    }

    pub(crate) fn close(&self) -> Status {
        let mut state = self.state.lock();
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Status::Ok
    }
}

impl Inbox {
    pub(crate) fn open(tasks: &Hold, sid: Sid) -> Self {
        let post = tasks.post_of(sid);
        Self { tasks: Hold::clone(tasks), sid, post }
    }

    /// The next piece of data; None when the caller will send no more.
    pub fn recv(&mut self) -> Recv<'_> {
        Recv { inbox: self }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.tasks.forget_post(self.sid, &self.post);
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("sid", &self.sid).finish_non_exhaustive()
    }
}

/// Receives a piece of data. See [`Inbox::recv`].
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct Recv<'a> {
    inbox: &'a mut Inbox,
}

impl Future for Recv<'_> {
    type Output = Option<Vec<u8>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Whose waker it is we don't know, so no lock is held when it is cloned.
        let waker = context.waker().clone();
        let mut state = self.inbox.post.state.lock();
        if !state.pieces.is_empty() {
            let piece = state.pieces.remove(0);
            state.bytes -= piece.len();
            return Poll::Ready(Some(piece));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        let before = state.waker.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}
