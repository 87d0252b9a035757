//! A linked plugin: what callers call through, and how it comes and goes.

#![expect(unsafe_code, reason = "the gate decides when the backend may be read and taken")]

use crate::backend::PluginBackend;
use crate::call::Call;
use crate::error::{CallError, Fault, LinkError, UnloadError};
use crate::fence;
use crate::lane::{self, Here, Lane, MAX_LINKS, Outer};
use crate::limits::{Limits, nanos};
use crate::metrics::{FaultCounts, Metrics};
use crate::port::{self, Port, PortCell};
use crate::request::{Ask, EntryId};
use crate::sid::Sid;
use crate::slot::{Reason, Slot};
use crate::stream::Stream;
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Relaxed, Release, SeqCst, UnsafeCell};
use crate::tally::{self, Tally, add, gate};
use crate::timer;
use crate::wake::contain;
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What is known of one load of one plugin. Never freed: late answers and old handles look at it.
pub(crate) struct LinkCell {
    closed: AtomicU32,
    /// Which tally of each lane is its own, until the plugin is gone.
    number: usize,
    /// The plugin's first port, there from before the link is handed out.
    port: AtomicPtr<PortCell>,
    backend: UnsafeCell<Option<Box<dyn PluginBackend>>>,
    pub(crate) limits: Limits,
    /// The limits' deadline in the clock's unit.
    pub(crate) deadline: u64,
    pub(crate) name: Box<str>,
    /// What the tallies stood at when this plugin was given its number.
    base: Totals,
    /// What they stood at when it gave the number back.
    last: OnceLock<Totals>,
    ending: Mutex<Phase>,
    pub(crate) finished_elsewhere: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused: AtomicU64,
    dropped: [AtomicU64; 4],
    faults: FaultCounts,
}

// SAFETY: `backend` is the only field that isn't `Sync` by itself. It is written before the link
// is handed out, read by threads that the gate let in (`tally::enter`), and taken by the thread
// that closed the gate, under the lock of `ending`, once the gate says that nobody is inside.
unsafe impl Sync for LinkCell {}
// SAFETY: as above; a backend is `Send`.
unsafe impl Send for LinkCell {}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Phase {
    Here,
    Gone,
}

#[derive(Copy, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) calls: u64,
    pub(crate) finished: u64,
    pub(crate) notified: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) frames: u64,
}

/// The numbers that plugins are given. One that is gone keeps its number until each of its calls
/// is over for its caller too, who counts that under the number.
static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { next: 0, gone: Vec::new() });

struct Numbers {
    next: usize,
    gone: Vec<&'static LinkCell>,
}

fn numbers() -> MutexGuard<'static, Numbers> {
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Numbers {
    fn take(&mut self) -> Result<usize, LinkError> {
        if let Some(at) = self.gone.iter().position(|cell| cell.in_flight() == 0) {
            let cell = self.gone.swap_remove(at);
            let _ = cell.last.set(Totals::of(cell.number));
            return Ok(cell.number);
        }
        if self.next == MAX_LINKS {
            return Err(LinkError::TooManyPlugins { limit: MAX_LINKS });
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

/// A plugin on its way in: it has a [`Port`] to answer through, and cannot be called yet.
///
/// Dropping it leaves a port through which nothing comes.
#[derive(Debug)]
pub struct Opening {
    cell: &'static LinkCell,
    attached: bool,
}

impl Opening {
    /// Makes the place for a plugin.
    ///
    /// # Errors
    /// A limit cannot be held, or every place is taken.
    pub fn new(name: &str, limits: Limits) -> Result<Self, LinkError> {
        limits.check()?;
        fence::prepare();
        timer::start().map_err(|error| LinkError::NoTimer(error.kind()))?;
        let number = numbers().take()?;
        let cell: &'static LinkCell = Box::leak(Box::new(LinkCell {
            closed: AtomicU32::new(gate::SHUT),
            number,
            port: AtomicPtr::new(std::ptr::null_mut()),
            backend: UnsafeCell::new(None),
            limits,
            deadline: nanos(limits.deadline),
            name: name.into(),
            base: Totals::of(number),
            last: OnceLock::new(),
            ending: Mutex::new(Phase::Here),
            finished_elsewhere: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            dropped: std::array::from_fn(|_| AtomicU64::new(0)),
            faults: FaultCounts::new(),
        }));
        cell.port.store(Port::new(cell).as_ptr(), Release);
        Ok(Self { cell, attached: false })
    }

    /// Where the plugin answers. Loaders hand it to the plugin before they attach it.
    #[must_use]
    pub fn port(&self) -> Port {
        // SAFETY: `new` stored the port there.
        unsafe { Port::from_ptr(self.cell.port.load(Relaxed)) }
    }

    /// Puts the plugin in its place. From here on it can be called.
    pub fn attach(self, backend: impl PluginBackend) -> Attached {
        self.attach_boxed(Box::new(backend))
    }

    /// The same for a backend that is boxed already.
    pub fn attach_boxed(mut self, backend: Box<dyn PluginBackend>) -> Attached {
        // SAFETY: the gate has been shut from the beginning, so nobody reads the field.
        self.cell.backend.with_mut(|cell| unsafe { *cell = Some(backend) });
        self.cell.closed.store(gate::SERVING, SeqCst);
        self.attached = true;
        Attached { link: Link(self.cell) }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if !self.attached {
            *self.cell.lock() = Phase::Gone;
            self.cell.give_number_back();
        }
    }
}

