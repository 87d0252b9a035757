//! Each limit is enforced, and costs its own plugin alone.

mod small;

#[path = "small/lines.rs"]
mod lines;

use lines::Lines;
use ringbox_ring::{CallError, Fault, Invocation, Limits, Status, TrapCause};
use ringbox_wasm::{LoadError, Policy, WasmLimits, WasmOptions, load_bytes};
use small::{Guest, ask, cause, echoes, eventually, load, try_load, with, with_number};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_spinning_call_is_stopped_at_its_budget() {
    let budget = Duration::from_millis(20);
    let plugin = load(&with(|limits| limits.budget(budget)));
    assert_eq!(cause(ask(plugin.link(), b"s")), TrapCause::Budget { limit: budget });
    echoes(plugin.link());
    assert_eq!(plugin.usage().instances_lost, 1);
}

#[test]
fn a_budget_is_of_computing_and_of_one_call() {
    let plugin = load(&with(|limits| limits.budget(Duration::from_millis(100))));
    let begin = Instant::now();
    let around = with_number(b'i', 2_000_000);
    let mut calls = 0;
    while begin.elapsed() < Duration::from_millis(400) {
        assert_eq!(ask(plugin.link(), &around).unwrap(), around);
        calls += 1;
    }
    assert!(calls > 1, "each took some milliseconds");
    assert_eq!(plugin.usage().instances_lost, 0);
}

#[test]
fn a_guest_that_spins_in_init_fails_the_load() {
    let guest = Guest { init: "(call $spin)", ..Guest::default() };
    let limit = Duration::from_millis(20);
    let options = with(|limits| limits.start_budget(limit));
    let error = load_bytes(&guest.bytes(), "guest", &options).unwrap_err();
    let LoadError::Trapped(trapped) = error else { panic!("{error}") };
    assert_eq!(trapped.cause, TrapCause::Budget { limit });
}

#[test]
fn a_guest_that_spins_in_shutdown_is_stopped() {
    let guest = Guest { shutdown: "(call $spin)", ..Guest::default() };
    let options = with(|limits| limits.start_budget(Duration::from_millis(20)));
    let plugin = load_bytes(&guest.bytes(), "guest", &options).unwrap();
    echoes(plugin.link());
    let (unloaded, lines) = Lines::of(|| plugin.unload(Duration::ZERO));
    unloaded.unwrap();
    assert!(lines.iter().any(|line| line.contains("more than 20ms")), "{lines:?}");
}

#[test]
fn a_wake_that_spins_is_stopped() {
    let plugin = load(&WasmOptions::new());
    ask(plugin.link(), b"W").unwrap();
    eventually("the wake is stopped", || plugin.usage().instances_lost == 1);
    echoes(plugin.link());
}

#[test]
fn memory_has_a_limit_and_a_bomb_is_told_from_an_abort() {
    let limit = 1 << 20;
    let plugin = load(&with(|limits| limits.memory_bytes(limit)));
    let unit = "bytes of memory";
    assert_eq!(cause(ask(plugin.link(), b"m")), TrapCause::Memory { limit, unit });
    assert_eq!(cause(ask(plugin.link(), b"u")), TrapCause::Abort);
    // What it brings doesn't fit either.
    let large = [&b"e"[..], &[0; 2 << 20]].concat();
    assert_eq!(cause(ask(plugin.link(), &large)), TrapCause::Memory { limit, unit });
    echoes(plugin.link());
    let large = Guest { pages: 17, ..Guest::default() };
    let options = with(|limits| limits.memory_bytes(limit));
    let error = load_bytes(&large.bytes(), "guest", &options).unwrap_err();
    assert!(matches!(error, LoadError::Trapped(_)), "{error}");
}

#[test]
fn tables_have_a_limit() {
    let guest = Guest { table: 1000, ..Guest::default() };
    let options = |elements| with(|limits| limits.table_elements(elements));
    echoes(load_bytes(&guest.bytes(), "guest", &options(1000)).unwrap().link());
    let error = load_bytes(&guest.bytes(), "guest", &options(999)).unwrap_err();
    assert!(matches!(error, LoadError::Trapped(_)), "{error}");
}

#[test]
fn core_instances_memories_and_tables_are_counted() {
    let guest = Guest { table: 1, ..Guest::default() }.bytes();
    let enough = with(|limits| limits.core_instances(8).memories(1).tables(1));
    echoes(load_bytes(&guest, "guest", &enough).unwrap().link());
    for options in [
        with(|limits| limits.core_instances(1)),
        with(|limits| limits.memories(0)),
        with(|limits| limits.tables(0)),
    ] {
        let error = load_bytes(&guest, "guest", &options).unwrap_err();
        assert!(matches!(error, LoadError::Trapped(_)), "{error}");
    }
}

