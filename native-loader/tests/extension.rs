//! What the host offers a plugin with the extension, asked by one made with `define_plugin!`.

#![cfg(target_os = "linux")]

mod support;

use ringbox_native::{Generation, Loaded, Options, UnmapError, Unmapped};
use ringbox_ring::{CallError, Invocation, Limits, Request, Status};
use std::thread;
use std::time::{Duration, Instant};
use support::{ask, block_on, cargo_build, loaded, told, try_load};

fn plugin_with(options: &Options) -> Loaded {
    try_load(&cargo_build("tests/fixtures/rust", "everyday"), options).unwrap()
}

fn plugin() -> Loaded {
    plugin_with(&Options::new())
}

#[track_caller]
fn eventually(mut true_: impl FnMut() -> bool) {
    let start = Instant::now();
    while !true_() {
        assert!(start.elapsed() < Duration::from_secs(10), "it never comes true");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_plugin_made_with_the_macro_is_whole() {
    let plugin = plugin();
    assert_eq!((plugin.generation(), plugin.warnings()), (Generation::V1Extended, &[][..]));
    assert_eq!(&*plugin.identity().name, "everyday");
    let link = plugin.link();
    assert_eq!(told(link, "echo", b"hello"), b"hello");
    assert_eq!(told(link, "echo", &[3; 50_000]), [3; 50_000], "given, since it is long");
    assert_eq!(ask(link, "panics", b""), Ok((Status::Panic, b"as asked".to_vec())));
    let echo = link.resolve("echo").unwrap();
    let reply = link.call(&Invocation::entry_id(echo, b"by number")).unwrap().wait().unwrap();
    assert_eq!(&*reply, b"by number");
    let header = ringbox_ring::Header { name: "a", value: "b" };
    let request = Request { headers: &[header], query: "q", ..Request::new("GET", "/path") };
    let reply = link.call(&Invocation::request(request, b"")).unwrap().wait().unwrap();
    assert_eq!(&*reply, b"GET /path?q a=b");
}

#[test]
fn a_wake_that_init_asked_for_comes_when_the_plugin_has_started() {
    let plugin = plugin();
    eventually(|| told(plugin.link(), "woken", b"") == [1]);
    assert_eq!(plugin.usage().timers, 0);
}

#[test]
fn a_wake_comes_after_its_time() {
    let plugin = plugin();
    let start = Instant::now();
    let calls: Vec<_> =
        (0..20).map(|_| plugin.link().call(&Invocation::entry("sleep", b"")).unwrap()).collect();
    for call in calls {
        assert_eq!(&*block_on(call).unwrap(), b"woken");
    }
    assert!(start.elapsed() >= Duration::from_millis(5));
}

#[test]
fn wakes_are_bounded_and_forgotten_when_the_plugin_goes() {
    let plugin = plugin_with(&Options::new().timers(10));
    eventually(|| plugin.usage().timers == 0);
    assert_eq!(told(plugin.link(), "far", b""), 10_u32.to_le_bytes());
    assert_eq!(plugin.usage().timers, 10);
    plugin.unload(Duration::ZERO).unwrap();
    assert_eq!(plugin.usage().timers, 0);
}

#[test]
fn unloading_does_not_wait_for_a_wake_and_none_comes_after() {
    for _ in 0..50 {
        let plugin = plugin();
        let call = plugin.link().call(&Invocation::entry("sleep", b"")).unwrap();
        plugin.unload_and_unmap(Duration::ZERO).unwrap();
        assert!(block_on(call).is_err());
    }
}

#[test]
fn frames_that_meet_a_full_queue_are_sent_again() {
    let plugin = plugin_with(&Options::new().limits(Limits::default().stream_frames(4)));
    let mut stream = plugin.link().stream(&Invocation::entry("frames", b"")).unwrap();
    for n in 0..100 {
        let frame = block_on(stream.recv()).unwrap().unwrap();
        assert_eq!((&*frame, frame.status()), (&[n][..], Status::Ok));
    }
    assert_eq!(block_on(stream.recv()).unwrap().unwrap().status(), Status::StreamEnd);
}

#[test]
fn buffers_are_lent_and_given_back() {
    let plugin = plugin();
    assert_eq!(told(plugin.link(), "lease", b""), [b'x'; 6000]);
    assert_eq!(told(plugin.link(), "unused lease", b""), b"given back");
    assert_eq!((plugin.usage().leases, plugin.usage().lease_bytes), (0, 0));
}

#[test]
fn state_is_kept_with_a_call() {
    let plugin = plugin_with(&Options::new().limits(Limits::default().state_bytes(100)));
    assert_eq!(told(plugin.link(), "state", b"kept"), b"kept");
    let (status, _) = ask(plugin.link(), "state", &[0; 200]).unwrap();
    assert_eq!(status, Status::Err);
}

#[test]
fn there_are_no_host_calls_yet() {
    assert_eq!(ask(plugin().link(), "host call", b""), Ok((Status::Unsupported, Vec::new())));
}

#[test]
fn a_rust_plugin_is_unmapped_once_no_thread_holds_its_thread_locals() {
    let plugin = plugin();
    // On a thread of its own, since the plugin may leave thread-locals in it.
    thread::scope(|scope| {
        scope.spawn(|| told(plugin.link(), "echo", b""));
    });
    let mut result = plugin.unload_and_unmap(Duration::from_secs(1));
    while result == Err(UnmapError::NotQuiescent) {
        result = plugin.unload_and_unmap(Duration::ZERO);
    }
    assert!(matches!(result, Ok(Unmapped::Gone | Unmapped::Kept)), "{result:?}");
    let call = plugin.link().call(&Invocation::entry("echo", b""));
    assert_eq!(call.map(drop), Err(CallError::Unloaded));
}

#[test]
fn a_plugin_that_is_loaded_twice_is_two() {
    let path = cargo_build("tests/fixtures/rust", "everyday");
    let (one, two) = (loaded(&path), loaded(&path));
    one.unload(Duration::ZERO).unwrap();
    assert_eq!(told(two.link(), "echo", b"alive"), b"alive");
}
