//! `define_plugin!` driven as a host would: through the tables that it exports.

#![expect(unsafe_code, reason = "plays the host, which calls what the plugin exports")]
#![expect(unreachable_pub, reason = "the small host is shared between test programs")]

mod support;

use std::{
    io::Write,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use ringbox_abi::{
    LogLevel, NR_NO_ENTRY, NrHostExt, RawStatus, Request, RequestView, Status, define_plugin,
    plugin::{Cx, Host, Later, Reply},
    v1::{NrBytes, NrHeader, NrRequest, NrStr},
};
use support::{Loaded, seen};

/// Every key in use. One plugin, one life: the tests that start it share it through `whole()`.
mod full {
    use super::*;

    pub(crate) struct State {
        greeting: &'static str,
        _host: Host,
    }

    pub(crate) static SHUTDOWNS: AtomicU32 = AtomicU32::new(0);

    fn start(host: Host) -> Result<State, String> {
        assert!(host.has_extension());
        Ok(State { greeting: "hello", _host: host })
    }

    fn stop(state: State) {
        let State { greeting, _host } = state;
        assert_eq!(greeting, "hello");
        SHUTDOWNS.fetch_add(1, Ordering::SeqCst);
    }

    fn echo(_sid: u64, payload: &[u8]) -> Vec<u8> {
        payload.to_vec()
    }

    fn greet(cx: &Cx<State>, _sid: u64, payload: &[u8]) -> Result<String, std::str::Utf8Error> {
        Ok(format!("{} {}", cx.state().greeting, std::str::from_utf8(payload)?))
    }

    fn borrowed(cx: &Cx<State>, sid: u64, payload: &[u8]) -> Later {
        cx.answer(sid, payload)
    }

    fn later(cx: &Cx<State>, sid: u64, payload: &[u8]) -> Later {
        let responder = cx.responder(sid);
        let payload = payload.to_vec();
        thread::spawn(move || responder.answer_owned(Status::Ok, payload));
        Later
    }

    fn forgets(cx: &Cx<State>, sid: u64, _payload: &[u8]) -> Later {
        drop(cx.responder(sid));
        Later
    }

    fn panics_in_background(cx: &Cx<State>, sid: u64, _payload: &[u8]) -> Later {
        let responder = cx.responder(sid);
        thread::spawn(move || {
            let _kept = responder;
            panic!("in the background");
        });
        Later
    }

    fn panics(_sid: u64, payload: &[u8]) -> Status {
        panic!("at {}", payload.len());
    }

    fn panics_badly(_sid: u64, _payload: &[u8]) -> Status {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again, in a drop");
            }
        }
        std::panic::panic_any(Bomb);
    }

    fn refuses(_sid: u64, _payload: &[u8]) -> Reply {
        Reply::new(Status::Invalid, b"no".to_vec())
    }

    fn hands_back(_sid: u64, payload: &[u8]) -> Reply {
        Reply::Refused(RawStatus(u32::from(payload[0])).meaning())
    }

    fn frames(cx: &Cx<State>, sid: u64, _payload: &[u8]) -> Result<Later, String> {
        let responder = cx.responder(sid);
        responder.frame(b"one").map_err(|refused| refused.to_string())?;
        responder.end();
        Ok(Later)
    }

    fn leased(cx: &Cx<State>, sid: u64, payload: &[u8]) -> Result<Later, String> {
        let mut lease = cx.host().acquire_buffer(sid, 8).map_err(|refused| refused.to_string())?;
        let fits = lease.write_all(payload).is_ok();
        if fits {
            lease.commit(Status::Ok).map_err(|refused| refused.to_string())?;
            return Ok(Later);
        }
        drop(lease);
        Err("too much".to_owned())
    }

    fn asks(
        cx: &Cx<State>,
        sid: u64,
        _payload: &[u8],
    ) -> Result<Later, ringbox_abi::plugin::Refused> {
        let host = cx.host();
        host.log(LogLevel::Warn, "asking");
        host.state_set(sid, "key", b"v")?;
        assert_eq!(&*host.state(sid, "kept")?, b"value");
        assert_eq!(host.state(sid, "lost").unwrap_err().status, Status::Invalid);
        assert_eq!(host.host_call(sid, "clock", b"")?, 77);
        host.wake_after(5, Duration::from_micros(1))?;
        Ok(Later)
    }

    fn request(_cx: &Cx<State>, _sid: u64, request: RequestView<'_>, payload: &[u8]) -> String {
        assert_ne!(request.path(), "/panic", "told to");
        let headers: Vec<_> = request.headers().map(|(k, v)| format!("{k}={v}")).collect();
        let [method, path, query] = [request.method(), request.path(), request.query()];
        format!("{method} {path} {query} {} {}", headers.join(","), payload.len())
    }

    fn data(sid: u64, data: &[u8]) -> Result<(), String> {
        assert_ne!(data, b"panic", "told to");
        if data == b"fail" { Err(format!("failed {sid}")) } else { Ok(()) }
    }

    fn close(cx: &Cx<State>, sid: u64) {
        assert_ne!(sid, 666, "told to");
        cx.host().send_result(sid, Status::StreamEnd, b"");
    }

    fn cancel(cx: &Cx<State>, sid: u64) {
        assert_ne!(sid, 666, "told to");
        cx.host().log(LogLevel::Info, "cancelled");
    }

    fn wake(cx: &Cx<State>, token: u64) -> Result<(), String> {
        assert_ne!(token, 666, "told to");
        cx.host().send_result(token, Status::Ok, b"awake");
        if token == 2 { Err("tired".to_owned()) } else { Ok(()) }
    }

    fn done(cx: &Cx<State>, token: u64, status: Status, payload: &[u8]) {
        assert_ne!(token, 666, "told to");
        cx.host().send_result(token, status, payload);
    }

    fn call(_sid: u64, payload: &[u8]) -> Vec<u8> {
        payload.to_vec()
    }

    define_plugin! {
        name: "full",
        version: "1.2.3",
        state: State,
        init: start,
        shutdown: stop,
        entries: {
            "echo" => echo,
            "greet" => greet,
            "borrowed" => borrowed,
            "later" => later,
            "forgets" => forgets,
            "panics in background" => panics_in_background,
            "panics" => panics,
            "panics badly" => panics_badly,
            "refuses" => refuses,
            "hands back" => hands_back,
            "frames" => frames,
            "leased" => leased,
            "asks" => asks,
            "closure" => |_sid: u64, _payload: &[u8]| "closed",
            "named as anything" => call,
        },
        fallback: request,
        stream_data: data,
        stream_close: close,
        cancel: cancel,
        wake: wake,
        host_call_done: done,
        quiescent: || true,
        exports: none,
    }
}

