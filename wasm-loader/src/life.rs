//! How a place begins and ends, and how runners come to it.

#![expect(unsafe_code, reason = "a turn goes from thread to thread")]

use crate::clock;
use crate::fiber;
use crate::live::{Entry, Live, NoStart};
use crate::log;
use crate::place::{Held, Place};
use crate::runner;
use crate::trap;
use std::time::{Duration, Instant};

/// How long a turn is waited for at the end. Nobody keeps one who isn't inside a guest.
const PATIENCE: Duration = Duration::from_secs(5);

impl Place {
    /// Starts the first instance. The turn stays taken until [`open`](Self::open).
    pub(crate) fn start(&self) -> Result<(), NoStart> {
        let mut held = self.turn.take().expect("nobody knows the place yet");
        clock::busy();
        let content = held.content();
        let started = if self.plugin.inline {
            self.make(content)
        } else {
            self.fiber.starts();
            let started = fiber::block_on(self.make_fiber(content), self.plugin.tokio);
            self.fiber.ends();
            started
        };
        held.give_up();
        started
    }

    /// The instance has shown that it starts, and isn't for any call.
    pub(crate) fn discard(&self) {
        // SAFETY: `start` gave the turn up for this.
        let mut held = unsafe { self.turn.take_over() };
        held.content().live = None;
        self.abandon(held);
    }

    /// The plugin can be called, and what its start left behind is run.
    pub(crate) fn open(&self) {
        // SAFETY: `start` gave the turn up for this.
        let held = unsafe { self.turn.take_over() };
        if let Err(held) = held.release() {
            self.give_to_runner(held);
        }
    }

    /// A runner has the place, and its turn.
    pub(crate) fn run(&self) {
        if !self.plugin.inline {
            return self.run_fiber();
        }
        let visited = self.port.visit(|| {
            clock::busy();
            // SAFETY: whoever submitted the place gave its turn up for this.
            let held = unsafe { self.turn.take_over() };
            self.run_inside(held);
        });
        if visited.is_none() {
            // The plugin is unloaded. What is left is its shutdown's.
            // SAFETY: as above; the closure was not run.
            self.abandon(unsafe { self.turn.take_over() });
        }
    }

    fn run_inside(&self, mut held: Held<'_>) {
        let content = held.content();
        if !content.lost {
            return self.go_on(held);
        }
        self.begin_again(content);
        let made = self.make(content);
        match self.began_again(content, made) {
            Ok(()) => self.go_on(held),
            Err(fault) => self.try_again(held, fault),
        }
    }

    /// Lets go without running anything.
    pub(crate) fn abandon(&self, mut held: Held<'_>) {
        loop {
            while held.pop().is_some() {}
            match held.release() {
                Ok(()) => return,
                Err(again) => held = again,
            }
        }
    }

    /// Shuts the guest down, and empties the place. Nobody is inside it, or will be.
    pub(crate) fn end(&self) {
        let Some(mut held) = self.reclaim() else {
            tracing::error!(
                target: "ringbox::sandbox", plugin = &*self.port.plugin_name(),
                "an instance does not come back, and is left as it is"
            );
            clock::remove(self);
            return;
        };
        let content = std::mem::take(held.content());
        // An instance of one call is told nothing when that is over.
        if let Some(live) = content.live.filter(|_| self.pen.is_none()) {
            self.shut_down(live);
        }
        self.abandon(held);
        clock::forget(self);
        clock::remove(self);
    }

    fn shut_down(&self, mut live: Box<Live>) {
        clock::busy();
        let done = if self.plugin.inline {
            live.enter(Entry::Shutdown)
        } else {
            self.fiber.starts();
            let leaves = self.in_time(live.enter_fiber(Entry::Shutdown));
            let done = fiber::block_on(leaves, self.plugin.tokio);
            self.fiber.ends();
            done.unwrap_or_else(|| Err(trap::waited()))
        };
        if let Err(how) = done {
            let plugin = &*self.port.plugin_name();
            log::contained(|| {
                tracing::warn!(target: "ringbox::sandbox", plugin, "its shutdown: {how}");
            });
        }
    }

    /// The turn, from wherever it waits.
    fn reclaim(&self) -> Option<Held<'_>> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(held) = self.turn.take() {
                return Some(held);
            }
            if clock::forget(self) || runner::take_back(self) || self.fiber.suspended() {
                // SAFETY: the turn was given up for the sake of what was just taken back.
                let mut held = unsafe { self.turn.take_over() };
                if self.fiber.drop_future() {
                    // The guest was left in the middle of something.
                    held.content().live = None;
                }
                return Some(held);
            }
            // A runner has it in its hands, and finds that the plugin is unloaded.
            std::thread::sleep(Duration::from_micros(50));
        }
        None
    }
}