/// The owner's end of a linked plugin. Dropping it unloads the plugin without grace.
#[derive(Debug)]
#[must_use = "dropping it unloads the plugin"]
pub struct Attached {
    link: Link,
}

impl Attached {
    /// The handle to call through.
    pub fn link(&self) -> Link {
        self.link
    }

    /// Lets the plugin live until somebody calls [`Link::unload`].
    pub fn detach(self) -> Link {
        let link = self.link;
        std::mem::forget(self);
        link
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // What cannot be waited for here (a thread that stays inside the plugin, or this very
        // thread being inside) leaves the backend alive and closed to new calls.
        let _ = self.link.unload(Duration::ZERO);
    }
}

/// A linked plugin, for callers: a number's worth of handle that may be copied freely and that
/// outlives the plugin. Calls to a plugin that is gone are [`CallError::Unloaded`].
#[derive(Copy, Clone)]
pub struct Link(&'static LinkCell);

impl PartialEq for Link {
    /// Whether both are the same load of the same plugin.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Link {}

impl Link {
    #[inline(always)]
    pub(crate) fn from_cell(cell: &'static LinkCell) -> Self {
        Self(cell)
    }

    pub(crate) fn as_ptr(self) -> *mut LinkCell {
        std::ptr::from_ref(self.0).cast_mut()
    }

    /// The name that the plugin was linked under.
    pub fn name(self) -> &'static str {
        &self.0.name
    }

    /// What the plugin may take.
    pub fn limits(self) -> &'static Limits {
        &self.0.limits
    }

    /// The number of an entry, for calls that don't look its name up.
    ///
    /// # Errors
    /// The plugin has no such entry or numbers none, or it is unloaded.
    pub fn resolve(self, name: &str) -> Result<EntryId, CallError> {
        self.0.visit(|backend| backend.resolve(name))?.ok_or(CallError::NoSuchEntry)
    }

    /// Calls and expects no answer.
    ///
    /// # Errors
    /// The plugin refused the call, or is unloaded.
    #[inline(always)]
    pub fn notify(self, call: impl Ask) -> Result<(), CallError> {
        let lane = lane::here().lane()?;
        let tally = lane.tally(self.0.number);
        self.0.enter(&tally.notified)?;
        self.0.dispatch(tally, lane.notify_sid(), None, call)
    }

    /// Calls, and waits for one answer by awaiting what this returns. The plugin has the call when
    /// this returns.
    ///
    /// # Errors
    /// The plugin refused the call or is unloaded, or too many calls are open.
    #[inline(always)]
    pub fn call(self, call: impl Ask) -> Result<Call, CallError> {
        let lane = lane::here().lane()?;
        let tally = lane.tally(self.0.number);
        let slot = self.0.pop(lane, tally)?;
        let sid = slot.open(self.0.owner());
        let waiting = Call::new(slot, sid);
        match self.0.dispatch(tally, sid, Some(slot), call) {
            Ok(()) => Ok(waiting.taken(tally)),
            Err(error) => {
                waiting.refused();
                Err(error)
            }
        }
    }

    /// Calls, and reads the plugin's frames from what this returns.
    ///
    /// # Errors
    /// The plugin refused the call or is unloaded, or too many calls are open.
    #[inline]
    pub fn stream(self, call: impl Ask) -> Result<Stream, CallError> {
        let lane = lane::here().lane()?;
        let tally = lane.tally(self.0.number);
        let slot = self.0.pop(lane, tally)?;
        let mut queue = lane.queue(self.0.limits.stream_frames);
        queue.reset(self.0.limits.stream_bytes);
        let sid = slot.open_stream(self.0.owner(), queue);
        let reading = Stream::new(slot, sid, self.0);
        match self.0.dispatch(tally, sid, Some(slot), call) {
            Ok(()) => {
                slot.left_stream_dispatch();
                Ok(reading)
            }
            Err(error) => {
                reading.refused();
                Err(error)
            }
        }
    }

    /// Sends data to the plugin's end of one of its open streams, for callers that keep the sid
    /// and not the [`Stream`].
    ///
    /// # Errors
    /// The stream is over or not this plugin's, or the plugin takes no data, or not now.
    pub fn stream_data(self, sid: Sid, data: &[u8]) -> Result<(), CallError> {
        self.0.to_stream(sid, |backend| backend.stream_data(sid, data))
    }

    /// Tells the plugin's end of an open stream that no more data will follow.
    ///
    /// # Errors
    /// The stream is over or not this plugin's, or the plugin takes no data.
    pub fn stream_close(self, sid: Sid) -> Result<(), CallError> {
        self.0.to_stream(sid, |backend| backend.stream_close(sid))
    }

    /// What the plugin did so far.
    pub fn metrics(self) -> Metrics {
        let cell = self.0;
        let totals = cell.totals();
        let dropped = |reason: Reason| cell.dropped[reason as usize].load(Relaxed);
        Metrics {
            calls: totals.calls + totals.notified,
            notified: totals.notified,
            finished: totals.finished,
            in_flight: totals.in_flight(),
            cancelled: cell.cancelled.load(Relaxed),
            refused: cell.refused.load(Relaxed),
            faults: cell.faults.read(),
            late: dropped(Reason::Late),
            double: dropped(Reason::Double),
            foreign: dropped(Reason::Foreign),
            unknown: dropped(Reason::Unknown),
            frames: totals.frames,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
        }
    }

    /// Whether the plugin takes calls.
    pub fn is_loaded(self) -> bool {
        self.0.closed.load(SeqCst) == gate::SERVING
    }

    /// Takes the plugin out: lets no more calls in, gives those that are open `grace` to end, ends
    /// the rest with [`Fault::Unloaded`], and shuts the plugin down when no thread is inside it.
    ///
    /// It blocks for as long as that takes: `grace`, and a second more where a thread stays
    /// inside.
    ///
    /// # Errors
    /// The plugin is gone already; or this thread is inside a plugin; or a thread stayed inside
    /// this one: then it is closed, its calls have ended, and unloading can be tried again.
    pub fn unload(self, grace: Duration) -> Result<(), UnloadError> {
        let cell = self.0;
        cell.close(gate::DRAINING);
        if !lane::here().may_wait() {
            cell.end_calls();
            return Err(UnloadError::WouldDeadlock);
        }
        // No lock is held while anything below waits, wakes or ends a call: another thread that
        // unloads the same plugin with less grace is not kept.
        // A thread that was let in counts its call a moment later, so idle is asked first.
        wait_until(grace, || (cell.is_idle() && cell.in_flight() == 0) || cell.is_gone());
        cell.end_calls();
        cell.close(gate::SHUT);
        if !wait_until(STAY, || cell.is_idle()) {
            return Err(UnloadError::StillInside);
        }
        // A thread that was let in before the gate closed may have opened a call since.
        cell.end_calls();
        let backend = cell.take_backend().ok_or(UnloadError::AlreadyUnloaded)?;
        cell.give_number_back();
        // Its plugin may panic here, but it is gone all the same.
        contain(|| backend.shutdown());
        contain(|| drop(backend));
        Ok(())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.0.name)
    }
}