/// One long test because a plugin is one `static`: its life can't be two tests' at once.
#[test]
fn a_plugin_lives_from_attach_to_shutdown() {
    let plugin =
        Loaded::new(full::nylon_ring_get_plugin_v1(), Some(full::nylon_ring_get_plugin_ext_v1()));
    // SAFETY: static text of the plugin.
    let identity = unsafe { plugin.info.identity() }.unwrap();
    assert_eq!((identity.name, identity.version), ("full", "1.2.3"));

    before_init(&plugin);
    assert_eq!(plugin.attach(std::ptr::null()), RawStatus::INVALID);
    assert_eq!(plugin.attach(&support::EXT), RawStatus::OK);
    assert_eq!(plugin.init(), RawStatus::OK);
    assert_eq!(plugin.init(), RawStatus::INVALID, "a second init");
    assert_eq!(plugin.attach(&support::EXT), RawStatus::INVALID, "attach while running");
    assert_eq!(plugin.quiescent(), 0, "it runs");

    entries_answer(&plugin);
    other_threads_answer(&plugin);
    panics_are_answers(&plugin);
    whole_requests_reach_the_fallback(&plugin);
    broken_input_is_invalid(&plugin);
    streams_and_the_rest(&plugin);
    the_host_is_used_through_its_table(&plugin);

    plugin.shutdown();
    plugin.shutdown();
    assert_eq!(full::SHUTDOWNS.load(Ordering::SeqCst), 1, "shut down once");
    before_init(&plugin);
    // A thread that has answered may be a moment away from letting go of its `Host`.
    while plugin.quiescent() == 0 {
        thread::yield_now();
    }

    // The same image can start again, with a new state.
    assert_eq!(plugin.attach(&support::EXT), RawStatus::OK);
    assert_eq!(plugin.init(), RawStatus::OK);
    plugin.shutdown();
    assert_eq!(full::SHUTDOWNS.load(Ordering::SeqCst), 2);
}

