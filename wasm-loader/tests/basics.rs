//! A component is called like any plugin.

mod small;

use ringbox_ring::{CallError, Fault, Header, Invocation, Request, Status};
use ringbox_wasm::{InspectError, LoadError, Policy, WasmOptions, load_bytes};
use small::{Guest, ask, echoes, guest, load, with_number};
use std::time::Duration;

#[test]
fn a_call_is_answered() {
    let plugin = load(&WasmOptions::new());
    echoes(plugin.link());
    let large = [&b"e"[..], &[7; 1 << 20]].concat();
    assert_eq!(ask(plugin.link(), &large).unwrap(), large);
    let headers: Vec<_> = (0..40).map(|_| Header { name: "name", value: "värde" }).collect();
    for count in [0, 1, 16, 17, 40] {
        let request = Request { headers: &headers[..count], ..Request::new("GET", "/") };
        let call = plugin.link().call(&Invocation::request(request, b"e")).unwrap();
        assert_eq!(*call.now().unwrap(), *b"e", "inside dispatch");
    }
}

#[test]
fn a_refusal_is_the_callers() {
    let plugin = load(&WasmOptions::new());
    let error = ask(plugin.link(), b"x").unwrap_err();
    assert_eq!(error, CallError::Refused { status: Status::Unsupported });
}

#[test]
fn silence_ends_a_call_at_once() {
    let plugin = load(&WasmOptions::new());
    let error = ask(plugin.link(), b"n").unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::Unanswered));
}

#[test]
fn a_kept_call_is_answered_from_another_one() {
    let plugin = load(&WasmOptions::new());
    let kept = plugin.link().call(&Invocation::entry("x", b"k")).unwrap();
    ask(plugin.link(), b"K").unwrap();
    assert_eq!(*kept.wait().unwrap(), *b"kept");
}

#[test]
fn a_wake_answers_later() {
    let plugin = load(&WasmOptions::new());
    for nanos in [0, 1, 2_000_000] {
        assert_eq!(ask(plugin.link(), &with_number(b'w', nanos)).unwrap(), b"kept");
    }
}

#[test]
fn a_second_answer_is_dropped() {
    let plugin = load(&WasmOptions::new());
    assert_eq!(ask(plugin.link(), b"d").unwrap(), b"d");
    let metrics = plugin.link().metrics();
    assert_eq!(metrics.late + metrics.double, 1);
}

#[test]
fn an_answer_to_another_plugins_call_is_dropped() {
    let (one, two) = (load(&WasmOptions::new()), load(&WasmOptions::new()));
    let open = one.link().call(&Invocation::entry("x", b"k")).unwrap();
    ask(two.link(), &with_number(b'f', open.sid().as_raw())).unwrap();
    assert_eq!(two.link().metrics().foreign, 1);
    ask(one.link(), b"K").unwrap();
    assert_eq!(*open.wait().unwrap(), *b"kept");
}

#[test]
fn an_answer_to_another_instances_call_is_dropped() {
    let plugin = load(&WasmOptions::new().policy(Policy::Pool(2)));
    let link = plugin.link();
    // A call goes to a place by its slot: those that are open are spread, and those that come one after
    // the other are of one place.
    let kept: Vec<_> = (0..12).map(|_| link.call(&Invocation::entry("x", b"k")).unwrap()).collect();
    for call in &kept {
        ask(link, &with_number(b'f', call.sid().as_raw())).unwrap();
    }
    let answered = kept.into_iter().filter_map(|call| call.now().ok()).count();
    assert!((1..12).contains(&answered), "one place's, and no other's: {answered}");
    assert_eq!(link.metrics().foreign, 12 - answered as u64);
}

#[test]
fn an_unloaded_plugin_ends_its_calls() {
    let plugin = load(&WasmOptions::new());
    let open = plugin.link().call(&Invocation::entry("x", b"k")).unwrap();
    plugin.unload(Duration::ZERO).unwrap();
    assert_eq!(open.wait().unwrap_err().fault(), Some(&Fault::Unloaded));
    assert_eq!(ask(plugin.link(), b"e"), Err(CallError::Unloaded));
}

#[test]
fn an_init_that_fails_fails_the_load() {
    let guest = Guest { init: "(return (i32.const 1))", ..Guest::default() };
    let error = load_bytes(&guest.bytes(), "guest", &WasmOptions::new()).unwrap_err();
    assert!(matches!(error, LoadError::Init { status: Status::Err }), "{error}");
}

#[test]
fn what_is_no_plugin_is_not_loaded() {
    let options = WasmOptions::new();
    let error = load_bytes(b"\x7fELF", "guest", &options).unwrap_err();
    assert!(matches!(error, LoadError::Inspect(InspectError::NotWasm { .. })), "{error}");
    let empty = wat::parse_str("(component)").unwrap();
    let error = load_bytes(&empty, "guest", &options).unwrap_err();
    assert!(matches!(error, LoadError::Inspect(InspectError::NoGuest { .. })), "{error}");
}

#[test]
fn the_components_version_may_be_newer_but_not_its_major() {
    let options = WasmOptions::new();
    let compatible = Guest { version: "1.4.2", ..Guest::default() };
    echoes(load_bytes(&compatible.bytes(), "guest", &options).unwrap().link());
    let newer = Guest { version: "2.0.0", ..Guest::default() };
    let error = load_bytes(&newer.bytes(), "guest", &options).unwrap_err();
    assert!(
        matches!(&error, LoadError::Inspect(InspectError::Newer { found, .. }) if found.major == 2),
        "{error}"
    );
    let _ = guest();
}
