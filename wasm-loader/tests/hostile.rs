//! Files that are no plugins, functions that were not granted, loads that race: errors with a type,
//! and a host that goes on.

mod support;

use ringbox_ring::{CallError, Fault, Invocation, Link, TrapCause};
use ringbox_wasm::inspect::Bound;
use ringbox_wasm::{
    ComponentLimits, InspectError, LoadError, Mode, Policy, WasmLimits, WasmOptions, load,
    load_bytes,
};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use support::{BARE, WASI, guest, guest_bytes};

const CASE: &str = "acme:text/case@1.0.0";

fn options() -> WasmOptions {
    // Here nothing is about budgets.
    WasmOptions::new().wasm_limits(WasmLimits::default().budget(Duration::from_secs(1)))
}

fn ask(link: Link, entry: &str, payload: &[u8]) -> Result<Vec<u8>, CallError> {
    let call = link.call(&Invocation::entry(entry, payload))?;
    Ok(call.deadline(Duration::from_secs(20)).wait()?.into_vec())
}

#[track_caller]
fn refused(bytes: &[u8]) -> InspectError {
    match load_bytes(bytes, "refused", &options()) {
        Err(LoadError::Inspect(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_file_is_its_bytes_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin.wasm");
    let core = wat::parse_str("(module)").unwrap();
    let elf = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    for (bytes, what) in [(&b""[..], "empty"), (b"#!/bin/sh", "script"), (&elf[..4096], "elf")] {
        std::fs::write(&path, bytes).unwrap();
        let error = load(&path, "plugin", &options()).unwrap_err();
        let found = matches!(
            error,
            LoadError::Inspect(InspectError::NotWasm { .. } | InspectError::Truncated { .. })
        );
        assert!(found, "{what}: {error:?}");
    }
    std::fs::write(&path, core).unwrap();
    let error = load(&path, "plugin", &options()).unwrap_err();
    assert!(matches!(error, LoadError::Inspect(InspectError::CoreModule)), "{error:?}");
    // And a name says nothing.
    let odd = folder.path().join("plugin.so");
    std::fs::copy(guest("echo", BARE), &odd).unwrap();
    let plugin = load(&odd, "plugin", &options()).unwrap();
    assert_eq!(ask(plugin.link(), "echo", b"hello").unwrap(), b"hello");
}

#[test]
fn half_a_component_is_not_loaded() {
    let bytes = guest_bytes("echo", BARE);
    for part in 0..64 {
        let len = bytes.len() * part / 64;
        assert!(load_bytes(&bytes[..len], "half", &options()).is_err(), "{len} bytes");
    }
}

#[test]
fn a_component_with_a_flipped_bit_is_refused_or_harms_only_itself() {
    let bytes = guest_bytes("echo", BARE);
    let sibling = load_bytes(&bytes, "sibling", &options()).unwrap();
    let (mut loaded, mut refused) = (0, 0);
    // Steps that share no factor with anything in the file.
    for at in (0..bytes.len()).step_by(bytes.len() / 41) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        match load_bytes(&flipped, "flipped", &options()) {
            Ok(plugin) => {
                loaded += 1;
                // Whatever it answers, it is an answer or a typed error.
                let _ = ask(plugin.link(), "echo", b"hello");
            }
            Err(_) => refused += 1,
        }
        assert_eq!(ask(sibling.link(), "echo", b"unharmed").unwrap(), b"unharmed");
    }
    assert!(refused > 0 && loaded > 0, "{refused} were refused, {loaded} loaded");
}

#[test]
fn what_the_contract_lacks_or_has_otherwise_is_named() {
    let empty = wat::parse_str("(component)").unwrap();
    assert!(matches!(refused(&empty), InspectError::NoGuest { .. }));
    let guest = |interface: &str, function: &str| {
        let text = format!(
            r#"(component
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f")))
                (instance $guest (export "{function}" (func $f)))
                (export "{interface}" (instance $guest)))"#
        );
        wat::parse_str(text).unwrap()
    };
    let error = refused(&guest("nylon:ring/guest@1.0.0", "init"));
    let typed =
        matches!(error, InspectError::WrongSignature { .. } | InspectError::MissingFunction { .. });
    assert!(typed, "{error:?}");
    let error = refused(&guest("nylon:ring/guest@2.0.0", "init"));
    assert!(matches!(error, InspectError::Newer { .. }), "{error:?}");
    let error = refused(&guest("nylon:rings/guest@1.0.0", "init"));
    assert!(matches!(error, InspectError::NoGuest { .. }), "{error:?}");
}

#[test]
fn a_component_over_a_limit_is_not_compiled() {
    let small = options().component_limits(ComponentLimits::new().bytes(10_000));
    let error = load(&guest("echo", BARE), "echo", &small).unwrap_err();
    let LoadError::Inspect(InspectError::TooLarge { bound, most, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((bound, most), (Bound::Bytes, 10_000));
}

#[test]
fn a_function_that_was_not_granted_fails_the_load() {
    let path = guest("crashing", BARE);
    let error = load(&path, "crashing", &options()).unwrap_err();
    let LoadError::Inspect(InspectError::UnknownImport { name }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(name, CASE);
    assert!(error.to_string().contains("WasmOptions::host_function"), "{error}");
    // Nor does another one of the same interface do.
    let other = options().host_function(CASE, "lower", <[u8]>::to_ascii_lowercase);
    let error = load(&path, "crashing", &other).unwrap_err();
    assert!(matches!(error, LoadError::Imports(_)), "{error:?}");
    assert!(format!("{error:#}").contains(CASE), "{error}");
}

#[test]
fn a_granted_function_is_called_and_its_time_is_not_the_plugins() {
    let granted = WasmOptions::new()
        .wasm_limits(WasmLimits::default().budget(Duration::from_millis(20)))
        .host_function(CASE, "upper", |text| {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(100) {
                std::hint::spin_loop();
            }
            text.to_ascii_uppercase()
        })
        .host_function(CASE, "lower", <[u8]>::to_ascii_lowercase);
    let plugin = load(&guest("crashing", BARE), "crashing", &granted).unwrap();
    // Time is kept from a call's first tick on, which a guest meets when the function is back.
    for entry in ["upper", "twice", "upper", "twice"] {
        assert_eq!(ask(plugin.link(), entry, b"quiet").unwrap(), b"QUIET");
    }
    assert_eq!(plugin.usage().instances_lost, 0);
}

#[test]
fn a_granted_function_that_panics_costs_its_call() {
    let granted = options().host_function(CASE, "upper", |_| panic!("on purpose"));
    let plugin = load(&guest("crashing", BARE), "crashing", &granted).unwrap();
    for _ in 0..2 {
        let error = ask(plugin.link(), "upper", b"").unwrap_err();
        let Some(Fault::Trapped(trapped)) = error.fault() else { panic!("{error:?}") };
        assert!(matches!(trapped.cause, TrapCause::Other(_)), "{trapped}");
        assert_eq!(ask(plugin.link(), "echo", b"goes on").unwrap(), b"goes on");
    }
}

#[test]
fn a_granted_function_that_panics_harms_no_other_call_wherever_it_runs() {
    let bytes = guest_bytes("crashing", BARE);
    for mode in [Mode::Inline, Mode::Cooperative] {
        // A sibling is in the same function meanwhile, and comes out of it.
        let (enters, entered) = mpsc::channel();
        let (let_go, waits) = mpsc::channel::<()>();
        let (enters, waits) = (Mutex::new(enters), Mutex::new(waits));
        let waiting = options().mode(mode).host_function(CASE, "upper", move |text| {
            enters.lock().unwrap().send(()).unwrap();
            waits.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
            text.to_ascii_uppercase()
        });
        let sibling = load_bytes(&bytes, "sibling", &waiting).unwrap();
        let link = sibling.link();
        let inside = thread::spawn(move || ask(link, "upper", b"sibling"));
        entered.recv_timeout(Duration::from_secs(20)).unwrap();
        for policy in [Policy::Single, Policy::Pool(2), Policy::PerCall(2)] {
            let granted =
                options().mode(mode).policy(policy).host_function(CASE, "upper", |text| {
                    assert!(text != b"panic", "on purpose");
                    text.to_ascii_uppercase()
                });
            let plugin = load_bytes(&bytes, "panics", &granted).unwrap();
            for _ in 0..2 {
                let error = ask(plugin.link(), "upper", b"panic").unwrap_err();
                let Some(Fault::Trapped(trapped)) = error.fault() else { panic!("{error:?}") };
                assert!(matches!(trapped.cause, TrapCause::Other(_)), "{trapped}");
                assert_eq!(ask(plugin.link(), "upper", b"goes on").unwrap(), b"GOES ON");
            }
            assert_eq!(plugin.usage().instances_lost, 2, "{mode:?} {policy:?}");
            plugin.unload(Duration::from_secs(5)).unwrap();
        }
        let_go.send(()).unwrap();
        assert_eq!(inside.join().unwrap().unwrap(), b"SIBLING");
        assert_eq!(sibling.usage().instances_lost, 0);
    }
}

#[test]
fn the_same_function_is_not_granted_twice() {
    let twice = options().host_function(CASE, "upper", <[u8]>::to_ascii_uppercase).host_function(
        CASE,
        "upper",
        <[u8]>::to_ascii_lowercase,
    );
    let error = load(&guest("crashing", BARE), "crashing", &twice).unwrap_err();
    assert!(matches!(error, LoadError::Imports(_)), "{error:?}");
}

#[test]
fn loads_that_race_are_plugins_of_their_own() {
    let (good, std_using) = (guest_bytes("echo", BARE), guest_bytes("ordinary", WASI));
    let mut bad = good.clone();
    bad.truncate(good.len() / 2);
    let start = Barrier::new(6);
    thread::scope(|scope| {
        for number in 0..6_u8 {
            let (start, bytes) = (&start, [&good, &std_using, &bad][usize::from(number) % 3]);
            scope.spawn(move || {
                start.wait();
                for _ in 0..3 {
                    let result = load_bytes(bytes, "racing", &options());
                    if number % 3 == 2 {
                        assert!(matches!(result, Err(LoadError::Inspect(_))), "{result:?}");
                        continue;
                    }
                    let plugin = result.unwrap();
                    assert_eq!(
                        ask(plugin.link(), "echo", &[b'a' + number]).unwrap(),
                        [b'a' + number]
                    );
                    plugin.unload(Duration::from_secs(5)).unwrap();
                }
            });
        }
    });
}
