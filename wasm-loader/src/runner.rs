//! The host's own threads, which run guests where no caller may.

use crate::place::Place;
use crate::stack;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

static RUNNERS: Runners = Runners {
    state: Mutex::new(State { places: VecDeque::new(), threads: 0, idle: 0, deepest: 0 }),
    more: Condvar::new(),
};

struct Runners {
    state: Mutex<State>,
    more: Condvar,
}

struct State {
    /// Places whose turn was given up for a runner.
    places: VecDeque<Arc<Place>>,
    threads: usize,
    idle: usize,
    /// The most stack that a guest of any plugin may take.
    deepest: usize,
}

/// Makes sure that there is a runner, and that all have the stack. Those that haven't end: any may
/// come to run any plugin.
pub(crate) fn start(wasm_stack: usize) -> io::Result<()> {
    let mut state = RUNNERS.lock();
    if state.threads == 0 || state.deepest < wasm_stack {
        let deepest = state.deepest.max(wasm_stack);
        // First the one that stays: where the system gives none, the others go on.
        RUNNERS.spawn(&mut state, deepest)?;
        state.deepest = deepest;
        drop(state);
        RUNNERS.more.notify_all();
    }
    Ok(())
}

/// Has a runner run the place, whose turn was given up for it.
pub(crate) fn submit(place: Arc<Place>) {
    let mut state = RUNNERS.lock();
    state.places.push_back(place);
    RUNNERS.help(&mut state);
    drop(state);
    RUNNERS.more.notify_one();
}

/// Takes a place back, with its turn, if no runner has it yet.
pub(crate) fn take_back(place: &Place) -> bool {
    let mut state = RUNNERS.lock();
    let at = state.places.iter().position(|other| std::ptr::eq(&raw const **other, place));
    at.and_then(|at| state.places.remove(at)).is_some()
}

fn most() -> usize {
    thread::available_parallelism().map_or(2, usize::from).max(2)
}

impl Runners {
    /// No foreign code runs under this lock, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, state: &mut State, wasm_stack: usize) -> io::Result<()> {
        let thread = thread::Builder::new().name("ringbox-runner".into());
        thread.stack_size(wasm_stack + stack::THREAD).spawn(move || run(wasm_stack))?;
        state.threads += 1;
        Ok(())
    }

    /// One more runner, if all are busy and there may be more.
    fn help(&self, state: &mut State) {
        if state.idle == 0 && state.threads < most() {
            // Those that there are do it too, later.
            let deepest = state.deepest;
            let _ = self.spawn(state, deepest);
        }
    }

    /// The next place, for a runner with so much stack for guests. None: it hasn't enough any more.
    fn next(&self, wasm_stack: usize) -> Option<Arc<Place>> {
        let mut state = self.lock();
        loop {
            if wasm_stack < state.deepest {
                state.threads -= 1;
                if !state.places.is_empty() {
                    // This one may be who was told of them.
                    self.help(&mut state);
                    self.more.notify_one();
                }
                return None;
            }
            if let Some(place) = state.places.pop_front() {
                return Some(place);
            }
            state.idle += 1;
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

fn run(wasm_stack: usize) {
    while let Some(place) = RUNNERS.next(wasm_stack) {
        // Leaving the plugin may run users' wakers, which may panic.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| place.run())) {
            std::mem::forget(panic);
        }
    }
}
