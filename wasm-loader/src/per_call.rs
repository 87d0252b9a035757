//! A plugin with an instance for each call.
//!
//! A place is in the pen's `free`, or somebody has its turn, or its instance waits for something.
//! Who lets go of the turn of a place whose call is over puts it back.

use crate::clock;
use crate::job::{Job, OwnedCall};
use crate::limits::WasmLimits;
use crate::numbers::Numbers;
use crate::place::Place;
use crate::plugin::Plugin;
use crate::stack;
use ringbox_ring::{CallError, EntryId, Invocation, PluginBackend, Refusal, Sid, Status};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// How long somebody who wants an entry's number waits for a free place.
const PATIENCE: Duration = Duration::from_secs(1);

/// Free places, or calls that wait for one: never both.
pub(crate) struct Pen {
    state: Mutex<State>,
    most_calls: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct State {
    free: Vec<Arc<Place>>,
    waiting: VecDeque<(Sid, OwnedCall, usize)>,
    bytes: usize,
    closed: bool,
}

impl Pen {
    pub(crate) fn new(limits: &WasmLimits) -> Self {
        let (most_calls, most_bytes) = (limits.queued_calls, limits.queued_bytes);
        Self { state: Mutex::default(), most_calls, most_bytes }
    }

    /// A free place.
    fn take(&self) -> Option<Arc<Place>> {
        self.lock().free.pop()
    }

    /// Leaves the call with a free place, or has it wait for one.
    fn place_or_wait(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), CallError> {
        let bytes = OwnedCall::bytes(call);
        if bytes > self.most_bytes {
            return Err(CallError::QueueFull);
        }
        let call = OwnedCall::copy(call);
        let mut state = self.lock();
        if let Some(place) = state.free.pop() {
            drop(state);
            place.push(Job::Call { sid, call });
            return Ok(());
        }
        if state.waiting.len() >= self.most_calls || bytes > self.most_bytes - state.bytes {
            return Err(CallError::QueueFull);
        }
        state.bytes += bytes;
        state.waiting.push_back((sid, call, bytes));
        Ok(())
    }

    /// The next call that waits, for a place that is free.
    pub(crate) fn next(&self) -> Option<Job> {
        self.lock().next()
    }

    /// The place, which was taken, is free.
    pub(crate) fn give_back(&self, place: &Place) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        match state.next() {
            Some(job) => {
                drop(state);
                place.push(job);
            }
            None => state.free.push(place.arc()),
        }
    }

    /// Takes a call back that still waits.
    fn remove(&self, sid: Sid) -> bool {
        let mut state = self.lock();
        let at = state.waiting.iter().position(|(waiting, ..)| *waiting == sid);
        let gone = at.and_then(|at| state.waiting.remove(at));
        if let Some((.., bytes)) = &gone {
            state.bytes -= bytes;
        }
        gone.is_some()
    }

    /// How many calls wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Nothing is taken or given back any more.
    fn close(&self) {
        let gone = std::mem::replace(&mut *self.lock(), State { closed: true, ..State::default() });
        drop(gone);
    }

    /// No guest runs under this lock, and no place is dropped under it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Job> {
        let (sid, call, bytes) = self.waiting.pop_front()?;
        self.bytes -= bytes;
        Some(Job::Call { sid, call })
    }
}

/// `Policy::PerCall`.
pub(crate) struct PerCall {
    plugin: Arc<Plugin>,
    places: Box<[Arc<Place>]>,
    pen: Arc<Pen>,
    numbers: Numbers,
}

impl PerCall {
    pub(crate) fn new(plugin: Arc<Plugin>, places: Box<[Arc<Place>]>, pen: Arc<Pen>) -> Self {
        Self { plugin, places, pen, numbers: Numbers::default() }
    }

    #[inline(always)]
    fn may_run_here(&self) -> bool {
        self.plugin.inline && stack::has_room(self.plugin.limits.wasm_stack)
    }

    fn place_of(&self, sid: Sid) -> Option<&Place> {
        self.places.iter().find(|place| place.is_serving(sid)).map(|place| &**place)
    }

    fn ask(&self, name: &str) -> Option<u32> {
        if !self.plugin.inline {
            let (answer, answered) = mpsc::sync_channel(1);
            self.pen.take()?.push(Job::Resolve { name: name.into(), answer });
            return answered.recv_timeout(PATIENCE).ok().flatten();
        }
        let begin = Instant::now();
        loop {
            if let Some(place) = self.pen.take() {
                let ask = || place.resolve(name);
                match stack::with_room(self.plugin.limits.wasm_stack, ask) {
                    Ok(Some(answer)) => return answer,
                    _ => self.pen.give_back(&place),
                }
            }
            if begin.elapsed() > PATIENCE {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl PluginBackend for PerCall {
    #[inline]
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        if self.may_run_here()
            && let Some(place) = self.pen.take()
        {
            let Some(held) = place.turn.take() else {
                // What an earlier instance left behind has it, and not for long.
                place.push(Job::Call { sid, call: OwnedCall::copy(call) });
                return Ok(());
            };
            clock::busy();
            return place.serve(held, sid, call);
        }
        Ok(self.pen.place_or_wait(sid, call)?)
    }

    fn resolve(&self, name: &str) -> Option<EntryId> {
        if !self.plugin.guest.has_numbers() {
            return None;
        }
        self.numbers.resolve(name, || self.ask(name))
    }

    fn knows(&self, entry: EntryId) -> bool {
        self.numbers.knows(entry)
    }

    fn cancel(&self, sid: Sid) {
        if self.pen.remove(sid) {
            return;
        }
        for place in &self.places {
            if place.take_back(sid) {
                // It was taken for this call alone.
                return self.pen.give_back(place);
            }
            if place.is_serving(sid) {
                place.stop(sid);
                place.push(Job::Cancel { sid, surely: false });
            }
        }
    }

    fn stream_data(&self, sid: Sid, data: &[u8]) -> Result<(), CallError> {
        if !self.plugin.guest.takes_data() {
            return Err(CallError::Refused { status: Status::Unsupported });
        }
        // One that waits for its place takes none yet.
        let place = self.place_of(sid).ok_or(CallError::Backpressure)?;
        place.feed(sid, data, self.may_run_here())
    }

    fn stream_close(&self, sid: Sid) -> Result<(), CallError> {
        if !self.plugin.guest.takes_data() {
            return Err(CallError::Refused { status: Status::Unsupported });
        }
        let place = self.place_of(sid).ok_or(CallError::Backpressure)?;
        place.close(sid, self.may_run_here())
    }

    fn shutdown(&self) {
        self.pen.close();
        self.places.iter().for_each(|place| place.end());
    }
}
