//! Rounds of two things in turn, and what can be said of their ratio.

use serde::Serialize;
use std::time::Duration;

/// How long to measure.
#[derive(Debug, Copy, Clone)]
pub struct Plan {
    /// How many rounds of each side.
    pub rounds: usize,
    /// About how long one side of a round takes.
    pub slice: Duration,
}

impl Plan {
    /// For figures to keep.
    pub const FULL: Self = Self { rounds: 101, slice: Duration::from_millis(10) };
    /// For a look.
    pub const QUICK: Self = Self { rounds: 31, slice: Duration::from_millis(3) };
}

/// One result.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was done.
    pub name: String,
    /// What it is compared with.
    pub peer: String,
    /// Ours, nanoseconds each: the median round.
    pub ours_ns: f64,
    /// The peer's.
    pub peer_ns: f64,
    /// Ours over the peer's: the median of the rounds' ratios.
    pub ratio: f64,
    /// The upper end of that median's 95 % interval.
    pub ratio_ci95_hi: f64,
    /// How many rounds there were.
    pub rounds: usize,
    /// The source that was measured.
    pub commit: String,
}

/// The rows that were asked for, as they are measured.
#[derive(Debug)]
pub struct Rows {
    plan: Plan,
    only: Option<String>,
    commit: String,
    rows: Vec<Row>,
}

/// What names of rows begin with.
const FAMILIES: [&str; 3] = ["ring/", "native/", "wasm/"];

impl Rows {
    /// Measures by `plan`, and only rows whose name contains `only`.
    pub fn new(plan: Plan, only: Option<String>, commit: String) -> Self {
        Self { plan, only, commit, rows: Vec::new() }
    }

    /// Whether the row is one of those that were asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }

    /// Whether a row of that family may be among those that were asked for: a pattern that begins with no
    /// family may be found in each.
    pub fn wants_any(&self, family: &str) -> bool {
        let names_one = |only: &str| FAMILIES.iter().any(|family| only.starts_with(family));
        self.only.as_deref().is_none_or(|only| only.starts_with(family) || !names_one(only))
    }

    /// Measures a row. Each side is told how often to do its work, and says how long
    /// that took.
    pub fn row(
        &mut self,
        name: &str,
        peer: &str,
        ours: impl FnMut(u64) -> Duration,
        theirs: impl FnMut(u64) -> Duration,
    ) {
        self.row_of(name, peer, Side { run: ours, each: 1 }, Side { run: theirs, each: 1 });
    }

    /// Measures a row where one turn of a side does its work several times over.
    pub fn row_of(
        &mut self,
        name: &str,
        peer: &str,
        mut ours: Side<impl FnMut(u64) -> Duration>,
        mut theirs: Side<impl FnMut(u64) -> Duration>,
    ) {
        if !self.wants(name) {
            return;
        }
        let (our_turns, their_turns) = (ours.calibrate(self.plan), theirs.calibrate(self.plan));
        let mut rounds: Vec<(f64, f64)> = (0..self.plan.rounds)
            .map(|round| {
                // Who goes first changes, so that neither always runs in the other's wake.
                if round % 2 == 0 {
                    let a = ours.time(our_turns);
                    (a, theirs.time(their_turns))
                } else {
                    let b = theirs.time(their_turns);
                    (ours.time(our_turns), b)
                }
            })
            .collect();
        let mut ratios: Vec<f64> = rounds.iter().map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        rounds.sort_by(|x, y| x.0.total_cmp(&y.0));
        let ours_ns = rounds[rounds.len() / 2].0;
        rounds.sort_by(|x, y| x.1.total_cmp(&y.1));
        let row = Row {
            name: name.into(),
            peer: peer.into(),
            ours_ns,
            peer_ns: rounds[rounds.len() / 2].1,
            ratio: ratios[ratios.len() / 2],
            ratio_ci95_hi: ratios[upper_rank(ratios.len())],
            rounds: ratios.len(),
            commit: self.commit.clone(),
        };
        eprintln!("{}", crate::report::line(&row));
        self.rows.push(row);
    }