/// How long an unload waits, after its grace, for threads to leave the plugin's code.
const STAY: Duration = Duration::from_secs(1);

fn wait_until(patience: Duration, done: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    let mut pause = Duration::from_micros(20);
    loop {
        if done() {
            return true;
        }
        let Some(left) = patience.checked_sub(start.elapsed()).filter(|left| !left.is_zero())
        else {
            return false;
        };
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(2));
    }
}

/// A thread's stay inside a plugin. Leaving it restores what the thread did before, and runs the
/// wakers that were put off.
struct Inside {
    tally: &'static Tally,
    outer: Outer,
}

impl Inside {
    #[inline(always)]
    fn new(tally: &'static Tally, slot: Option<&'static Slot>) -> Self {
        Self { tally, outer: lane::here().go_inside(slot) }
    }
}

impl Inside {
    /// Comes out of the plugin.
    #[inline(always)]
    fn leave(self) {
        let (tally, outer) = (self.tally, self.outer);
        std::mem::forget(self);
        let here = lane::here();
        let is_outside = here.go_outside(outer);
        add(&tally.left, 1);
        // In this order: that there are wakers is rare, and that the thread is outside is not.
        if here.has_put_off() && is_outside {
            here.run_put_off();
        }
    }
}

impl Drop for Inside {
    /// Comes out by unwinding.
    #[inline(always)]
    fn drop(&mut self) {
        // By value: what a drop borrows would be stored on the way of every call.
        unwind(self.tally, self.outer);
    }
}

