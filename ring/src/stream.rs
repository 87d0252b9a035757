//! A call that is answered by many frames.

#![expect(unsafe_code, reason = "the reader's right to its frames comes from the slot's word")]

use crate::call::{arm, explain};
use crate::error::{CallError, Fault};
use crate::lane;
use crate::limits::nanos;
use crate::link::Link;
use crate::payload::Payload;
use crate::sid::Sid;
use crate::slot::{Left, Seen, Slot};
use crate::sync::{Acquire, Relaxed};
use crate::timer;
use ringbox_abi::Status;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A stream of the plugin's frames, to be read.
///
/// Every frame that the plugin sent arrives, in order, the terminal one included: look at its
/// [`status`](Frame::status). Then there is `None`. A stream that ends without the plugin's
/// terminal frame ends with a fault, after what was queued.
///
/// It is a `futures::Stream` too, whose items own their bytes.
///
/// # Cancel safety
/// Dropping it at any time cancels the call: the plugin is told, and frames that still come are
/// dropped and counted. Dropping a pending [`recv`](Self::recv) loses nothing.
#[must_use = "dropping a stream cancels it"]
pub struct Stream {
    slot: Option<&'static Slot>,
    sid: Sid,
    link: Link,
    budget: u64,
    /// How many frames were given back.
    head: u64,
    /// The slot's word when it was last looked at.
    seen: u64,
    ended: bool,
}

impl Stream {
    #[inline]
    pub(crate) fn new(slot: &'static Slot, sid: Sid, link: Link) -> Self {
        let budget = link.cell().deadline.load(Relaxed);
        Self { slot: Some(slot), sid, link, budget, head: 0, seen: 0, ended: false }
    }

    /// The call's name, as its plugin knows it.
    pub fn sid(&self) -> Sid {
        self.sid
    }

    /// Gives each wait for a frame `deadline`, in place of the plugin's default.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        if let Some(slot) = self.slot {
            // Of an earlier poll. Left behind, it would hit the slot's next call.
            timer::disarm(slot);
        }
        self.budget = nanos(deadline);
        self
    }

    /// The next frame, in place: its bytes are lent until it is dropped. None after the terminal
    /// frame.
    ///
    /// # Errors
    /// The fault that ended the stream; once, then there is `None`.
    #[inline(always)]
    pub fn recv(&mut self) -> Recv<'_> {
        Recv { stream: Some(self) }
    }

    /// Sends data to the plugin's end.
    ///
    /// # Errors
    /// The stream is over, or the plugin takes no data, or not now
    /// ([`CallError::Backpressure`]).
    pub fn send(&self, data: &[u8]) -> Result<(), CallError> {
        self.link.to_stream(self.sid, |backend| backend.stream_data(self.sid, data))
    }

    /// Tells the plugin that no more data will follow.
    ///
    /// # Errors
    /// The stream is over, or the plugin takes no data.
    pub fn close(&self) -> Result<(), CallError> {
        self.link.to_stream(self.sid, |backend| backend.stream_close(self.sid))
    }

    #[inline(always)]
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, CallError>> {
        if Slot::has_more(self.seen, self.head) {
            return Poll::Ready(Ok(true));
        }
        self.look(context)
    }

    #[inline(never)]
    fn look(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, CallError>> {
        let Some(slot) = self.slot.filter(|_| !self.ended) else {
            return Poll::Ready(Ok(false));
        };
        loop {
            self.seen = slot.word.load(Acquire);
            if Slot::has_more(self.seen, self.head) {
                timer::disarm(slot);
                return Poll::Ready(Ok(true));
            }
            if Slot::is_over(self.seen) {
                return Poll::Ready(self.end(slot));
            }
            match slot.poll_stream(self.sid, self.head, context.waker()) {
                Seen::Ready => {}
                Seen::Pending => {
                    arm(slot, self.budget);
                    return Poll::Pending;
                }
            }
        }
    }

    /// All frames are read and no more will come.
    #[cold]
    fn end(&mut self, slot: &'static Slot) -> Result<bool, CallError> {
        timer::disarm(slot);
        let Some(fault) = self.finish(slot) else {
            return Ok(false);
        };
        let fault = explain(fault, self.budget);
        if let Fault::Deadline { .. } = fault {
            self.link.tell_cancelled(self.sid);
        }
        Err(CallError::from(fault))
    }

    /// Counts a stream that is over as such, once, and takes the fault that ended it.
    #[cold]
    fn finish(&mut self, slot: &'static Slot) -> Option<Fault> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        // SAFETY: the stream is over, so no sender touches the slot, and this is its reader.
        let fault = unsafe { slot.payload_mut() }.take_fault();
        if let Some(fault) = &fault {
            self.link.count_fault(fault);
        }
        self.link.finish(self.bytes_read(slot), self.head);
        fault
    }

    fn bytes_read(&self, slot: &Slot) -> usize {
        // SAFETY: this is the stream's reader, which has not left.
        unsafe { slot.bytes_taken() }
    }

    /// The plugin refused the call: nothing is owed.
    #[cold]
    pub(crate) fn refused(mut self) {
        let _ = self.leave(false);
    }

    fn leave(&mut self, cancels: bool) -> Option<Left> {
        let slot = self.slot.take()?;
        timer::disarm(slot);
        // Asked while the queue is there for sure: a sender may free it once the reader has left.
        let bytes = self.bytes_read(slot);
        let left = slot.leave_stream(self.sid);
        match left {
            Left::Over => drop(self.finish(slot)),
            Left::Unanswered | Left::ToAnswerer => {
                if cancels {
                    self.link.count_cancelled();
                }
                self.link.finish(bytes, self.head);
            }
        }
        if left != Left::ToAnswerer {
            // SAFETY: the reader has left and so has the last sender: the slot is this thread's.
            unsafe { lane::release_stream(slot, self.sid) };
        }
        Some(left)
    }

    #[cold]
    fn cancel(&mut self) {
        if self.leave(true) != Some(Left::Over) {
            self.link.tell_cancelled(self.sid);
        }
    }
}

