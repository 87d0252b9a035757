//! Wakers run when no plugin's code is below them on the stack.

use crate::lane;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes now, or, on a thread that is inside a dispatch, once it has left it.
pub(crate) fn wake(waker: Waker) {
    let here = lane::here();
    let now = if here.is_inside() { here.put_off(waker) } else { Some(waker) };
    now.into_iter().for_each(run);
}

/// Wakes what was put off. A waker may call plugins itself, and so put off others.
pub(crate) fn run_deferred(lane: &lane::Lane) {
    while lane.later.has_any() {
        lane.later.take().for_each(run);
    }
}

/// Wakes what threads put off that have not left the plugin's code since. The timer does so when a
/// call has its answer and yet its deadline passes: a plugin that stays inside keeps its own
/// caller, and nobody else's.
#[cold]
pub(crate) fn run_everybodys_deferred() {
    lane::lanes().for_each(run_deferred);
}

/// A waker is its executor's code. It may panic, and whoever answered is not to blame: below
/// this frame there may be one that must not be unwound.
fn run(waker: Waker) {
    contain(|| waker.wake());
}

/// Runs foreign code, and ends a panic of its here.
pub(crate) fn contain(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        // Dropping what a panic carries may panic too.
        std::mem::forget(payload);
    }
}
