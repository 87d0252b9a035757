//! A call's slot: answers, the waiter, and the slot's next call.

use super::*;
use crate::sid::GENERATION_MASK;
use crate::slot::FREE;

#[test]
fn of_two_answers_one_waiter_gets_one_whole() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let answers =
            [1, 2].map(|value| spawn(&slot, move |slot| (value, answer(slot, sid, MINE, value))));
        let got = wait(&slot, sid).expect("an answer");
        for thread in answers {
            match thread.join().unwrap() {
                (value, Fate::Taken) => assert_eq!(got, value),
                (value, Fate::Dropped(Reason::Double | Reason::Late)) => assert_ne!(got, value),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_cancelled_call_is_freed_once_and_its_late_answer_reaches_nobody() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let answering = spawn(&slot, move |slot| {
            let first = answer(slot, sid, MINE, 1);
            let second = answer(slot, sid, MINE, 2);
            assert!(matches!(second, Fate::Dropped(_)), "{second:?}");
            first
        });
        let (_, waker) = Task::new();
        let _ = slot.poll(sid, &waker);
        let mine = leave(&slot, sid);
        if mine {
            let next = slot.open_dispatched(MINE);
            assert_ne!(next, sid);
            assert_eq!(answer(&slot, next, MINE, 9), Fate::Taken);
            assert_eq!(wait(&slot, next), Ok(9));
        }
        let first = answering.join().unwrap();
        assert_ne!(mine, first == Fate::Orphaned, "{first:?}");
    });
}

/// What a port does for an answer on the calling thread: without a locked instruction if it can.
fn answer_as_a_port_does(slot: &Slot, sid: Sid, value: u8) -> bool {
    slot.copy_inside(sid, MINE, RawStatus::OK, &[value; 3])
        || answer_inside(slot, sid, MINE, value) == Fate::Taken
}

#[test]
fn an_answer_inside_dispatch_beats_or_loses_to_one_from_another_thread() {
    for make in [roomy as fn() -> Slot, || Slot::new(3)] {
        model(move || {
            let slot = Arc::new(make());
            let sid = slot.open(MINE);
            let other = spawn(&slot, move |slot| answer(slot, sid, MINE, 1));
            let inside = answer_as_a_port_does(&slot, sid, 2);
            slot.left_dispatch(sid);
            let got = wait(&slot, sid).unwrap();
            assert_eq!(got, if inside { 2 } else { 1 });
            // The slot's next call, while the other answer may still be on its way.
            let next = slot.open(MINE);
            assert!(!slot.is_answered());
            assert!(answer_as_a_port_does(&slot, next, 5));
            assert_eq!(read(&slot, next), Ok(5));
            let other = other.join().unwrap();
            assert_ne!(inside, other == Fate::Taken, "{other:?}");
        });
    }
}

#[test]
fn an_answer_inside_dispatch_or_the_hosts_end_wins_and_the_waiter_gets_that() {
    for make in [roomy as fn() -> Slot, || Slot::new(3)] {
        model(move || {
            let slot = Arc::new(make());
            let sid = slot.open(MINE);
            let end = spawn(&slot, move |slot| end(slot, sid));
            let inside = answer_as_a_port_does(&slot, sid, 2);
            slot.left_dispatch(sid);
            let got = wait(&slot, sid);
            assert_eq!(got.is_ok(), inside);
            assert_ne!(inside, end.join().unwrap() == Fate::Taken);
        });
    }
}

#[test]
fn an_answer_that_comes_before_dispatch_returns_is_waited_for_after() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open(MINE);
        let other = spawn(&slot, move |slot| answer(slot, sid, MINE, 1));
        slot.left_dispatch(sid);
        assert_eq!(wait(&slot, sid), Ok(1));
        assert_eq!(other.join().unwrap(), Fate::Taken);
    });
}

#[test]
fn the_waker_that_was_left_last_is_woken() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let answering = spawn(&slot, move |slot| answer(slot, sid, MINE, 1));
        let (_, first) = Task::new();
        let (task, last) = Task::new();
        let mut seen = slot.poll(sid, &first);
        for _ in 0..2 {
            if seen == Seen::Pending {
                seen = slot.poll(sid, &last);
            }
        }
        assert_eq!(answering.join().unwrap(), Fate::Taken);
        assert!(seen == Seen::Ready || task.was_woken(), "nobody woke the last waker");
        assert_eq!(read(&slot, sid), Ok(1));
    });
}

