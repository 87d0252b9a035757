//! Healthy and hostile plugins side by side, for minutes, and what is left of it all in the end.
//!
//! ```text
//! healthy workers > a call, again and again: every one has to be answered
//! hostile workers > kinds/: a fault, by the dice or the rarest > tally.rs: what came of it
//! matchmakers     > strangers.rs: a generated component, loaded, called, unloaded
//! watchdog        > a worker that does not get on is named, and the program ends
//!
//! half-way and at the end: everybody stands still > gauge.rs: memory, threads, files, mappings
//!                                                 > judge.rs: what of that is wrong
//! ```

mod gauge;
mod judge;
mod kinds;
mod panics;
mod stage;
mod strangers;
mod tally;

use crate::dice::Dice;
use crate::ground::ask;
use gauge::Gauge;
use judge::{Half, Measured};
use kinds::Came;
use panics::Panics;
use stage::Stage;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};
use strangers::Strangers;
use tally::Tally;

/// How long, and with which numbers.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long the workers work.
    pub duration: Duration,
    /// What the dice begin with.
    pub seed: u64,
}

/// So long nothing here takes.
/// (Compiling has the lowest priority, so a busy machine keeps it waiting.)
const HANGS: Duration = Duration::from_secs(120);

/// How often it says how it gets on.
const PROGRESS: Duration = Duration::from_secs(5);

const HEALTHY: usize = 2;
const HOSTILE: usize = 3;
const MATCHMAKERS: usize = 2;

/// Who works where.
const FIRST_HOSTILE: usize = HEALTHY;
const FIRST_MATCHMAKER: usize = FIRST_HOSTILE + HOSTILE;
const OVERSEER: usize = FIRST_MATCHMAKER + MATCHMAKERS;

/// A worker rests for so long between two steps: who compiles has the lowest priority, and would
/// come to nothing among workers that are always busy.
const BREATH: Duration = Duration::from_millis(1);

/// So many calls a healthy worker makes in a step.
const CALLS: u64 = 10;

/// What the workers share.
struct Run {
    stage: Stage,
    tally: Tally,
    strangers: Strangers,
    calls: AtomicU64,
    faults: AtomicU64,
    /// What went wrong that should not have.
    wrong: Mutex<Vec<String>>,
    over: AtomicBool,
    /// Each step holds it to read. Whoever wants everybody to stand still takes it to write.
    gate: RwLock<()>,
    desks: Vec<Desk>,
}

/// What a worker does at the moment, for the watchdog.
struct Desk(Mutex<Option<(Instant, String)>>);

impl Desk {
    fn begin(&self, what: String) {
        *self.lock() = Some((Instant::now(), what));
    }

    fn leave(&self) {
        *self.lock() = None;
    }

    fn is_left(&self) -> bool {
        self.lock().is_none()
    }

