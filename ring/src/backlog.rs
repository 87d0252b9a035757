//! What others left for whoever has a [`Turn`](crate::turn::Turn), in the order in which they did.
//!
//! Jobs lie in cells, so many in a segment, and stay where they were put until they are taken. Who
//! leaves one writes the next cell, and who takes one back looks for it, under a lock. Whoever has the
//! turn takes them cell by cell without it, and needs it where a segment ends. So a job goes from one
//! core to the other once.
//!
//! | a cell's tag | its job |
//! |---|---|
//! | `EMPTY` | is still to come, written by who has the lock |
//! | `UNNAMED`, or a sid | waits: whoever swaps `GONE` in has it |
//! | `GONE` | was taken, or taken back |
//!
//! A cell is used once. Its segment is used anew when all of it is `GONE` and whoever has the turn looks
//! at another: the lock is held then, as by who takes a job back until that is out of its cell. The tags
//! lie together, so that whoever takes a job sees what comes next, and has it brought near meanwhile.

#![expect(unsafe_code, reason = "a cell's tag says who may touch its job")]

use crate::lane;
use crate::near::{self, Room};
use crate::sid::Sid;
use crate::slot::Slot;
use crate::sync::{Acquire, AtomicU64, Mutex, MutexGuard, Relaxed, Release, UnsafeCell};
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};

// None of them is a call's sid, and nobody is found by them.
const EMPTY: u64 = 0;
const GONE: u64 = 1;
const UNNAMED: u64 = 2;

/// How many cells a segment has.
const CELLS: usize = if cfg!(loom) { 2 } else { 16 };

pub(crate) struct Backlog<J> {
    line: Apart<Mutex<Line<J>>>,
    taken: Apart<Taken>,
}

/// On cache lines of its own.
#[repr(align(128))]
pub(crate) struct Apart<T>(T);

impl<T> Apart<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Apart<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Those that wait, and what was left so far.
struct Line<J> {
    /// The one that is taken from, and those after it.
    segments: VecDeque<Arc<Segment<J>>>,
    spare: Option<Arc<Segment<J>>>,
    /// How many cells of the last one were used.
    used: usize,
    /// What was left, without what was taken back.
    left: Count,
    /// What was taken of it when that was last looked at. (To look is to take the cache line from whoever
    /// takes jobs.)
    seen: Count,
}

/// So many jobs; and those of them that are bounded, with their bytes.
#[derive(Debug, Default, Copy, Clone)]
struct Count {
    jobs: u64,
    counted: u64,
    bytes: u64,
}

/// What was taken so far: written by whoever has the turn.
#[derive(Default)]
struct Taken {
    jobs: AtomicU64,
    counted: AtomicU64,
    bytes: AtomicU64,
}

#[repr(C)]
struct Segment<J> {
    tags: Tags,
    cells: [Cell<J>; CELLS],
}

#[repr(align(64))]
struct Tags([AtomicU64; CELLS]);

#[repr(align(64))]
struct Cell<J>(UnsafeCell<Option<Left<J>>>);

/// A job, and what else whoever takes it wants to know.
struct Left<J> {
    job: J,
    count: Count,
    /// Where its call's answer will be copied to.
    room: Room,
}

// SAFETY: a job goes from who left it to who swaps its tag out, and is never shared.
unsafe impl<J: Send> Sync for Cell<J> {}

/// How far whoever has the turn is: in the first segment, if it has seen it, at this cell.
pub(crate) struct Taker<J> {
    segment: Option<Arc<Segment<J>>>,
    at: usize,
    /// Whether that cell's job was brought near.
    is_near: bool,
}

