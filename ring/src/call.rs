//! A call that is owed one answer, and the reply that comes of it.

#![expect(unsafe_code, reason = "the waiter's right to its slot is made into a `Held`")]

use crate::error::{CallError, Fault};
use crate::held::Held;
use crate::lane;
use crate::limits::nanos;
use crate::link::{Link, finish_in};
use crate::port::link_of;
use crate::sid::{NOTIFY, Sid};
use crate::slot::{Left, NEVER, Seen, Slot};
use crate::sync::Relaxed;
use crate::tally::Tally;
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
pub struct Call(Option<Open>);

/// A call that its waiter has not let go of.
///
/// Two words and no more, handed to cold code by value: what lies in memory because its address is
/// known elsewhere is stored and read again on the way of every call.
#[derive(Copy, Clone)]
struct Open {
    slot: &'static Slot,
    name: Name,
}

/// A call's sid, and whether the call is settled: its answer was there when dispatch returned, it
/// is counted, and it is no fault.
///
/// Only sids of calls without a slot have the top bit, so it is free to say that.
#[derive(Copy, Clone)]
struct Name(u64);

const SETTLED: u64 = NOTIFY;

impl Name {
    #[inline(always)]
    const fn sid(self) -> Sid {
        Sid::from_raw(self.0 & !SETTLED)
    }

    #[inline(always)]
    const fn is_settled(self) -> bool {
        self.0 & SETTLED != 0
    }
}

impl Call {
    #[inline(always)]
    pub(crate) fn new(slot: &'static Slot, sid: Sid) -> Self {
        Self(Some(Open { slot, name: Name(sid.as_raw()) }))
    }

    /// The plugin has the call, and its dispatch has returned.
    #[inline(always)]
    pub(crate) fn taken(self, tally: &Tally) -> Self {
        let mut open = self.forget();
        if let Some(Open { slot, name }) = &mut open {
            let sid = name.sid();
            if !slot.is_answered() {
                slot.left_dispatch(sid);
            // SAFETY: the word is READY, and the slot is the waiter's: this call's.
            } else if let Some(len) = unsafe { slot.payload() }.own_len() {
                finish_in(tally, len, 0);
                name.0 |= SETTLED;
            }
        }
        Self(open)
    }

    #[inline(always)]
    fn forget(mut self) -> Option<Open> {
        self.0.take()
    }

    /// The call's name, as its plugin knows it.
    ///
    /// # Panics
    /// After the call was ready.
    pub fn sid(&self) -> Sid {
        self.0.expect("a call has its name until it is ready").name.sid()
    }

    /// Gives the call `deadline` from when it begins to wait, in place of the plugin's default.
    pub fn deadline(self, deadline: Duration) -> Timed {
        // A call that waited already begins anew.
        if let Some(open) = self.0 {
            timer::disarm(open.slot);
        }
        Timed { call: self, budget: nanos(deadline) }
    }

    /// The answer, if the plugin gave it at once. Else the call is cancelled.
    ///
    /// # Errors
    /// [`CallError::NotImmediate`], or the call's fault.
    #[inline]
    pub fn now(self) -> Result<Reply, CallError> {
        match self.0 {
            Some(open) if open.name.is_settled() => {
                self.forget();
                Ok(open.reply())
            }
            Some(open) if open.is_over() => {
                self.forget();
                open.finish(None)
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
        let open = self.0.expect("a call is not polled after it was ready");
        if open.name.is_settled() {
            self.0 = None;
            return Poll::Ready(Ok(open.reply()));
        }
        // What a cold function writes its result to lies in memory: taken apart, that is a place of
        // its own, and an answer that was there takes no such detour.
        if open.poll(context, budget) == Seen::Pending {
            return Poll::Pending;
        }
        self.0 = None;
        match open.finish(budget) {
            Ok(reply) => Poll::Ready(Ok(reply)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The plugin refused the call: nothing is owed.
    #[cold]
    pub(crate) fn refused(self) {
        if let Some(open) = self.forget() {
            open.refuse();
        }
    }
}

impl Open {
    #[inline(never)]
    fn poll(self, context: &mut Context<'_>, budget: Option<u64>) -> Seen {
        let seen = self.slot.poll(self.name.sid(), context.waker());
        if seen == Seen::Pending {
            arm(self.slot, budget.unwrap_or(deadline_of(link_of(self.slot))));
        }
        seen
    }

    /// Whether the word is READY or ENDED.
    fn is_over(self) -> bool {
        self.slot.is_answered() || self.slot.is_ended()
    }

    /// The reply of a call that is over, counted and no fault. The waiter lets go of its slot.
    #[inline(always)]
    fn reply(self) -> Reply {
        // Whoever releases a slot looks at the generation alone, so the SETTLED bit may stay.
        let sid = Sid::from_raw(self.name.0);
        // SAFETY: the word is READY, as callers saw, and they forget the slot by this.
        Reply(unsafe { Held::new(self.slot, sid) })
    }

    /// The call is over and not settled: takes its reply or its fault.
    #[inline(never)]
    fn finish(self, budget: Option<u64>) -> Result<Reply, CallError> {
        let (slot, sid, link) = (self.slot, self.name.sid(), link_of(self.slot));
        timer::disarm(slot);
        // SAFETY: callers saw READY or ENDED and this is the waiter, which forgets the slot here.
        let mut held = unsafe { Held::new(slot, sid) };
        let Some(fault) = held.payload_mut().take_fault() else {
            link.finish(held.payload().bytes().len(), 0);
            return Ok(Reply(held));
        };
        drop(held);
        let fault = explain(fault, budget.unwrap_or_else(|| deadline_of(link)));
        link.count_fault(&fault);
        link.finish(0, 0);
        if let Fault::Deadline { .. } = fault {
            link.tell_cancelled(sid);
        }
        Err(CallError::from(fault))
    }

    /// Lets go of a call that is not settled. How long its answer is, if that was there.
    #[cold]
    fn leave(self) -> (Left, usize) {
        let (slot, sid, link) = (self.slot, self.name.sid(), link_of(self.slot));
        timer::disarm(slot);
        let left = slot.leave(sid);
        if left == Left::ToAnswerer {
            return (left, 0);
        }
        // SAFETY: leaving ended the generation and left the slot to this thread.
        let mut held = unsafe { Held::new(slot, sid) };
        if let Some(fault) = held.payload_mut().take_fault() {
            link.count_fault(&fault);
            return (left, 0);
        }
        (left, if left == Left::Over { held.payload().bytes().len() } else { 0 })
    }

    #[cold]
    #[inline(never)]
    fn refuse(self) {
        let link = link_of(self.slot);
        let _ = self.leave();
        link.finish(0, 0);
    }

    #[cold]
    #[inline(never)]
    fn cancel(self) {
        if self.name.is_settled() {
            return drop(self.reply());
        }
        // What the slot says of the call goes first: once it is left it may be another's.
        let link = link_of(self.slot);
        let (left, bytes) = self.leave();
        // One that is over was merely not looked at.
        if left != Left::Over {
            link.count_cancelled();
        }
        link.finish(bytes, 0);
        if left == Left::Unanswered {
            link.tell_cancelled(self.name.sid());
        }
    }
}

fn deadline_of(link: Link) -> u64 {
    link.cell().deadline.load(Relaxed)
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
        self.0.is_none()
    }
}

impl Drop for Call {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(open) = self.0 {
            open.cancel();
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
        self.call.sid()
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
        match self.0 {
            Some(open) => write!(f, "Call({:?})", open.name.sid()),
            None => f.write_str("Call(over)"),
        }
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
