//! Deadlines: none is lost, and none ends another call than its own.

use super::*;
use crate::queue::Queue;
use crate::slot::NEVER;
use crate::sync::AtomicU64;
use crate::timer::{Due, Timer, disarm};

/// The timer and one chunk of one slot.
struct Clockwork {
    timer: Timer,
    earliest: AtomicU64,
    slots: [Slot; 1],
}

/// When the deadlines of the models are due, and a moment after it.
const AT: u64 = 5;
const AFTER: u64 = 10;
const LATER: u64 = 20;

impl Clockwork {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            timer: Timer::new(),
            earliest: AtomicU64::new(NEVER),
            slots: [Slot::new(0)],
        })
    }

    fn slot(&self) -> &Slot {
        &self.slots[0]
    }

    fn arm(&self, at: u64) -> bool {
        self.timer.arm(self.slot(), &self.earliest, at)
    }

    /// What the timer's thread does when it is woken. Returns when it looks again.
    fn pass(&self, now: u64) -> u64 {
        let mut due = Due::default();
        let chunks = std::iter::once((&self.earliest, &self.slots[..]));
        let next = self.timer.pass(|| chunks, now, &mut due);
        for sid in due.orphans {
            release(self.slot(), sid);
        }
        due.wakers.into_iter().for_each(Waker::wake);
        next
    }
}

fn pass_of(clockwork: &Arc<Clockwork>, now: u64) -> JoinHandle<u64> {
    let clockwork = clockwork.clone();
    thread::spawn(move || clockwork.pass(now))
}

fn is_deadline(result: &Result<u8, Fault>) -> bool {
    matches!(result, Err(Fault::Deadline { .. }))
}

#[test]
fn a_deadline_armed_during_a_pass_is_seen_by_it_or_by_the_next() {
    model(|| {
        let clockwork = Clockwork::new();
        let slot = clockwork.slot();
        let sid = slot.open_dispatched(MINE);
        let (task, waker) = Task::new();
        assert_eq!(slot.poll(sid, &waker), Seen::Pending);
        let passing = pass_of(&clockwork, AFTER);
        let tell = clockwork.arm(AT);
        let next = passing.join().unwrap();
        if !task.was_woken() {
            // The timer's thread looks again: when it planned to, or because it was told.
            assert!(tell || next <= AFTER, "the timer sleeps until {next}");
            clockwork.pass(AFTER);
            assert!(task.was_woken());
        }
        assert!(is_deadline(&read(slot, sid)));
    });
}

#[test]
fn a_deadline_that_is_not_due_yet_is_kept_by_a_pass() {
    model(|| {
        let clockwork = Clockwork::new();
        let slot = clockwork.slot();
        let sid = slot.open_dispatched(MINE);
        let (task, waker) = Task::new();
        assert_eq!(slot.poll(sid, &waker), Seen::Pending);
        // Something was due earlier, so the pass takes the chunk up.
        let _ = clockwork.arm(AT);
        disarm(slot);
        let passing = pass_of(&clockwork, AFTER);
        let tell = clockwork.arm(LATER);
        let next = passing.join().unwrap();
        assert!(!task.was_woken());
        assert!(tell || next <= LATER, "the timer sleeps until {next}");
        clockwork.pass(LATER);
        assert!(is_deadline(&read(slot, sid)));
    });
}

#[test]
fn two_threads_that_arm_during_a_pass_lose_neither_deadline() {
    model(|| {
        let shared = Arc::new((Timer::new(), AtomicU64::new(NEVER), [Slot::new(0), Slot::new(1)]));
        let arming = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (timer, earliest, slots) = &*shared;
                let _ = slots[0].open_dispatched(MINE);
                timer.arm(&slots[0], earliest, AT)
            })
        };
        let passing = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (timer, earliest, slots) = &*shared;
                timer.pass(|| std::iter::once((earliest, &slots[..])), 1, &mut Due::default())
            })
        };
        let (timer, earliest, slots) = &*shared;
        let _ = slots[1].open_dispatched(MINE);
        let mine = timer.arm(&slots[1], earliest, LATER);
        let theirs = arming.join().unwrap();
        let next = passing.join().unwrap();
        assert!(theirs || mine || next <= AT, "the timer sleeps until {next}");
        assert!(theirs || next <= AT, "nobody told the timer of the earlier deadline: {next}");
        let mut due = Due::default();
        timer.pass(|| std::iter::once((earliest, &slots[..])), LATER, &mut due);
        let over =
            slots.iter().filter(|slot| !crate::slot::is_open(slot.word.load(Ordering::SeqCst)));
        assert_eq!(over.count(), 2);
    });
}

