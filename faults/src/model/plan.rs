//! What is done: rounds, each with the calls of several threads, and what happens after them.

use crate::dice::Dice;

/// One thing that a thread does. It ends before the thread's next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A call that is answered inside dispatch, with so many bytes.
    Now(u32),
    /// A call that is answered later, from elsewhere.
    Later(u32),
    /// A call that is answered twice.
    Twice,
    /// A call that is refused.
    Refused,
    /// A call that answers a number that no call has.
    MadeUp,
    /// A call that nobody will answer.
    Abandoned,
    /// A call whose status means nothing there.
    StreamEnd,
    /// A call with an answer that is too large.
    TooLarge,
    /// A call that keeps state with itself, and finds it.
    State(u32),
    /// A stream with so many frames, all of them waited for.
    Stream(u32),
    /// A stream whose queue runs over.
    Overflow,
    /// A stream whose reader leaves.
    Left,
    /// A stream that takes data and gives it back.
    Data(u32),
    /// A call that is cancelled while the plugin keeps it.
    Cancelled,
    /// A call that the plugin keeps. It is open from here on.
    Keep,
    /// The oldest call that is kept gets its answer.
    Release,
}

/// What happens between two rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Nothing.
    Calm,
    /// A call panics.
    Panic,
    /// A call panics after it gave way.
    PanicLater,
    /// The plugin is reloaded, without grace.
    Reload,
    /// The plugin is unloaded, called, and loaded again.
    Unload,
}

/// Calls that threads make at the same time, and what happens after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// What each thread does.
    pub threads: Vec<Vec<Op>>,
    /// What happens then.
    pub then: Event,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(pub Vec<Round>);

impl Plan {
    /// The plan of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let threads = 1 + dice.roll(3);
        let rounds = 1 + dice.roll(4);
        let op = |dice: &mut Dice| match dice.roll(18) {
            0 | 1 => Op::Now(dice.roll(5_000) as u32),
            2 | 3 => Op::Later(dice.roll(5_000) as u32),
            4 => Op::Twice,
            5 => Op::Refused,
            6 => Op::MadeUp,
            7 => Op::Abandoned,
            8 => Op::StreamEnd,
            9 => Op::TooLarge,
            10 => Op::State(dice.roll(100) as u32),
            11 => Op::Stream(dice.roll(50) as u32),
            12 => Op::Overflow,
            13 => Op::Left,
            14 => Op::Data(dice.roll(4) as u32),
            15 => Op::Cancelled,
            16 => Op::Keep,
            _ => Op::Release,
        };
        // A third of the events are panics: with so few rounds no plugin fails so often that it
        // has to rest.
        let events = [
            Event::Calm,
            Event::Calm,
            Event::Panic,
            Event::PanicLater,
            Event::Reload,
            Event::Unload,
        ];
        let round = |dice: &mut Dice| Round {
            threads: (0..threads).map(|_| (0..dice.roll(7)).map(|_| op(dice)).collect()).collect(),
            then: *dice.pick(&events),
        };
        Self((0..rounds).map(|_| round(dice)).collect())
    }

    /// Smaller plans, the smallest first: without a round, without a thread's calls, without a call,
    /// without an event.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        let mut without = |change: &dyn Fn(&mut Vec<Round>)| {
            let mut rounds = self.0.clone();
            change(&mut rounds);
            if rounds != self.0 {
                plans.push(Self(rounds));
            }
        };
        for at in 0..self.0.len() {
            without(&|rounds| drop(rounds.remove(at)));
        }
        for (at, round) in self.0.iter().enumerate() {
            for thread in 0..round.threads.len() {
                without(&|rounds| rounds[at].threads[thread].clear());
                for op in 0..round.threads[thread].len() {
                    without(&|rounds| {
                        rounds[at].threads[thread].remove(op);
                    });
                }
            }
            without(&|rounds| rounds[at].then = Event::Calm);
        }
        plans
    }
}
