//! Plugins made with published nylon-ring, loaded as they are.

#![cfg(target_os = "linux")]

mod support;

use ringbox_native::{Generation, LoadError, NativeAbi, Options, UnmapError};
use ringbox_ring::{CallError, Invocation, Limits, Link, Request, Status};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{ask, cargo_build, loaded, number, refused, told, try_load};

fn published(name: &str) -> PathBuf {
    cargo_build("compat", name)
}

/// Whether these bytes stand anywhere in the file.
fn mentions(path: &Path, word: &str) -> bool {
    fs::read(path).unwrap().windows(word.len()).any(|bytes| bytes == word.as_bytes())
}

/// A stream's frames, and what ended it.
fn frames(link: Link, entry: &str, payload: &[u8]) -> (Vec<u8>, Status) {
    let mut stream = link.stream(&Invocation::entry(entry, payload)).unwrap();
    let mut bytes = Vec::new();
    loop {
        let frame = support::block_on(stream.recv()).unwrap().expect("it ends");
        bytes.extend_from_slice(&frame);
        if frame.status() != Status::Ok {
            return (bytes, frame.status());
        }
    }
}

#[test]
fn nothing_of_ours_is_in_them() {
    for name in ["compat_raw_02", "compat_trait_02", "compat_raw_01"] {
        assert!(!mentions(&published(name), "ringbox"), "{name}");
        assert!(!mentions(&published(name), "plugin_ext_v1"), "{name}");
    }
}

#[test]
fn a_raw_plugin_of_02_is_loaded_as_it_is() {
    let plugin = loaded(&published("compat_raw_02"));
    assert_eq!(plugin.generation(), Generation::NylonRing02);
    assert_eq!(&*plugin.identity().name, "compat-raw-02");
    assert_eq!(&*plugin.identity().version, "0.3.7");
    assert_eq!(plugin.warnings(), []);
    let link = plugin.link();
    assert_eq!(told(link, "echo", b"hello"), b"hello");
    assert_eq!(told(link, "echo", &[7; 100_000]), [7; 100_000]);
    assert_eq!(told(link, "later", b"hello"), b"hello");
    assert_eq!(told(link, "owned", b""), [b'o'; 10_000]);
    assert_eq!(told(link, "lease", b""), [b'l'; 8000]);
    assert_eq!((plugin.usage().leases, plugin.usage().bytes_in_use), (0, 0));
    let panicked = CallError::Refused { status: Status::Panic };
    assert_eq!(ask(link, "panics", b""), Err(panicked));
    let unknown = CallError::Refused { status: Status::Invalid };
    assert_eq!(ask(link, "nobody", b""), Err(unknown));
    link.notify(&Invocation::entry("echo", b"nobody listens")).unwrap();
}

#[test]
fn entries_of_02_have_numbers() {
    let plugin = loaded(&published("compat_raw_02"));
    let echo = plugin.link().resolve("echo").unwrap();
    let reply = plugin.link().call(&Invocation::entry_id(echo, b"7")).unwrap().wait().unwrap();
    assert_eq!(&*reply, b"7");
    assert_eq!(plugin.link().resolve("nobody"), Err(CallError::NoSuchEntry));
    let none = ringbox_ring::EntryId::from_raw(1000);
    let call = plugin.link().call(&Invocation::entry_id(none, b""));
    assert_eq!(call.map(drop), Err(CallError::NoSuchEntry));
}

#[test]
fn requests_that_02_cannot_express_are_unsupported() {
    let plugin = loaded(&published("compat_raw_02"));
    let unsupported = Err(CallError::Refused { status: Status::Unsupported });
    for request in
        [Request::new("GET", "echo"), Request { query: "q", ..Request::new(Request::CALL, "echo") }]
    {
        let call = plugin.link().call(&Invocation::request(request, b""));
        assert_eq!(call.map(drop), unsupported);
    }
}

#[test]
fn streams_of_02_end_in_order_and_feel_a_full_queue() {
    let path = published("compat_raw_02");
    let plugin = loaded(&path);
    let (bytes, status) = frames(plugin.link(), "frames", &[3]);
    assert_eq!((&*bytes, status), (&b"\x00\x01\x02end"[..], Status::StreamEnd));
    let few = Options::new().limits(Limits::default().stream_frames(4));
    let plugin = try_load(&path, &few).unwrap();
    let (bytes, status) = frames(plugin.link(), "frames", &[10]);
    assert_eq!((&*bytes, status), (&b"\x00\x01\x02\x03\x04!"[..], Status::StreamEnd));
}

#[test]
fn data_goes_into_streams_of_02() {
    let plugin = loaded(&published("compat_raw_02"));
    let mut stream = plugin.link().stream(&Invocation::entry("duplex", b"")).unwrap();
    for word in ["one", "two"] {
        stream.send(word.as_bytes()).unwrap();
        let frame = support::block_on(stream.recv()).unwrap().unwrap();
        assert_eq!(&*frame, word.as_bytes());
    }
    stream.close().unwrap();
    let last = support::block_on(stream.recv()).unwrap().unwrap().status();
    assert_eq!(last, Status::StreamEnd);
}

#[test]
fn two_loads_of_02_have_their_own_globals_and_outlive_each_other() {
    let path = published("compat_raw_02");
    let (one, two) = (loaded(&path), loaded(&path));
    assert_eq!((number(one.link(), "count"), number(one.link(), "count")), (1, 2));
    assert_eq!(number(two.link(), "count"), 1);
    one.unload(Duration::ZERO).unwrap();
    assert_eq!(number(two.link(), "count"), 2);
    let three = loaded(&path);
    assert_eq!(number(three.link(), "count"), 1);
    assert_eq!(one.unload_and_unmap(Duration::ZERO), Err(UnmapError::CannotTell));
}

#[test]
fn a_trait_plugin_of_02_is_loaded_as_it_is() {
    let plugin = loaded(&published("compat_trait_02"));
    let link = plugin.link();
    assert_eq!(told(link, "echo", b"hello"), b"hello");
    assert_eq!(told(link, "static", b""), b"static");
    assert_eq!(told(link, "ready", b""), b"ready");
    assert_eq!(told(link, "waits", b"for this"), b"for this");
    assert_eq!(ask(link, "fail", b""), Err(CallError::Refused { status: Status::Err }));
    assert_eq!(ask(link, "fails later", b""), Ok((Status::Invalid, Vec::new())));
    link.notify(&Invocation::entry("silent", b"")).unwrap();
    plugin.unload(Duration::from_secs(1)).unwrap();
}

#[test]
fn a_plugin_of_01_has_to_be_asked_for() {
    let path = published("compat_raw_01");
    let error = refused(&path);
    assert!(matches!(error, LoadError::WrongGeneration { expected: 24, found: 40, .. }), "{error}");
    let plugin = try_load(&path, &Options::new().abi(NativeAbi::NylonRing01)).unwrap();
    assert_eq!(plugin.generation(), Generation::NylonRing01);
    assert_eq!(&*plugin.identity().name, "compat-raw-01");
    assert_eq!(told(plugin.link(), "echo", b"hello"), b"hello");
    assert_eq!(told(plugin.link(), "later", b"hello"), b"hello");
    let (bytes, status) = frames(plugin.link(), "frames", &[2]);
    assert_eq!((&*bytes, status), (&b"\x00\x01end"[..], Status::StreamEnd));
    assert_eq!(plugin.link().resolve("echo"), Err(CallError::NoSuchEntry));
}