#[test]
fn a_deadline_never_ends_the_slots_next_call() {
    model(|| {
        let clockwork = Clockwork::new();
        let slot = clockwork.slot();
        let sid = slot.open_dispatched(MINE);
        let (_, waker) = Task::new();
        assert_eq!(slot.poll(sid, &waker), Seen::Pending);
        let _ = clockwork.arm(AT);
        let passing = pass_of(&clockwork, AFTER);
        disarm(slot);
        let mine = leave(slot, sid);
        let mut next = None;
        if mine {
            let sid = slot.open_dispatched(MINE);
            assert_eq!(slot.poll(sid, &waker), Seen::Pending);
            let _ = clockwork.arm(LATER);
            next = Some(sid);
        }
        passing.join().unwrap();
        if let Some(sid) = next {
            assert_eq!(answer(slot, sid, MINE, 2), Fate::Taken);
            disarm(slot);
            assert_eq!(read(slot, sid), Ok(2));
        }
    });
}

#[test]
fn the_deadline_or_the_answer_ends_a_call_and_it_is_freed_once() {
    model(|| {
        let clockwork = Clockwork::new();
        let slot = clockwork.slot();
        let sid = slot.open_dispatched(MINE);
        let (task, waker) = Task::new();
        assert_eq!(slot.poll(sid, &waker), Seen::Pending);
        let _ = clockwork.arm(AT);
        let passing = pass_of(&clockwork, AFTER);
        let answered = answer(slot, sid, MINE, 1);
        passing.join().unwrap();
        assert!(task.was_woken());
        disarm(slot);
        let got = read(slot, sid);
        assert_eq!(got == Ok(1), answered == Fate::Taken);
        assert_eq!(is_deadline(&got), answered != Fate::Taken);
    });
}

#[test]
fn a_call_that_is_handed_over_during_a_pass_keeps_its_deadline() {
    model(|| {
        let clockwork = Clockwork::new();
        let slot = clockwork.slot();
        let sid = slot.open_dispatched(MINE);
        let (task, waker) = Task::new();
        assert_eq!(slot.poll(sid, &waker), Seen::Pending);
        let _ = clockwork.arm(AT);
        let passing = pass_of(&clockwork, AFTER);
        let outcome = slot.hand_over(sid, |slot| owned_by(slot, MINE), OTHER);
        let handed = settle(slot, sid, outcome);
        let next = passing.join().unwrap();
        if !task.was_woken() {
            assert_eq!(handed, Fate::Taken);
            assert_ne!(next, NEVER, "the deadline was forgotten");
            clockwork.pass(next);
        }
        assert!(task.was_woken());
        assert!(is_deadline(&read(slot, sid)));
    });
}

#[test]
fn the_deadline_of_one_wait_never_ends_a_streams_next_wait() {
    model(|| {
        let clockwork = Clockwork::new();
        let slot = clockwork.slot();
        let mut queue = Queue::new(2);
        queue.reset(100);
        let sid = slot.open_stream(MINE, queue);
        slot.left_stream_dispatch();
        let (_, waker) = Task::new();
        assert_eq!(slot.poll_stream(sid, 0, &waker), Seen::Pending);
        let _ = clockwork.arm(AT);
        // A frame wakes the reader before the timer begins to look.
        let sending = crate::queue::Sending {
            answer: Answer::Copied(RawStatus::OK, &[1; 3]),
            last: false,
            inside: false,
        };
        let crate::queue::Sent::As(outcome) = slot.send(sid, MINE, sending) else {
            panic!("the queue is empty");
        };
        assert_eq!(settle(slot, sid, outcome), Fate::Taken);
        let passing = pass_of(&clockwork, AFTER);
        // The reader takes the frame and waits for the next one.
        disarm(slot);
        // SAFETY: this is the reader, and there is a frame.
        unsafe { slot.free_frame(0) };
        let seen = slot.poll_stream(sid, 1, &waker);
        assert_eq!(seen, Seen::Pending);
        let tell = clockwork.arm(LATER);
        let next = passing.join().unwrap();
        assert!(!Slot::is_over(slot.word.load(Ordering::Acquire)), "ended by the last deadline");
        assert!(tell || next <= LATER, "the timer sleeps until {next}");
        disarm(slot);
        assert_ne!(slot.leave_stream(sid), Left::ToAnswerer);
        release(slot, sid);
    });
}