#[test]
fn handles_of_resources_are_counted() {
    for policy in [Policy::Single, Policy::PerCall(1)] {
        let plugin = load(&with(|limits| limits.handles(100)).policy(policy));
        let make = |count| ask(plugin.link(), &with_number(b'h', count));
        make(90).unwrap();
        if policy == Policy::Single {
            // The instance has the first ones still.
            assert!(matches!(cause(make(90)), TrapCause::Other(_)));
        }
        assert!(matches!(cause(make(101)), TrapCause::Other(_)));
        make(90).unwrap();
    }
    // So many by default, for which the budget of a short call is too little.
    let by_default = load(&with(|limits| limits.budget(Duration::from_secs(60))));
    ask(by_default.link(), &with_number(b'h', 16_000)).unwrap();
    assert!(matches!(cause(ask(by_default.link(), &with_number(b'h', 400))), TrapCause::Other(_)));
}

#[test]
fn deep_recursion_is_stopped_on_any_thread() {
    let plugin = load(&WasmOptions::new());
    let link = plugin.link();
    for stack in [64 << 10, 256 << 10, 8 << 20] {
        let thread = thread::Builder::new().stack_size(stack);
        let result = thread.spawn(move || ask(link, b"r")).unwrap().join().unwrap();
        assert_eq!(cause(result), TrapCause::Stack);
    }
    echoes(link);
}

#[test]
fn a_plugin_that_may_recurse_deeper_does_so_on_no_older_runner() {
    // A thread without the stack leaves the guest to a runner.
    let from_small = |link| {
        let thread = thread::Builder::new().stack_size(64 << 10);
        thread.spawn(move || ask(link, b"r")).unwrap()
    };
    let shallow = load(&with(|limits| limits.wasm_stack(64 << 10)));
    for _ in 0..3 {
        assert_eq!(cause(from_small(shallow.link()).join().unwrap()), TrapCause::Stack);
    }
    let deep: Vec<_> = (0..8).map(|_| load(&with(|limits| limits.wasm_stack(8 << 20)))).collect();
    for _ in 0..3 {
        let calls: Vec<_> = deep.iter().map(|plugin| from_small(plugin.link())).collect();
        for call in calls {
            // On a stack that isn't there this process would end. (A deep recursion may take longer
            // than its budget.)
            let cause = cause(call.join().unwrap());
            assert!(matches!(cause, TrapCause::Stack | TrapCause::Budget { .. }), "{cause:?}");
        }
    }
}

#[test]
fn answers_that_nobody_gets_are_on_the_guests_time() {
    let guest = Guest { pages: 960, ..Guest::default() };
    let options = with(|limits| limits.budget(Duration::from_millis(100)));
    let plugin = load_bytes(&guest.bytes(), "guest", &options).unwrap();
    let begin = Instant::now();
    let link = plugin.link();
    // A thread without the stack leaves the guest to a runner, where answers are copied first.
    let small = thread::Builder::new().stack_size(64 << 10);
    let first = small.spawn(move || ask(link, &with_number(b'D', 56 << 20)).unwrap());
    assert_eq!(first.unwrap().join().unwrap().len(), 56 << 20);
    eventually("the guest is stopped", || plugin.usage().instances_lost == 1);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn cancelled_calls_do_not_pile_up_at_a_place_that_does_not_get_on() {
    let budget = Duration::from_secs(2);
    let limits = |limits: WasmLimits| limits.budget(budget).queued_calls(4);
    let plugin = load(&with(limits).policy(Policy::Pool(2)));
    let link = plugin.link();
    let spinning = busy(link, budget);
    eventually("the guest spins", || plugin.usage().busy == 1);
    for _ in 0..100 {
        drop(link.call(&Invocation::entry("x", b"k")).unwrap());
    }
    assert!(!spinning.is_finished());
    assert!(plugin.usage().queued <= 5, "{}", plugin.usage().queued);
    spinning.join().unwrap();
}

#[test]
fn a_large_answer_is_its_own_fault() {
    let guest = Guest { pages: 1600, ..Guest::default() };
    let limits = Limits::default().answer_bytes(1 << 20);
    let options = WasmOptions::new()
        .limits(limits)
        .wasm_limits(WasmLimits::default().memory_bytes(200 << 20));
    let plugin = load_bytes(&guest.bytes(), "guest", &options).unwrap();
    let (len, limit) = (100 << 20, 1 << 20);
    let error = ask(plugin.link(), &with_number(b'b', len)).unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::TooLarge { len, limit }));
    assert_eq!(plugin.usage().instances_lost, 0);
    // More than the guest has at all.
    let result = ask(plugin.link(), &with_number(b'b', 1 << 30));
    assert!(matches!(cause(result), TrapCause::Other(_)));
    echoes(plugin.link());
}

