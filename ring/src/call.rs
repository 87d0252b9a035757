//! A call that is owed one answer, and the reply that comes of it.

#![expect(unsafe_code, reason = "the waiter's right to its slot is made into a `Held`")]

use crate::error::{CallError, Fault};
use crate::held::Held;
use crate::lane;
use crate::limits::nanos;
use crate::link::LinkCell;
use crate::port::owner_link;
use crate::sid::Sid;
use crate::slot::{Left, NEVER, Seen, Slot};
use crate::sync::Relaxed;
use crate::{clock, timer};
use futures_core::FusedFuture;
use ringbox_abi::Status;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// The waiter left its waker and goes: arms its deadline, `budget` nanoseconds from when it first
/// went. A call that is answered at once never reads the clock.
#[inline]
pub(crate) fn arm(slot: &'static Slot, budget: u64) {
    let at = match slot.deadline.load(Relaxed) {
        NEVER if budget == NEVER => return,
        NEVER => clock::after(budget),
        armed => armed,
    };
    timer::arm(slot, at);
}

/// The fault with what only the waiter knows.
pub(crate) fn explain(fault: Fault, budget: u64) -> Fault {
    match fault {
        Fault::Deadline { .. } => Fault::Deadline { after: Duration::from_nanos(budget) },
        other => other,
    }
}

/// A call that the plugin has, to be awaited.
///
/// # Cancel safety
/// Dropping it at any time cancels the call: its slot is free at once, the plugin is told, and a
/// late answer is dropped and counted.
///
/// # Panics
/// Polling it again after it was ready panics.
#[must_use = "dropping a call cancels it"]
pub struct Call {
    // Two words and no more: a future is moved before it is polled.
    slot: Option<&'static Slot>,
    sid: Sid,
}

impl Call {
    #[inline(always)]
    pub(crate) fn new(slot: &'static Slot, sid: Sid) -> Self {
        Self { slot: Some(slot), sid }
    }

    /// The call's name, as its plugin knows it.
    pub fn sid(&self) -> Sid {
        self.sid
    }

    /// Gives the call `deadline` from when it begins to wait, in place of the plugin's default.
    pub fn deadline(self, deadline: Duration) -> Timed {
        // A call that waited already begins anew.
        if let Some(slot) = self.slot {
            timer::disarm(slot);
        }
        Timed { call: self, budget: nanos(deadline) }
    }

    /// The answer, if the plugin gave it at once. Else the call is cancelled.
    ///
    /// # Errors
    /// [`CallError::NotImmediate`], or the call's fault.
    #[inline]
    pub fn now(mut self) -> Result<Reply, CallError> {
        match self.slot {
            Some(slot) if slot.is_answered(self.sid) || slot.is_ended(self.sid) => {
                self.finish(slot, None)
            }
            _ => Err(CallError::NotImmediate),
        }
    }

    /// Blocks this thread until the answer is there.
    ///
    /// # Errors
    /// The call's fault; [`CallError::WouldDeadlock`] on a thread that is inside a plugin, unless
    /// the answer is there already.
    pub fn wait(self) -> Result<Reply, CallError> {
        wait(self)
    }

