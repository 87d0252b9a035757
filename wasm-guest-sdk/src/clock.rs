//! Sleeping: by the host's timers, without a clock.
//!
//! ```text
//!   sleeper --has its part in--> round: one timer of the host's, a length, its sleepers
//!      |                           |
//!      +-- none is free: waits     +-- it is due: what is left of each sleeper is that much less
//! ```
//!
//! A round isn't called off when its sleepers are dropped, since the host has no function for it. So
//! none is longer than [`LONGEST`]. Times are in nanoseconds.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::current;
use crate::host::{OWN_TOKENS, nanos};
use crate::map::Map;
use crate::tasks::Hold;

/// Rounds at once. The host allows 1,024 timers; some of them are left for everything else.
const MOST_ROUNDS: usize = 960;

/// The longest round.
const LONGEST: u64 = 10_000_000_000;

/// The first token of a round; those before it are for what isn't one.
const FIRST_ROUND: u64 = OWN_TOKENS + 16;

/// Sleepers and rounds. Asks for nothing itself: it says what is to be asked for.
pub(crate) struct Clock {
    sleepers: Map<Sleeper>,
    /// A few hundred at most, and one is looked for when its timer is due.
    rounds: Vec<Round>,
    /// Sleepers without a round, among them some that are gone.
    waiting: Vec<u64>,
    next: u64,
}

struct Sleeper {
    left: u64,
    waker: Waker,
}

struct Round {
    token: u64,
    length: u64,
    sleepers: Vec<u64>,
}

/// A timer to ask for.
pub(crate) struct Ask {
    pub(crate) token: u64,
    pub(crate) delay: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { sleepers: Map::new(), rounds: Vec::new(), waiting: Vec::new(), next: FIRST_ROUND }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Somebody begins to sleep. [`Clock::refill`] comes next.
    pub(crate) fn begin(&mut self, delay: u64, waker: Waker) -> u64 {
        let sleeper = self.number();
        self.sleepers.insert(sleeper, Sleeper { left: delay, waker });
        self.waiting.push(sleeper);
        sleeper
    }

    /// Another waker for a sleeper: the one before. None: it sleeps no more, and the new one is
    /// handed back.
    pub(crate) fn renew(&mut self, sleeper: u64, waker: Waker) -> Result<Waker, Waker> {
        match self.sleepers.get_mut(sleeper) {
            Some(sleeper) => Ok(std::mem::replace(&mut sleeper.waker, waker)),
            None => Err(waker),
        }
    }

    /// A sleeper is gone: its waker, if it still slept.
    pub(crate) fn end(&mut self, sleeper: u64) -> Option<Waker> {
        self.sleepers.remove(sleeper).map(|sleeper| sleeper.waker)
    }

    /// A round's timer is due: those who have slept enough.
    pub(crate) fn due(&mut self, token: u64) -> Vec<Waker> {
        let mut awake = Vec::new();
        let Some(round) = self.take_round(token) else { return awake };
        for number in round.sleepers {
            let Some(sleeper) = self.sleepers.get_mut(number) else { continue };
            sleeper.left = sleeper.left.saturating_sub(round.length);
            if sleeper.left > 0 {
                self.waiting.push(number);
            } else if let Some(waker) = self.end(number) {
                awake.push(waker);
            }
        }
        awake
    }

    /// A round for those who wait, as one may be free. Those who wait for the same share it.
    pub(crate) fn refill(&mut self) -> Option<Ask> {
        if self.waiting.is_empty() || self.rounds.len() >= MOST_ROUNDS {
            return None;
        }
        let Self { sleepers, waiting, .. } = self;
        let length_of = |number: &u64| Some(sleepers.get(*number)?.left.min(LONGEST));
        let length = waiting.iter().find_map(length_of);
        let mut round = Vec::new();
        waiting.retain(|number| match length_of(number) {
            None => false,
            of if of == length => {
                round.push(*number);
                false
            }
            Some(_) => true,
        });
        let length = length?;
        let token = self.number();
        self.rounds.push(Round { token, length, sleepers: round });
        Some(Ask { token, delay: length })
    }

    /// The host has no timer for this round: its sleepers wait again.
    pub(crate) fn refused(&mut self, token: u64) {
        if let Some(round) = self.take_round(token) {
            self.waiting.extend(round.sleepers);
        }
    }

    fn take_round(&mut self, token: u64) -> Option<Round> {
        let at = self.rounds.iter().position(|round| round.token == token)?;
        Some(self.rounds.swap_remove(at))
    }

    /// Everybody who sleeps, to be dropped.
    pub(crate) fn clear(&mut self) -> impl Sized + use<> {
        self.waiting.clear();
        self.sleepers.take()
    }
}

/// Waits for at least so long. For async handlers: it is the host who wakes them.
///
/// ```
/// # use ringbox_guest::{Call, sleep};
/// # use std::time::Duration;
/// async fn slow(payload: &[u8]) -> &[u8] {
///     sleep(Duration::from_millis(500)).await;
///     payload
/// }
/// ```
///
/// # Panics
/// When it is awaited, if that isn't in an async handler, or the host has no timers.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { nanos: nanos(duration), begun: None }
}

/// Waits. See [`sleep`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    nanos: u64,
    begun: Option<(Hold, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let waker = context.waker().clone();
        match &self.begun {
            Some((tasks, sleeper)) => {
                if tasks.sleeps_on(*sleeper, waker) {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            }
            None => {
                let tasks = current::tasks();
                let tasks = tasks.expect("only async handlers of a plugin can sleep");
                let sleeper = tasks.sleep(self.nanos, waker).expect("the host has no timers");
                self.begun = Some((tasks, sleeper));
                Poll::Pending
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((tasks, sleeper)) = &self.begun {
            tasks.wake_up(*sleeper);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("nanos", &self.nanos).finish_non_exhaustive()
    }
}
