//! A call that is owed one answer, and the reply that comes of it.

#![expect(unsafe_code, reason = "the waiter's right to its slot is made into a `Held`")]

use crate::error::{CallError, Fault};
use crate::held::Held;
use crate::lane;
use crate::limits::nanos;
use crate::link::LinkCell;
use crate::sid::Sid;
use crate::slot::{Left, NEVER, Seen, Slot};
use crate::sync::Relaxed;
use crate::{clock, timer};
use ringbox_abi::Status;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// How long a waiter waits, and until when once it does.
pub(crate) struct Patience {
    budget: u64,
    /// 0 until the first wait: a call that is answered at once never reads the clock.
    due: u64,
}

impl Patience {
    pub(crate) fn new(deadline: Duration) -> Self {
        Self { budget: nanos(deadline), due: 0 }
    }

    /// The waiter left its waker and goes.
    #[inline]
    pub(crate) fn arm(&mut self, slot: &'static Slot) -> Result<(), CallError> {
        if self.due == 0 {
            self.due = if self.budget == NEVER { NEVER } else { clock::after(self.budget) };
        }
        if self.due == NEVER { Ok(()) } else { timer::arm(slot, self.due) }
    }

    /// The waiter waits no more.
    #[inline(always)]
    pub(crate) fn disarm(&mut self, slot: &Slot) {
        if self.due != 0 {
            timer::disarm(slot);
            self.due = 0;
        }
    }

    /// The fault with what only the waiter knows.
    pub(crate) fn explain(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Deadline { .. } => {
                Fault::Deadline { after: Duration::from_nanos(self.budget) }
            }
            other => other,
        }
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
    slot: Option<&'static Slot>,
    sid: Sid,
    link: &'static LinkCell,
    patience: Patience,
}

impl Call {
    #[inline(always)]
    pub(crate) fn new(slot: &'static Slot, sid: Sid, link: &'static LinkCell) -> Self {
        Self { slot: Some(slot), sid, link, patience: Patience::new(link.limits.deadline) }
    }

    /// The call's name, as its plugin knows it.
    pub fn sid(&self) -> Sid {
        self.sid
    }

    /// Gives the call `deadline` from when it begins to wait, in place of the plugin's default.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.patience = Patience::new(deadline);
        self
    }

    /// The answer, if the plugin gave it at once. Else the call is cancelled.
    ///
    /// # Errors
    /// [`CallError::NotImmediate`], or the call's fault.
    #[inline]
    pub fn now(mut self) -> Result<Reply, CallError> {
        match self.slot {
            Some(slot) if slot.is_answered(self.sid) => self.finish(slot),
            _ => Err(CallError::NotImmediate),
        }
    }

    /// Blocks this thread until the answer is there.
    ///
    /// # Errors
    /// The call's fault; [`CallError::WouldDeadlock`] on a thread that is inside a plugin, unless
    /// the answer is there already.
    pub fn wait(mut self) -> Result<Reply, CallError> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = Pin::new(&mut self).poll(&mut context) {
                return result;
            }
            if lane::here(lane::Here::is_inside) {
                return Err(CallError::WouldDeadlock);
            }
            thread::park();
        }
    }

    /// The call is over: takes its reply or its fault.
    #[inline(always)]
    fn finish(&mut self, slot: &'static Slot) -> Result<Reply, CallError> {
        self.slot = None;
        self.patience.disarm(slot);
        // SAFETY: callers saw READY or ENDED and this is the waiter, which forgets the slot here.
        let mut held = unsafe { Held::new(slot, self.sid) };
        match held.payload_mut().take_fault() {
            None => {
                self.link.finish(held.payload().bytes().len(), 0);
                Ok(Reply(held))
            }
            Some(fault) => Err(self.fail(held, fault)),
        }
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self, held: Held, fault: Fault) -> CallError {
        drop(held);
        let fault = self.patience.explain(fault);
        self.link.finish(0, 0);
        self.link.count_fault(&fault);
        if let Fault::Deadline { .. } = fault {
            self.tell_plugin();
        }
        CallError::Fault(fault)
    }

    /// The plugin refused the call: nothing is owed.
    #[cold]
    pub(crate) fn refused(mut self) {
        let _ = self.leave();
    }

    #[cold]
    fn leave(&mut self) -> Option<Left> {
        let slot = self.slot.take()?;
        // The deadline first: the slot may be another's as soon as it is left.
        self.patience.disarm(slot);
        let left = slot.leave(self.sid);
        if left != Left::ToAnswerer {
            // SAFETY: leaving ended the generation and left the slot to this thread.
            drop(unsafe { Held::new(slot, self.sid) });
        }
        self.link.finish(0, 0);
        Some(left)
    }

    #[cold]
    fn cancel(&mut self) {
        if let Some(left) = self.leave() {
            self.link.cancelled.fetch_add(1, Relaxed);
            if left == Left::Unanswered {
                self.tell_plugin();
            }
        }
    }

    /// Advice: the plugin may stop working on it. One that is being unloaded needs none.
    fn tell_plugin(&self) {
        let _ = self.link.visit(|backend| backend.cancel(self.sid));
    }

    #[cold]
    #[inline(never)]
    fn poll_cold(
        &mut self,
        slot: &'static Slot,
        context: &mut Context<'_>,
    ) -> Poll<Result<Reply, CallError>> {
        match slot.poll(self.sid, context.waker()) {
            Seen::Ready => Poll::Ready(self.finish(slot)),
            Seen::Pending => match self.patience.arm(slot) {
                Ok(()) => Poll::Pending,
                Err(error) => {
                    self.cancel();
                    Poll::Ready(Err(error))
                }
            },
        }
    }
}

impl Future for Call {
    type Output = Result<Reply, CallError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let slot = this.slot.expect("a call is not polled after it was ready");
        if slot.is_answered(this.sid) {
            return Poll::Ready(this.finish(slot));
        }
        this.poll_cold(slot, context)
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

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({:?} to {})", self.sid, self.link.name)
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