fn before_init(plugin: &Loaded) {
    assert_eq!(plugin.call(1, "echo", b""), RawStatus::INVALID);
    assert_eq!(plugin.call_by_id(1, 0, b""), RawStatus::INVALID);
    assert_eq!(plugin.stream_data(1, NrBytes::EMPTY), RawStatus::INVALID);
    assert_eq!(plugin.stream_close(1), RawStatus::INVALID);
    plugin.cancel(1);
    plugin.wake(1);
    plugin.host_call_done(1, RawStatus::OK, b"");
    assert_eq!(plugin.resolve("greet"), 1, "names are known without a state");
    assert_eq!(plugin.host.all(), []);
}

fn entries_answer(plugin: &Loaded) {
    let host = plugin.host;
    assert_eq!(plugin.call(1, "echo", b"abc"), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 1, RawStatus::OK, b"abc"));
    let large = vec![7; 5000];
    assert_eq!(plugin.call(2, "echo", &large), RawStatus::OK);
    assert_eq!(host.next(), seen("send_owned", 2, RawStatus::OK, &large));
    assert_eq!(plugin.call(3, "borrowed", &large), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 3, RawStatus::OK, &large));

    let greet = plugin.resolve("greet");
    assert_eq!(plugin.call_by_id(4, greet, b"you"), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 4, RawStatus::OK, b"hello you"));
    assert_eq!(plugin.call_by_id(5, greet, b"\xff"), RawStatus::OK);
    let failed = host.next();
    assert_eq!((failed.sid, failed.status), (5, RawStatus::ERR));
    assert!(String::from_utf8(failed.bytes).unwrap().contains("utf-8"));

    assert_eq!(plugin.call(6, "refuses", b""), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 6, RawStatus::INVALID, b"no"));
    assert_eq!(plugin.call(7, "closure", b""), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 7, RawStatus::OK, b"closed"));

    assert_eq!(plugin.call(7, "named as anything", b"own"), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 7, RawStatus::OK, b"own"));

    assert_eq!(plugin.resolve("nobody"), NR_NO_ENTRY);
    assert_eq!(plugin.call_by_id(8, NR_NO_ENTRY, b""), RawStatus::INVALID);
    assert_eq!(plugin.call_by_id(8, 15, b""), RawStatus::INVALID);

    for status in [RawStatus::UNSUPPORTED, RawStatus::PANIC, RawStatus(99)] {
        assert_eq!(plugin.call(9, "hands back", &[status.0 as u8]), status);
    }
    assert_eq!(plugin.call(9, "hands back", &[0]), RawStatus::ERR, "Ok would accept it");
    assert_eq!(host.all(), [], "no answer is owed, and none is given");
}

fn other_threads_answer(plugin: &Loaded) {
    assert_eq!(plugin.call(1, "later", b"abc"), RawStatus::OK);
    assert_eq!(plugin.host.next(), seen("send_result", 1, RawStatus::OK, b"abc"));
    assert_eq!(plugin.call(2, "forgets", b""), RawStatus::OK);
    assert_eq!(plugin.host.next().status, RawStatus::ERR);
    assert_eq!(plugin.call(3, "panics in background", b""), RawStatus::OK);
    let answer = plugin.host.next();
    assert_eq!((answer.sid, answer.status), (3, RawStatus::PANIC));
}

fn panics_are_answers(plugin: &Loaded) {
    let host = plugin.host;
    assert_eq!(plugin.call(1, "panics", b"abc"), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 1, RawStatus::PANIC, b"at 3"));
    assert_eq!(plugin.call_by_id(2, plugin.resolve("panics"), b""), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 2, RawStatus::PANIC, b"at 0"));
    assert_eq!(plugin.call(3, "panics badly", b""), RawStatus::OK);
    assert_eq!(host.next().status, RawStatus::PANIC);

    let request = NrRequest { path: NrStr::from_str("/panic"), ..*get().as_raw() };
    assert_eq!(plugin.handle_raw(4, &request, NrBytes::EMPTY), RawStatus::OK);
    let answer = host.next();
    assert_eq!((answer.sid, answer.status), (4, RawStatus::PANIC));
    assert!(String::from_utf8(answer.bytes).unwrap().contains("told to"));

    assert_eq!(plugin.stream_data(5, NrBytes::from_slice(b"panic")), RawStatus::PANIC);
    assert_eq!(host.next().status, RawStatus::PANIC);
    assert_eq!(plugin.stream_close(666), RawStatus::PANIC);
    assert_eq!(host.next().status, RawStatus::PANIC);
    plugin.cancel(666);
    assert_eq!(host.next().by, "log");
    plugin.wake(666);
    assert_eq!(host.next().by, "log");
    plugin.host_call_done(666, RawStatus::OK, b"");
    assert_eq!(host.next().by, "log");
}

