//! How long a caller is held. Alone in its file, for it looks at the time.

mod small;

use ringbox_ring::Invocation;
use small::{ask, eventually, load, with, with_number};
use std::fs;
use std::thread;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(1);

/// How long this thread has been on a processor: others want it too, and that is not the guest's.
fn computed() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn a_spinning_guest_holds_its_caller_for_its_budget_and_two_ticks() {
    let budget = Duration::from_millis(5);
    let plugin = load(&with(|limits| limits.budget(budget)));
    let mut least = Duration::MAX;
    for _ in 0..10 {
        let begin = computed();
        let call = plugin.link().call(&Invocation::entry("x", b"s"));
        least = least.min(computed() - begin);
        drop(call);
        eventually("the instance is replaced", || plugin.usage().busy == 0);
    }
    // The best of some, for the clock's thread may have to wait for a processor.
    assert!(least >= budget, "{least:?}");
    assert!(least <= budget + 3 * TICK, "{least:?}");
}

#[test]
fn a_caller_runs_little_of_what_others_left_meanwhile() {
    const LEFT: u32 = 40;
    let plugin = load(&with(|limits| limits.budget(Duration::from_secs(60))));
    let link = plugin.link();
    let (around, long) = (with_number(b'i', 20_000_000), with_number(b'i', 100_000_000));
    // What each takes, and what the caller's own takes while nobody else wants anything.
    let took = |call: &[u8]| {
        let begin = computed();
        ask(link, call).unwrap();
        computed() - begin
    };
    let each = (0..3).map(|_| took(&around)).min().unwrap();
    let own = (0..2).map(|_| took(&long)).max().unwrap();
    let holder = thread::spawn(move || {
        let begin = computed();
        let call = link.call(&Invocation::entry("x", &long)).unwrap();
        (computed() - begin, call)
    });
    eventually("the guest runs", || plugin.usage().busy == 1);
    let left: Vec<_> =
        (0..LEFT).map(|_| link.call(&Invocation::entry("x", &around)).unwrap()).collect();
    let (held, call) = holder.join().unwrap();
    // Any one of them takes longer than it may go on for.
    assert!(each > Duration::from_micros(200), "{each:?}");
    assert!(held <= own + own / 2 + 6 * each, "{held:?}, and its own took {own:?}, each {each:?}");
    for call in left.into_iter().chain([call]) {
        assert_eq!(call.wait().unwrap().len(), 9);
    }
}
