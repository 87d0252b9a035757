//! How long a caller is held. Alone in its file, for it looks at the time.

mod small;

use ringbox_ring::Invocation;
use small::{eventually, load, with};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(1);

#[test]
fn a_spinning_guest_holds_its_caller_for_its_budget_and_two_ticks() {
    let budget = Duration::from_millis(5);
    let plugin = load(&with(|limits| limits.budget(budget)));
    let mut least = Duration::MAX;
    for _ in 0..10 {
        let begin = Instant::now();
        let call = plugin.link().call(&Invocation::entry("x", b"s"));
        least = least.min(begin.elapsed());
        drop(call);
        eventually("the instance is replaced", || plugin.usage().busy == 0);
    }
    // The best of some, for others want the processor too.
    assert!(least >= budget, "{least:?}");
    assert!(least <= budget + 3 * TICK, "{least:?}");
}
