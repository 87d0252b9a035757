//! Whether two traces are the same, but for what is declared.

use super::act::{Seen, Subject};
use super::plan::{Event, Plan};
use std::fmt;

/// A plan that looks different behind a wall, as small as it gets.
#[derive(Debug)]
pub struct Difference {
    /// Whose.
    pub subject: Subject,
    /// What was done.
    pub plan: Plan,
    /// What the oracle's caller saw.
    pub oracle: String,
    /// What this one's did.
    pub seen: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, plan, oracle, seen } = self;
        write!(f, "{subject:?} differs: the oracle saw {oracle:?}, it {seen:?}\n{plan:#?}")
    }
}

/// So many smaller plans are tried.
const TRIES: usize = 300;

/// Compares a plan's traces with the oracle's.
///
/// # Errors
/// They differ; the plan is made smaller for as long as they do.
pub fn check(subject: Subject, plan: &Plan) -> Result<(), Box<Difference>> {
    let Some(mut found) = differs(subject, plan) else { return Ok(()) };
    let mut tries = 0;
    'smaller: loop {
        for plan in found.plan.smaller() {
            tries += 1;
            if tries > TRIES {
                break 'smaller;
            }
            if let Some(smaller) = differs(subject, &plan) {
                found = smaller;
                continue 'smaller;
            }
        }
        break;
    }
    Err(Box::new(found))
}

fn differs(subject: Subject, plan: &Plan) -> Option<Difference> {
    let oracle = Subject::Inline.act(plan);
    let seen = subject.act(plan);
    let (oracle, seen) = first_difference(subject, plan, &oracle, &seen)?;
    Some(Difference { subject, plan: plan.clone(), oracle, seen })
}

/// The first two lines that may not differ, and do.
fn first_difference(
    subject: Subject,
    plan: &Plan,
    oracle: &Seen,
    seen: &Seen,
) -> Option<(String, String)> {
    assert_eq!(oracle.len(), seen.len(), "the same plan has as many traces");
    let panics = plan.0.iter().any(|round| matches!(round.then, Event::Panic | Event::PanicLater));
    for (was, is) in oracle.iter().zip(seen) {
        assert_eq!(was.len(), is.len(), "the same plan has as many lines");
        for (was, is) in was.iter().zip(is) {
            if was != is && !declared(subject, panics, was, is) {
                return Some((was.clone(), is.clone()));
            }
        }
    }
    None
}

/// What `docs/differences.md` declares, and a plan can meet.
fn declared(subject: Subject, panics: bool, oracle: &str, seen: &str) -> bool {
    if !matches!(subject, Subject::Wasm | Subject::Runner) {
        return false;
    }
    // `keeps-abandoned`: a call that nothing is left to answer ends at once.
    let silence = oracle.replace("Fault::Deadline", "Fault::Unanswered") == seen;
    // `keeps-state-in-panic`: a call that was open is lost with the instance, and nobody can answer
    // it any more.
    let lost = panics && oracle.contains("released: ") && seen.ends_with("; Fault::InstanceLost");
    // `inside`: frames meet a reader that may read them meanwhile.
    let runs_elsewhere = subject == Subject::Runner;
    let overflow = runs_elsewhere
        && oracle.starts_with("Overflow: ")
        && seen.starts_with("Overflow: ")
        && seen.ends_with("Fault::Overflow");
    silence || lost || overflow
}

#[cfg(test)]
mod tests {
    use super::declared;
    use crate::model::Subject;

    #[test]
    fn only_what_is_declared_may_differ() {
        let released =
            ("released: Ok 3#1 ; StreamEnd 8#2 end", "released: Ok 3#1 ; Fault::InstanceLost");
        assert!(declared(Subject::Wasm, true, released.0, released.1));
        assert!(!declared(Subject::Wasm, false, released.0, released.1), "nothing panicked");
        assert!(!declared(Subject::Native, true, released.0, released.1), "it keeps its memory");
        let silent = ("Abandoned: Fault::Deadline", "Abandoned: Fault::Unanswered");
        assert!(declared(Subject::Runner, false, silent.0, silent.1));
        assert!(!declared(Subject::Native, false, silent.0, silent.1));
        assert!(!declared(Subject::Wasm, false, "Now(1): Ok 1#1 ", "Now(1): Ok 1#2 "));
    }
}