impl<J> Backlog<J> {
    pub(crate) fn new() -> Self {
        Self {
            line: Apart::new(Mutex::new(Line {
                segments: VecDeque::new(),
                spare: None,
                used: 0,
                left: Count::default(),
                seen: Count::default(),
            })),
            taken: Apart::new(Taken::default()),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<J>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a job of so many bytes, unless more would wait than may.
    #[inline]
    pub(crate) fn push(
        &self,
        job: J,
        sid: Option<Sid>,
        bytes: usize,
        most_jobs: usize,
        most_bytes: usize,
    ) -> Result<(), J> {
        let more = Count { jobs: 1, counted: 1, bytes: bytes as u64 };
        let fits = |there: Count| {
            let room = (most_bytes as u64).saturating_sub(there.bytes);
            there.counted < most_jobs as u64 && more.bytes <= room
        };
        let job = Left::new(job, sid, more);
        let mut line = self.line();
        if !fits(line.waiting()) {
            line.seen = self.taken.now();
            if !fits(line.waiting()) {
                return Err(job.job);
            }
        }
        line.put(job, sid);
        Ok(())
    }

    /// Leaves a job that is not counted.
    pub(crate) fn push_uncounted(&self, job: J, sid: Option<Sid>) {
        let job = Left::new(job, sid, Count { jobs: 1, ..Count::default() });
        self.line().put(job, sid);
    }

    /// Takes the job of a call that waits back.
    pub(crate) fn remove(&self, sid: Sid) -> Option<J> {
        let mut line = self.line();
        let mut segments = line.segments.iter().enumerate();
        let (at, job) = segments.find_map(|(at, segment)| Some((at, segment.take_back(sid)?)))?;
        let count = job.count();
        let job = job.into_job();
        line.left = line.left.minus(count);
        line.reap(at);
        Some(job)
    }

    /// How many jobs wait.
    pub(crate) fn len(&self) -> usize {
        let mut line = self.line();
        line.seen = self.taken.now();
        line.waiting().jobs as usize
    }

    /// For how many jobs there is room.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn room(&self) -> usize {
        let line = self.line();
        (line.segments.len() + usize::from(line.spare.is_some())) * CELLS
    }
}

impl<J> Line<J> {
    /// What waits, and perhaps what was taken since that was last looked at.
    fn waiting(&self) -> Count {
        self.left.minus(self.seen)
    }

    fn put(&mut self, job: Left<J>, sid: Option<Sid>) {
        if self.segments.is_empty() || self.used == CELLS {
            self.segments.push_back(self.spare.take().unwrap_or_else(Segment::new));
            self.used = 0;
        }
        let last = self.segments.back().expect("there is one now");
        let tag = sid.map_or(UNNAMED, |sid| sid.as_raw().max(UNNAMED));
        self.left = self.left.plus(job.count);
        last.put(self.used, job, tag);
        self.used += 1;
    }

    /// All of the first segment was taken, and whoever took it looks at it no more.
    fn finish(&mut self, segment: Arc<Segment<J>>) {
        drop(self.segments.pop_front());
        self.use_anew(segment);
        if self.segments.is_empty()
            && let Some(segment) = self.spare.take()
        {
            self.segments.push_back(segment);
            self.used = 0;
        }
    }

    /// A job of this segment was taken back. If it was the last, the segment goes: who has the turn may
    /// not come by for long. (It may be looking at the first one.)
    fn reap(&mut self, at: usize) {
        let is_full = at + 1 < self.segments.len() || self.used == CELLS;
        if at != 0
            && is_full
            && self.segments[at].is_gone()
            && let Some(segment) = self.segments.remove(at)
        {
            // Where that was the last, the one before it is full as well.
            self.use_anew(segment);
        }
    }

    /// Keeps a segment that nobody looks at for the next jobs.
    fn use_anew(&mut self, mut segment: Arc<Segment<J>>) {
        if let Some(Segment { tags, .. }) = Arc::get_mut(&mut segment) {
            // The jobs were dropped when they were taken.
            tags.0.iter().for_each(|tag| tag.store(EMPTY, Relaxed));
            self.spare = Some(segment);
        }
    }
}

impl<J> Left<J> {
    fn new(job: J, sid: Option<Sid>, count: Count) -> Self {
        Self { job, count, room: sid.map_or(Room::UNKNOWN, lane::room_of) }
    }
}

impl Count {
    fn plus(self, more: Self) -> Self {
        Self {
            jobs: self.jobs + more.jobs,
            counted: self.counted + more.counted,
            bytes: self.bytes + more.bytes,
        }
    }

    fn minus(self, less: Self) -> Self {
        Self {
            jobs: self.jobs - less.jobs,
            counted: self.counted - less.counted,
            bytes: self.bytes - less.bytes,
        }
    }
}

impl Taken {
    fn now(&self) -> Count {
        let Self { jobs, counted, bytes } = self;
        let [jobs, counted, bytes] = [jobs, counted, bytes].map(|number| number.load(Relaxed));
        Count { jobs, counted, bytes }
    }

