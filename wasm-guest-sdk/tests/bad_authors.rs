//! What becomes of plugins that do what they should not.

#![cfg(target_os = "linux")]

mod support;

use ringbox::{Host, LoadOptions, Source, Status, WasmLimits};
use std::time::Duration;
use support::block_on;
use support::pair::{Pair, call, native};
use support::plugin;

fn panicked(message: &str) -> support::pair::Came {
    Ok((Status::Panic, message.as_bytes().to_vec()))
}

#[test]
fn a_panic_is_answered_with_its_message() {
    let pair = Pair::load("bad");
    assert_eq!(
        pair.both(|plugin| call(plugin, "panics", "wie schön".as_bytes())),
        panicked("wie schön")
    );
    assert_eq!(pair.both(|plugin| call(plugin, "panics-owing", b"")), panicked("owing"));
    assert_eq!(pair.both(|plugin| call(plugin, "panics-late", b"later")), panicked("later"));
    // What comes next finds a plugin that works.
    assert_eq!(pair.both(|plugin| call(plugin, "echo", b"x")), Ok((Status::Ok, b"x".to_vec())));
}

#[test]
fn a_dropped_responder_is_an_answer() {
    let pair = Pair::load("bad");
    for entry in ["drops", "drops-late"] {
        let came = pair.both(|plugin| call(plugin, entry, b"")).unwrap();
        assert_eq!(came, (Status::Err, b"the plugin dropped this unanswered".to_vec()));
    }
}

#[test]
fn a_responder_that_is_kept_for_ever_costs_its_call_its_deadline() {
    let pair = Pair::load("bad");
    for plugin in pair.each() {
        let allowed = Duration::from_millis(30);
        let error = block_on(plugin.call_response_timeout("keeps", b"", allowed)).unwrap_err();
        assert!(error.is_deadline(), "{error}");
    }
}

/// A cancelled future's drop panics: no call is there to be told, and the plugin goes on.
#[test]
fn a_panic_in_a_drop_concerns_nobody_else() {
    let pair = Pair::load("bad");
    for plugin in pair.each() {
        let allowed = Duration::from_millis(1);
        let error = block_on(plugin.call_response_timeout("panics-when-dropped", b"", allowed))
            .unwrap_err();
        assert!(error.is_deadline(), "{error}");
        assert_eq!(call(plugin, "echo", b"x"), Ok((Status::Ok, b"x".to_vec())));
    }
    // And so does the plugin's own, when it is stopped.
    pair.host.unload("native").unwrap();
    pair.host.unload("sandboxed").unwrap();
}

#[test]
fn a_sandboxed_plugin_that_spins_is_stopped() {
    let built = plugin("bad");
    let host = Host::new();
    let limits = WasmLimits::default().budget(Duration::from_millis(5));
    let options = LoadOptions::new().wasm_limits(limits);
    let bad = host.load_with("bad", Source::component(built.component), options).unwrap();
    // After an await the host cannot know whose handler it is that spins.
    for (entry, says) in [("spins", "5ms"), ("spins-late", "instance was lost")] {
        let error = call(&bad, entry, b"").unwrap_err();
        assert!(error.contains(says), "{entry}: {error}");
        assert_eq!(call(&bad, "echo", b"x"), Ok((Status::Ok, b"x".to_vec())));
    }
}

#[test]
fn a_plugin_that_panics_where_it_starts_is_not_loaded() {
    let built = plugin("unstartable");
    let host = Host::new();
    assert!(host.load("native", native(built.native)).is_err());
    assert!(host.load("sandboxed", Source::component(built.component)).is_err());
}
