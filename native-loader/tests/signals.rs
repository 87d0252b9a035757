//! Libraries that replace signal handlers. Handlers are the process', so these tests have one of
//! their own and take turns.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "asks the system who handles a signal")]

mod support;

use ringbox_native::{LoadError, Options, SignalPolicy, UnmapError, Warning};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use support::{EXT, loaded, told, try_load};

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn names(signals: &[ringbox_native::Signal]) -> Vec<String> {
    signals.iter().map(ToString::to_string).collect()
}

/// Whether nobody handles the signal.
fn is_default(number: i32) -> bool {
    // SAFETY: zeros are a valid action, which the call below overwrites.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks only, and `action` is a live local for the answer.
    let asked = unsafe { libc::sigaction(number, std::ptr::null(), &raw mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_DFL
}

#[test]
fn replaced_handlers_are_refused_then_reported() {
    let _turn = turn();
    let path = c_plugin!("-DSIGNAL_AT_LOAD", "-DSIGNAL_AT_INIT", EXT);
    let refuse = Options::new().signal_handlers(SignalPolicy::Refuse);
    for _ in 0..2 {
        let error = try_load(&path, &refuse).unwrap_err();
        let LoadError::SignalHandlers { signals } = &error else { panic!("{error:?}") };
        assert_eq!(names(signals), ["SIGUSR2"]);
        assert!(error.to_string().contains("SignalPolicy::Report"), "{error}");
        assert!(is_default(libc::SIGUSR2), "it was put back");
    }
    let at_init = c_plugin!("-DSIGNAL_AT_INIT", EXT);
    for _ in 0..2 {
        let error = try_load(&at_init, &refuse).unwrap_err();
        let LoadError::SignalHandlers { signals } = &error else { panic!("{error:?}") };
        assert_eq!(names(signals), ["SIGURG"]);
        assert!(is_default(libc::SIGURG), "it was put back");
    }
    let plugin = loaded(&path);
    let [Warning::SignalHandlers { signals }] = plugin.warnings() else { panic!("{plugin:?}") };
    assert_eq!(names(signals), ["SIGUSR2", "SIGURG"]);
    assert!(plugin.warnings()[0].to_string().contains("SIGUSR2, SIGURG"));
    let error = plugin.unload_and_unmap(Duration::ZERO).unwrap_err();
    assert!(matches!(error, UnmapError::SignalHandlers { .. }), "they would lead nowhere");
}

#[test]
fn handlers_that_came_later_keep_the_library_mapped() {
    let _turn = turn();
    let plugin = loaded(&c_plugin!(EXT));
    told(plugin.link(), "take signal", b"");
    let error = plugin.unload_and_unmap(Duration::ZERO).unwrap_err();
    let UnmapError::SignalHandlers { signals } = error else { panic!("{error:?}") };
    assert_eq!(names(&signals), ["SIGWINCH"]);
}
