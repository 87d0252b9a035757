//! The example plugins that are components do what they say, whatever made them.

use ringbox::{CallError, Host, Plugin, Request, Source, Status};
use ringbox_examples::{Maker, block_on, make_component};
use std::path::Path;

/// Builds one, loads it and calls it: the same in any language.
#[track_caller]
fn is_a_plugin(maker: Maker) {
    // The components of other tests are built there too, of the same crates.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let Some(component) = make_component(maker, &folder).expect("it builds") else { return };
    let host = Host::new();
    let plugin = host.load("plugin", Source::component(&component)).expect("it is a plugin");

    let reply = block_on(plugin.request(&Request::put("/ä/b").query("q").header("k", "v")));
    let reply = reply.expect("it answers");
    assert_eq!((reply.status(), &reply[..]), (Status::Ok, "OK: PUT /ä/b".as_bytes()));
    let nothing = block_on(plugin.request(&Request::new("", ""))).expect("it answers");
    assert_eq!(&nothing[..], b"OK:  ");

    // More than it has memory for at first, and again: what the first one took is free.
    let much = vec![b'x'; 3 << 20];
    for _ in 0..8 {
        assert!(block_on(plugin.call_response("echo", &much)).expect("it answers")[..] == much[..]);
    }
    assert_eq!(words(&plugin, b" one  two three"), ["one", "two", "three"]);
    assert_eq!(words(&plugin, b""), [""; 0]);

    let refused = CallError::Refused { status: Status::Unsupported };
    for name in ["nothing", "ech", "echoes", ""] {
        assert_eq!(block_on(plugin.call_response(name, b"")).unwrap_err(), refused, "{name}");
    }
    host.unload("plugin").expect("it is loaded");
}

/// The frames of a stream.
fn words(plugin: &Plugin, text: &[u8]) -> Vec<String> {
    block_on(async {
        let mut stream = plugin.call_stream("words", text).expect("it takes the call");
        let mut words = Vec::new();
        while let Some(frame) = stream.recv().await.expect("nothing goes wrong") {
            match frame.status() {
                Status::Ok => words.push(String::from_utf8_lossy(&frame).into_owned()),
                end => assert_eq!(end, Status::StreamEnd),
            }
        }
        words
    })
}

#[test]
fn rust_by_cargo() {
    is_a_plugin(Maker::Cargo);
}

#[test]
fn rust_by_cargo_component() {
    is_a_plugin(Maker::CargoComponent);
}

#[test]
fn c_by_clang() {
    is_a_plugin(Maker::Clang);
}
