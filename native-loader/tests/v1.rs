//! Plugins of version 1, with the extension and without.

#![cfg(target_os = "linux")]

mod support;

use ringbox_abi::ViewError;
use ringbox_native::{Generation, NativeAbi, Options, Sha256, Warning};
use ringbox_ring::{CallError, EntryId, Fault, Header, Invocation, Request, Status};
use support::{EXT, ask, loaded, number, told, try_load};

#[test]
fn a_plain_plugin_answers_inside_and_from_its_thread() {
    let path = c_plugin!();
    let plugin = loaded(&path);
    assert_eq!(plugin.generation(), Generation::V1);
    assert_eq!((&*plugin.identity().name, &*plugin.identity().version), ("fixture", "1.2.3"));
    assert_eq!(plugin.sha256(), Sha256::of(&std::fs::read(&path).unwrap()));
    assert_eq!(plugin.warnings(), [Warning::NoExtension], "its symbols prove its generation");
    assert_eq!(told(plugin.link(), "echo", b"hello"), b"hello");
    assert_eq!(told(plugin.link(), "echo", b""), b"");
    assert_eq!(told(plugin.link(), "later", b""), b"later");
    plugin.link().notify(&Invocation::entry("echo", b"nobody")).unwrap();
}

#[test]
fn a_stripped_plain_plugin_is_only_assumed_to_be_version_1() {
    let plugin = loaded(&c_plugin!("-s"));
    assert_eq!(plugin.warnings(), [Warning::NoExtension, Warning::AssumedVersion1]);
    assert_eq!(told(plugin.link(), "echo", b"hello"), b"hello");
}

#[test]
fn whole_requests_arrive_with_their_headers() {
    let plugin = loaded(&c_plugin!());
    for count in [0, 1, 16, 17, 300] {
        let values: Vec<_> = (0..count).map(|n| format!("value {n}")).collect();
        let headers: Vec<_> = values.iter().map(|value| Header { name: "n", value }).collect();
        let request = Request { path: "/", method: "GET", query: "q", headers: &headers };
        let reply = plugin.link().call(&Invocation::request(request, b"")).unwrap().wait().unwrap();
        assert_eq!(&*reply, values.last().map_or("q", |value| value).as_bytes());
    }
}

#[test]
fn a_status_without_a_name_keeps_its_number() {
    let plugin = loaded(&c_plugin!());
    assert_eq!(ask(plugin.link(), "nine", b"x"), Ok((Status::Unknown(9), b"x".to_vec())));
    let refused = CallError::Refused { status: Status::Unknown(77) };
    assert_eq!(ask(plugin.link(), "refuse", b""), Err(refused));
}

#[test]
fn broken_views_are_faults() {
    let plugin = loaded(&c_plugin!());
    let fault = |entry| match ask(plugin.link(), entry, b"") {
        Err(CallError::Fault(fault)) => *fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault("null"), Fault::BadView(ViewError::NullPointer { len: 5 }));
    let limit = isize::MAX as u64;
    assert_eq!(fault("endless"), Fault::BadView(ViewError::TooLong { len: u64::MAX, limit }));
    assert_eq!(fault("huge"), Fault::TooLarge { len: 1 << 40, limit: 64 << 20 });
    assert_eq!(told(plugin.link(), "no context", b""), b"alive");
}

#[test]
fn a_plain_plugin_has_no_numbers() {
    let plugin = loaded(&c_plugin!());
    assert_eq!(plugin.link().resolve("echo"), Err(CallError::NoSuchEntry));
    let call = plugin.link().call(&Invocation::entry_id(EntryId::from_raw(0), b""));
    assert_eq!(call.map(drop), Err(CallError::NoSuchEntry));
}

#[test]
fn entries_are_called_by_number() {
    let plugin = loaded(&c_plugin!(EXT));
    assert_eq!(plugin.generation(), Generation::V1Extended);
    assert_eq!(plugin.warnings(), []);
    let echo = plugin.link().resolve("echo").unwrap();
    let reply = plugin.link().call(&Invocation::entry_id(echo, b"7")).unwrap().wait().unwrap();
    assert_eq!(&*reply, b"7");
    let call = plugin.link().call(&Invocation::entry_id(EntryId::from_raw(9), b""));
    assert_eq!(call.map(drop), Err(CallError::NoSuchEntry));
}

#[test]
fn an_entry_may_refuse_with_invalid() {
    let plugin = loaded(&c_plugin!(EXT));
    let echo = plugin.link().resolve("echo").unwrap();
    let call = plugin.link().call(&Invocation::entry_id(echo, b"invalid"));
    assert_eq!(call.map(drop), Err(CallError::Refused { status: Status::Invalid }));
}

#[test]
fn given_bytes_are_not_copied_and_freed_once() {
    let plugin = loaded(&c_plugin!(EXT));
    let reply = plugin.link().call(&Invocation::entry("give", b"")).unwrap().wait().unwrap();
    assert_eq!((reply.len(), reply[4999]), (5000, b'g'));
    assert_eq!((plugin.usage().bytes_in_use, number(plugin.link(), "look")), (1, 0));
    drop(reply);
    assert_eq!((plugin.usage().bytes_in_use, number(plugin.link(), "look")), (0, 1000));
}

#[test]
fn given_bytes_are_freed_whatever_is_wrong_with_the_call() {
    let plugin = loaded(&c_plugin!(EXT));
    told(plugin.link(), "give to nobody", b"");
    assert_eq!(number(plugin.link(), "look"), 1000);
    let null = ViewError::NullPointer { len: 5000 };
    let error = ask(plugin.link(), "give null", b"");
    assert_eq!(error, Err(CallError::from(Fault::BadView(null))));
    // More than the limit.
    let limits = ringbox_ring::Limits::default().answer_bytes(4999);
    let path = c_plugin!(EXT);
    let plugin = try_load(&path, &Options::new().limits(limits)).unwrap();
    let error = ask(plugin.link(), "give", b"");
    assert_eq!(error, Err(CallError::from(Fault::TooLarge { len: 5000, limit: 4999 })));
    assert_eq!((plugin.usage().bytes_in_use, number(plugin.link(), "look")), (0, 1000));
}

#[test]
fn lent_buffers_are_committed_bounded_and_counted() {
    let path = c_plugin!(EXT);
    let plugin = try_load(&path, &Options::new().leases(10, 1 << 20)).unwrap();
    let bytes = told(plugin.link(), "lease", b"");
    assert_eq!((bytes.len(), bytes[69_999]), (70_000, b'l'));
    assert_eq!(plugin.usage().leases, 0);
    assert_eq!(number(plugin.link(), "monster lease"), 2, "Invalid, and no abort");
    let said = told(plugin.link(), "keep leases", b"");
    assert_eq!((said[0], said[8]), (10, 6), "Backpressure after ten");
    assert_eq!((plugin.usage().leases, plugin.usage().lease_bytes), (10, 10_000));
    let path = c_plugin!(EXT);
    let plugin = try_load(&path, &Options::new().leases(10, 2500)).unwrap();
    assert_eq!(told(plugin.link(), "keep leases", b"")[0], 2, "their bytes are bounded too");
}

#[test]
fn version_1_may_be_asked_for() {
    let path = c_plugin!(EXT);
    let plugin = try_load(&path, &Options::new().abi(NativeAbi::V1)).unwrap();
    assert_eq!(plugin.generation(), Generation::V1Extended);
}
