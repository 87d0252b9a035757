//! The example plugins do what they say, in every language.

#![expect(unsafe_code, reason = "the plugins are built from this repository")]

use ringbox::{CallError, Host, Plugin, Request, Source, Status, Wall};
use ringbox_examples::{Language, block_on, build_foreign, build_rust};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Loads it, and returns it with what is odd about it.
fn load(host: &Host, name: &str, library: PathBuf) -> (Plugin, Vec<String>) {
    // SAFETY: built just now, from a source of this repository.
    let source = unsafe { Source::native(library) };
    let plugin = host.load(name, source).unwrap_or_else(|error| panic!("{name}: {error}"));
    let about = host.about(name).expect("it is loaded");
    assert!(matches!(about.wall, Wall::Native(_)));
    (plugin, about.warnings)
}

/// Two seconds later, with the method and the path, in any language.
fn is_a_seed(name: &str, library: PathBuf) {
    let host = Host::new();
    let (seed, warnings) = load(&host, name, library);
    assert!(matches!(&warnings[..], [only] if only.contains("no extension")), "{warnings:?}");
    let start = Instant::now();
    let reply = block_on(seed.request(&Request::put("/ä/b").query("q").header("k", "v")));
    let took = start.elapsed();
    let reply = reply.unwrap();
    assert_eq!((reply.status(), &reply[..]), (Status::Ok, "OK: PUT /ä/b".as_bytes()));
    assert!((2..10).contains(&took.as_secs()), "{took:?}");

    // Empty views have any pointer, and nobody waits for this answer.
    drop(seed.request_stream(&Request::new("", "")).unwrap());
    host.unload_with_grace(name, Duration::from_secs(9)).unwrap();
}

#[test]
fn the_seed_answers_two_seconds_later() {
    is_a_seed("seed", build_rust("ringbox-example-seed").unwrap());
}

#[test]
fn the_seed_in_c_is_the_same() {
    if let Some(library) = build_foreign(Language::C).unwrap() {
        is_a_seed("seed-c", library);
    }
}

#[test]
fn the_seed_in_cpp_is_the_same() {
    if let Some(library) = build_foreign(Language::Cpp).unwrap() {
        is_a_seed("seed-cpp", library);
    }
}

#[test]
fn the_greeter_does_all_it_offers() {
    let host = Host::new();
    let library = build_rust("ringbox-example-greeter").unwrap();
    let (greeter, warnings) = load(&host, "greeter", library);
    assert_eq!(warnings, [""; 0]);
    let ask = |entry: &str, payload: &[u8]| {
        let reply = block_on(greeter.call_response(entry, payload))?;
        Ok::<_, CallError>((reply.status(), String::from_utf8_lossy(&reply).into_owned()))
    };
    let ok = |text: &str| Ok((Status::Ok, text.to_owned()));
    assert_eq!(ask("echo", b"hello"), ok("hello"));
    assert_eq!(ask("greet", b"World"), ok("Hello, World!"));
    assert_eq!(ask("greet", b"\xff").unwrap().0, Status::Err);
    assert_eq!(ask("greeted", b""), ok("1"));
    assert_eq!(ask("slow", b"there"), ok("there"));
    assert_eq!(ask("panic", b"").unwrap().0, Status::Panic);
    let refused = CallError::Refused { status: Status::Unsupported };
    assert_eq!(ask("nothing", b""), Err(refused));
    assert_eq!(ask("greeted", b""), ok("1"), "its state outlives a panic");

    let reply = block_on(greeter.request(&Request::get("/path"))).unwrap();
    assert_eq!(&reply[..], b"OK: GET /path");

    let error = block_on(greeter.call_response_timeout("never", b"", Duration::from_millis(20)))
        .unwrap_err();
    assert!(error.is_deadline(), "{error}");

    let numbers = block_on(async {
        let mut stream = greeter.call_stream("count", b"1000")?;
        let mut numbers = Vec::new();
        while let Some(frame) = stream.recv().await? {
            match frame.status() {
                Status::Ok => numbers.push(u32::from_le_bytes(frame[..].try_into().unwrap())),
                end => assert_eq!(end, Status::StreamEnd),
            }
        }
        Ok::<_, CallError>(numbers)
    });
    assert_eq!(numbers.unwrap(), (0..1000).collect::<Vec<_>>());

    block_on(async {
        let mut stream = greeter.call_stream("shout", b"").unwrap();
        stream.send(b"hello").unwrap();
        assert_eq!(&stream.recv().await.unwrap().unwrap()[..], b"HELLO");
        greeter.close_stream(stream.sid()).unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap().status(), Status::StreamEnd);
    });
    host.unload("greeter").unwrap();
}

/// Each load has its own state, and a reload begins anew.
#[test]
fn two_greeters_count_apart() {
    let library = build_rust("ringbox-example-greeter").unwrap();
    let host = Host::new();
    let (one, _) = load(&host, "one", library.clone());
    let (two, _) = load(&host, "two", library);
    let greeted =
        |plugin: &Plugin| block_on(plugin.call_response("greeted", b"")).unwrap().to_vec();
    assert_eq!(&block_on(one.call_response("greet", b"a")).unwrap()[..], b"Hello, a!");
    assert_eq!((greeted(&one), greeted(&two)), (b"1".to_vec(), b"0".to_vec()));
    host.reload("one").unwrap();
    assert_eq!(greeted(&one), b"0");
}
