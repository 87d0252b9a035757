//! One source behind both walls: callers cannot tell the two apart.

#![cfg(target_os = "linux")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use ringbox::{Ask, Inspected, LoadOptions, Request, Status, inspect};
use ringbox_guest::inside::understood;
use std::future::poll_fn;
use std::panic::catch_unwind;
use std::task::Poll;
use std::time::Duration;
use support::block_on;
use support::pair::{Pair, call, call_by_number, request, stream};

const LARGEST: usize = 64 << 10;

/// Mostly small, sometimes as large as it gets.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..200),
        1 => (any::<u8>(), 0..=LARGEST).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

/// Of any script, and not only text.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "\\PC{0,60}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..60),
    ]
}

fn runner(cases: u32) -> TestRunner {
    // Nothing is kept between runs: the cases are the same each time anyway, unless told otherwise.
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

#[test]
fn answers_are_the_same() {
    let pair = Pair::load("patterns");
    runner(48)
        .run(&(bytes(), text()), |(bytes, text)| {
            prop_assert!(pair.both(|plugin| call(plugin, "no such entry", &bytes)).is_err());
            for entry in ["echo", "status", "keeps-state", "later"] {
                let by_name = pair.both(|plugin| call(plugin, entry, &bytes));
                let by_number = pair.both(|plugin| call_by_number(plugin, entry, &bytes));
                prop_assert_eq!(by_name, by_number);
            }
            for entry in ["reverse", "fails"] {
                prop_assert!(pair.both(|plugin| call(plugin, entry, &text)).is_ok());
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn whole_requests_are_the_same() {
    let pair = Pair::load("patterns");
    let text = "\\PC{0,30}";
    let headers = vec((text, text), 0..6);
    runner(48)
        .run(&(text, text, prop_oneof!["later", text], headers, bytes()), |whole| {
            let (method, path, query, headers, body) = whole;
            let mut whole = Request::new(&method, &path).query(&query).body(body);
            for (name, value) in headers {
                whole = whole.header(name, value);
            }
            prop_assert!(pair.both(|plugin| request(plugin, &whole)).is_ok());
            Ok(())
        })
        .unwrap();
}

#[test]
fn streams_are_the_same() {
    let pair = Pair::load("patterns");
    runner(32)
        .run(&(bytes(), vec(bytes(), 0..5)), |(payload, data)| {
            let payload = &payload[..payload.len().min(3000)];
            pair.both(|plugin| stream(plugin, "frames", payload, None));
            let frames = pair.both(|plugin| stream(plugin, "sends-back", b"", Some(&data)));
            prop_assert_eq!(frames.len(), data.len() + 1);
            Ok(())
        })
        .unwrap();
}

/// More frames than the queue has room for, and a reader who comes late.
#[test]
fn a_slow_reader_gets_every_frame() {
    let pair = Pair::load("patterns");
    let mut payload = vec![1];
    payload.extend((0..5000).map(|n| n as u8));
    let frames = pair.both(|plugin| stream(plugin, "frames", &payload, None));
    assert_eq!(frames.len(), payload.len() + 1);
    assert_eq!(frames.last(), Some(&Ok((Status::StreamEnd, Vec::new()))));
}

#[test]
fn a_hundred_sleeping_calls_are_open_at_once() {
    let pair = Pair::load("patterns");
    for plugin in pair.each() {
        let payloads: Vec<_> = (0..100_u8).map(|n| [n]).collect();
        let mut calls: Vec<_> = payloads
            .iter()
            .map(|payload| (payload, Box::pin(plugin.call_response("later", payload))))
            .collect();
        block_on(poll_fn(|context| {
            calls.retain_mut(|(payload, call)| match call.as_mut().poll(context) {
                Poll::Ready(reply) => {
                    assert_eq!(reply.unwrap()[..], payload[..]);
                    false
                }
                Poll::Pending => true,
            });
            if calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        }));
        let counts = plugin.metrics().calls;
        assert_eq!((counts.calls, counts.in_flight, counts.late), (100, 0, 0));
    }
}

#[test]
fn a_kept_responder_is_answered_by_another_call() {
    let pair = Pair::load("patterns");
    for plugin in pair.each() {
        let mut kept = Box::pin(plugin.call_response("keeps", b""));
        let waits = block_on(poll_fn(|cx| Poll::Ready(kept.as_mut().poll(cx).is_pending())));
        assert!(waits, "nobody has answered it yet");
        assert_eq!(call(plugin, "answers-kept", b"x"), Ok((Status::Ok, b"x".to_vec())));
        assert_eq!(block_on(kept).unwrap()[..], *b"x");
    }
}

/// The future of a call that is given up is dropped, and the plugin hears of it.
#[test]
fn given_up_calls_are_cancelled() {
    let pair = Pair::load("patterns");
    for plugin in pair.each() {
        for _ in 0..2000 {
            let short = Duration::from_millis(0);
            let error = block_on(plugin.call_response_timeout("never", b"", short)).unwrap_err();
            assert!(error.is_deadline(), "{error}");
        }
        assert_eq!(call(plugin, "later", b"on it goes"), Ok((Status::Ok, b"on it goes".to_vec())));
        let cancelled = call(plugin, "cancels", b"").unwrap().1;
        let cancelled: u64 = String::from_utf8(cancelled).unwrap().parse().unwrap();
        assert!(cancelled > 0, "nobody told the plugin");
    }
}

#[test]
fn a_plugin_says_its_name_behind_both_walls() {
    let pair = Pair::load("patterns");
    for name in ["native", "sandboxed"] {
        let about = pair.host.about(name).unwrap();
        assert_eq!(about.reported_name.as_deref(), Some("patterns"), "{name}");
        assert_eq!(about.reported_version.as_deref(), Some("0.1.0"), "{name}");
    }
}

/// As its operator sees it, and to the letter.
#[test]
fn what_a_plugin_asks_for_is_in_its_component() {
    let component = support::plugin("patterns").component;
    let Inspected::Component(found) = inspect(&component, &LoadOptions::new()).unwrap() else {
        panic!("a component");
    };
    // It uses nothing of the sandbox's, so nothing is left of what it asks for; but it has asked.
    assert_eq!(found.ask, Ask::nothing());
    let section = b"\x0bringbox:ask#\nenv PATTERNS\nclocks";
    let bytes = std::fs::read(component).unwrap();
    assert!(bytes.windows(section.len()).any(|window| window == section));
}

/// What compiles is understood, but for the parts of a network's rule, which the sandbox alone reads.
#[test]
fn what_the_sdk_lets_a_plugin_ask_for_a_sandbox_reads() {
    let words = ["env", "read", "write", "net", "udp", "clocks", "random", "waiting", "files", "#"];
    let rests = ["", " ", " A", "  A", " A B", " /", " /a b", " a:1", " [::1]:80", " *:*", " a:b"];
    let mut both = 0;
    for word in words {
        for rest in rests {
            let line = format!("{word}{rest}");
            let compiles = catch_unwind(|| understood(&[&line])).is_ok();
            let reads = Ask::parse(line.as_bytes()).is_ok();
            assert!(reads || !compiles || word == "net", "`{line}` compiles");
            both += u32::from(compiles && reads);
        }
    }
    // Eight variables, two folders to read and two to write, two networks, and four words.
    assert_eq!(both, 18);
}
