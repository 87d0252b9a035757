//! One thread that keeps the time for all plugins: ticks, while a guest runs, and what is due. It
//! never runs a guest itself.

use crate::job::Job;
use crate::moment::Pace;
use crate::place::Place;
use crate::runner;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use wasmtime::Engine;

/// How often a guest that runs looks up.
const TICK: Duration = Duration::from_millis(1);
/// After so many ticks for nobody the clock parks.
const IDLE: u32 = 20;
/// Later than this is never.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

static CLOCK: Mutex<State> =
    Mutex::new(State { due: BinaryHeap::new(), asked: 0, places: Vec::new() });
static THREAD: OnceLock<Thread> = OnceLock::new();
/// Whether the clock does not tick.
static PARKED: AtomicBool = AtomicBool::new(false);

struct State {
    due: BinaryHeap<Reverse<Due>>,
    /// What was ever put in: of two for one moment, the first asked for is the first.
    asked: u64,
    /// Where guests run.
    places: Vec<Arc<Place>>,
}

struct Due {
    at: Instant,
    number: u64,
    place: Arc<Place>,
    what: What,
}

enum What {
    /// Apart, since what the heap holds is moved to and fro.
    Push(Box<Job>),
    /// The place's turn was given up for this.
    Submit,
    /// Wake whoever polls the place's future.
    Wake(Waker),
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

/// Starts the clock if it doesn't run yet.
pub(crate) fn start() -> io::Result<()> {
    let _one = lock();
    if THREAD.get().is_none() {
        let clock = thread::Builder::new().name("ringbox-clock".into()).spawn(run)?;
        THREAD.get_or_init(|| clock.thread().clone());
    }
    Ok(())
}

/// A guest is about to run: the clock ticks from here on. The place's turn is taken already.
///
/// This is one half of a pair: take the turn, look at `PARKED`. The other half, in `run`: set
/// `PARKED`, look at the turns. So either this thread sees that the clock parks, or the clock sees
/// that the turn is taken.
#[inline(always)]
pub(crate) fn busy() {
    if PARKED.load(SeqCst) {
        unpark();
    }
}

#[cold]
#[inline(never)]
fn unpark() {
    if PARKED.swap(false, SeqCst) {
        tell();
    }
}

fn tell() {
    if let Some(clock) = THREAD.get() {
        clock.unpark();
    }
}

/// Ticks for this place from here on.
pub(crate) fn add(place: &Arc<Place>) {
    lock().places.push(place.clone());
}

/// Pushes a job for the place, later.
pub(crate) fn push_at(now: Instant, delay: Duration, place: Arc<Place>, job: Job) {
    at(now, delay, place, What::Push(Box::new(job)));
}

/// Gives the place to a runner, later. Its turn was given up for it.
pub(crate) fn submit_at(now: Instant, delay: Duration, place: Arc<Place>) {
    at(now, delay, place, What::Submit);
}

/// Wakes a place's future when its time is over, unless it is dropped before.
#[must_use = "dropped, it wakes nobody"]
pub(crate) struct Alarm {
    number: u64,
}

impl Alarm {
    /// For the future of `place`, which `waker` has polled again.
    pub(crate) fn set(delay: Duration, place: Arc<Place>, waker: Waker) -> Self {
        Self { number: at(Instant::now(), delay, place, What::Wake(waker)) }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        drop(take_out(|due| due.number == self.number));
    }
}

/// Says what number it has.
fn at(now: Instant, delay: Duration, place: Arc<Place>, what: What) -> u64 {
    let at = now + delay.min(NEVER);
    let mut state = lock();
    let number = state.asked;
    state.asked += 1;
    state.due.push(Reverse(Due { at, number, place, what }));
    let first = state.due.peek().is_some_and(|Reverse(due)| due.number == number);
    drop(state);
    if first {
        tell();
    }
    number
}

/// What is due and isn't to be done. It is to be dropped by the caller, outside of the lock: a place
/// may go with the last that is due for it.
fn take_out(is_one: impl Fn(&Due) -> bool) -> Vec<Due> {
    let mut state = lock();
    let (gone, kept): (Vec<_>, Vec<_>) = state.due.drain().partition(|Reverse(due)| is_one(due));
    state.due = kept.into();
    drop(state);
    gone.into_iter().map(|Reverse(due)| due).collect()
}

/// Forgets what is due for the place. True: its turn was given up for something of that, and is
/// now the caller's.
pub(crate) fn forget(place: &Place) -> bool {
    let gone = take_out(|due| is_same(&due.place, place));
    gone.iter().any(|due| matches!(due.what, What::Submit))
}

/// Forgets the wakes of an instance that is gone, of the place that is at `place`.
#[cold]
pub(crate) fn forget_wakes(place: *const Place, instance: u64) {
    drop(take_out(|due| {
        let What::Push(job) = &due.what else { return false };
        matches!(**job, Job::Wake { instance: own, .. } if own == instance)
            && Arc::as_ptr(&due.place) == place
    }));
}

/// No guest will run in the place any more.
pub(crate) fn remove(place: &Place) {
    let mut state = lock();
    let at = state.places.iter().position(|other| is_same(other, place));
    let gone = at.map(|at| state.places.swap_remove(at));
    drop(state);
    drop(gone);
}

fn is_same(one: &Arc<Place>, other: &Place) -> bool {
    std::ptr::eq(&raw const **one, other)
}

fn lock() -> MutexGuard<'static, State> {
    CLOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run() {
    let (mut idle, mut ticked) = (0, Instant::now());
    let mut pace = Pace::begin();
    loop {
        let next = fire(Instant::now());
        let now = Instant::now();
        if now - ticked >= TICK {
            idle = if tick() { 0 } else { idle + 1 };
            ticked = now;
            pace.iter_mut().for_each(Pace::look);
        }
        if idle < IDLE {
            let rest = TICK.saturating_sub(now - ticked);
            thread::park_timeout(next.map_or(rest, |next| rest.min(next - now)));
            continue;
        }
        PARKED.store(true, SeqCst);
        if is_busy() {
            PARKED.store(false, SeqCst);
            idle = 0;
            continue;
        }
        match next {
            Some(next) => thread::park_timeout(next - now),
            None => thread::park(),
        }
        // Woken for a guest, it stays awake for a while; woken for what is due, it does not.
        if !PARKED.swap(false, SeqCst) {
            idle = 0;
        }
    }
}

/// Does what is due. Returns when the next is.
fn fire(now: Instant) -> Option<Instant> {
    loop {
        let mut state = lock();
        let first = state.due.peek().map(|Reverse(due)| due.at)?;
        if first > now {
            return Some(first);
        }
        let due = state.due.pop();
        drop(state);
        if let Some(Reverse(due)) = due {
            match due.what {
                What::Push(job) => due.place.push(*job),
                What::Submit => runner::submit(due.place),
                What::Wake(waker) => waker.wake(),
            }
        }
    }
}

/// Raises the epoch of every engine that a guest runs in. False: none does.
fn tick() -> bool {
    let mut engines: Vec<Engine> = Vec::new();
    for place in lock().places.iter().filter(|place| place.runs()) {
        let engine = &place.plugin.engine;
        if !engines.iter().any(|other| Engine::same(other, engine)) {
            engines.push(engine.clone());
        }
    }
    engines.iter().for_each(Engine::increment_epoch);
    !engines.is_empty()
}

fn is_busy() -> bool {
    lock().places.iter().any(|place| place.runs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Policy, WasmOptions, loaded};
    use ringbox_ring::Invocation;

    #[test]
    fn wakes_go_with_the_instance_that_asked_for_them() {
        let plugin = loaded::small(&WasmOptions::new().policy(Policy::PerCall(2)));
        let call = |payload| plugin.link().call(&Invocation::entry("x", payload)).unwrap();
        let kept = call(b"k");
        for _ in 0..5 {
            // It asks for as many as it may, and answers.
            drop(call(b"t").wait().unwrap());
        }
        let mine = |due: &Due| Arc::ptr_eq(&due.place.plugin, &plugin.place().plugin);
        let due = lock().due.iter().filter(|Reverse(due)| mine(due)).count();
        assert_eq!(due, 1, "that of the call that is kept");
        drop(kept);
    }
}
