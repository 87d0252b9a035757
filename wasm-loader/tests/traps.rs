//! An instance that is lost, and what becomes of it all.

mod small;

#[path = "small/lines.rs"]
mod lines;

use lines::Lines;
use ringbox_ring::{CallError, Fault, Invocation, TrapCause};
use ringbox_wasm::{Mode, Policy, WasmOptions, load_bytes};
use small::{Guest, ask, cause, echoes, eventually, load};
use std::thread;
use std::time::Duration;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[test]
fn a_trap_costs_the_instances_calls_and_no_others() {
    let plugin = load(&WasmOptions::new());
    let (link, other) = (plugin.link(), load(&WasmOptions::new()));
    let kept = link.call(&Invocation::entry("x", b"k")).unwrap();
    let elsewhere = other.link().call(&Invocation::entry("x", b"k")).unwrap();
    assert_eq!(cause(ask(link, b"u")), TrapCause::Abort);
    let error = kept.wait().unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::InstanceLost));
    assert!(error.is_retryable());
    assert_eq!(ask(link, b"c").unwrap(), 1_u32.to_le_bytes(), "the replacement's first");
    ask(other.link(), b"K").unwrap();
    assert_eq!(*elsewhere.wait().unwrap(), *b"kept");
}

#[test]
fn what_an_instance_kept_goes_with_it_and_what_waited_is_run_by_the_next() {
    // Long enough to leave calls meanwhile, whatever else the machine does.
    let budget = Duration::from_millis(500);
    let limited = || small::with(|limits| limits.budget(budget).long_budget(budget));
    for (options, places) in [
        (limited(), 1),
        (limited().policy(Policy::Pool(2)), 2),
        (limited().mode(Mode::Cooperative), 1),
    ] {
        let plugin = load(&options);
        let link = plugin.link();
        let call = |payload: &[u8]| link.call(&Invocation::entry("x", payload)).unwrap();
        let stream = || link.stream(&Invocation::entry("x", b"n")).unwrap();
        let kept: Vec<_> = (0..6).map(|_| (call(b"k"), stream())).collect();
        eventually("they are kept", || plugin.usage().busy == 0);
        let spinning: Vec<_> =
            (0..places).map(|_| thread::spawn(move || ask(link, b"s"))).collect();
        eventually("all spin", || plugin.usage().busy == places);
        let waiting: Vec<_> = (0..6).map(|_| (call(b"c"), stream())).collect();
        assert_eq!(plugin.usage().queued, 12);
        for spinning in spinning {
            assert!(matches!(cause(spinning.join().unwrap()), TrapCause::Budget { .. }));
        }
        for (call, mut stream) in kept {
            assert_eq!(call.wait().unwrap_err().fault(), Some(&Fault::InstanceLost));
            let error = small::next(&mut stream).unwrap_err();
            assert_eq!(error.fault(), Some(&Fault::InstanceLost));
        }
        for (call, mut stream) in waiting {
            let number = call.wait().unwrap();
            assert!(u32::from_le_bytes(number[..].try_into().unwrap()) <= 12);
            stream.send(b"there?").unwrap();
            assert_eq!(small::next(&mut stream).unwrap().unwrap(), b"there?");
        }
    }
}

/// Panics at every event.
struct Panics;

