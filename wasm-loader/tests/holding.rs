//! How long a caller is held. Alone in its file, for it looks at the time.

mod small;

use ringbox_ring::Invocation;
use small::{eventually, load, with};
use std::fs;
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
