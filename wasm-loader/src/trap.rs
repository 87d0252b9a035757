//! Why a guest was stopped, in the ring's words.

use crate::state::State;
use crate::wasi::WasiTrap;
use ringbox_ring::{TrapCause, Trapped};
use wasmtime::{Error, Trap};

/// More of an error's text than this is not for callers.
const MOST: usize = 512;

/// What `error`, with which the guest was left, comes to.
#[cold]
pub(crate) fn trapped(error: &Error, state: &State) -> Trapped {
    Trapped::new(cause(error, state), state.wasi.stderr_tail().into())
}

/// A host function that the guest called panicked.
#[cold]
pub(crate) fn host_panicked(state: &State) -> Trapped {
    let cause = TrapCause::Other("a function of the host's panicked".into());
    Trapped::new(cause, state.wasi.stderr_tail().into())
}

/// The guest was left while it waited, since nobody needs it any more.
#[cold]
pub(crate) fn cancelled(state: &State) -> Trapped {
    Trapped::new(TrapCause::Cancelled, state.wasi.stderr_tail().into())
}

/// The guest waited for something that did not come, and was left. What it said went with it.
#[cold]
pub(crate) fn waited() -> Trapped {
    Trapped::new(TrapCause::Other("it waited for too long".into()), Box::default())
}

fn cause(error: &Error, state: &State) -> TrapCause {
    if let Some(stopped) = state.meter.stopped() {
        return stopped;
    }
    if let Some(WasiTrap::Exited { code }) = error.downcast_ref() {
        return TrapCause::Exit { code: i32::from(*code) };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => TrapCause::Stack,
        // A guest that gets no memory usually gives up.
        Some(Trap::UnreachableCodeReached) => {
            state.limiter.denied().cloned().unwrap_or(TrapCause::Abort)
        }
        Some(trap) => TrapCause::Other(trap.to_string().into()),
        None => TrapCause::Other(cut(error.root_cause().to_string()).into()),
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MOST));
    text
}
