//! A linked plugin: what callers call through, and how it comes and goes.

#![expect(unsafe_code, reason = "the gate decides when the backend may be read and taken")]

use crate::backend::PluginBackend;
use crate::call::Call;
use crate::error::{CallError, Fault, LinkError, UnloadError};
use crate::fence;
use crate::lane::{self, Here, Lane, MAX_LINKS, Outer};
use crate::limits::{Limits, nanos};
use crate::load::{LoadId, NUMBER_ONE};
use crate::metrics::Metrics;
use crate::numbers::{self, Counts};
use crate::payload::KEEP;
use crate::port::{self, Port};
use crate::refusal::Refusal;
use crate::request::{Ask, EntryId};
use crate::sid::Sid;
use crate::slot::{Reason, Slot};
use crate::stream::Stream;
use crate::sync::{AtomicU32, AtomicU64, Relaxed, SeqCst, UnsafeCell};
use crate::tally::{self, Tally, add, gate};
use crate::timer;
use crate::wake::contain;
use ringbox_abi::Status;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A place for a plugin, and what calls look at of the one that has it now. Places are never moved or
/// freed: old handles and late answers look at them too, and see that they are another's.
#[repr(align(64))]
pub(crate) struct LinkCell {
    /// Whose place it is, and how far that one is closed: its word, plus a [`gate`]. It only grows,
    /// but for the moment when a plugin that was shut is opened.
    pub(crate) closed: AtomicU64,
    backend: UnsafeCell<Option<Box<dyn PluginBackend>>>,
    /// The limits' deadline in the clock's unit.
    pub(crate) deadline: AtomicU64,
    pub(crate) answer_bytes: AtomicU32,
    /// The same for a frame that is copied under its queue's lock.
    pub(crate) frame_bytes: AtomicU32,
    pub(crate) stream_frames: AtomicU32,
    pub(crate) stream_bytes: AtomicU32,
    pub(crate) state_bytes: AtomicU32,
    /// How many instances it has beside itself.
    pub(crate) instances: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<LinkCell>() == NUMBER_ONE as usize);

// SAFETY: `backend` is the only field that isn't `Sync` by itself. It is written before the link
// is handed out, read by threads that the gate let in (`tally::enter`), and taken by the one
// thread that moves the gate from SHUT to GONE, once nobody is inside. The place is given to the
// next plugin under the lock of `numbers`, which that thread takes after.
unsafe impl Sync for LinkCell {}

macro_rules! empty_cell {
    ($($const:tt)?) => {
        impl LinkCell {
            $($const)? fn empty() -> Self {
                Self {
                    closed: AtomicU64::new(0),
                    backend: UnsafeCell::new(None),
                    deadline: AtomicU64::new(0),
                    answer_bytes: AtomicU32::new(0),
                    frame_bytes: AtomicU32::new(0),
                    stream_frames: AtomicU32::new(0),
                    stream_bytes: AtomicU32::new(0),
                    state_bytes: AtomicU32::new(0),
                    instances: AtomicU32::new(0),
                }
            }
        }
    };
}

#[cfg(not(loom))]
empty_cell!(const);
#[cfg(not(loom))]
static CELLS: [LinkCell; MAX_LINKS] = [const { LinkCell::empty() }; MAX_LINKS];

// The models have no statics: this is never looked at.
#[cfg(loom)]
empty_cell!();
#[cfg(loom)]
static CELLS: std::sync::LazyLock<Vec<LinkCell>> = std::sync::LazyLock::new(Vec::new);

impl LinkCell {
    #[inline(always)]
    pub(crate) fn of(load: LoadId) -> &'static Self {
        // SAFETY: within the places, as any word's offset is.
        let cell = unsafe { CELLS.as_ptr().byte_add(load.offset()) };
        // SAFETY: a whole number of places from the first.
        unsafe { &*cell }
    }

    /// Makes the place that plugin's, closed.
    pub(crate) fn give(load: LoadId, limits: &Limits) {
        let cell = Self::of(load);
        // As checked, none of them is larger.
        let answer_bytes = limits.answer_bytes as u32;
        cell.deadline.store(nanos(limits.deadline), Relaxed);
        cell.answer_bytes.store(answer_bytes, Relaxed);
        cell.frame_bytes.store(answer_bytes.min(KEEP as u32), Relaxed);
        cell.stream_frames.store(limits.stream_frames as u32, Relaxed);
        cell.stream_bytes.store(limits.stream_bytes as u32, Relaxed);
        cell.state_bytes.store(limits.state_bytes as u32, Relaxed);
        cell.instances.store(0, Relaxed);
        cell.closed.store(load.closed(gate::SHUT), SeqCst);
    }
}