    /// One thread at a time does this.
    #[inline]
    fn add(&self, more: Count) {
        let Count { jobs, counted, bytes } = self.now().plus(more);
        self.jobs.store(jobs, Relaxed);
        self.counted.store(counted, Relaxed);
        self.bytes.store(bytes, Relaxed);
    }
}

impl<J> Segment<J> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            tags: Tags(std::array::from_fn(|_| AtomicU64::new(EMPTY))),
            cells: std::array::from_fn(|_| Cell(UnsafeCell::new(None))),
        })
    }

    /// Only who has the lock puts a job into a cell, and once.
    #[inline]
    fn put(&self, at: usize, job: Left<J>, tag: u64) {
        debug_assert!(tag != EMPTY && tag != GONE);
        // SAFETY: the tag is `EMPTY`, so nobody else touches the job.
        self.cells[at].0.with_mut(|cell| unsafe { *cell = Some(job) });
        self.tags.0[at].store(tag, Release);
    }

    /// Makes the job that waits in a cell with this tag the caller's, if nobody was faster.
    #[inline]
    fn claim(&self, at: usize, tag: u64) -> bool {
        self.tags.0[at].compare_exchange(tag, GONE, Acquire, Relaxed).is_ok()
    }

    /// The job that was claimed.
    ///
    /// # Safety
    /// The caller claimed it, and asks once.
    #[inline]
    unsafe fn claimed(&self, at: usize) -> Claimed<'_, J> {
        Claimed { cell: &self.cells[at], _job: PhantomData }
    }

    /// The cell in which a call's job waits.
    fn find(&self, sid: Sid) -> Option<usize> {
        let mut tags = self.tags.0.iter();
        tags.position(|tag| tag.load(Relaxed) == sid.as_raw() && sid.as_raw() > UNNAMED)
    }

    fn take_back(&self, sid: Sid) -> Option<Claimed<'_, J>> {
        let at = self.find(sid)?;
        // SAFETY: it was claimed just now.
        self.claim(at, sid.as_raw()).then(|| unsafe { self.claimed(at) })
    }

    /// Has the job in a cell brought near, and its call's slot, if one waits there.
    #[inline]
    fn bring_near(&self, at: usize) -> bool {
        let tag = self.tags.0.get(at).map_or(EMPTY, |tag| tag.load(Relaxed));
        let waits = tag != EMPTY && tag != GONE;
        if waits {
            near::will_write(std::ptr::from_ref(&self.cells[at]), size_of::<Cell<J>>());
            if tag != UNNAMED
                && let Some(slot) = lane::slot_of(Sid::from_raw(tag))
            {
                near::will_write(std::ptr::from_ref(slot), size_of::<Slot>());
            }
        }
        waits
    }

    fn is_gone(&self) -> bool {
        self.tags.0.iter().all(|tag| tag.load(Relaxed) == GONE)
    }
}

/// A job that was taken, and lies where it was left until this is dropped, and it is too.
pub struct Claimed<'a, J> {
    cell: &'a Cell<J>,
    /// It is lent as its job would be.
    _job: PhantomData<&'a mut J>,
}

impl<J> Claimed<'_, J> {
    #[inline(always)]
    fn cell(&self) -> &Option<Left<J>> {
        // SAFETY: the cell was claimed for this value alone, which is borrowed.
        self.cell.0.with(|job| unsafe { &*job })
    }

    #[inline(always)]
    fn cell_mut(&mut self) -> &mut Option<Left<J>> {
        // SAFETY: as above, and the borrow is exclusive.
        self.cell.0.with_mut(|job| unsafe { &mut *job })
    }

    fn count(&self) -> Count {
        there(self.cell().as_ref()).count
    }

    /// The job by itself.
    pub fn into_job(mut self) -> J {
        there(self.cell_mut().take()).job
    }
}

/// What a cell holds from when it is claimed until its [`Claimed`] is gone.
#[inline(always)]
fn there<T>(cell: Option<T>) -> T {
    cell.unwrap_or_else(|| unreachable!("a claimed job is there until it is moved out"))
}

impl<J> Deref for Claimed<'_, J> {
    type Target = J;

    #[inline(always)]
    fn deref(&self) -> &J {
        &there(self.cell().as_ref()).job
    }
}

