//! Every interleaving of the ring's parts, under loom (`cargo xtask loom`).
//!
//! The models run the code that ships, up to where statics begin: slots, queues, the home stack,
//! tallies and timers of their own. What the rest of the ring does with an outcome (waking,
//! releasing what it was handed) is done here by a few lines of the same shape.
//!
//! `LOOM_MAX_PREEMPTIONS` bounds how often a thread may lose its turn; 3 unless set.

#![expect(unsafe_code, reason = "the models take the parts of those who hold a slot")]

mod handing;
mod home;
mod later;
mod queue;
mod slot;
mod tally;
mod timer;
mod turn;

use crate::error::Fault;
use crate::payload::Answer;
use crate::sid::Sid;
use crate::slot::{Left, Next, Outcome, Reason, Seen, Slot};
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use ringbox_abi::RawStatus;
use std::future::poll_fn;
use std::ptr::without_provenance_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};

const MINE: *mut () = without_provenance_mut(64);
const OTHER: *mut () = without_provenance_mut(128);

fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.max_branches = 20_000;
    builder.check(body);
}

/// A slot that served a call before, and has room for another answer as short.
fn roomy() -> Slot {
    let slot = Slot::new(3);
    slot.fill(Answer::Copied(RawStatus::OK, &[0; 3]));
    slot
}

fn spawn<T: 'static>(slot: &Arc<Slot>, body: impl FnOnce(&Slot) -> T + 'static) -> JoinHandle<T> {
    let slot = slot.clone();
    thread::spawn(move || body(&slot))
}

/// What an answer came to, for whoever gave it.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
enum Fate {
    Taken,
    /// The waiter left meanwhile, and the answering thread released the slot.
    Orphaned,
    Dropped(Reason),
}

/// Does with an outcome what a port does.
fn settle(slot: &Slot, sid: Sid, outcome: Outcome) -> Fate {
    match outcome {
        Outcome::Delivered(waker) => {
            if let Some(waker) = waker {
                waker.wake();
            }
            Fate::Taken
        }
        Outcome::Orphaned => {
            release(slot, sid);
            Fate::Orphaned
        }
        Outcome::Dropped(reason) => Fate::Dropped(reason),
    }
}

/// Lets go of a slot, as the lane does it.
fn release(slot: &Slot, sid: Sid) {
    // SAFETY: the models call it for a slot that the word gave to the calling thread; loom's
    // cells complain where that is not so.
    drop(unsafe { slot.take_queue() });
    // SAFETY: as above.
    assert_eq!(unsafe { slot.release(sid) }, Next::Reusable);
}

/// Answers with three bytes of `value`.
fn answer(slot: &Slot, sid: Sid, owner: *mut (), value: u8) -> Fate {
    let outcome = slot.answer(sid, owner, Answer::Copied(RawStatus::OK, &[value; 3]));
    settle(slot, sid, outcome)
}

fn answer_inside(slot: &Slot, sid: Sid, owner: *mut (), value: u8) -> Fate {
    let outcome = slot.answer_inside(sid, owner, Answer::Copied(RawStatus::OK, &[value; 3]));
    settle(slot, sid, outcome)
}

/// The host's fault.
fn end(slot: &Slot, sid: Sid) -> Fate {
    let outcome = slot.end(sid, |slot| owned_by(slot, MINE), Fault::Unloaded);
    settle(slot, sid, outcome)
}

fn owned_by(slot: &Slot, owner: *mut ()) -> bool {
    slot.owner.load(Ordering::Relaxed) == owner
}

/// Waits for the call's end as an executor would.
fn wait(slot: &Slot, sid: Sid) -> Result<u8, Fault> {
    loom::future::block_on(poll_fn(|context| match slot.poll(sid, context.waker()) {
        Seen::Ready => Poll::Ready(()),
        Seen::Pending => Poll::Pending,
    }));
    read(slot, sid)
}

/// What the waiter reads of a call that is over. It releases the slot.
fn read(slot: &Slot, sid: Sid) -> Result<u8, Fault> {
    // SAFETY: callers saw the call's end, and they are its waiter.
    let fault = unsafe { slot.payload_mut() }.take_fault();
    let result = match fault {
        Some(fault) => Err(fault),
        None => {
            // SAFETY: as above.
            let bytes = unsafe { slot.payload() }.bytes();
            assert!(bytes.len() == 3 && bytes.iter().all(|byte| *byte == bytes[0]), "{bytes:?}");
            Ok(bytes[0])
        }
    };
    release(slot, sid);
    result
}

/// The waiter leaves. True: it released the slot.
fn leave(slot: &Slot, sid: Sid) -> bool {
    let left = slot.leave(sid);
    if left != Left::ToAnswerer {
        release(slot, sid);
    }
    left != Left::ToAnswerer
}

/// A task that isn't run, only woken.
struct Task(AtomicBool);

impl Task {
    fn new() -> (std::sync::Arc<Self>, Waker) {
        let task = std::sync::Arc::new(Self(AtomicBool::new(false)));
        (task.clone(), Waker::from(task))
    }

    fn was_woken(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Task {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