#[cold]
#[inline(never)]
fn unwind(tally: &'static Tally, outer: Outer) {
    Inside { tally, outer }.leave();
}

impl LinkCell {
    /// The port that calls are opened for.
    #[inline(always)]
    fn owner(&self) -> *mut () {
        self.port.load(Relaxed).cast()
    }

    #[inline(always)]
    fn enter(&self, entered: &AtomicU64) -> Result<(), CallError> {
        if tally::enter(entered, &self.closed, gate::CALLS) {
            Ok(())
        } else {
            Err(CallError::Unloaded)
        }
    }

    /// Counts the thread in for a call, and gives the call its slot.
    #[inline(always)]
    fn pop(&self, lane: &'static Lane, tally: &Tally) -> Result<&'static Slot, CallError> {
        let slot = lane.pop()?;
        match self.enter(&tally.calls) {
            Ok(()) => Ok(slot),
            Err(error) => {
                lane.put_back(slot);
                Err(error)
            }
        }
    }

    /// The backend, for a thread that the gate let in.
    ///
    /// # Safety
    /// The thread was let in by `tally::enter` and has not been counted out.
    #[inline(always)]
    unsafe fn backend(&self) -> &dyn PluginBackend {
        self.backend.with(|cell| {
            // SAFETY: whoever takes the backend out waits until this thread is counted out.
            let backend = unsafe { &*cell };
            // SAFETY: the gate lets nobody in before the field is set.
            &**unsafe { backend.as_ref().unwrap_unchecked() }
        })
    }

    #[inline(always)]
    fn dispatch(
        &self,
        tally: &'static Tally,
        sid: Sid,
        slot: Option<&'static Slot>,
        call: impl Ask,
    ) -> Result<(), CallError> {
        add(&tally.bytes_in, call.payload().len() as u64);
        let inside = Inside::new(tally, slot);
        // SAFETY: `tally` shows that the thread was let in; `inside` counts it out below.
        let result = call.hand_to(unsafe { self.backend() }, sid);
        inside.leave();
        match result {
            Ok(()) => Ok(()),
            Err(refusal) => {
                self.refused.fetch_add(1, Relaxed);
                Err(refusal.into())
            }
        }
    }

    /// Goes into the backend for something that isn't a call.
    pub(crate) fn visit<R>(&self, f: impl FnOnce(&dyn PluginBackend) -> R) -> Result<R, CallError> {
        let tally = lane::here().lane()?.tally(self.number);
        if !tally::enter(&tally.visits, &self.closed, gate::VISITS) {
            return Err(CallError::Unloaded);
        }
        let inside = Inside::new(tally, None);
        // SAFETY: the thread was let in just now; `inside` counts it out below.
        let result = f(unsafe { self.backend() });
        inside.leave();
        Ok(result)
    }

    /// Visits the plugin for the sake of a stream of its that is open.
    pub(crate) fn to_stream(
        &self,
        sid: Sid,
        f: impl FnOnce(&dyn PluginBackend) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let open = lane::slot_of(sid).is_some_and(|slot| {
            slot.is_open_stream_of(sid)
                && port::owner_link(slot).is_some_and(|link| std::ptr::eq(link, self))
        });
        if open { self.visit(f)? } else { Err(CallError::StreamOver) }
    }

    /// Advice to the plugin: it may stop working on `sid`. One that is being unloaded needs none.
    #[cold]
    pub(crate) fn tell_cancelled(&self, sid: Sid) {
        let _ = self.visit(|backend| backend.cancel(sid));
    }

    /// Counts a call as over for its caller.
    #[inline(always)]
    pub(crate) fn finish(&self, bytes: usize, frames: u64) {
        let here = lane::here();
        match here.lane_if_any() {
            Some(lane) => finish_in(lane.tally(self.number), bytes, frames),
            None => self.finish_without_lane(here, bytes, frames),
        }
    }

    #[cold]
    #[inline(never)]
    fn finish_without_lane(&self, here: &Here, bytes: usize, frames: u64) {
        match here.lane() {
            Ok(lane) => finish_in(lane.tally(self.number), bytes, frames),
            // The thread is ending, and has no place of its own to count in any more.
            Err(_) => {
                self.finished_elsewhere.fetch_add(1, Relaxed);
            }
        }
    }

    #[cold]
    pub(crate) fn count_fault(&self, fault: &Fault) {
        self.faults.count(fault);
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn count_dropped(&self, reason: Reason) {
        self.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the gate so far, if it isn't closed further already.
    fn close(&self, gate: u32) {
        self.closed.fetch_max(gate, SeqCst);
        fence::heavy();
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.closed.load(Relaxed) >= gate::SHUT
    }

    fn is_gone(&self) -> bool {
        *self.lock() == Phase::Gone
    }

    /// Takes the backend of a plugin that is shut and idle, once.
    fn take_backend(&self) -> Option<Box<dyn PluginBackend>> {
        let mut phase = self.lock();
        if *phase == Phase::Gone {
            return None;
        }
        *phase = Phase::Gone;
        // SAFETY: the gate is shut and nobody is inside: `is_idle` saw every thread that it ever
        // let in leave. The lock keeps other unloaders out.
        self.backend.with_mut(|cell| unsafe { (*cell).take() })
    }

    fn is_idle(&self) -> bool {
        tally::is_idle(&lane::lanes().filter_map(|lane| lane.tally_if_any(self.number)))
    }

    fn end_calls(&'static self) {
        let mine =
            |slot: &Slot| port::owner_link(slot).is_some_and(|link| std::ptr::eq(link, self));
        port::end_open(mine, &Fault::Unloaded);
    }

    fn totals(&self) -> Totals {
        let now = Totals::of(self.number);
        // Looked at last: while it isn't there, the number was still this plugin's.
        let now = self.last.get().copied().unwrap_or(now);
        let elsewhere = self.finished_elsewhere.load(Relaxed);
        let totals = now.since(&self.base);
        Totals { finished: totals.finished + elsewhere, ..totals }
    }

    fn in_flight(&self) -> u64 {
        self.totals().in_flight()
    }

    fn give_number_back(&'static self) {
        numbers().gone.push(self);
    }
}

/// Counts a call as over for its caller, in the thread's own tally.
#[inline(always)]
pub(crate) fn finish_in(tally: &Tally, bytes: usize, frames: u64) {
    add(&tally.bytes_out, bytes as u64);
    if frames != 0 {
        add(&tally.frames, frames);
    }
    add(&tally.finished, 1);
}

impl fmt::Debug for LinkCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkCell({})", self.name)
    }
}

impl Totals {
    fn of(number: usize) -> Self {
        let tallies = lane::lanes().filter_map(|lane| lane.tally_if_any(number));
        let sum = |count: fn(&Tally) -> &AtomicU64| tally::sum(tallies.clone(), count);
        // What is over is counted before what began, so that no sum shows more ends than calls.
        let (finished, notified) = (sum(|tally| &tally.finished), sum(|tally| &tally.notified));
        Self {
            finished,
            notified,
            calls: sum(|tally| &tally.calls),
            bytes_in: sum(|tally| &tally.bytes_in),
            bytes_out: sum(|tally| &tally.bytes_out),
            frames: sum(|tally| &tally.frames),
        }
    }

    fn in_flight(&self) -> u64 {
        self.calls.saturating_sub(self.finished)
    }

    fn since(&self, base: &Self) -> Self {
        // A thread that turned back at an earlier plugin's gate may have been counted for a moment
        // just when the base was taken: then there is one less than at the base.
        let grown =
            |now: u64, base: u64| now.wrapping_sub(base).cast_signed().max(0).cast_unsigned();
        Self {
            calls: grown(self.calls, base.calls),
            finished: grown(self.finished, base.finished),
            notified: grown(self.notified, base.notified),
            bytes_in: grown(self.bytes_in, base.bytes_in),
            bytes_out: grown(self.bytes_out, base.bytes_out),
            frames: grown(self.frames, base.frames),
        }
    }
}
