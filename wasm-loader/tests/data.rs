//! Data for streams: taken, put off, offered again; and what it means for those who keep silent.

mod small;

use ringbox_ring::{CallError, Fault, Invocation, Status, Stream};
use ringbox_wasm::{Loaded, Mode, Policy, WasmLimits, WasmOptions, load_bytes};
use small::{Guest, ask, eventually, load, next, with_number};
use std::thread;
use std::time::Duration;

fn stream(plugin: &Loaded, payload: &[u8]) -> Stream {
    plugin.link().stream(&Invocation::entry("x", payload)).unwrap()
}

/// Sends as soon as there is room.
fn send(stream: &Stream, data: &[u8]) {
    eventually("there is room", || match stream.send(data) {
        Ok(()) => true,
        Err(CallError::Backpressure) => false,
        Err(error) => panic!("{error}"),
    });
}

#[test]
fn data_that_was_put_off_is_offered_again_in_its_order() {
    let minute = Duration::from_secs(60);
    let limits = WasmLimits::default().budget(minute).long_budget(minute);
    for mode in [Mode::Inline, Mode::Cooperative] {
        let plugin = load(&WasmOptions::new().mode(mode).wasm_limits(limits));
        // No room for the first three that are offered.
        let mut streams = [stream(&plugin, &with_number(b'F', 3)), stream(&plugin, b"n")];
        let link = plugin.link();
        // While the guest is busy, data waits for its turn, and its sender is told that it is taken.
        let busy = thread::spawn(move || ask(link, &with_number(b'i', 300_000_000)).unwrap());
        eventually("the guest is busy", || plugin.usage().busy == 1);
        for number in 0..5_u8 {
            streams.iter().for_each(|stream| send(stream, &[number]));
        }
        streams.iter().for_each(|stream| stream.close().unwrap());
        busy.join().unwrap();
        for stream in &mut streams {
            let mut frames = Vec::new();
            while let Some(frame) = next(stream).unwrap() {
                frames.push(frame);
            }
            assert_eq!(frames, [&[0][..], &[1], &[2], &[3], &[4], &[]], "{mode:?}");
        }
        eventually("nothing waits", || plugin.usage().queued == 0 && plugin.usage().busy == 0);
    }
}

#[test]
fn data_that_was_put_off_goes_with_its_stream() {
    let plugin = load(&WasmOptions::new().mode(Mode::Cooperative));
    // It never has room.
    let full = stream(&plugin, &with_number(b'F', u32::MAX.into()));
    send(&full, b"for nobody");
    eventually("it is put off", || full.send(b"more") == Err(CallError::Backpressure));
    drop(full);
    let mut other = stream(&plugin, &with_number(b'F', 0));
    send(&other, b"for somebody");
    assert_eq!(next(&mut other).unwrap().unwrap(), b"for somebody");
}

#[test]
fn who_may_still_send_data_is_no_silence() {
    for mode in [Mode::Inline, Mode::Cooperative] {
        let plugin = load(&WasmOptions::new().mode(mode));
        let link = plugin.link();
        let mut open = stream(&plugin, b"n");
        // Data for the one may be what the guest waits for to answer the other.
        let kept = link.call(&Invocation::entry("x", b"n")).unwrap();
        send(&open, b"not over");
        assert_eq!(next(&mut open).unwrap().unwrap(), b"not over", "{mode:?}");
        let calls = link.metrics();
        assert_eq!((calls.in_flight, calls.faults.unanswered), (2, 0), "{mode:?}");
        // Now nothing is left that could have it answer.
        drop(open);
        assert_eq!(kept.wait().unwrap_err().fault(), Some(&Fault::Unanswered), "{mode:?}");
    }
}

#[test]
fn a_cancelled_stream_leaves_no_silence_behind_whoever_hears_of_it() {
    // What to do about a stream whose caller left is the host's to know, not only the guest's.
    let deaf = Guest { hears_cancel: false, ..Guest::default() }.bytes();
    let minute = Duration::from_secs(60);
    let limits = WasmLimits::default().budget(minute).long_budget(minute);
    for mode in [Mode::Inline, Mode::Cooperative] {
        let options = WasmOptions::new().mode(mode).wasm_limits(limits);
        let plugin = load_bytes(&deaf, "deaf", &options).unwrap();
        let link = plugin.link();
        let open = stream(&plugin, b"n");
        let kept = link.call(&Invocation::entry("x", b"n")).unwrap();
        drop(open);
        // The plugin is not entered again, so nothing else would have it looked at.
        assert_eq!(kept.wait().unwrap_err().fault(), Some(&Fault::Unanswered), "{mode:?}");
    }
}

#[test]
fn a_stream_that_its_caller_has_closed_gets_no_data_that_could_have_it_answered() {
    for mode in [Mode::Inline, Mode::Cooperative] {
        for policy in [Policy::Single, Policy::PerCall(2)] {
            let plugin = load(&WasmOptions::new().mode(mode).policy(policy));
            // It answers neither data nor the close.
            let mut silent = stream(&plugin, b"q");
            send(&silent, b"said nothing to");
            silent.close().unwrap();
            let fault = next(&mut silent).unwrap_err();
            assert_eq!(fault.fault(), Some(&Fault::Unanswered), "{mode:?}, {policy:?}");
        }
    }
}

#[test]
fn a_close_that_was_refused_is_none() {
    let plugin = load(&WasmOptions::new().mode(Mode::Inline));
    let mut open = stream(&plugin, b"R");
    let refused = open.close().unwrap_err();
    assert!(matches!(refused, CallError::Refused { status: Status::Unsupported }), "{refused:?}");
    // So there may still be data.
    assert_eq!(plugin.link().metrics().in_flight, 1);
    send(&open, b"after all");
    assert_eq!(next(&mut open).unwrap().unwrap(), b"after all");
}
