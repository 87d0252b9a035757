//! Healthy and hostile plugins side by side, for minutes, and what is left of it all in the end.
//!
//! ```text
//! healthy workers > the same two calls again and again: every one has to be answered
//! hostile workers > kinds.rs: a fault by the dice > tally.rs: what came of it
//! watchdog        > a worker that does not get on is named, and the program ends
//!
//! half-way and at the end: everybody stands still > gauge.rs: memory, threads, files, mappings
//! ```

mod gauge;
mod kinds;
mod stage;
mod tally;

use crate::dice::Dice;
use crate::ground::{Wall, ask};
use gauge::Gauge;
use kinds::KINDS;
use stage::Stage;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};
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

/// More memory than this in the second half, in percent of what there was, is a leak.
const LEAK_PERCENT: u64 = 2;

/// What is shorter warms up for all of its time, so its memory says nothing.
const WARM: Duration = Duration::from_secs(50);

/// What the workers share.
struct Run {
    stage: Stage,
    tally: Tally,
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

    /// Everybody stands still, and what they left behind has ended.
    fn still(&self) -> Gauge {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if let Err(left) = self.stage.settle() {
            self.complain(left);
        }
        Gauge::read()
    }
}

/// Runs it, and says what it comes to.
///
/// # Errors
/// What should not have happened, a line each.
pub fn soak(options: Options, say: fn(&str)) -> Result<(), Vec<String>> {
    let bare = Gauge::read();
    let desks = (0..=HEALTHY + HOSTILE).map(|_| Desk(Mutex::default()));
    let run = Run {
        stage: Stage::new(),
        tally: Tally::default(),
        calls: AtomicU64::new(0),
        faults: AtomicU64::new(0),
        wrong: Mutex::default(),
        over: AtomicBool::new(false),
        gate: RwLock::new(()),
        desks: desks.collect(),
    };
    // What is started once stays: the threads of the host's own, and what they have open.
    for kind in KINDS {
        let mut dice = Dice::new(options.seed);
        kind.walls.iter().for_each(|wall| drop((kind.provoke)(&run.stage, *wall, &mut dice)));
    }
    let begun = run.still();
    say(&format!("begins: {begun} (before any plugin: {bare})"));
    run.desks.iter().for_each(|desk| desk.begin("starting".to_owned()));
    let half = thread::scope(|scope| {
        let run = &run;
        scope.spawn(move || watch(run, say));
        for number in 0..HEALTHY {
            scope.spawn(move || healthy(run, number));
        }
        for number in 0..HOSTILE {
            let seed = options.seed.wrapping_mul(31).wrapping_add(number as u64);
            scope.spawn(move || hostile(run, HEALTHY + number, Dice::new(seed)));
        }
        oversee(run, options.duration, say)
    });
    report(&run, begun, half.filter(|_| options.duration >= WARM), say)
}

/// The one who looks at the clock. Returns what there was half-way.
fn oversee(run: &Run, duration: Duration, say: fn(&str)) -> Option<Gauge> {
    let desk = &run.desks[HEALTHY + HOSTILE];
    let begun = Instant::now();
    let mut half = None;
    let mut said = Instant::now();
    while begun.elapsed() < duration {
        desk.begin("the overseer: looking".to_owned());
        thread::park_timeout(Duration::from_millis(100));
        if half.is_none() && begun.elapsed() > duration / 2 {
            desk.begin("the overseer: having everybody stand still".to_owned());
            let gauge = run.still();
            say(&format!("half-way: {gauge}"));
            half = Some(gauge);
        }
        if said.elapsed() > PROGRESS {
            said = Instant::now();
            let (calls, faults) = (run.calls.load(Relaxed), run.faults.load(Relaxed));
            let (seconds, gauge) = (begun.elapsed().as_secs(), Gauge::read());
            say(&format!("{seconds:>5} s: {calls} healthy calls, {faults} faults, {gauge}"));
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

fn step(run: &Run, number: usize, what: String, work: impl FnOnce()) -> bool {
    let _gate = run.gate.read().unwrap_or_else(PoisonError::into_inner);
    run.desks[number].begin(what);
    work();
    !run.over.load(Relaxed)
}

fn healthy(run: &Run, number: usize) {
    let mut at = number as u64;
    loop {
        at += 1;
        let plugin = &run.stage.healthy[at as usize % run.stage.healthy.len()];
        let on = step(run, number, format!("a call of `{}`", plugin.name()), || {
            let payload = at.to_le_bytes();
            match ask(plugin, "echo", &payload) {
                Ok(reply) if *reply == payload => {}
                other => run.complain(format!("`{}` was unharmed: {other:?}", plugin.name())),
            }
            run.calls.fetch_add(1, Relaxed);
        });
        if !on {
            break;
        }
    }
    run.desks[number].leave();
}

fn hostile(run: &Run, number: usize, mut dice: Dice) {
    loop {
        let kind = dice.pick(KINDS);
        let wall: Wall = *dice.pick(kind.walls);
        let what = format!("`{}` behind {}", kind.name, wall.name());
        let on = step(run, number, what, || {
            let came = (kind.provoke)(&run.stage, wall, &mut dice);
            run.tally.count(wall, kind.name, &came);
            run.faults.fetch_add(1, Relaxed);
        });
        if !on {
            break;
        }
    }
    run.desks[number].leave();
}

/// Looks at what is left.
fn report(run: &Run, begun: Gauge, half: Option<Gauge>, say: fn(&str)) -> Result<(), Vec<String>> {
    let end = run.still();
    say(&format!("ends: {end}"));
    if let Some(half) = half
        && end.resident > half.resident + half.resident * LEAK_PERCENT / 100
    {
        run.complain(format!("memory grew: half-way {half}, in the end {end}"));
    }
    if end.threads > begun.threads {
        run.complain(format!("threads are left: {begun}, and in the end {end}"));
    }
    if end.files > begun.files {
        run.complain(format!("files are left open: {begun}, and in the end {end}"));
    }
    if end.visitors > 0 {
        run.complain(format!("{} mappings are left of what was unmapped", end.visitors));
    }
    if run.calls.load(Relaxed) == 0 || run.faults.load(Relaxed) == 0 {
        run.complain("nothing was done".to_owned());
    }
    for error in run.stage.end() {
        run.complain(error);
    }
    say(&format!("\n{}", run.tally));
    let wrong = std::mem::take(&mut *run.wrong.lock().unwrap_or_else(PoisonError::into_inner));
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
