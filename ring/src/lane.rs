//! What one thread owns: its free slots, its tallies, its queues. And the table of all slots.
//!
//! Nothing here is ever freed: lanes, chunks of slots and blocks of tallies are `'static`. A late
//! answer can always look, and a thread that ends hands its lane on to the next new one.
//!
//! A free slot is on its lane's own list (LIFO, touched by the lane's thread alone), or, when
//! another thread freed it, at the lane's [`Home`]. The slots that a lane makes beyond the first
//! thousand are spare: they wait on a list of their own, which is taken from last, and keep no
//! buffer. So a burst of calls leaves few buffers behind, and calls after it find those.

#![expect(unsafe_code, reason = "slots, lanes and tallies are leaked and linked by raw pointers")]

use crate::error::CallError;
use crate::home::Home;
use crate::later::Later;
use crate::load::{LoadId, NUMBER_ONE};
use crate::near::{self, Room};
use crate::queue::Queue;
use crate::sid::{MAX_OPEN, NOTIFY, NOTIFY_LANE, Sid};
use crate::slot::{Next, SPARE, STATE, Slot};
use crate::sync::{Acquire, AtomicU64, Relaxed, Release, SeqCst};
use crate::tally::Tally;
use std::cell::{Cell, RefCell};
use std::ptr::{null, null_mut};
use std::sync::{Mutex, PoisonError};
// The statics are std's under loom too: its atomics cannot be made at compile time.
use std::sync::atomic::{AtomicPtr, AtomicUsize};
use std::task::Waker;

const CHUNK: usize = 64;
const CHUNKS: usize = MAX_OPEN / CHUNK;

/// The most plugins that can be linked at one time.
pub(crate) const MAX_LINKS: usize = 4096;
const BLOCK: usize = 64;
const BLOCK_BYTES: usize = BLOCK * NUMBER_ONE as usize;
#[cfg(not(loom))]
const _: () = assert!(size_of::<Block>() == BLOCK_BYTES);

/// How many of the slots that a lane makes keep their reply buffer, and how many stream queues a
/// lane keeps: so a burst of calls leaves at most a few megabytes behind.
const KEEP_BUFFERS: usize = 1024;
const KEEP_QUEUES: usize = 16;

/// Slots that were made together, and the earliest deadline that may be armed among them.
#[repr(C)]
pub(crate) struct Chunk {
    pub(crate) earliest: AtomicU64,
    pub(crate) slots: [Slot; CHUNK],
}

static TABLE: [AtomicPtr<Chunk>; CHUNKS] = [const { AtomicPtr::new(null_mut()) }; CHUNKS];
static NEXT_CHUNK: AtomicUsize = AtomicUsize::new(0);
static LANES: AtomicPtr<Lane> = AtomicPtr::new(null_mut());
static LANE_COUNT: AtomicUsize = AtomicUsize::new(0);
static IDLE: Mutex<Vec<&'static Lane>> = Mutex::new(Vec::new());

/// Where the answer to `sid` will be copied to, as far as that is known to the thread that is inside its
/// dispatch.
pub(crate) fn room_of(sid: Sid) -> Room {
    here().slot_of(sid).map_or(Room::UNKNOWN, |slot| slot.room_inside(sid))
}

/// The slot that `sid` names, if there is one. Whether it still serves that call, its word says.
#[inline(always)]
pub(crate) fn slot_of(sid: Sid) -> Option<&'static Slot> {
    if sid.is_notify() {
        return None;
    }
    Some(&chunk_of(sid.index())?.slots[sid.index() % CHUNK])
}

#[inline(always)]
fn chunk_of(index: usize) -> Option<&'static Chunk> {
    let chunk = TABLE[index / CHUNK].load(Acquire);
    // SAFETY: the table holds null or a leaked chunk, published with Release.
    unsafe { chunk.as_ref() }
}

/// The chunk of a slot that was handed out.
pub(crate) fn chunk_of_slot(slot: &Slot) -> &'static Chunk {
    chunk_of(slot.index as usize).expect("a slot is made with its chunk")
}

