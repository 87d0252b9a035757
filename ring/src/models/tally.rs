//! The gate: whoever closes a plugin knows when nobody is inside it.

use super::*;
use crate::fence;
use crate::sync::{AtomicU64, UnsafeCell};
use crate::tally::{self, Tally, add, enter, gate};

/// Which load of the plugin it is.
const LOAD: u64 = 3 << 34;

/// A plugin with a backend that is taken out while nobody is inside.
struct Plugin {
    closed: AtomicU64,
    backend: UnsafeCell<Option<u8>>,
    tallies: [Tally; 2],
}

impl Plugin {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            closed: AtomicU64::new(LOAD),
            backend: UnsafeCell::new(Some(7)),
            tallies: [Tally::new(), Tally::new()],
        })
    }

    /// Uses the backend, if it is let in.
    fn call(&self, lane: usize) -> bool {
        let tally = &self.tallies[lane];
        let inside = enter(&tally.calls, &self.closed, LOAD, gate::CALLS);
        if inside {
            self.look();
            add(&tally.left, 1);
        }
        inside
    }

    fn look(&self) {
        // SAFETY: loom checks that nobody takes the backend meanwhile.
        self.backend.with(|backend| assert_eq!(unsafe { *backend }, Some(7)));
    }

    fn close(&self) {
        self.closed.store(LOAD + gate::SHUT, Ordering::SeqCst);
        fence::heavy();
    }

    /// Takes the backend out, if nobody is inside.
    fn take(&self) -> bool {
        let idle = tally::is_idle(&self.tallies.iter());
        if idle {
            // SAFETY: loom checks that nobody looks at the backend meanwhile.
            self.backend.with_mut(|backend| unsafe { *backend = None });
        }
        idle
    }
}

#[test]
fn the_backend_is_not_taken_from_under_a_thread_inside() {
    model(|| {
        let plugin = Plugin::new();
        let callers = [0, 1].map(|lane| {
            let plugin = plugin.clone();
            thread::spawn(move || plugin.call(lane))
        });
        plugin.close();
        let taken = plugin.take();
        for caller in callers {
            caller.join().unwrap();
        }
        // All have left, so by now it can be taken in any case.
        assert!(taken || plugin.take());
        assert!(!plugin.call(0), "let in after it was closed");
    });
}

#[test]
fn calls_and_visits_one_in_the_other_are_all_waited_for() {
    model(|| {
        let plugin = Plugin::new();
        let caller = {
            let plugin = plugin.clone();
            thread::spawn(move || {
                let tally = &plugin.tallies[0];
                if enter(&tally.calls, &plugin.closed, LOAD, gate::CALLS) {
                    if enter(&tally.visits, &plugin.closed, LOAD, gate::VISITS) {
                        plugin.look();
                        add(&tally.left, 1);
                    }
                    plugin.look();
                    add(&tally.left, 1);
                }
                plugin.call(0);
            })
        };
        plugin.close();
        let taken = plugin.take();
        caller.join().unwrap();
        assert!(taken || plugin.take());
    });
}

#[test]
fn what_a_thread_did_before_it_counted_is_seen_with_the_count() {
    model(|| {
        let plugin = Plugin::new();
        let caller = {
            let plugin = plugin.clone();
            thread::spawn(move || {
                let tally = &plugin.tallies[0];
                add(&tally.calls, 1);
                add(&tally.finished, 1);
                add(&tally.calls, 1);
            })
        };
        // What is over is added up first, so there are never more ends than calls.
        let finished = tally::sum(plugin.tallies.iter(), |tally| &tally.finished);
        let calls = tally::sum(plugin.tallies.iter(), |tally| &tally.calls);
        assert!(finished <= calls);
        caller.join().unwrap();
    });
}