impl Subscriber for Panics {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        panic!("at a line of the log");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_trap_is_got_over_though_whoever_hears_of_it_panics() {
    let plugin = load(&WasmOptions::new());
    let result = tracing::subscriber::with_default(Panics, || ask(plugin.link(), b"u"));
    assert_eq!(cause(result), TrapCause::Abort);
    echoes(plugin.link());
}

#[test]
fn one_of_a_pool_is_lost_and_the_others_keep_theirs() {
    let plugin = load(&WasmOptions::new().policy(Policy::Pool(3)));
    let link = plugin.link();
    // A call goes to a place by its slot, so the same thread's calls that are open are spread.
    let kept: Vec<_> = (0..12).map(|_| link.call(&Invocation::entry("x", b"k")).unwrap()).collect();
    assert_eq!(cause(ask(link, b"u")), TrapCause::Abort);
    let lost = kept.into_iter().filter_map(|call| match call.now() {
        Err(error) if error.fault() == Some(&Fault::InstanceLost) => Some(()),
        _ => None,
    });
    let lost = lost.count();
    assert!((1..12).contains(&lost), "one place's, and no other's: {lost}");
    echoes(link);
}

#[test]
fn a_plugin_that_always_fails_rests() {
    let plugin = load(&WasmOptions::new());
    let mut quarantined = None;
    for _ in 0..30 {
        match ask(plugin.link(), b"u") {
            Err(CallError::Quarantined(quarantine)) => {
                quarantined = Some(quarantine);
                break;
            }
            result => assert_eq!(cause(result), TrapCause::Abort),
        }
    }
    let quarantine = quarantined.expect("it rests in the end");
    assert_eq!(quarantine.failures, 12);
    assert!(matches!(quarantine.last, Fault::Trapped(_)));
    plugin.unload(Duration::ZERO).unwrap();
}

#[test]
fn init_runs_again_in_the_replacement() {
    // Whether `init` ran shows in what `k` keeps: it is 0 otherwise.
    let guest = Guest { init: "(global.set $calls (i32.const 100))", ..Guest::default() };
    let plugin = load_bytes(&guest.bytes(), "guest", &WasmOptions::new()).unwrap();
    assert_eq!(ask(plugin.link(), b"c").unwrap(), 101_u32.to_le_bytes());
    assert_eq!(cause(ask(plugin.link(), b"u")), TrapCause::Abort);
    assert_eq!(ask(plugin.link(), b"c").unwrap(), 101_u32.to_le_bytes());
}

#[test]
fn a_shutdown_that_traps_is_told_and_the_plugin_is_unloaded() {
    let guest = Guest { shutdown: "unreachable", ..Guest::default() };
    let other = load(&WasmOptions::new());
    for mode in [Mode::Inline, Mode::Cooperative] {
        for policy in [Policy::Single, Policy::Pool(3)] {
            let options = WasmOptions::new().mode(mode).policy(policy);
            let plugin = load_bytes(&guest.bytes(), "ends-badly", &options).unwrap();
            let kept = plugin.link().call(&Invocation::entry("x", b"k")).unwrap();
            eventually("the guest keeps it", || plugin.usage().busy == 0);
            let (unloaded, lines) = Lines::of(|| plugin.unload(Duration::ZERO));
            unloaded.unwrap();
            assert_eq!(kept.wait().unwrap_err().fault(), Some(&Fault::Unloaded));
            assert_eq!(ask(plugin.link(), b"e"), Err(CallError::Unloaded));
            let told = lines.iter().filter(|line| line.contains("its shutdown: "));
            // Each instance is shut down, whatever becomes of the one before it.
            let count = if policy == Policy::Single { 1 } else { 3 };
            assert_eq!(told.count(), count, "{lines:?}");
            echoes(other.link());
        }
    }
}

#[test]
fn a_wake_of_a_lost_instance_is_forgotten() {
    let plugin = load(&WasmOptions::new());
    let link = plugin.link();
    let waiting =
        link.call(&Invocation::entry("x", &small::with_number(b'w', 20_000_000))).unwrap();
    assert_eq!(cause(ask(link, b"u")), TrapCause::Abort);
    assert_eq!(waiting.wait().unwrap_err().fault(), Some(&Fault::InstanceLost));
    eventually("nothing is due", || plugin.usage().queued == 0);
    // The replacement has no wakes: a call that it keeps silent about ends.
    assert_eq!(ask(link, b"n").unwrap_err().fault(), Some(&Fault::Unanswered));
}

#[test]
fn a_guest_that_spins_does_not_keep_its_plugin_from_being_unloaded() {
    let plugin = load(&small::with(|limits| limits.budget(Duration::from_secs(20))));
    let link = plugin.link();
    let spinning = thread::spawn(move || ask(link, b"s"));
    eventually("the guest spins", || plugin.usage().busy == 1);
    plugin.unload(Duration::ZERO).unwrap();
    let error = spinning.join().unwrap().unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::Unloaded));
}