/// Every chunk there is.
pub(crate) fn chunks() -> impl Iterator<Item = &'static Chunk> + Clone {
    let count = NEXT_CHUNK.load(SeqCst).min(CHUNKS);
    (0..count).filter_map(|number| chunk_of(number * CHUNK))
}

/// Makes the next chunk, or says that the index space is used up.
fn grow(lane: &Lane) -> Option<()> {
    let number =
        NEXT_CHUNK.try_update(SeqCst, SeqCst, |next| (next < CHUNKS).then_some(next + 1)).ok()?;
    let first = number * CHUNK;
    let chunk: &'static Chunk = Box::leak(Box::new(Chunk {
        earliest: AtomicU64::new(crate::slot::NEVER),
        slots: std::array::from_fn(|i| Slot::new((first + i) as u32)),
    }));
    let made = lane.made.get();
    lane.made.set(made + CHUNK);
    for slot in chunk.slots.iter().rev() {
        slot.lane.store(lane.as_owner(), Relaxed);
        slot.marks.store(if made < KEEP_BUFFERS { 0 } else { SPARE }, Relaxed);
        lane.list(slot);
    }
    TABLE[number].store(std::ptr::from_ref(chunk).cast_mut(), Release);
    Some(())
}

fn as_ptr(slot: &Slot) -> *mut Slot {
    std::ptr::from_ref(slot).cast_mut()
}

type Block = [Tally; BLOCK];

#[repr(C, align(128))]
pub(crate) struct Lane {
    /// What other threads write.
    home: Home,
    _apart: [u64; 14],
    free: Cell<*mut Slot>,
    spare: Cell<*mut Slot>,
    /// How many slots the lane made.
    made: Cell<usize>,
    next_notify: Cell<u64>,
    #[expect(clippy::vec_box, reason = "slots take the boxes and give them back")]
    queues: RefCell<Vec<Box<Queue>>>,
    /// Wakers that wait until the thread has left the plugin's code.
    pub(crate) later: Later,
    next_lane: AtomicPtr<Lane>,
    /// The tallies of the first numbers, which are all that most processes need.
    tallies: Block,
    /// Those of the others, so many at a time. The first of these is never made.
    blocks: [AtomicPtr<Block>; MAX_LINKS / BLOCK],
}

// SAFETY: the cells are touched by the one thread that holds the lane (`HERE.lane`), or under the
// lock of `IDLE` while none does; the rest is atomic.
unsafe impl Sync for Lane {}
// SAFETY: nothing in a lane belongs to a particular thread.
unsafe impl Send for Lane {}

/// An address at which no slot is.
const NO_SLOT: *const Slot = std::ptr::without_provenance(align_of::<Slot>());

/// Another one, noted in the place of what a thread is inside of once it has put wakers off there.
const PUT_OFF: *const Slot = std::ptr::without_provenance(2 * align_of::<Slot>());

/// What this thread is doing. No destructor, so reading it costs nothing and never fails.
pub(crate) struct Here {
    lane: Cell<Option<&'static Lane>>,
    /// What this thread is inside of a plugin for: the slot of the call, [`NO_SLOT`] for what has
    /// none, null where it is in no plugin; or [`PUT_OFF`].
    inside: Cell<*const Slot>,
    /// While `PUT_OFF` is noted, here or for what this thread was inside of before, what it was noted in
    /// the place of; else null. There is one such note at most.
    behind: Cell<*const Slot>,
    /// Whether others depend on this thread's going on: it is the timer's.
    is_timer: Cell<bool>,
}

thread_local! {
    static HERE: Here = const {
        Here {
            lane: Cell::new(None),
            inside: Cell::new(null()),
            behind: Cell::new(null()),
            is_timer: Cell::new(false),
        }
    };
    static AT_EXIT: AtExit = const { AtExit };
}

/// Hands the lane on when its thread ends.
struct AtExit;

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(lane) = here().lane.take() {
            idle().push(lane);
        }
    }
}

fn idle() -> std::sync::MutexGuard<'static, Vec<&'static Lane>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This thread's.
#[inline(always)]
pub(crate) fn here() -> &'static Here {
    // A closure around all that is done with it would not be inlined.
    let here = HERE.with(std::ptr::from_ref);
    // SAFETY: a thread-local without a destructor lives until its thread's last instruction, and
    // the reference cannot leave the thread: `Here` is not `Sync`.
    unsafe { &*here }
}