    #[inline(always)]
    fn poll_for(
        &mut self,
        context: &mut Context<'_>,
        budget: Option<u64>,
    ) -> Poll<Result<Reply, CallError>> {
        let slot = self.slot.expect("a call is not polled after it was ready");
        if slot.is_answered(self.sid) {
            return Poll::Ready(self.finish(slot, budget));
        }
        // What a cold function writes its result to lies in memory: taken apart, that is a place of
        // its own, and an answer that was there takes no such detour.
        match self.poll_cold(slot, context, budget) {
            Poll::Ready(Ok(reply)) => Poll::Ready(Ok(reply)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    #[cold]
    #[inline(never)]
    fn poll_cold(
        &mut self,
        slot: &'static Slot,
        context: &mut Context<'_>,
        budget: Option<u64>,
    ) -> Poll<Result<Reply, CallError>> {
        match slot.poll(self.sid, context.waker()) {
            Seen::Ready => Poll::Ready(self.finish(slot, budget)),
            Seen::Pending => {
                arm(slot, budget.unwrap_or(link_of(slot).deadline));
                Poll::Pending
            }
        }
    }

    /// The call is over: takes its reply or its fault.
    #[inline(always)]
    fn finish(&mut self, slot: &'static Slot, budget: Option<u64>) -> Result<Reply, CallError> {
        self.slot = None;
        timer::disarm(slot);
        // SAFETY: callers saw READY or ENDED and this is the waiter, which forgets the slot here.
        let mut held = unsafe { Held::new(slot, self.sid) };
        if let Some(fault) = held.payload_mut().take_fault() {
            return Err(self.fail(held, link_of(slot), fault, budget));
        }
        link_of(slot).finish(held.payload().bytes().len(), 0);
        Ok(Reply(held))
    }

    #[cold]
    #[inline(never)]
    fn fail(
        &self,
        held: Held,
        link: &'static LinkCell,
        fault: Fault,
        budget: Option<u64>,
    ) -> CallError {
        link.finish(0, 0);
        drop(held);
        let fault = explain(fault, budget.unwrap_or(link.deadline));
        link.count_fault(&fault);
        if let Fault::Deadline { .. } = fault {
            link.tell_cancelled(self.sid);
        }
        CallError::from(fault)
    }

    /// The plugin refused the call: nothing is owed.
    #[cold]
    pub(crate) fn refused(mut self) {
        self.leave();
    }

    #[cold]
    fn leave(&mut self) -> Option<(Left, &'static LinkCell)> {
        let slot = self.slot.take()?;
        // What the slot says of the call goes first: once it is left it may be another's.
        let link = link_of(slot);
        timer::disarm(slot);
        let left = slot.leave(self.sid);
        link.finish(0, 0);
        if left != Left::ToAnswerer {
            // SAFETY: leaving ended the generation and left the slot to this thread.
            let mut held = unsafe { Held::new(slot, self.sid) };
            if let Some(fault) = held.payload_mut().take_fault() {
                link.count_fault(&fault);
            }
        }
        Some((left, link))
    }

    #[cold]
    #[inline(never)]
    fn cancel(&mut self) {
        if let Some((left, link)) = self.leave() {
            // One that is over was merely not looked at.
            if left != Left::Over {
                link.cancelled.fetch_add(1, Relaxed);
            }
            if left == Left::Unanswered {
                link.tell_cancelled(self.sid);
            }
        }
    }
}

/// The plugin that an open call's slot was given to.
#[inline(always)]
pub(crate) fn link_of(slot: &Slot) -> &'static LinkCell {
    owner_link(slot).expect("a slot is opened for a port")
}

impl Future for Call {
    type Output = Result<Reply, CallError>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_for(context, None)
    }
}

impl FusedFuture for Call {
    fn is_terminated(&self) -> bool {
        self.slot.is_none()
    }
}

impl Drop for Call {
    #[inline(always)]
    fn drop(&mut self) {
        if self.slot.is_some() {
            self.cancel();
        }
    }
}

/// A [`Call`] with a deadline of its own.
#[derive(Debug)]
#[must_use = "dropping a call cancels it"]
pub struct Timed {
    call: Call,
    budget: u64,
}

impl Timed {
    /// The call's name, as its plugin knows it.
    pub fn sid(&self) -> Sid {
        self.call.sid
    }

    /// Blocks this thread until the answer is there.
    ///
    /// # Errors
    /// As for [`Call::wait`].
    pub fn wait(self) -> Result<Reply, CallError> {
        wait(self)
    }
}

impl Future for Timed {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.call.poll_for(context, Some(this.budget))
    }
}

impl FusedFuture for Timed {
    fn is_terminated(&self) -> bool {
        self.call.is_terminated()
    }
}

fn wait(
    mut call: impl Future<Output = Result<Reply, CallError>> + Unpin,
) -> Result<Reply, CallError> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = Pin::new(&mut call).poll(&mut context) {
            return result;
        }
        if !lane::here().may_wait() {
            return Err(CallError::WouldDeadlock);
        }
        thread::park();
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({:?})", self.sid)
    }
}

/// Wakes a thread that blocks on an answer.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The plugin's answer: its status, and its bytes by `Deref`.
///
/// The bytes stay where the plugin's answer left them, and their buffer serves another call when
/// the reply is dropped.
#[must_use]
pub struct Reply(Held);

impl Reply {
    /// What the plugin said of the call.
    #[inline]
    pub fn status(&self) -> Status {
        self.0.payload().status().meaning()
    }

    /// The bytes as a `Vec` of their own.
    pub fn into_vec(mut self) -> Vec<u8> {
        self.0.payload_mut().take_vec()
    }
}

impl std::ops::Deref for Reply {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.0.payload().bytes()
    }
}

impl AsRef<[u8]> for Reply {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status(), self.len())
    }
}
