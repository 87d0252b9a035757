//! A call that is given to another port, against all that may happen to it meanwhile.

use super::*;

fn hand_over(slot: &Slot, sid: Sid) -> Fate {
    let outcome = slot.hand_over(sid, |slot| owned_by(slot, MINE), OTHER);
    settle(slot, sid, outcome)
}

#[test]
fn of_the_old_ports_answer_and_the_new_ones_the_waiter_gets_one() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let old = spawn(&slot, move |slot| answer(slot, sid, MINE, 1));
        let new = spawn(&slot, move |slot| {
            let handed = hand_over(slot, sid);
            (handed, answer(slot, sid, OTHER, 2))
        });
        let (task, waker) = Task::new();
        let seen = slot.poll(sid, &waker);
        let (old, (handed, new)) = (old.join().unwrap(), new.join().unwrap());
        assert!(seen == Seen::Ready || task.was_woken());
        let got = read(&slot, sid).unwrap();
        // Whichever of the two it was, the waiter got that one. (An answer that began
        // before the call was handed over may still be taken after.)
        assert!(handed == Fate::Taken || new != Fate::Taken, "{handed:?} {new:?}");
        assert_ne!(old == Fate::Taken, new == Fate::Taken, "{old:?} {new:?}");
        assert_eq!(old == Fate::Taken, got == 1, "{old:?}");
        assert_eq!(new == Fate::Taken, got == 2, "{new:?}");
    });
}

#[test]
fn the_waker_is_not_lost_when_a_call_is_handed_over() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let handing = spawn(&slot, move |slot| hand_over(slot, sid));
        let (_, first) = Task::new();
        let (task, last) = Task::new();
        let mut seen = slot.poll(sid, &first);
        if seen == Seen::Pending {
            seen = slot.poll(sid, &last);
        }
        assert_eq!(seen, Seen::Pending);
        assert_eq!(handing.join().unwrap(), Fate::Taken);
        assert!(matches!(answer(&slot, sid, MINE, 1), Fate::Dropped(Reason::Foreign)));
        assert_eq!(answer(&slot, sid, OTHER, 2), Fate::Taken);
        assert!(task.was_woken(), "nobody woke the last waker");
        assert_eq!(read(&slot, sid), Ok(2));
    });
}

#[test]
fn a_waiter_that_leaves_a_call_being_handed_over_frees_its_slot_once() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let handing = spawn(&slot, move |slot| {
            let handed = hand_over(slot, sid);
            (handed, answer(slot, sid, OTHER, 2))
        });
        let (_, waker) = Task::new();
        let _ = slot.poll(sid, &waker);
        let mine = leave(&slot, sid);
        if mine {
            // The next call is not handed over with the first one.
            let next = slot.open_dispatched(MINE);
            assert_eq!(answer(&slot, next, MINE, 5), Fate::Taken);
            assert_eq!(wait(&slot, next), Ok(5));
        }
        let (handed, answered) = handing.join().unwrap();
        let theirs = [handed, answered].iter().filter(|fate| **fate == Fate::Orphaned).count();
        assert_eq!(usize::from(mine) + theirs, 1, "{handed:?} {answered:?}");
    });
}

#[test]
fn a_call_being_handed_over_is_ended_by_the_host_all_the_same() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = slot.open_dispatched(MINE);
        let handing = spawn(&slot, move |slot| hand_over(slot, sid));
        let ending = spawn(&slot, move |slot| {
            let (ended, outcome) = crate::port::end_slot(slot, |_| true, &Fault::Unloaded)?;
            assert_eq!(ended, sid);
            Some(settle(slot, sid, outcome))
        });
        let (task, waker) = Task::new();
        let seen = slot.poll(sid, &waker);
        assert_eq!(ending.join().unwrap(), Some(Fate::Taken));
        let handed = handing.join().unwrap();
        assert!(matches!(handed, Fate::Taken | Fate::Dropped(_)), "{handed:?}");
        assert!(seen == Seen::Ready || task.was_woken());
        assert_eq!(read(&slot, sid), Err(Fault::Unloaded));
    });
}
