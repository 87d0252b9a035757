//! What a stream's caller sends to the plugin.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::tasks::{Tasks, lock};
use crate::{Sid, Status};

/// Data that waits to be received: so many pieces at most, and so many bytes of all but the last.
const PIECES: usize = 64;
const BYTES: usize = 1 << 20;

/// Receives what the stream's caller sends. While it is there, the plugin's
/// [`data`](crate::Plugin::data) isn't asked. When it is full, the caller is told so.
pub struct Inbox {
    tasks: Arc<Tasks>,
    sid: Sid,
    post: Arc<Post>,
}

/// The part of an inbox that data reaches.
#[derive(Default)]
pub(crate) struct Post {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    closed: bool,
    waker: Option<Waker>,
}

impl Post {
    pub(crate) fn put(&self, data: &[u8]) -> Status {
        let mut state = lock(&self.state);
        if state.closed {
            return Status::Invalid;
        }
        if state.pieces.len() >= PIECES || state.bytes >= BYTES {
            return Status::Backpressure;
        }
        state.bytes += data.len();
        state.pieces.push_back(data.to_vec());
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Status::Ok
    }

    pub(crate) fn close(&self) -> Status {
        let mut state = lock(&self.state);
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Status::Ok
    }
}

impl Inbox {
    pub(crate) fn open(tasks: &Arc<Tasks>, sid: Sid) -> Self {
        let post = tasks.post_of(sid);
        Self { tasks: tasks.clone(), sid, post }
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
        let mut state = lock(&self.inbox.post.state);
        if let Some(piece) = state.pieces.pop_front() {
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