fn get() -> Request<'static> {
    static NONE: std::sync::LazyLock<ringbox_abi::Headers> =
        std::sync::LazyLock::new(ringbox_abi::Headers::default);
    Request::new("/", "GET", "q=1", &NONE).unwrap()
}

fn whole_requests_reach_the_fallback(plugin: &Loaded) {
    let headers = [("a", "1"), ("b", "2")].into_iter().collect();
    let request = Request::new("/x", "PUT", "q", &headers).unwrap();
    let payload = NrBytes::from_slice(b"12345");
    assert_eq!(plugin.handle_raw(1, request.as_raw(), payload), RawStatus::OK);
    assert_eq!(plugin.host.next(), seen("send_result", 1, RawStatus::OK, b"PUT /x q a=1,b=2 5"));
    assert_eq!(plugin.call(2, "nobody", b""), RawStatus::OK);
    assert_eq!(plugin.host.next(), seen("send_result", 2, RawStatus::OK, b"CALL nobody   0"));
}

fn broken_input_is_invalid(plugin: &Loaded) {
    let good = *get().as_raw();
    let null = std::ptr::null();
    let call = Request::call("echo").unwrap();
    let broken = [
        NrRequest { path: NrStr { ptr: null, len: 1 }, ..good },
        NrRequest { method: NrStr { ptr: null, len: 1 }, ..good },
        NrRequest { query: NrStr { ptr: null, len: 1 }, ..good },
        NrRequest { path: NrStr { ptr: b"\xff".as_ptr(), len: 1 }, ..good },
        NrRequest { path: NrStr { ptr: null, len: 1 }, ..*call.as_raw() },
        NrRequest { headers: std::ptr::null(), headers_len: 1, ..good },
        NrRequest { headers: std::ptr::dangling::<NrHeader>(), headers_len: u32::MAX, ..good },
    ];
    for request in &broken {
        assert_eq!(
            plugin.handle_raw(1, request, NrBytes::EMPTY),
            RawStatus::INVALID,
            "{request:?}"
        );
    }
    assert_eq!(plugin.handle_raw(1, std::ptr::null(), NrBytes::EMPTY), RawStatus::INVALID);
    let misaligned = std::ptr::from_ref(&good).wrapping_byte_add(1);
    assert_eq!(plugin.handle_raw(1, misaligned, NrBytes::EMPTY), RawStatus::INVALID);
    for payload in [NrBytes { ptr: null, len: 1 }, NrBytes { ptr: b"".as_ptr(), len: u64::MAX }] {
        assert_eq!(plugin.handle_raw(1, call.as_raw(), payload), RawStatus::INVALID);
        assert_eq!(plugin.stream_data(1, payload), RawStatus::INVALID);
    }

    let (vtable, ext) = (plugin.vtable(), plugin.table());
    for ctx in [std::ptr::null_mut(), plugin.host_ctx()] {
        // SAFETY: the plugin checks the context before anything else.
        let status = unsafe { vtable.handle.unwrap()(ctx, 1, call.as_raw(), NrBytes::EMPTY) };
        assert_eq!(status, RawStatus::INVALID);
        // SAFETY: as above.
        let id = unsafe { ext.resolve_entry.unwrap()(ctx, NrStr::from_str("echo")) };
        assert_eq!(id, NR_NO_ENTRY);
        // SAFETY: as above.
        unsafe { vtable.shutdown.unwrap()(ctx) };
        // SAFETY: as above.
        unsafe { ext.cancel.unwrap()(ctx, 1) };
    }
    assert_eq!(plugin.host.all(), [], "a refused call is never answered too");
}