#[test]
fn what_a_host_call_brings_has_a_limit() {
    let plugin = load(&with(|limits| limits.host_call_bytes(1000)));
    ask(plugin.link(), &with_number(b'b', 900)).unwrap();
    let result = ask(plugin.link(), &with_number(b'b', 1100));
    assert!(matches!(cause(result), TrapCause::Other(_)));
    echoes(plugin.link());
}

#[test]
fn a_guest_keeps_so_many_calls() {
    let plugin = load(&with(|limits| limits.kept_calls(2)));
    let call = || plugin.link().call(&Invocation::entry("x", b"k"));
    let kept = [call().unwrap(), call().unwrap()];
    assert_eq!(call().unwrap_err(), CallError::TooManyKept { limit: 2 });
    drop(kept);
    drop(call().unwrap());
}

#[test]
fn so_many_wakes_are_due() {
    let plugin = load(&with(|limits| limits.timers(7)));
    assert_eq!(ask(plugin.link(), b"t").unwrap(), 7_u32.to_le_bytes());
}

#[test]
fn a_log_flood_is_dropped_and_counted() {
    let plugin = load(&with(|limits| limits.log_bytes(10 * 68).budget(Duration::from_secs(10))));
    let flood = with_number(b'l', 1000);
    assert_eq!(ask(plugin.link(), &flood).unwrap(), flood);
    let suppressed = plugin.usage().suppressed_lines;
    assert!((900..=990).contains(&suppressed), "{suppressed}");
}

/// A plugin that is busy until the returned thread is joined.
fn busy(link: ringbox_ring::Link, limit: Duration) -> thread::JoinHandle<()> {
    let before = link.metrics().calls;
    let spinning = thread::spawn(move || {
        assert_eq!(cause(ask(link, b"s")), TrapCause::Budget { limit });
    });
    eventually("the call is made", || link.metrics().calls > before);
    spinning
}

#[test]
fn so_many_calls_and_bytes_wait() {
    let budget = Duration::from_millis(300);
    let plugin = load(&with(|limits| limits.budget(budget).queued_calls(3).queued_bytes(1000)));
    let link = plugin.link();
    let spinning = busy(link, budget);
    eventually("the guest spins", || plugin.usage().busy == 1);
    let call = |payload: &[u8]| link.call(&Invocation::entry("x", payload));
    assert_eq!(call(&[b'e'; 1001]).unwrap_err(), CallError::QueueFull, "never fits");
    let first = call(&[b'e'; 900]).unwrap();
    assert_eq!(call(&[b'e'; 200]).unwrap_err(), CallError::QueueFull, "too many bytes");
    let more = [call(b"e").unwrap(), call(b"e").unwrap()];
    assert_eq!(call(b"e").unwrap_err(), CallError::QueueFull, "too many calls");
    // One that leaves makes room, and is not seen by the guest.
    drop(first);
    let last = call(b"c").unwrap();
    spinning.join().unwrap();
    for waiting in more {
        assert_eq!(*waiting.wait().unwrap(), *b"e");
    }
    assert_eq!(*last.wait().unwrap(), 3_u32.to_le_bytes(), "in the replacement");
}

#[test]
fn a_refusal_of_a_call_that_waited_is_the_callers() {
    let budget = Duration::from_millis(100);
    let plugin = load(&with(|limits| limits.budget(budget)));
    let spinning = busy(plugin.link(), budget);
    eventually("the guest spins", || plugin.usage().busy == 1);
    let refused = plugin.link().call(&Invocation::entry("x", b"x")).unwrap();
    spinning.join().unwrap();
    let error = refused.wait().unwrap_err();
    assert_eq!(error, CallError::Refused { status: Status::Unsupported });
}

#[test]
fn siblings_answer_while_one_spins() {
    let budget = Duration::from_millis(500);
    let spinner = load(&with(|limits| limits.budget(budget)));
    let pool = load(&with(|limits| limits.budget(budget)).policy(Policy::Pool(2)));
    for link in [spinner.link(), pool.link()] {
        let other = load(&WasmOptions::new());
        let spinning = busy(link, budget);
        let begin = Instant::now();
        for _ in 0..100 {
            echoes(other.link());
            if link == pool.link() {
                echoes(link);
            }
        }
        assert!(!spinning.is_finished(), "{:?}", begin.elapsed());
        spinning.join().unwrap();
    }
}

#[test]
fn limits_that_cannot_be_held_are_refused() {
    for options in [
        with(|limits| limits.wasm_stack(0)),
        with(|limits| limits.budget(Duration::ZERO)),
        with(|limits| limits.memory_bytes(8 << 30)),
    ] {
        let error = try_load(&options).unwrap_err();
        assert!(matches!(error, LoadError::BadLimit { .. }), "{error}");
    }
}