/// A wait for a stream's next frame, from [`Stream::recv`].
///
/// # Cancel safety
/// Dropping it loses no frame.
///
/// # Panics
/// Polling it again after it was ready panics.
#[derive(Debug)]
#[must_use = "a frame is read by awaiting it"]
pub struct Recv<'a> {
    stream: Option<&'a mut Stream>,
}

impl<'a> Future for Recv<'a> {
    type Output = Result<Option<Frame<'a>>, CallError>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let stream = self.stream.take().expect("a wait is not polled after it was ready");
        if Slot::has_more(stream.seen, stream.head) {
            return Poll::Ready(Ok(Some(Frame { stream })));
        }
        match stream.look(context) {
            Poll::Ready(Ok(true)) => Poll::Ready(Ok(Some(Frame { stream }))),
            Poll::Ready(Ok(false)) => Poll::Ready(Ok(None)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.stream = Some(stream);
                Poll::Pending
            }
        }
    }
}

impl Drop for Recv<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // A wait that is over took its deadline back itself; another takes it with it.
        if let Some(stream) = &self.stream
            && let Some(slot) = stream.slot
        {
            timer::disarm(slot);
        }
    }
}

impl Drop for Stream {
    #[inline]
    fn drop(&mut self) {
        if self.slot.is_some() {
            self.cancel();
        }
    }
}

impl futures_core::Stream for Stream {
    type Item = Result<FrameBuf, CallError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.poll_more(context).map(|more| match more {
            Ok(true) => Some(Ok(Frame { stream: this }.into_owned())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

impl futures_core::FusedStream for Stream {
    fn is_terminated(&self) -> bool {
        self.slot.is_none() || (self.ended && !Slot::has_more(self.seen, self.head))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?} to {})", self.sid, self.link.name())
    }
}

/// One frame of a stream: its status, and its bytes by `Deref`.
///
/// Dropping it gives its place in the queue back to the plugin.
pub struct Frame<'a> {
    stream: &'a mut Stream,
}

impl Frame<'_> {
    #[inline(always)]
    fn read<R>(&self, f: impl FnOnce(&Payload) -> R) -> R {
        let slot = self.slot();
        // SAFETY: a frame is made when the word shows more than the head, by the stream's reader.
        let cell = unsafe { slot.frame(self.stream.head) };
        // SAFETY: what is below the tail is the reader's, and `self` is borrowed.
        cell.with(|payload| f(unsafe { &*payload }))
    }

    #[inline(always)]
    fn slot(&self) -> &'static Slot {
        self.stream.slot.expect("a frame is of a stream that is open")
    }

    /// What the plugin sent it as: `Ok`, or how the stream ended.
    #[inline]
    pub fn status(&self) -> Status {
        self.read(Payload::status).meaning()
    }

    /// The frame with bytes of its own.
    pub fn into_owned(self) -> FrameBuf {
        FrameBuf { status: self.status(), bytes: self.to_vec() }
    }
}

impl std::ops::Deref for Frame<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: as in `read`. The bytes stay until the frame is dropped, which the borrow of
        // `self` rules out.
        let cell = unsafe { self.slot().frame(self.stream.head) };
        cell.with(|payload| {
            // SAFETY: as above.
            unsafe { &*payload }.bytes()
        })
    }
}

impl Drop for Frame<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the frame is being dropped, so nothing borrows its bytes.
        unsafe { self.slot().free_frame(self.stream.head) };
        self.stream.head += 1;
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}, {} bytes)", self.status(), self.len())
    }
}

/// A frame that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameBuf {
    /// What the plugin sent it as: `Ok`, or how the stream ended.
    pub status: Status,
    /// What it brought.
    pub bytes: Vec<u8>,
}
