//! Traps where somebody else handles the signals of a broken process. Handlers are the process', so
//! this is a program of its own.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "replaces signal handlers, as a native plugin can")]

mod support;

use ringbox_ring::{Fault, Invocation, Link, TrapCause};
use ringbox_wasm::{Loaded, WasmOptions, load};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use support::{BARE, guest};

const SIGNALS: [i32; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

static HANDLED: AtomicU32 = AtomicU32::new(0);

/// Knows nothing of wasm, and would return to where the signal came from for ever.
extern "C" fn handler(_: i32) {
    if HANDLED.fetch_add(1, SeqCst) > 3 {
        // SAFETY: ends the process at once, which a signal handler may.
        unsafe { libc::_exit(101) };
    }
}

fn replace_handlers() {
    for signal in SIGNALS {
        let handler: extern "C" fn(i32) = handler;
        // SAFETY: the handler does nothing that a handler may not, and is never unmapped.
        let before = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
        assert_ne!(before, libc::SIG_ERR);
    }
}

fn plugin() -> Loaded {
    let options = WasmOptions::new().host_function(
        "acme:text/case@1.0.0",
        "upper",
        <[u8]>::to_ascii_uppercase,
    );
    load(&guest("crashing", BARE), "crashing", &options).unwrap()
}

/// Every way to trap, each an ordinary fault, with the plugin there for the next call.
fn traps(link: Link) {
    let ask = |entry: &str| {
        let call = link.call(&Invocation::entry(entry, b"still there"))?;
        call.deadline(Duration::from_secs(20)).wait()
    };
    for entry in ["unreachable", "read", "write", "call", "recurse"] {
        let error = ask(entry).unwrap_err();
        let Some(Fault::Trapped(trapped)) = error.fault() else { panic!("{entry}: {error:?}") };
        let expected = match entry {
            "unreachable" => trapped.cause == TrapCause::Abort,
            "recurse" => trapped.cause == TrapCause::Stack,
            _ => matches!(trapped.cause, TrapCause::Other(_)),
        };
        assert!(expected, "{entry}: {trapped}");
        assert_eq!(&ask("echo").unwrap()[..], b"still there");
    }
}

#[test]
fn a_trap_needs_nobodys_signal_handlers() {
    let before = plugin();
    traps(before.link());
    replace_handlers();
    traps(before.link());
    // One that is loaded now, by a second engine's worth of settings or not, is no different.
    let after = plugin();
    traps(after.link());
    assert_eq!(HANDLED.load(SeqCst), 0, "no trap is a signal");
    for signal in SIGNALS {
        // SAFETY: asks who handles it by setting the same again.
        let now = unsafe { libc::signal(signal, libc::SIG_DFL) };
        let handler: extern "C" fn(i32) = handler;
        assert_eq!(now, handler as libc::sighandler_t, "nobody replaced {signal} behind our back");
    }
}