fn streams_and_the_rest(plugin: &Loaded) {
    let host = plugin.host;
    assert_eq!(plugin.call(1, "frames", b""), RawStatus::OK);
    assert_eq!(host.next(), seen("send_frame", 1, RawStatus::OK, b"one"));
    assert_eq!(host.next(), seen("send_result", 1, RawStatus::STREAM_END, b""));
    assert_eq!(plugin.stream_data(1, NrBytes::from_slice(b"more")), RawStatus::OK);
    assert_eq!(plugin.stream_data(1, NrBytes::from_slice(b"fail")), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 1, RawStatus::ERR, b"failed 1"));
    assert_eq!(plugin.stream_close(1), RawStatus::OK);
    assert_eq!(host.next(), seen("send_result", 1, RawStatus::STREAM_END, b""));
    plugin.cancel(1);
    assert_eq!(host.next(), seen("log", 3, RawStatus::OK, b"cancelled"));
    plugin.wake(2);
    assert_eq!(host.next(), seen("send_result", 2, RawStatus::OK, b"awake"));
    assert_eq!(host.next(), seen("log", 2, RawStatus::OK, b"tired"));
    plugin.host_call_done(3, RawStatus(9), b"came");
    assert_eq!(host.next(), seen("send_result", 3, RawStatus(9), b"came"));
}

fn the_host_is_used_through_its_table(plugin: &Loaded) {
    let host = plugin.host;
    assert_eq!(plugin.call(1, "asks", b""), RawStatus::OK);
    let by: Vec<_> = host.all().iter().map(|seen| seen.by).collect();
    assert_eq!(by, ["log", "state_set", "host_call", "wake_after"]);
    by.iter().for_each(|_| drop(host.next()));

    assert_eq!(plugin.call(2, "leased", b"in place"), RawStatus::OK);
    assert_eq!(host.next(), seen("commit_buffer", 2, RawStatus::OK, b"in place"));
    assert_eq!(plugin.call(3, "leased", b"more than 8"), RawStatus::OK);
    assert_eq!(host.next().by, "release_buffer");
    assert_eq!(host.next(), seen("send_result", 3, RawStatus::ERR, b"too much"));

    *host.verdict.lock().unwrap() = Some(RawStatus::BACKPRESSURE);
    assert_eq!(plugin.call(4, "frames", b""), RawStatus::OK);
    assert_eq!(host.next(), seen("send_frame", 4, RawStatus::OK, b"one"));
    let given_up = host.next();
    assert_eq!((given_up.sid, given_up.status), (4, RawStatus::ERR));
    assert_eq!(host.next().status, RawStatus::ERR);
    assert_eq!(plugin.call(5, "leased", b"x"), RawStatus::OK);
    assert_eq!(host.next().by, "commit_buffer");
    assert_eq!(host.next().by, "release_buffer", "a lease that lives is given back");
    drop(host.next());
    *host.verdict.lock().unwrap() = None;
    assert_eq!(host.all(), []);
}

/// Nothing but one entry.
mod least {
    use super::*;

    fn echo(_sid: u64, payload: &[u8]) -> Vec<u8> {
        payload.to_vec()
    }

    fn panics(_sid: u64, _payload: &[u8]) -> Status {
        panic!("boom");
    }

    fn ends(cx: &Cx<()>, sid: u64, _payload: &[u8]) -> Status {
        let refused = cx.host().send_frame(sid, Status::Ok, b"").unwrap_err();
        assert_eq!(refused.status, Status::Unsupported);
        assert!(!cx.host().has_extension());
        cx.host().log(LogLevel::Info, "nobody reads this");
        Status::StreamEnd
    }

    fn hands_back(_sid: u64, payload: &[u8]) -> Reply {
        Reply::Refused(RawStatus(u32::from(payload[0])).meaning())
    }

    define_plugin! {
        entries: { "echo" => echo, "panics" => panics, "ends" => ends, "hands back" => hands_back },
        exports: none,
    }
}