impl<J> DerefMut for Claimed<'_, J> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut J {
        &mut there(self.cell_mut().as_mut()).job
    }
}

impl<J> Drop for Claimed<'_, J> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.cell_mut() = None;
    }
}

impl<J> fmt::Debug for Claimed<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claimed")
    }
}

impl<J> Taker<J> {
    pub(crate) fn new() -> Self {
        Self { segment: None, at: CELLS, is_near: false }
    }

    /// The next job. The one behind it is brought near, if it is there yet, and what this one's answer
    /// will be copied to.
    ///
    /// A backlog has one taker.
    #[inline]
    pub(crate) fn next(&mut self, backlog: &Backlog<J>) -> Option<Claimed<'_, J>> {
        let at = loop {
            if self.at == CELLS {
                self.go_on(backlog);
            }
            let (segment, at) = (self.segment.as_deref()?, self.at);
            let tag = segment.tags.0.get(at)?;
            let is_near = std::mem::take(&mut self.is_near);
            if !is_near {
                // It is about to be swapped, which is one journey of its cache line in place of two.
                near::will_write(tag, size_of::<u64>());
            }
            let tag = tag.load(Acquire);
            if tag == EMPTY {
                return None;
            }
            if !is_near {
                segment.bring_near(at);
            }
            self.at += 1;
            if tag != GONE && segment.claim(at, tag) {
                break at;
            }
        };
        let segment = self.segment.as_deref()?;
        // SAFETY: it was claimed just now.
        let job = unsafe { segment.claimed(at) };
        let Left { count, room, .. } = there(job.cell().as_ref());
        backlog.taken.add(*count);
        room.bring_near();
        self.is_near = segment.bring_near(at + 1);
        Some(job)
    }

    /// To the next segment. Where there is none the one that was taken is used anew.
    #[inline(never)]
    fn go_on(&mut self, backlog: &Backlog<J>) {
        let mut line = backlog.line();
        if let Some(segment) = self.segment.take() {
            line.finish(segment);
        }
        if let Some(first) = line.segments.front() {
            self.segment = Some(first.clone());
            self.at = 0;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn sid(job: u32) -> Sid {
        Sid::from_raw(u64::from(job) << 24)
    }

    fn leave(backlog: &Backlog<u32>, jobs: std::ops::Range<u32>) {
        for job in jobs {
            let left = backlog.push(job, Some(sid(job)), 10, usize::MAX, usize::MAX);
            left.expect("there is room");
        }
    }

    fn taken(taker: &mut Taker<u32>, backlog: &Backlog<u32>) -> Option<u32> {
        taker.next(backlog).map(Claimed::into_job)
    }

    #[test]
    fn jobs_are_taken_in_their_order_and_their_room_is_used_again() {
        let (backlog, mut taker) = (Backlog::new(), Taker::new());
        for round in 0..20 {
            let jobs = 1..2 + 3 * round;
            leave(&backlog, jobs.clone());
            assert_eq!(backlog.len(), jobs.len());
            let taken: Vec<_> = std::iter::from_fn(|| taken(&mut taker, &backlog)).collect();
            assert!(taken.into_iter().eq(jobs));
            assert!(backlog.len() == 0 && backlog.room() <= 2 * CELLS);
        }
    }

    #[test]
    fn no_more_wait_than_may_whatever_came_and_went_before() {
        let (backlog, mut taker) = (Backlog::new(), Taker::new());
        let push = |bytes| backlog.push(1, Some(sid(7)), bytes, 3, 100);
        for _ in 0..50 {
            backlog.push_uncounted(0, None);
            assert_eq!(push(101), Err(1));
            assert_eq!([60, 41, 40].map(push), [Ok(()), Err(1), Ok(())]);
            assert_eq!([0, 0].map(push), [Ok(()), Err(1)]);
            assert_eq!(backlog.len(), 4);
            assert_eq!(backlog.remove(sid(7)), Some(1));
            assert_eq!([61, 60].map(push), [Err(1), Ok(())]);
            assert_eq!(taken(&mut taker, &backlog), Some(0));
            assert_eq!(push(0), Err(1), "what is not counted makes no room");
            while taken(&mut taker, &backlog).is_some() {}
        }
    }

    #[test]
    fn a_call_is_found_until_it_is_taken() {
        let (backlog, mut taker) = (Backlog::new(), Taker::new());
        leave(&backlog, 1..40);
        assert_eq!([40, 20, 20].map(|job| backlog.remove(sid(job))), [None, Some(20), None]);
        let first = taker.next(&backlog).expect("there is one");
        assert_eq!((*first, backlog.remove(sid(1))), (1, None));
        drop(first);
        let rest: Vec<_> = std::iter::from_fn(|| taken(&mut taker, &backlog)).collect();
        assert!(rest.into_iter().eq((2..40).filter(|job| *job != 20)));
        // The room of the last ones serves these, and forgets whose it was.
        leave(&backlog, 40..41);
        backlog.push_uncounted(41, None);
        assert_eq!([33, 41, 40].map(|job| backlog.remove(sid(job))), [None, None, Some(40)]);
        assert_eq!(taken(&mut taker, &backlog), Some(41));
    }

    #[test]
    fn what_is_taken_back_leaves_no_room_behind_while_nobody_takes_jobs() {
        let (backlog, mut taker) = (Backlog::new(), Taker::new());
        leave(&backlog, 1..2);
        for job in 2..1000 {
            leave(&backlog, job..job + 2);
            assert_eq!(backlog.remove(sid(job)), Some(job));
            assert_eq!(backlog.remove(sid(job + 1)), Some(job + 1));
            assert!(backlog.len() == 1 && backlog.room() <= 3 * CELLS);
        }
        // Those that still wait keep theirs.
        leave(&backlog, 2..100);
        (3..100).for_each(|job| assert_eq!(backlog.remove(sid(job)), Some(job)));
        assert!(backlog.room() <= 4 * CELLS);
        leave(&backlog, 100..101);
        let rest: Vec<_> = std::iter::from_fn(|| taken(&mut taker, &backlog)).collect();
        assert_eq!(rest, [1, 2, 100]);
    }

    #[test]
    fn room_that_jobs_are_taken_from_stays() {
        let (backlog, mut taker) = (Backlog::new(), Taker::new());
        let all = CELLS as u32;
        leave(&backlog, 1..all + 1);
        assert_eq!(taken(&mut taker, &backlog), Some(1));
        (2..all + 1).for_each(|job| assert_eq!(backlog.remove(sid(job)), Some(job)));
        leave(&backlog, all + 1..all + 2);
        assert_eq!(taken(&mut taker, &backlog), Some(all + 1));
    }

    #[test]
    fn room_that_is_being_filled_stays() {
        let (backlog, mut taker) = (Backlog::new(), Taker::new());
        let all = CELLS as u32;
        leave(&backlog, 1..all + 2);
        assert_eq!(backlog.remove(sid(all + 1)), Some(all + 1));
        leave(&backlog, all + 2..all + 3);
        let rest: Vec<_> = std::iter::from_fn(|| taken(&mut taker, &backlog)).collect();
        assert!(rest.into_iter().eq((1..all + 1).chain([all + 2])));
    }

    #[test]
    fn nobody_is_found_by_what_is_no_sid() {
        let (backlog, mut taker) = (Backlog::new(), Taker::new());
        for raw in 0..=UNNAMED {
            let none = Sid::from_raw(raw);
            backlog.push_uncounted(7, Some(none));
            backlog.push_uncounted(8, None);
            assert!(backlog.remove(none).is_none());
            let rest: Vec<_> = std::iter::from_fn(|| taken(&mut taker, &backlog)).collect();
            assert_eq!(rest, [7, 8]);
        }
    }

    #[test]
    fn a_job_lies_where_it_was_left_until_it_is_done() {
        let (backlog, mut taker) = (Backlog::new(), Taker::new());
        let job = Arc::new(());
        backlog.push_uncounted(job.clone(), None);
        let claimed = taker.next(&backlog).expect("there is one");
        assert_eq!((Arc::strong_count(&claimed), backlog.len()), (2, 0));
        drop(claimed);
        assert_eq!(Arc::strong_count(&job), 1);
        backlog.push_uncounted(job.clone(), None);
        drop((backlog, taker));
        assert_eq!(Arc::strong_count(&job), 1, "what was never taken goes with the rest");
    }
}