/// A plugin on its way in: it has a [`Port`] to answer through, and cannot be called yet.
///
/// Dropping it leaves a port through which nothing comes.
#[derive(Debug)]
pub struct Opening {
    link: Link,
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
        Ok(Self { link: Link(numbers::give(name, limits)?), attached: false })
    }

    /// Where the plugin answers. Loaders hand it to the plugin before they attach it.
    #[must_use]
    pub fn port(&self) -> Port {
        Port::of(self.link.0)
    }

    /// Puts the plugin in its place. From here on it can be called.
    pub fn attach(self, backend: impl PluginBackend) -> Attached {
        self.attach_boxed(Box::new(backend))
    }

    /// The same for a backend that is boxed already.
    pub fn attach_boxed(mut self, backend: Box<dyn PluginBackend>) -> Attached {
        let (link, cell) = (self.link, self.link.cell());
        // SAFETY: the gate has been shut since the place was given to this plugin, and the one
        // before is gone, so nobody reads the field.
        cell.backend.with_mut(|cell| unsafe { *cell = Some(backend) });
        cell.closed.store(link.0.closed(gate::SERVING), SeqCst);
        self.attached = true;
        Attached { link }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if !self.attached {
            self.link.close(gate::GONE);
            numbers::take_back(self.link.0);
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
///
/// Links are equal that are of the same load of the same plugin.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct Link(pub(crate) LoadId);

impl Link {
    /// The name that the plugin was linked under; nothing where [that is
    /// forgotten](Self::metrics).
    pub fn name(self) -> Arc<str> {
        numbers::name(self.0)
    }

    /// What the plugin may take; nothing out of the ordinary where [that is
    /// forgotten](Self::metrics).
    pub fn limits(self) -> Limits {
        numbers::limits(self.0)
    }

    /// The number of an entry, for calls that don't look its name up.
    ///
    /// # Errors
    /// The plugin has no such entry or numbers none, or it is unloaded.
    pub fn resolve(self, name: &str) -> Result<EntryId, CallError> {
        self.visit(|backend| backend.resolve(name))?.ok_or(CallError::NoSuchEntry)
    }

    /// Calls and expects no answer.
    ///
    /// # Errors
    /// The plugin refused the call, or is unloaded.
    #[inline(always)]
    pub fn notify(self, call: impl Ask) -> Result<(), CallError> {
        let lane = lane::here().lane()?;
        let tally = lane.tally(self.0);
        self.enter(&tally.notified)?;
        self.dispatch(tally, lane.notify_sid(), None, call)
    }

    /// Calls, and waits for one answer by awaiting what this returns. The plugin has the call when
    /// this returns.
    ///
    /// # Errors
    /// The plugin refused the call or is unloaded, or too many calls are open.
    #[inline(always)]
    pub fn call(self, call: impl Ask) -> Result<Call, CallError> {
        let lane = lane::here().lane()?;
        let tally = lane.tally(self.0);
        let slot = self.pop(lane, tally)?;
        let sid = slot.open(self.0.as_owner());
        let waiting = Call::new(slot, sid);
        match self.dispatch(tally, sid, Some(slot), call) {
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
        let tally = lane.tally(self.0);
        let slot = self.pop(lane, tally)?;
        let cell = self.cell();
        let mut queue = lane.queue(cell.stream_frames.load(Relaxed) as usize);
        queue.reset(cell.stream_bytes.load(Relaxed) as usize);
        let sid = slot.open_stream(self.0.as_owner(), queue);
        let reading = Stream::new(slot, sid, self);
        match self.dispatch(tally, sid, Some(slot), call) {
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
        self.to_stream(sid, |backend| backend.stream_data(sid, data))
    }

    /// Tells the plugin's end of an open stream that no more data will follow.
    ///
    /// # Errors
    /// The stream is over or not this plugin's, or the plugin takes no data.
    pub fn stream_close(self, sid: Sid) -> Result<(), CallError> {
        self.to_stream(sid, |backend| backend.stream_close(sid))
    }

    /// What the plugin did so far. Of one that is gone it stays known what it did, and what it was
    /// called, until the places of a thousand others have been given on too: then all of it is zero.
    pub fn metrics(self) -> Metrics {
        numbers::metrics(self.0)
    }

    /// Whether the plugin takes calls.
    pub fn is_loaded(self) -> bool {
        self.cell().closed.load(SeqCst) == self.0.closed(gate::SERVING)
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
        self.close(gate::DRAINING);
        if !lane::here().may_wait() {
            self.end_calls();
            return Err(UnloadError::WouldDeadlock);
        }
        // No lock is held while anything below waits, wakes or ends a call: another thread that
        // unloads the same plugin with less grace is not kept.
        // A thread that was let in counts its call a moment later, so idle is asked first.
        wait_until(grace, || (self.is_idle() && self.in_flight() == 0) || self.is_gone());
        self.end_calls();
        self.close(gate::SHUT);
        // Whoever is inside under the number of a plugin that is gone may be inside another.
        let is_left = wait_until(STAY, || self.is_gone() || self.is_idle());
        // A thread that was let in before the gate closed may have opened a call since.
        self.end_calls();
        if !is_left {
            return Err(UnloadError::StillInside);
        }
        let backend = self.take_backend().ok_or(UnloadError::AlreadyUnloaded)?;
        numbers::take_back(self.0);
        // Its plugin may panic here, but it is gone all the same.
        contain(|| backend.shutdown());
        contain(|| drop(backend));
        Ok(())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.name())
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
        let has_put_off = here.go_outside(outer);
        add(&tally.left, 1);
        if has_put_off {
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

impl Link {
    #[inline(always)]
    pub(crate) fn cell(self) -> &'static LinkCell {
        LinkCell::of(self.0)
    }

    #[inline(always)]
    fn enter(self, entered: &AtomicU64) -> Result<(), CallError> {
        if tally::enter(entered, &self.cell().closed, self.0.as_raw(), gate::CALLS) {
            Ok(())
        } else {
            Err(CallError::Unloaded)
        }
    }

    /// Counts the thread in for a call, and gives the call its slot.
    #[inline(always)]
    fn pop(self, lane: &'static Lane, tally: &Tally) -> Result<&'static Slot, CallError> {
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
    unsafe fn backend(self) -> &'static dyn PluginBackend {
        self.cell().backend.with(|cell| {
            // SAFETY: whoever takes the backend out waits until this thread is counted out.
            let backend = unsafe { &*cell };
            // SAFETY: the gate lets nobody in before the field is set.
            &**unsafe { backend.as_ref().unwrap_unchecked() }
        })
    }

    #[inline(always)]
    fn dispatch(
        self,
        tally: &'static Tally,
        sid: Sid,
        slot: Option<&'static Slot>,
        call: impl Ask,
    ) -> Result<(), CallError> {
        add(&tally.bytes_in, call.payload().len() as u64);
        let inside = Inside::new(tally, slot);
        // SAFETY: `tally` shows that the thread was let in; `inside` counts it out below.
        match call.hand_to(unsafe { self.backend() }, sid) {
            Ok(()) => {
                inside.leave();
                Ok(())
            }
            Err(refusal) => Err(self.refused(inside, call.entry(), refusal)),
        }
    }

    /// Counts a call that was refused, comes out, and says why.
    #[cold]
    #[inline(never)]
    fn refused(self, inside: Inside, entry: Option<EntryId>, refusal: Refusal) -> CallError {
        // While the plugin is still there, and so its number is its own.
        self.counts().count_refused();
        let is_unknown = refusal.status() == Some(Status::Invalid)
            && entry.is_some_and(|entry| {
                // SAFETY: `inside` shows that the thread was let in, and counts it out below.
                !unsafe { self.backend() }.knows(entry)
            });
        inside.leave();
        if is_unknown { CallError::NoSuchEntry } else { refusal.into() }
    }

    /// Goes into the backend for something that isn't a call.
    pub(crate) fn visit<R>(self, f: impl FnOnce(&dyn PluginBackend) -> R) -> Result<R, CallError> {
        let tally = lane::here().lane()?.tally(self.0);
        if !tally::enter(&tally.visits, &self.cell().closed, self.0.as_raw(), gate::VISITS) {
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
        self,
        sid: Sid,
        f: impl FnOnce(&dyn PluginBackend) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let open = lane::slot_of(sid)
            .is_some_and(|slot| slot.is_open_stream_of(sid) && port::link_of(slot) == self);
        if open { self.visit(f)? } else { Err(CallError::StreamOver) }
    }

    /// Advice to the plugin: it may stop working on `sid`. One that is being unloaded needs none.
    #[cold]
    pub(crate) fn tell_cancelled(self, sid: Sid) {
        let _ = self.visit(|backend| backend.cancel(sid));
    }

    /// Counts a call as over for its caller.
    #[inline(always)]
    pub(crate) fn finish(self, bytes: usize, frames: u64) {
        let here = lane::here();
        match here.lane_if_any() {
            Some(lane) => finish_in(lane.tally(self.0), bytes, frames),
            None => self.finish_without_lane(here, bytes, frames),
        }
    }

    #[cold]
    #[inline(never)]
    fn finish_without_lane(self, here: &Here, bytes: usize, frames: u64) {
        match here.lane() {
            Ok(lane) => finish_in(lane.tally(self.0), bytes, frames),
            // The thread is ending, and has no place of its own to count in any more.
            Err(_) => self.counts().count_finished_elsewhere(),
        }
    }

    /// Counts a call's fault. Like all that is counted of a call, it comes before `finish`: after
    /// that the number may be another plugin's.
    #[cold]
    pub(crate) fn count_fault(self, fault: &Fault) {
        self.counts().count_fault(fault);
    }

    /// Counts a call whose caller has left it. It comes before `finish`.
    pub(crate) fn count_cancelled(self) {
        self.counts().count_cancelled();
    }

    /// Counts an answer that nobody takes, which may come at any time.
    #[cold]
    #[inline(never)]
    pub(crate) fn count_dropped(self, reason: Reason) {
        if self.cell().closed.load(Relaxed) < self.0.closed(gate::GONE) {
            self.counts().count_dropped(reason);
        } else {
            numbers::count_after_the_end(self.0, reason);
        }
    }

    fn counts(self) -> &'static Counts {
        Counts::of(self.0.number())
    }

    /// Closes the gate so far, if it isn't closed further already, or another's, which is later.
    fn close(self, gate: u64) {
        self.cell().closed.fetch_max(self.0.closed(gate), SeqCst);
        fence::heavy();
    }

    pub(crate) fn is_shut(self) -> bool {
        self.cell().closed.load(Relaxed) >= self.0.closed(gate::SHUT)
    }

    fn is_gone(self) -> bool {
        self.cell().closed.load(SeqCst) >= self.0.closed(gate::GONE)
    }

    /// Takes the backend of a plugin that is shut and idle, once.
    fn take_backend(self) -> Option<Box<dyn PluginBackend>> {
        let (shut, gone) = (self.0.closed(gate::SHUT), self.0.closed(gate::GONE));
        self.cell().closed.compare_exchange(shut, gone, SeqCst, SeqCst).ok()?;
        // SAFETY: the gate is shut and nobody is inside: `is_idle` saw every thread that it ever
        // let in leave. The exchange lets one thread come here.
        self.cell().backend.with_mut(|cell| unsafe { (*cell).take() })
    }

    fn is_idle(self) -> bool {
        tally::is_idle(&lane::lanes().filter_map(|lane| lane.tally_if_any(self.0.number())))
    }

    fn end_calls(self) {
        let mine = |slot: &Slot| port::link_of(slot) == self;
        port::end_open(mine, &Fault::Unloaded);
    }

    fn in_flight(self) -> u64 {
        numbers::metrics(self.0).in_flight
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
