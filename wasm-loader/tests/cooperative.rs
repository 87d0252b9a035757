//! Plugins that compute for long, on the host's own threads.

mod small;

use ringbox_ring::{CallError, Fault, Invocation, Status, TrapCause};
use ringbox_wasm::{LoadError, Mode, Policy, WasmLimits, WasmOptions, load_bytes};
use small::{Guest, ask, cause, echoes, eventually, guest, load, with_number};
use std::thread;
use std::time::Duration;

fn options() -> WasmOptions {
    WasmOptions::new().mode(Mode::Cooperative)
}

fn budget(budget: Duration) -> WasmOptions {
    options().wasm_limits(WasmLimits::default().long_budget(budget))
}

#[test]
fn a_cooperative_plugin_is_called_like_any() {
    for policy in [Policy::Single, Policy::Pool(2), Policy::PerCall(2)] {
        let plugin = load(&options().policy(policy));
        let link = plugin.link();
        assert!(!plugin.about().inline);
        echoes(link);
        let refused = ask(link, b"x").unwrap_err();
        assert_eq!(refused, CallError::Refused { status: Status::Unsupported });
        assert_eq!(ask(link, b"n").unwrap_err().fault(), Some(&Fault::Unanswered));
        assert_eq!(ask(link, &with_number(b'w', 1000)).unwrap(), b"kept");
        assert_eq!(cause(ask(link, b"u")), TrapCause::Abort);
        assert_eq!(cause(ask(link, b"r")), TrapCause::Stack);
        echoes(link);
        plugin.unload(Duration::ZERO).unwrap();
    }
}

#[test]
fn more_spin_than_there_are_runners_and_others_are_answered() {
    let spinners: Vec<_> = (0..8).map(|_| load(&budget(Duration::from_secs(60)))).collect();
    let calls: Vec<_> = spinners
        .iter()
        .map(|plugin| plugin.link().call(&Invocation::entry("x", b"s")).unwrap())
        .collect();
    let other = load(&options());
    for _ in 0..5 {
        echoes(other.link());
    }
    for (plugin, call) in spinners.iter().zip(calls) {
        plugin.unload(Duration::ZERO).unwrap();
        assert_eq!(call.wait().unwrap_err().fault(), Some(&Fault::Unloaded));
    }
}

#[test]
fn a_long_call_is_stopped_at_its_budget_of_computing() {
    let limit = Duration::from_millis(50);
    let plugin = load(&budget(limit));
    assert_eq!(cause(ask(plugin.link(), b"s")), TrapCause::Budget { limit });
    let long = with_number(b'i', 1_000_000);
    assert_eq!(ask(plugin.link(), &long).unwrap(), long);
}

#[test]
fn a_long_call_whose_caller_left_is_stopped_where_it_is_alone() {
    let limits = WasmLimits::default().long_budget(Duration::from_secs(60)).log_bytes(0);
    let plugin = load(&options().policy(Policy::PerCall(1)).wasm_limits(limits));
    let call = plugin.link().call(&Invocation::entry("x", b"S")).unwrap();
    eventually("the guest spins", || plugin.usage().suppressed_lines == 1);
    drop(call);
    eventually("the guest is stopped", || plugin.usage().instances_lost == 1);
    echoes(plugin.link());
}

#[test]
fn a_cooperative_guest_may_spin_nowhere() {
    let limits = WasmLimits::default().start_budget(Duration::from_millis(20));
    let options = options().wasm_limits(limits);
    let init = Guest { init: "(call $spin)", ..Guest::default() };
    let error = load_bytes(&init.bytes(), "guest", &options).unwrap_err();
    assert!(matches!(error, LoadError::Trapped(_)), "{error}");
    let shutdown = Guest { shutdown: "(call $spin)", ..Guest::default() };
    let plugin = load_bytes(&shutdown.bytes(), "guest", &options).unwrap();
    echoes(plugin.link());
    plugin.unload(Duration::ZERO).unwrap();
}

#[test]
fn many_threads_call_cooperative_plugins_that_come_and_go() {
    let threads: Vec<_> = (0..4_u8)
        .map(|number| {
            thread::spawn(move || {
                for turn in 0..20_u8 {
                    let policy = [Policy::Single, Policy::PerCall(2)][usize::from(turn % 2)];
                    let plugin = load_bytes(guest(), "guest", &options().policy(policy)).unwrap();
                    let calls: Vec<_> = (0..10)
                        .map(|_| {
                            plugin.link().call(&Invocation::entry("x", &[b'e', number])).unwrap()
                        })
                        .collect();
                    for call in calls {
                        assert_eq!(*call.wait().unwrap(), [b'e', number]);
                    }
                    drop(plugin.link().call(&Invocation::entry("x", b"k")));
                    plugin.unload(Duration::ZERO).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