#[test]
fn a_host_without_the_extension_gets_only_what_it_knows() {
    let plugin = Loaded::started(least::nylon_ring_get_plugin_v1(), None);
    let large = vec![7; 5000];
    assert_eq!(plugin.call(1, "echo", &large), RawStatus::OK);
    assert_eq!(plugin.host.next(), seen("send_result", 1, RawStatus::OK, &large));
    assert_eq!(plugin.call(2, "panics", b""), RawStatus::OK);
    assert_eq!(plugin.host.next(), seen("send_result", 2, RawStatus::ERR, b"boom"));
    assert_eq!(plugin.call(3, "ends", b""), RawStatus::OK);
    assert_eq!(plugin.host.next(), seen("send_result", 3, RawStatus::OK, b""));
    assert_eq!(plugin.call(4, "nobody", b""), RawStatus::UNSUPPORTED);
    assert_eq!(plugin.call(4, "hands back", &[2]), RawStatus::INVALID);
    for unknown_to_it in [RawStatus::STREAM_END, RawStatus::PANIC, RawStatus(99)] {
        let payload = [unknown_to_it.0 as u8];
        assert_eq!(plugin.call(4, "hands back", &payload), RawStatus::ERR);
    }
    assert_eq!(plugin.handle_raw(5, get().as_raw(), NrBytes::EMPTY), RawStatus::UNSUPPORTED);
    plugin.shutdown();

    let whole =
        Loaded::new(least::nylon_ring_get_plugin_v1(), Some(least::nylon_ring_get_plugin_ext_v1()));
    assert_eq!(whole.attach(&support::EXT), RawStatus::OK);
    assert_eq!(whole.init(), RawStatus::OK);
    assert_eq!(whole.stream_data(1, NrBytes::EMPTY), RawStatus::UNSUPPORTED);
    assert_eq!(whole.stream_close(1), RawStatus::UNSUPPORTED);
    whole.cancel(1);
    whole.wake(1);
    whole.host_call_done(1, RawStatus::OK, b"");
    whole.shutdown();
    assert_eq!(whole.quiescent(), 0, "nobody said that its threads are joined");
    // SAFETY: static text of the plugin.
    let identity = unsafe { whole.info.identity() }.unwrap();
    assert_eq!(identity.name, env!("CARGO_PKG_NAME"));

    // A host that grew less: everything after `send_frame` is absent.
    let short = NrHostExt { struct_size: 16, ..support::EXT };
    assert_eq!(whole.attach(&short), RawStatus::OK);
    assert_eq!(whole.init(), RawStatus::OK);
    assert_eq!(whole.call(6, "echo", &large), RawStatus::OK);
    assert_eq!(whole.host.next(), seen("send_result", 6, RawStatus::OK, &large));
    whole.shutdown();
}

/// Starts only at the third try.
mod stubborn {
    use super::*;

    static TRIES: AtomicU32 = AtomicU32::new(0);

    fn start(_host: Host) -> Result<Vec<u8>, &'static str> {
        match TRIES.fetch_add(1, Ordering::SeqCst) {
            0 => Err("not yet"),
            1 => panic!("not so fast"),
            _ => Ok(Vec::new()),
        }
    }

    fn stop() {
        panic!("I won't go");
    }

    define_plugin! { state: Vec<u8>, init: start, shutdown: stop, exports: none }
}

#[test]
fn a_failed_init_can_be_tried_again_and_a_panicking_shutdown_is_over() {
    let plugin = Loaded::new(
        stubborn::nylon_ring_get_plugin_v1(),
        Some(stubborn::nylon_ring_get_plugin_ext_v1()),
    );
    assert_eq!(plugin.attach(&support::EXT), RawStatus::OK);
    assert_eq!(plugin.init(), RawStatus::ERR);
    assert_eq!(plugin.host.next(), seen("log", 1, RawStatus::OK, b"not yet"));
    assert_eq!(plugin.attach(&support::EXT), RawStatus::OK);
    assert_eq!(plugin.init(), RawStatus::PANIC);
    assert_eq!(plugin.host.next(), seen("log", 1, RawStatus::OK, b"not so fast"));
    // SAFETY: the plugin refuses a null table.
    let refused = unsafe {
        plugin.vtable().init.unwrap()(plugin.info.plugin_ctx, plugin.host_ctx(), std::ptr::null())
    };
    assert_eq!(refused, RawStatus::INVALID);
    assert_eq!(plugin.attach(&support::EXT), RawStatus::OK);
    assert_eq!(plugin.init(), RawStatus::OK);
    plugin.shutdown();
    assert_eq!(plugin.host.next(), seen("log", 1, RawStatus::OK, b"I won't go"));
    assert_eq!(plugin.call(1, "x", b""), RawStatus::INVALID);
}

/// The exported symbols are this program's own, too.
mod exported {
    ringbox_abi::define_plugin! { name: "exported" }
}

#[test]
fn the_exports_are_symbols() {
    unsafe extern "C" {
        fn nylon_ring_get_plugin_v1() -> *const ringbox_abi::v1::NrPluginInfo;
    }
    // SAFETY: defined above by `define_plugin!` with this signature.
    let by_symbol = unsafe { nylon_ring_get_plugin_v1() };
    assert_eq!(by_symbol, exported::nylon_ring_get_plugin_v1());
}