    fn hangs(&self) -> Option<String> {
        let desk = self.lock();
        let (since, what) = desk.as_ref()?;
        (since.elapsed() > HANGS).then(|| what.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn complain(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        // The first ones say it all.
        if wrong.len() < 20 {
            wrong.push(what);
        }
    }

    /// Everybody stands still, and what they left behind has ended. Returns what there is then, and how
    /// much memory there was before hostile components were renewed.
    fn still(&self) -> (Gauge, u64) {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if let Err(left) = self.stage.settle() {
            self.complain(left);
        }
        let worn = Gauge::read().resident;
        if let Err(left) = self.stage.renew() {
            self.complain(left);
        }
        (Gauge::read(), worn)
    }
}

/// Runs it, and says what it comes to.
///
/// # Errors
/// What should not have happened, a line each.
pub fn soak(options: Options, say: fn(&str)) -> Result<(), Vec<String>> {
    Gauge::prepare();
    let panics = Panics::watch();
    let bare = Gauge::read();
    let run = Run {
        stage: Stage::new(),
        tally: Tally::default(),
        strangers: Strangers::default(),
        calls: AtomicU64::new(0),
        faults: AtomicU64::new(0),
        wrong: Mutex::default(),
        over: AtomicBool::new(false),
        gate: RwLock::new(()),
        desks: (0..=OVERSEER).map(|_| Desk(Mutex::default())).collect(),
    };
    // What is started once stays: the threads of the host's own, and what they have open.
    let mut dice = Dice::new(options.seed);
    (0..run.tally.len()).for_each(|at| provoke(&run, at, 1, &mut dice));
    (0..5).for_each(|_| meet(&run, &mut dice));
    let (begun, _) = run.still();
    say(&format!("begins: {begun} (before any plugin: {bare})"));
    run.desks.iter().for_each(|desk| desk.begin("starting".to_owned()));
    let half = thread::scope(|scope| {
        let run = &run;
        scope.spawn(move || watch(run, say));
        let seed = |number: usize| options.seed.wrapping_mul(31).wrapping_add(number as u64);
        for number in 0..FIRST_HOSTILE {
            scope.spawn(move || healthy(run, number));
        }
        for number in FIRST_HOSTILE..FIRST_MATCHMAKER {
            scope.spawn(move || hostile(run, number, Dice::new(seed(number))));
        }
        for number in FIRST_MATCHMAKER..OVERSEER {
            scope.spawn(move || matchmaker(run, number, Dice::new(seed(number))));
        }
        oversee(run, options.duration, say)
    });
    let (end, worn) = run.still();
    say(&format!("ends: {end} ({worn} KiB before all was renewed)"));
    let mut wrong = judge::left(&Measured { begun, half, end, worn }, options.duration);
    wrong.extend(judge::seldom(run.tally.reached(), options.duration));
    wrong.extend(run.stage.end());
    wrong.extend(panics.end().into_iter().map(|panic| format!("a panic of the host's: {panic}")));
    say(&format!("\n{}\n{}", run.tally, run.strangers));
    say(&format!(
        "{} healthy calls, {} faults, {} generated components",
        run.calls.load(Relaxed),
        run.faults.load(Relaxed),
        run.strangers.met()
    ));
    wrong.extend(std::mem::take(&mut *run.wrong.lock().unwrap_or_else(PoisonError::into_inner)));
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The one who looks at the clock. Returns what there was half-way.
fn oversee(run: &Run, duration: Duration, say: fn(&str)) -> Option<Half> {
    let desk = &run.desks[OVERSEER];
    let begun = Instant::now();
    let mut half = None;
    let mut said = Instant::now();
    while begun.elapsed() < duration {
        desk.begin("the overseer: looking".to_owned());
        thread::park_timeout(Duration::from_millis(100));
        if half.is_none() && begun.elapsed() > duration / 2 {
            desk.begin("the overseer: having everybody stand still".to_owned());
            let (gauge, worn) = run.still();
            say(&format!("half-way: {gauge} ({worn} KiB before all was renewed)"));
            half = Some(Half { gauge, worn, met: run.strangers.met() });
        }
        if said.elapsed() > PROGRESS {
            said = Instant::now();
            let (calls, faults) = (run.calls.load(Relaxed), run.faults.load(Relaxed));
            let (seconds, gauge) = (begun.elapsed().as_secs(), Gauge::read());
            let met = run.strangers.met();
            say(&format!(
                "{seconds:>5} s: {calls} healthy calls, {faults} faults, {met} components, {gauge}"
            ));
        }
    }
    run.over.store(true, Relaxed);
    desk.leave();
    half
}

/// Ends the program where a worker doesn't get on: a thread that hangs cannot be joined.
fn watch(run: &Run, say: fn(&str)) {
    while !run.desks.iter().all(Desk::is_left) {
        thread::park_timeout(Duration::from_millis(200));
        if let Some(what) = run.desks.iter().find_map(Desk::hangs) {
            say(&format!("HANGS for {HANGS:?}: {what}\n{}", run.tally));
            std::process::exit(3);
        }
    }
}

/// One step of a worker. True if there is to be another one.
fn step(run: &Run, number: usize, what: String, work: impl FnOnce()) -> bool {
    {
        let _gate = run.gate.read().unwrap_or_else(PoisonError::into_inner);
        run.desks[number].begin(what);
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            run.complain("a worker panicked".to_owned());
        }
    }
    let on = !run.over.load(Relaxed);
    if on {
        thread::park_timeout(BREATH);
    } else {
        run.desks[number].leave();
    }
    on
}

fn healthy(run: &Run, number: usize) {
    let mut at = number as u64;
    let calls = |at: u64| {
        let plugin = &run.stage.healthy[at as usize % run.stage.healthy.len()];
        step(run, number, format!("calls of `{}`", plugin.name()), || {
            for call in 0..CALLS {
                let payload = (at + call).to_le_bytes();
                match ask(plugin, "echo", &payload) {
                    Ok(reply) if *reply == payload => {}
                    other => run.complain(format!("`{}` was unharmed: {other:?}", plugin.name())),
                }
            }
            run.calls.fetch_add(CALLS, Relaxed);
        })
    };
    while calls(at) {
        at += 1;
    }
}

fn hostile(run: &Run, number: usize, mut dice: Dice) {
    loop {
        let at = match dice.roll(2) {
            0 => run.tally.rarest(),
            _ => dice.roll(run.tally.len() as u64) as usize,
        };
        let (kind, wall) = run.tally.kind(at);
        let what = format!("`{}` behind {}", kind.name, wall.name());
        if !step(run, number, what, || provoke(run, at, kind.times, &mut dice)) {
            break;
        }
    }
}

/// Provokes one kind, so often in a row.
fn provoke(run: &Run, at: usize, times: u32, dice: &mut Dice) {
    let (kind, wall) = run.tally.kind(at);
    for _ in 0..times {
        let came = (kind.provoke)(&run.stage, wall, dice);
        if let Came::Wrong(what) = &came {
            run.complain(format!("`{}` behind {}: {what}", kind.name, wall.name()));
        }
        run.faults.fetch_add(u64::from(run.tally.count(at, &came)), Relaxed);
    }
}

fn matchmaker(run: &Run, number: usize, mut dice: Dice) {
    while step(run, number, "a generated component".to_owned(), || meet(run, &mut dice)) {}
}

fn meet(run: &Run, dice: &mut Dice) {
    if let Some(wrong) = run.strangers.meet(&run.stage, dice) {
        run.complain(wrong);
    }
    run.faults.fetch_add(1, Relaxed);
}
