//! An instance for each call.

mod small;

#[path = "small/lines.rs"]
mod lines;

use lines::Lines;
use ringbox_ring::{CallError, Fault, Invocation, TrapCause};
use ringbox_wasm::{Policy, WasmLimits, WasmOptions};
use small::{Guest, ask, cause, echoes, eventually, load, with_number};
use std::thread;
use std::time::Duration;

fn options(places: u32) -> WasmOptions {
    WasmOptions::new().policy(Policy::PerCall(places))
}

#[test]
fn each_call_has_an_instance_that_nobody_had_before() {
    let plugin = load(&options(2));
    assert!(plugin.about().pooled);
    for _ in 0..100 {
        assert_eq!(ask(plugin.link(), b"c").unwrap(), 1_u32.to_le_bytes());
    }
    echoes(plugin.link());
}

#[test]
fn where_no_pool_can_be_had_instances_are_made_on_demand() {
    // No machine has the addresses for so many memories of that size.
    let limits = WasmLimits::default().memory_bytes(4 << 30).memories(100);
    let options = options(400).wasm_limits(limits);
    let (plugin, lines) = Lines::of(|| load(&options));
    assert!(!plugin.about().pooled);
    let told = lines.iter().any(|line| line.contains("no pool for 400 instances"));
    assert!(told, "{lines:?}");
    for _ in 0..3 {
        assert_eq!(ask(plugin.link(), b"c").unwrap(), 1_u32.to_le_bytes());
    }
    assert_eq!(cause(ask(plugin.link(), b"u")), TrapCause::Abort);
    echoes(plugin.link());
}

#[test]
fn an_instance_lives_until_its_call_is_answered() {
    let plugin = load(&options(2));
    let link = plugin.link();
    for nanos in [0, 1_000_000] {
        assert_eq!(ask(link, &with_number(b'w', nanos)).unwrap(), b"kept");
    }
    assert_eq!(ask(link, b"n").unwrap_err().fault(), Some(&Fault::Unanswered));
    let kept = link.call(&Invocation::entry("x", b"k")).unwrap();
    // Another's instance does not know of it.
    assert_eq!(ask(link, b"K").unwrap(), 0_u64.to_le_bytes());
    assert_eq!(kept.now().unwrap_err(), CallError::NotImmediate);
}

#[test]
fn a_trap_costs_one_call() {
    let plugin = load(&options(4));
    let link = plugin.link();
    let waiting = link.call(&Invocation::entry("x", &with_number(b'w', 30_000_000))).unwrap();
    for _ in 0..20 {
        assert_eq!(cause(ask(link, b"u")), TrapCause::Abort);
    }
    echoes(link);
    assert_eq!(*waiting.wait().unwrap(), *b"kept");
}

#[test]
fn calls_wait_for_a_place_and_get_one() {
    let limits = WasmLimits::default().queued_calls(2);
    let plugin = load(&options(1).wasm_limits(limits));
    let link = plugin.link();
    let call = |payload: &[u8]| link.call(&Invocation::entry("x", payload));
    let first = call(b"k").unwrap();
    let waiting = [call(b"e").unwrap(), call(b"c").unwrap()];
    assert_eq!(call(b"e").unwrap_err(), CallError::QueueFull);
    assert_eq!(plugin.usage().queued, 2);
    drop(first);
    let [echo, count] = waiting;
    assert_eq!(*echo.wait().unwrap(), *b"e");
    assert_eq!(*count.wait().unwrap(), 1_u32.to_le_bytes());
}

#[test]
fn so_many_bytes_wait_for_a_place() {
    let limits = WasmLimits::default().queued_bytes(1000);
    let plugin = load(&options(1).wasm_limits(limits));
    let link = plugin.link();
    let call = |payload: &[u8]| link.call(&Invocation::entry("x", payload));
    let first = call(b"k").unwrap();
    assert_eq!(call(&[b'e'; 1001]).unwrap_err(), CallError::QueueFull, "never fits");
    let waiting = call(&[b'e'; 900]).unwrap();
    assert_eq!(call(&[b'e'; 200]).unwrap_err(), CallError::QueueFull, "too many bytes");
    // One that leaves makes room.
    drop(waiting);
    let next = call(&[b'e'; 990]).unwrap();
    drop(first);
    assert_eq!(*next.wait().unwrap(), [b'e'; 990]);
    // And so does one that was run.
    let first = call(b"k").unwrap();
    let next = call(&[b'e'; 900]).unwrap();
    drop(first);
    assert_eq!(*next.wait().unwrap(), [b'e'; 900]);
}

#[test]
fn the_call_that_waits_longest_has_the_next_place() {
    let plugin = load(&options(1));
    let link = plugin.link();
    let call = || link.call(&Invocation::entry("x", b"k")).unwrap();
    let (first, second, third) = (call(), call(), call());
    assert_eq!(plugin.usage().queued, 2);
    drop(first);
    eventually("the second has the place", || plugin.usage().queued == 1);
    // The third leaves the queue, where it still is.
    drop(third);
    assert_eq!(plugin.usage().queued, 0);
    drop(second);
    echoes(link);
}

#[test]
fn a_call_that_left_is_stopped_at_the_next_tick_and_its_siblings_go_on() {
    // No line passes, so those that were written are counted.
    let limits = WasmLimits::default().budget(Duration::from_secs(20)).log_bytes(0);
    let plugin = load(&options(2).wasm_limits(limits));
    let link = plugin.link();
    // A thread without the stack leaves the guest to a runner, so that the caller can leave.
    let small = thread::Builder::new().stack_size(64 << 10);
    let call = small.spawn(move || link.call(&Invocation::entry("x", b"S")).unwrap());
    let call = call.unwrap().join().unwrap();
    eventually("the guest spins", || plugin.usage().suppressed_lines == 1);
    echoes(link);
    drop(call);
    eventually("the guest is stopped", || plugin.usage().busy == 0);
    assert_eq!(plugin.usage().instances_lost, 1);
    echoes(link);
}

#[test]
fn a_queued_call_that_left_is_never_seen() {
    let plugin = load(&options(1));
    let link = plugin.link();
    let first = link.call(&Invocation::entry("x", b"k")).unwrap();
    drop(link.call(&Invocation::entry("x", b"s")).unwrap());
    assert_eq!(plugin.usage().queued, 0);
    drop(first);
    echoes(link);
    assert_eq!(plugin.usage().instances_lost, 0);
}

#[test]
fn many_threads_share_few_places() {
    let plugin = load(&options(3));
    let link = plugin.link();
    let threads: Vec<_> = (0..8_u8)
        .map(|number| {
            thread::spawn(move || {
                for turn in 0..200_u8 {
                    let payload = [b'e', number, turn];
                    assert_eq!(ask(link, &payload).unwrap(), payload);
                    if turn % 50 == 0 {
                        assert_eq!(cause(ask(link, b"u")), TrapCause::Abort);
                        assert_eq!(ask(link, &with_number(b'w', 1000)).unwrap(), b"kept");
                        drop(link.call(&Invocation::entry("x", b"k")));
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    eventually("all places are free again", || {
        let calls: Vec<_> =
            (0..3).map(|_| link.call(&Invocation::entry("x", b"k")).unwrap()).collect();
        let waits = plugin.usage().queued;
        drop(calls);
        waits == 0
    });
    let _ = Guest::default();
}