#[test]
fn a_foreign_port_never_answers_not_even_across_reuse() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let foreign = spawn(&slot, move |slot| answer(slot, sid, OTHER, 7));
        assert_eq!(answer(&slot, sid, MINE, 1), Fate::Taken);
        assert_eq!(wait(&slot, sid), Ok(1));
        // Now the slot is the other port's, while the foreign answer may still be on its way.
        let next = slot.open_dispatched(OTHER);
        let (_, waker) = Task::new();
        assert_eq!(slot.poll(next, &waker), Seen::Pending);
        let foreign = foreign.join().unwrap();
        assert!(matches!(foreign, Fate::Dropped(_)), "{foreign:?}");
        assert!(!slot.is_answered());
        assert!(leave(&slot, next));
    });
}

#[test]
fn the_hosts_end_or_the_answer_wins_and_the_waiter_gets_that() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let ending = spawn(&slot, move |slot| end(slot, sid));
        let answering = spawn(&slot, move |slot| answer(slot, sid, MINE, 1));
        let got = wait(&slot, sid);
        let (ended, answered) = (ending.join().unwrap(), answering.join().unwrap());
        assert_eq!(got == Ok(1), answered == Fate::Taken);
        assert_eq!(got == Err(Fault::Unloaded), ended == Fate::Taken);
    });
}

#[test]
fn the_hosts_end_against_a_waiter_that_leaves_frees_the_slot_once() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let ending = spawn(&slot, move |slot| end(slot, sid));
        let (_, waker) = Task::new();
        let _ = slot.poll(sid, &waker);
        let mine = leave(&slot, sid);
        if mine {
            // Not the end of the next call, though it is the same port's.
            let next = slot.open_dispatched(MINE);
            assert_eq!(answer(&slot, next, MINE, 2), Fate::Taken);
            assert_eq!(wait(&slot, next), Ok(2));
        }
        assert_ne!(mine, ending.join().unwrap() == Fate::Orphaned);
    });
}

#[test]
fn of_an_end_an_answer_and_a_waiter_that_leaves_one_frees_the_slot() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let ending = spawn(&slot, move |slot| end(slot, sid));
        let answering = spawn(&slot, move |slot| answer(slot, sid, MINE, 1));
        let mine = leave(&slot, sid);
        let freed = [ending.join().unwrap(), answering.join().unwrap()]
            .iter()
            .filter(|fate| **fate == Fate::Orphaned)
            .count();
        assert_eq!(freed + usize::from(mine), 1);
    });
}

#[test]
fn a_slot_whose_generations_are_used_up_serves_no_other_call() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        // The last generation there is.
        slot.word.store(GENERATION_MASK | FREE, Ordering::Relaxed);
        let sid = slot.open_dispatched(MINE);
        let answering = spawn(&slot, move |slot| {
            let outcome = slot.answer(sid, MINE, Answer::Copied(RawStatus::OK, &[1; 3]));
            match outcome {
                // SAFETY: the waiter left the slot to this thread.
                Outcome::Orphaned => Some(unsafe { slot.release(sid) }),
                _ => None,
            }
        });
        let mine = match slot.leave(sid) {
            Left::ToAnswerer => None,
            // SAFETY: leaving left the slot to this thread.
            _ => Some(unsafe { slot.release(sid) }),
        };
        let theirs = answering.join().unwrap();
        assert_eq!(mine.or(theirs), Some(Next::Retired));
        assert!(mine.is_none() || theirs.is_none());
        for made_up in [sid, Sid::from_raw(u64::from(slot.index))] {
            assert!(matches!(answer(&slot, made_up, MINE, 1), Fate::Dropped(_)));
        }
    });
}

#[test]
fn where_an_answer_will_lie_is_looked_up_while_nobody_writes_one() {
    model(|| {
        let slot = Arc::new(roomy());
        let sid = slot.open(MINE);
        let ending = spawn(&slot, move |slot| end(slot, sid));
        let _ = slot.room_inside(sid);
        slot.left_dispatch(sid);
        assert_eq!(ending.join().unwrap(), Fate::Taken);
        assert_eq!(read(&slot, sid), Err(Fault::Unloaded));
    });
}