impl Here {
    /// This thread's lane, taken or made if it has none yet.
    #[inline(always)]
    pub(crate) fn lane(&self) -> Result<&'static Lane, CallError> {
        match self.lane.get() {
            Some(lane) => Ok(lane),
            None => self.take_lane(),
        }
    }

    /// This thread's lane, if it has one.
    #[inline(always)]
    pub(crate) fn lane_if_any(&self) -> Option<&'static Lane> {
        self.lane.get()
    }

    /// This thread's lane, if the slot returns to its list.
    #[inline(always)]
    fn lane_of(&self, slot: &Slot) -> Option<&'static Lane> {
        let lane = slot.lane.load(Relaxed).cast_const().cast::<Lane>();
        let mine = self.lane.get().map_or(null(), std::ptr::from_ref);
        // SAFETY: a slot is given its lane, a leaked one, before it is first listed.
        (lane == mine).then(|| unsafe { &*lane })
    }

    #[cold]
    #[inline(never)]
    fn take_lane(&self) -> Result<&'static Lane, CallError> {
        // A thread whose thread-locals are gone could never hand a lane on.
        AT_EXIT.try_with(|_| ()).map_err(|_| CallError::ThreadEnding)?;
        let lane = idle().pop().unwrap_or_else(Lane::add);
        self.lane.set(Some(lane));
        Ok(lane)
    }

    /// Notes that this thread goes into a plugin. What it returns is noted again when it is left.
    #[inline(always)]
    pub(crate) fn go_inside(&self, slot: Option<&'static Slot>) -> Outer {
        Outer(self.inside.replace(slot.map_or(NO_SLOT, std::ptr::from_ref)))
    }

    /// Notes that this thread is back at what it was inside of before. Whether the note of wakers that
    /// were put off was here: then comes [`run_put_off`](Self::run_put_off).
    #[inline(always)]
    #[must_use]
    pub(crate) fn go_outside(&self, outer: Outer) -> bool {
        self.inside.replace(outer.0) == PUT_OFF
    }

    /// The slot of the call whose dispatch this thread is inside of, where it has one.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Option<&'static Slot> {
        let slot = self.inside.get();
        if slot > PUT_OFF {
            // SAFETY: what is noted beside the addresses that are none is a slot of a leaked chunk.
            return Some(unsafe { &*slot });
        }
        if slot == PUT_OFF { self.slot_behind() } else { None }
    }

    #[cold]
    fn slot_behind(&self) -> Option<&'static Slot> {
        let slot = self.behind.get();
        // SAFETY: as above.
        (slot > PUT_OFF).then(|| unsafe { &*slot })
    }

    /// The slot of `sid`, if that is the call whose dispatch this thread is inside of.
    #[inline(always)]
    pub(crate) fn slot_of(&self, sid: Sid) -> Option<&'static Slot> {
        self.slot().filter(|slot| slot.serves(sid))
    }

    /// Has a waker wait until this thread has left the plugin's code. It comes back where the thread has
    /// no lane any more, as it is about to end.
    pub(crate) fn put_off(&self, waker: Waker) -> Option<Waker> {
        let Some(lane) = self.lane.get() else { return Some(waker) };
        // Most wakers begin with a count of their task.
        near::will_write(waker.data(), size_of::<[usize; 2]>());
        // SAFETY: the lane is this thread's. If it was another's before, it came through a lock.
        unsafe { lane.later.put(waker) };
        self.note_put_off();
        None
    }

    fn note_put_off(&self) {
        if self.behind.get().is_null() {
            self.behind.set(self.inside.replace(PUT_OFF));
        }
    }

    /// Runs the wakers that this thread put off, now that it has left a plugin, or leaves that to
    /// where it leaves the outer one.
    #[cold]
    #[inline(never)]
    pub(crate) fn run_put_off(&self) {
        self.behind.set(null());
        if self.is_inside() {
            self.note_put_off();
        } else if let Some(lane) = self.lane.get() {
            crate::wake::run_deferred(lane);
        }
    }

    /// Makes this thread the timer's.
    pub(crate) fn become_timer(&self) {
        self.is_timer.set(true);
    }

    /// Whether this thread may block until a plugin does something: not inside a plugin, and not
    /// where a waker runs on the thread that all deadlines need.
    pub(crate) fn may_wait(&self) -> bool {
        !self.is_inside() && !self.is_timer.get()
    }

    /// Whether this thread is inside a plugin's dispatch.
    #[inline(always)]
    pub(crate) fn is_inside(&self) -> bool {
        !self.inside.get().is_null()
    }
}

