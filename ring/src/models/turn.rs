//! Who has the turn, and who runs what is left for it.

#![expect(unsafe_code, reason = "a turn is taken over by another thread")]

use super::model;
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
        None => turn.push_uncounted(job),
    };
    if let Some(holding) = holding {
        run(holding);
    }
}

fn run(mut holding: Holding<'_, Vec<u32>, u32>) {
    loop {
        while let Some(job) = holding.pop(|_| ()) {
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
