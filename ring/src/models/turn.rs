//! Who has the turn, and who runs what is left for it.

#![expect(unsafe_code, reason = "a turn is taken over by another thread")]

use super::model;
use crate::sid::Sid;
use crate::sync::{AtomicU64, SeqCst};
use crate::turn::{Holding, Turn};
use loom::sync::Arc;
use loom::thread;

type Log = Turn<Vec<u32>, u32>;

/// What a caller does: at once if it can, else it leaves the job, and then what a holder does.
fn call(turn: &Log, job: u32) {
    let holding = match turn.take() {
        Some(mut holding) => {
            holding.content().push(job);
            Some(holding)
        }
        None => turn.push_uncounted(job, None),
    };
    if let Some(holding) = holding {
        run(holding);
    }
}

fn run(mut holding: Holding<'_, Vec<u32>, u32>) {
    loop {
        while let Some(job) = holding.pop() {
            holding.content().push(job);
        }
        match holding.release() {
            Ok(()) => return,
            Err(again) => holding = again,
        }
    }
}

#[test]
fn every_job_is_run_once_and_by_one_at_a_time() {
    model(|| {
        let turn = Arc::new(Log::new(Vec::new(), 8, 0));
        let threads = [1, 2].map(|job| {
            let turn = turn.clone();
            thread::spawn(move || {
                call(&turn, job * 10);
                call(&turn, job * 10 + 1);
            })
        });
        call(&turn, 30);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(!turn.is_held());
        let mut holding = turn.take().unwrap();
        let done = holding.content();
        for first in [10, 20] {
            let at = |job| done.iter().position(|done| *done == job).unwrap();
            assert!(at(first) < at(first + 1), "one thread's jobs keep their order: {done:?}");
        }
        done.sort_unstable();
        assert_eq!(*done, [10, 11, 20, 21, 30]);
    });
}

#[test]
fn a_turn_goes_to_another_thread_and_the_job_is_run() {
    model(|| {
        let turn = Arc::new(Log::new(Vec::new(), 8, 0));
        let mut holding = turn.take().unwrap();
        holding.content().push(1);
        holding.give_up();
        let runner = {
            let turn = turn.clone();
            // SAFETY: the holding of above is given up for this thread.
            thread::spawn(move || run(unsafe { turn.take_over() }))
        };
        call(&turn, 2);
        runner.join().unwrap();
        let mut holding = turn.take().unwrap();
        assert_eq!(*holding.content(), [1, 2]);
    });
}

#[test]
fn a_job_is_run_or_taken_back_and_its_place_is_used_again() {
    model(|| {
        let turn = Arc::new(Log::new(Vec::new(), 8, 0));
        let (sid, mut holding) = (Sid::from_raw(1 << 24), turn.take().unwrap());
        assert!(turn.push_uncounted(1, Some(sid)).is_none());
        let other = {
            let turn = turn.clone();
            thread::spawn(move || {
                let back = turn.remove(sid);
                // The cells of the first two jobs may serve for this one and the next.
                for job in [2, 3] {
                    call(&turn, job);
                }
                back
            })
        };
        if let Some((done, job)) = holding.next_job() {
            done.push(*job);
        }
        run(holding);
        let back = other.join().unwrap();
        let mut holding = turn.take().unwrap();
        let done = holding.content();
        let ran = done.contains(&1);
        assert_ne!(ran, back.is_some(), "one of the two has it");
        done.retain(|done| *done != 1);
        assert_eq!(*done, [2, 3]);
    });
}

#[test]
fn room_goes_while_jobs_are_taken_out_of_it() {
    model(|| {
        let sid = |job| Some(Sid::from_raw(u64::from(job) << 24));
        let turn = Arc::new(Log::new(Vec::new(), 8, 0));
        let mut holding = turn.take().unwrap();
        // Two cells have one room: it is the second's that is taken back.
        for job in 1..=4 {
            assert!(turn.push_uncounted(job, sid(job)).is_none());
        }
        let other = {
            let turn = turn.clone();
            thread::spawn(move || {
                let back = [3, 4].map(|job| turn.remove(Sid::from_raw(job << 24)).is_some());
                call(&turn, 5);
                back
            })
        };
        while let Some((done, job)) = holding.next_job() {
            done.push(*job);
        }
        run(holding);
        let back = other.join().unwrap();
        let mut holding = turn.take().unwrap();
        let mut expected = vec![1, 2];
        expected.extend([3, 4].iter().zip(back).filter(|(_, back)| !back).map(|(job, _)| job));
        expected.push(5);
        assert_eq!(*holding.content(), expected);
    });
}

#[test]
fn whoever_leaves_a_job_sees_what_came_before_or_the_job_is_seen() {
    model(|| {
        let turn = Arc::new(Log::new(Vec::new(), 8, 0));
        let rests = Arc::new(AtomicU64::new(0));
        let mut holding = turn.take().unwrap();
        // It has room at hand in which it sees the next job, and needs no lock to look.
        assert!(turn.push_uncounted(0, None).is_none());
        assert_eq!(holding.pop(), Some(0));
        let other = {
            let (turn, rests) = (turn.clone(), rests.clone());
            thread::spawn(move || {
                assert!(turn.push_uncounted(1, None).is_none(), "it is held");
                rests.load(SeqCst)
            })
        };
        rests.store(1, SeqCst);
        holding.look_again();
        let seen = holding.pop().is_some();
        holding.give_up();
        assert!(other.join().unwrap() == 1 || seen);
    });
}