/// What a thread was inside of before it went into a plugin.
#[derive(Copy, Clone)]
pub(crate) struct Outer(*const Slot);

/// The lanes of all threads, past ones too.
pub(crate) fn lanes() -> impl Iterator<Item = &'static Lane> + Clone {
    let at = |lane: &AtomicPtr<Lane>| {
        // SAFETY: the list holds null or leaked lanes, published with SeqCst.
        unsafe { lane.load(SeqCst).as_ref() }
    };
    std::iter::successors(at(&LANES), move |lane| at(&lane.next_lane))
}

impl Lane {
    fn add() -> &'static Self {
        let number = LANE_COUNT.fetch_add(1, SeqCst);
        let lane: &'static Self = Box::leak(Box::new(Self {
            home: Home::new(),
            _apart: [0; 14],
            free: Cell::new(null_mut()),
            spare: Cell::new(null_mut()),
            made: Cell::new(0),
            next_notify: Cell::new(first_notify(number)),
            queues: RefCell::new(Vec::new()),
            later: Later::new(),
            next_lane: AtomicPtr::new(null_mut()),
            tallies: new_block(),
            blocks: [const { AtomicPtr::new(null_mut()) }; MAX_LINKS / BLOCK],
        }));
        let mut first = LANES.load(SeqCst);
        loop {
            lane.next_lane.store(first, SeqCst);
            let this = std::ptr::from_ref(lane).cast_mut();
            match LANES.compare_exchange(first, this, SeqCst, SeqCst) {
                Ok(_) => return lane,
                Err(newer) => first = newer,
            }
        }
    }

    fn as_owner(&self) -> *mut () {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The next sid for a call that expects no answer.
    #[inline(always)]
    pub(crate) fn notify_sid(&self) -> Sid {
        let sid = self.next_notify.get();
        self.next_notify.set(sid + 1);
        Sid::from_raw(sid)
    }

    /// A free slot. Its word is FREE and it is on no list.
    #[inline(always)]
    pub(crate) fn pop(&'static self) -> Result<&'static Slot, CallError> {
        // SAFETY: the list holds null or slots of leaked chunks.
        match unsafe { self.free.get().as_ref() } {
            Some(slot) => {
                self.free.set(slot.next.load(Relaxed));
                Ok(slot)
            }
            None => self.pop_cold(),
        }
    }

    #[cold]
    #[inline(never)]
    fn pop_cold(&'static self) -> Result<&'static Slot, CallError> {
        self.welcome_home(self);
        let slot = self.unlist().or_else(|| {
            grow(self).or_else(|| self.steal())?;
            self.unlist()
        });
        slot.ok_or(CallError::TooManyOpen)
    }

    /// Takes a slot that is listed here, a spare one if there is no other.
    fn unlist(&self) -> Option<&'static Slot> {
        [&self.free, &self.spare].into_iter().find_map(|list| {
            // SAFETY: the lists hold null or slots of leaked chunks.
            let slot = unsafe { list.get().as_ref() }?;
            list.set(slot.next.load(Relaxed));
            Some(slot)
        })
    }

    /// Lists a slot that is this thread's alone.
    fn list(&self, slot: &Slot) {
        let is_spare = slot.marks.load(Relaxed) & SPARE != 0;
        let list = if is_spare { &self.spare } else { &self.free };
        slot.next.store(list.get(), Relaxed);
        list.set(as_ptr(slot));
    }

    /// Takes what others freed for `from`, and makes it this lane's.
    fn welcome_home(&self, from: &Lane) -> bool {
        self.adopt(from.home.take())
    }

    /// Lists the slots of a list that is this thread's. Whether there were any.
    fn adopt(&self, first: *mut Slot) -> bool {
        let mut at = first;
        // SAFETY: the list holds null or slots of leaked chunks.
        while let Some(slot) = unsafe { at.as_ref() } {
            at = slot.next.load(Relaxed);
            slot.lane.store(self.as_owner(), Relaxed);
            self.list(slot);
        }
        !first.is_null()
    }

    /// The index space is used up: looks for slots that other lanes have and don't use.
    fn steal(&self) -> Option<()> {
        if lanes().any(|lane| self.welcome_home(lane)) {
            return Some(());
        }
        // While the lock is held, no thread has these lanes.
        let found = idle().iter().any(|lane| {
            let lists = [&lane.free, &lane.spare];
            lists.into_iter().any(|list| self.adopt(list.replace(null_mut())))
        });
        found.then_some(())
    }

    /// Lists a slot that was taken from here and has no marks.
    #[inline(always)]
    fn push(&self, slot: &'static Slot) {
        slot.next.store(self.free.get(), Relaxed);
        self.free.set(as_ptr(slot));
    }

    /// Lists a slot that was taken and never opened.
    #[cold]
    pub(crate) fn put_back(&self, slot: &'static Slot) {
        self.list(slot);
    }

    /// A queue for a stream of so many frames, an old one if there is one that fits.
    pub(crate) fn queue(&self, frames: usize) -> Box<Queue> {
        let mut queues = self.queues.borrow_mut();
        match queues.iter().rposition(|queue| queue.frames() == frames) {
            Some(at) => queues.swap_remove(at),
            None => Queue::new(frames),
        }
    }

    fn keep_queue(&self, queue: Box<Queue>) {
        let mut queues = self.queues.borrow_mut();
        if queues.len() == KEEP_QUEUES {
            // The one that was not asked for longest is of the least use.
            drop(queues.remove(0));
        }
        queues.push(queue);
    }

    /// This lane's tally of the number of that plugin's.
    #[inline(always)]
    pub(crate) fn tally(&'static self, load: LoadId) -> &'static Tally {
        if load.offset() >= BLOCK_BYTES {
            return self.tally_of_many(load.number());
        }
        // Found by adding: a number's tally is as far from the first as its place is.
        // SAFETY: within the block, as was just seen.
        let tally = unsafe { self.tallies.as_ptr().byte_add(load.offset()) };
        // SAFETY: a whole number of tallies from the first of a lane, which is leaked.
        unsafe { &*tally }
    }

    /// The tally of a number that is not among the first.
    #[inline(never)]
    fn tally_of_many(&self, number: usize) -> &'static Tally {
        let made = self.blocks[number / BLOCK].load(Relaxed);
        // SAFETY: null or a leaked block.
        let block = unsafe { made.as_ref() }.unwrap_or_else(|| self.add_block(number));
        &block[number % BLOCK]
    }

    #[cold]
    fn add_block(&self, number: usize) -> &'static Block {
        let block: &'static Block = Box::leak(Box::new(new_block()));
        self.blocks[number / BLOCK].store(std::ptr::from_ref(block).cast_mut(), SeqCst);
        block
    }

    /// The same, for whoever adds up: None where this lane never called a plugin with such a number.
    pub(crate) fn tally_if_any(&'static self, number: usize) -> Option<&'static Tally> {
        if number < BLOCK {
            return Some(&self.tallies[number]);
        }
        // SAFETY: null or a leaked block, published with SeqCst.
        let block = unsafe { self.blocks[number / BLOCK].load(SeqCst).as_ref() }?;
        Some(&block[number % BLOCK])
    }
}

/// Where a lane begins to number the calls that expect no answer. 2^18 lanes have 2^44 sids each, and one
/// that uses its own up goes on into the next one's. Behind the last are 2^62, so that none comes to
/// where the top bit is lost.
fn first_notify(lane: usize) -> u64 {
    const LANES: usize = MAX_OPEN / 4;
    NOTIFY | ((lane % LANES) as u64) << NOTIFY_LANE
}

fn new_block() -> Block {
    std::array::from_fn(|_| Tally::new())
}

/// Ends the slot's generation and lists it.
///
/// # Safety
/// The caller holds the slot as [`Slot::release`] asks, and lets go of it by this.
#[inline(always)]
pub(crate) unsafe fn release(slot: &'static Slot, sid: Sid) {
    // SAFETY: passed on to the caller.
    let next = unsafe { slot.release(sid) };
    // After the word: from there on no state is added.
    let marks = slot.marks.load(Relaxed);
    if next == Next::Retired || marks != 0 {
        // SAFETY: the slot was released and is not listed yet, so it is this thread's alone.
        return unsafe { list_marked(slot, next, marks) };
    }
    match here().lane_of(slot) {
        Some(lane) => lane.push(slot),
        None => push_home(slot),
    }
}

/// # Safety
/// The slot is released and on no list.
#[cold]
#[inline(never)]
unsafe fn list_marked(slot: &'static Slot, next: Next, marks: u8) {
    if marks & STATE != 0 {
        crate::state::clear(slot);
    }
    if marks & SPARE != 0 {
        // SAFETY: as required above, nobody else has the slot.
        unsafe { slot.payload_mut() }.shed();
    }
    if next == Next::Retired {
        return;
    }
    match here().lane_of(slot) {
        Some(lane) => lane.list(slot),
        None => push_home(slot),
    }
}

/// Frees a slot from a thread that doesn't hold its lane.
#[cold]
#[inline(never)]
fn push_home(slot: &'static Slot) {
    let lane = slot.lane.load(Relaxed).cast::<Lane>();
    // SAFETY: a slot is given its lane, a leaked one, before it is first listed.
    unsafe { &*lane }.home.push(slot);
}

/// As [`release`], for a slot that served a stream.
///
/// # Safety
/// As for [`release`].
pub(crate) unsafe fn release_stream(slot: &'static Slot, sid: Sid) {
    // SAFETY: the caller holds the slot.
    let queue = unsafe { slot.take_queue() };
    if let Some(mut queue) = queue {
        queue.trim();
        if let Some(lane) = here().lane_if_any() {
            lane.keep_queue(queue);
        }
    }
    // SAFETY: passed on to the caller.
    unsafe { release(slot, sid) };
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn calls_without_an_answer_say_which_thread_they_are_of() {
        let sids = || {
            let lane = here().lane().unwrap();
            [lane.notify_sid(), lane.notify_sid()]
        };
        let mine = sids();
        let theirs = std::thread::spawn(sids).join().unwrap();
        assert!(mine[0] != mine[1] && mine[0].is_notify() && mine[1].is_notify());
        assert_eq!(mine[0].origin(), mine[1].origin());
        assert_ne!(mine[0].origin(), theirs[0].origin());
    }

    #[test]
    fn a_thread_that_put_wakers_off_knows_what_it_is_inside_of() {
        let here = here();
        let lane = here.lane().unwrap();
        let slot = lane.pop().unwrap();
        let is_at_slot = || here.slot().is_some_and(|at| std::ptr::eq(at, slot));
        let put_off = || assert!(here.put_off(Waker::noop().clone()).is_none());

        let outer = here.go_inside(Some(slot));
        put_off();
        assert!(is_at_slot() && !here.may_wait());
        let inner = here.go_inside(None);
        put_off();
        assert!(here.slot().is_none() && !here.may_wait());
        assert!(!here.go_outside(inner), "the outer note says it");
        assert!(is_at_slot());
        assert!(here.go_outside(outer));
        here.run_put_off();
        assert!(here.slot().is_none() && here.may_wait() && !lane.later.has_any());

        // The inner one's alone are the outer one's from when it is back there.
        let outer = here.go_inside(Some(slot));
        let inner = here.go_inside(None);
        put_off();
        assert!(here.go_outside(inner));
        here.run_put_off();
        assert!(is_at_slot() && lane.later.has_any());
        assert!(here.go_outside(outer));
        here.run_put_off();
        assert!(here.may_wait() && !lane.later.has_any());
        lane.put_back(slot);
    }
}