    /// What was measured.
    pub fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

/// One side of a row.
#[derive(Debug)]
pub struct Side<F> {
    /// Does the work so many turns, and says how long it took.
    pub run: F,
    /// How often one turn does it.
    pub each: u64,
}

impl<F: FnMut(u64) -> Duration> Side<F> {
    /// Nanoseconds for doing the work once.
    fn time(&mut self, turns: u64) -> f64 {
        (self.run)(turns).as_nanos() as f64 / (turns * self.each) as f64
    }

    /// How many turns fill a slice.
    fn calibrate(&mut self, plan: Plan) -> u64 {
        let (mut turns, mut before) = (1, None);
        loop {
            // Being interrupted makes a run longer, never shorter: the shortest of three is right.
            let took = (0..3).map(|_| (self.run)(turns)).min().unwrap_or_default();
            // Twice the turns take about twice the time, or it was not the turns that took it.
            let grown = before.is_some_and(|before| took * 2 > before * 3);
            if took * 4 >= plan.slice && (grown || took > plan.slice * 8) {
                let scale = plan.slice.as_secs_f64() / took.as_secs_f64().max(1e-9);
                return ((turns as f64 * scale) as u64).max(1);
            }
            (turns, before) = (turns * 2, Some(took));
        }
    }
}

/// The order statistic that is the upper end of the median's 95 % interval.
fn upper_rank(n: usize) -> usize {
    let n = n as f64;
    ((n / 2.0 + 1.96 * n.sqrt() / 2.0).ceil() as usize).min(n as usize - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn spin(turns: u64) -> Duration {
        let start = Instant::now();
        for i in 0..turns * 100 {
            std::hint::black_box(i);
        }
        start.elapsed()
    }

    #[test]
    fn twice_the_work_is_about_twice_the_time() {
        let plan = Plan { rounds: 15, slice: Duration::from_micros(300) };
        let mut rows = Rows::new(plan, None, String::new());
        rows.row("twice", "once", |n| spin(2 * n), spin);
        let row = &rows.into_rows()[0];
        assert!(row.ratio > 1.2 && row.ratio_ci95_hi >= row.ratio, "{row:?}");
    }

    #[test]
    fn a_pattern_that_names_no_family_may_be_in_each() {
        let plan = Plan { rounds: 1, slice: Duration::from_millis(1) };
        let wants = |only: &str, family| {
            Rows::new(plan, Some(only.to_owned()), String::new()).wants_any(family)
        };
        for only in ["contended", "128B", "wasm", "wasm/unary", "unary/128B"] {
            assert!(wants(only, "wasm/"), "{only}");
        }
        assert!(!wants("native/unary", "wasm/") && !wants("ring/", "wasm/"));
        assert!(Rows::new(plan, None, String::new()).wants_any("wasm/"));
    }

    #[test]
    fn what_takes_long_however_little_is_done_does_not_calibrate() {
        let plan = Plan { rounds: 1, slice: Duration::from_millis(1) };
        let slow = |turns| Duration::from_micros(600) + Duration::from_nanos(turns);
        let turns = Side { run: slow, each: 1 }.calibrate(plan);
        assert!((200_000..5_000_000).contains(&turns), "{turns}");
    }

    #[test]
    fn one_interruption_does_not_calibrate() {
        let plan = Plan { rounds: 1, slice: Duration::from_millis(1) };
        for interrupted in 1..20 {
            let mut run = 0;
            let slow = |turns| {
                run += 1;
                if run == interrupted {
                    Duration::from_secs(1)
                } else {
                    Duration::from_nanos(turns)
                }
            };
            let turns = Side { run: slow, each: 1 }.calibrate(plan);
            assert_eq!(turns, 1_000_000, "run {interrupted} was interrupted");
        }
    }

    #[test]
    fn rows_that_were_not_asked_for_are_not_run() {
        let mut rows = Rows::new(Plan::QUICK, Some("stream".into()), String::new());
        rows.row("ring/unary", "dyn", |_| panic!("run"), |_| panic!("run"));
        assert!(rows.into_rows().is_empty());
    }

    #[test]
    fn the_upper_rank_is_within_the_rounds() {
        assert_eq!((upper_rank(1), upper_rank(31), upper_rank(101)), (0, 21, 61));
    }
}
