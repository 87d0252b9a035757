//! The example plugins do what they say, in every language.

#![expect(unsafe_code, reason = "the plugins are built from this repository")]

use ringbox::{CallError, Host, Plugin, Request, Source, Status};
use ringbox_examples::{Language, block_on, build_component, build_foreign, build_rust, join_all};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Loads it, and returns it with what is odd about it.
fn load(host: &Host, name: &str, source: Source) -> (Plugin, Vec<String>) {
    let plugin = host.load(name, source).unwrap_or_else(|error| panic!("{name}: {error}"));
    let about = host.about(name).expect("it is loaded");
    (plugin, about.warnings)
}

fn native(library: PathBuf) -> Source {
    // SAFETY: built just now, from a source of this repository.
    unsafe { Source::native(library) }
}

/// The example of this name, as a component.
fn component(package: &str) -> Source {
    let component = build_component(package).unwrap();
    Source::component(component.expect("this Rust builds no components: run `cargo xtask setup`"))
}

/// Two seconds later, with the method and the path, in any language and behind either wall.
fn is_a_seed(name: &str, source: Source) -> Vec<String> {
    let host = Host::new();
    let (seed, warnings) = load(&host, name, source);
    let requests: Vec<_> = (0..100).map(|n| Request::put(format!("/ä/{n}")).query("q")).collect();
    let start = Instant::now();
    let replies = block_on(join_all(requests.iter().map(|request| seed.request(request))));
    let took = start.elapsed();
    for (n, reply) in replies.into_iter().enumerate() {
        let reply = reply.unwrap();
        let answer = format!("OK: PUT /ä/{n}");
        assert_eq!((reply.status(), &reply[..]), (Status::Ok, answer.as_bytes()));
    }
    assert!((2..10).contains(&took.as_secs()), "{took:?} for a hundred at once");

    // Empty views have any pointer, and nobody waits for this answer.
    drop(seed.request_stream(&Request::new("", "")).unwrap());
    host.unload_with_grace(name, Duration::from_secs(9)).unwrap();
    warnings
}

#[test]
fn the_seed_answers_two_seconds_later() {
    assert_eq!(is_a_seed("seed", native(build_rust("ringbox-example-seed").unwrap())), [""; 0]);
}

#[test]
fn the_seed_in_the_sandbox_is_the_same() {
    assert_eq!(is_a_seed("seed", component("ringbox-example-seed")), [""; 0]);
}

#[test]
fn the_seed_in_c_is_the_same() {
    if let Some(library) = build_foreign(Language::C).unwrap() {
        let warnings = is_a_seed("seed-c", native(library));
        assert!(matches!(&warnings[..], [only] if only.contains("no extension")), "{warnings:?}");
    }
}

#[test]
fn the_seed_in_cpp_is_the_same() {
    if let Some(library) = build_foreign(Language::Cpp).unwrap() {
        let warnings = is_a_seed("seed-cpp", native(library));
        assert!(matches!(&warnings[..], [only] if only.contains("no extension")), "{warnings:?}");
    }
}

#[test]
fn the_greeter_does_all_it_offers() {
    is_a_greeter(native(build_rust("ringbox-example-greeter").unwrap()), "1");
}

#[test]
fn the_greeter_in_the_sandbox_does_too() {
    is_a_greeter(component("ringbox-example-greeter"), "0");
}

/// `left` is how many it remembers to have greeted after a panic, which costs an instance its memory.
fn is_a_greeter(source: Source, left: &str) {
    let host = Host::new();
    let (greeter, warnings) = load(&host, "greeter", source);
    assert_eq!(warnings, [""; 0]);
    let ask = |entry: &str, payload: &[u8]| {
        let reply = block_on(greeter.call_response(entry, payload))?;
        Ok::<_, CallError>((reply.status(), String::from_utf8_lossy(&reply).into_owned()))
    };
    let ok = |text: &str| Ok((Status::Ok, text.to_owned()));
    assert_eq!(ask("echo", b"hello"), ok("hello"));
    assert_eq!(ask("greet", b"World"), ok("Hello, World!"));
    assert_eq!(ask("greet", b"\xff").unwrap().0, Status::Invalid);
    assert_eq!(ask("greeted", b""), ok("1"));
    assert_eq!(ask("slow", b"there"), ok("there"));
    assert_eq!(ask("panic", b"").unwrap().0, Status::Panic);
    let refused = CallError::Refused { status: Status::Unsupported };
    assert_eq!(ask("nothing", b""), Err(refused));
    assert_eq!(ask("greeted", b""), ok(left));

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
    let (one, _) = load(&host, "one", native(library.clone()));
    let (two, _) = load(&host, "two", native(library));
    let greeted =
        |plugin: &Plugin| block_on(plugin.call_response("greeted", b"")).unwrap().to_vec();
    assert_eq!(&block_on(one.call_response("greet", b"a")).unwrap()[..], b"Hello, a!");
    assert_eq!((greeted(&one), greeted(&two)), (b"1".to_vec(), b"0".to_vec()));
    host.reload("one").unwrap();
    assert_eq!(greeted(&one), b"0");
}
