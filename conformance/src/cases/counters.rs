//! Counters: every call is in one place, and every byte in one direction.

use crate::executor::{block_on, elsewhere};
use crate::ground::{Counts, Ground, answer, rest};
use crate::script::{Script, status};
use ringbox_ring::{Invocation, Status};
use std::time::Duration;

/// Some of everything.
pub fn counters_add_up_over_a_mixed_run(ground: &Ground) {
    let plugin = ground.plugin();
    let start = plugin.link.metrics();
    let keep = || Script::new().keep();
    for _ in 0..3 {
        plugin.serves();
        plugin.notify(&Script::new()).unwrap();
        drop(plugin.call(&keep()));
        assert!(plugin.try_call(&Script::new().return_status(status::ERR)).is_err());
        assert!(answer(plugin.call(&keep()).deadline(Duration::from_millis(5))).is_err());
        let script = Script::new().answer(status::OK, b"").answer(status::OK, b"");
        plugin.ask(&script);
    }
    let open = plugin.call(&keep());
    let open_stream = plugin.stream(&keep());
    let metrics = plugin.link.metrics();
    assert_eq!(metrics.calls - start.calls, 3 * 6 + 2);
    assert_eq!(metrics.notified - start.notified, 3);
    assert_eq!(metrics.finished - start.finished, 3 * 5);
    assert_eq!(metrics.in_flight, 2);
    assert_eq!(metrics.calls, metrics.notified + metrics.finished + metrics.in_flight);
    assert_eq!(metrics.faults.deadline, metrics.faults.total());
    drop((open, open_stream));
    plugin.expect(Counts {
        cancelled: 3 + 2,
        refused: 3,
        faults: 3,
        after_end: 3,
        ..Counts::default()
    });
}

/// What callers bring and what they get, to the byte.
pub fn bytes_and_frames_are_counted(ground: &Ground) {
    let plugin = ground.plugin();
    let start = plugin.link.metrics();
    for len in [0, 1, 100, 5000] {
        let payload = vec![1; len];
        let call = plugin.link.call(&Invocation::entry("echo", &payload)).unwrap();
        assert_eq!(answer(call).unwrap().bytes.len(), len);
        plugin.link.notify(&Invocation::entry("echo", &payload)).unwrap();
    }
    let script = Script::new().frames(10, 7).answer(status::STREAM_END, b"end");
    let (frames, fault) = rest(&mut plugin.stream(&script));
    assert_eq!((frames.len(), fault), (11, None));
    let metrics = plugin.link.metrics();
    assert_eq!(metrics.bytes_in - start.bytes_in, 2 * 5101 + script.len() as u64);
    assert_eq!(metrics.bytes_out - start.bytes_out, 5101 + 10 * 7 + 3);
    assert_eq!(metrics.frames - start.frames, 11);
}

/// Two loads of a plugin are two in the metrics, after one is gone as well.
pub fn each_plugin_counts_its_own(ground: &Ground) {
    let (one, other) = (ground.plugin(), ground.plugin());
    let (one_start, other_start) = (one.link.metrics().calls, other.link.metrics().calls);
    for _ in 0..5 {
        one.serves();
    }
    other.serves();
    drop(one.take_attached());
    let successor = ground.plugin();
    let successor_start = successor.link.metrics();
    assert_eq!(successor_start.in_flight, 0);
    successor.serves();
    assert_eq!(one.link.metrics().calls - one_start, 5, "kept when it is gone");
    assert_eq!(other.link.metrics().calls - other_start, 1);
    assert_eq!(successor.link.metrics().calls - successor_start.calls, 1);
}

/// Threads count apart, and are summed up, also when they are gone.
pub fn counts_add_up_over_threads(ground: &Ground) {
    let plugin = ground.plugin();
    let (link, start) = (plugin.link, plugin.link.metrics());
    let callers: Vec<_> = (0..6)
        .map(|_| {
            elsewhere(move || {
                for _ in 0..100 {
                    let call = link.call(&Invocation::entry("echo", b"four")).unwrap();
                    assert_eq!(block_on(call).unwrap().status(), Status::Ok);
                    link.notify(&Invocation::entry("echo", b"")).unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join();
    }
    let metrics = plugin.link.metrics();
    assert_eq!(metrics.calls - start.calls, 1200);
    assert_eq!(metrics.notified - start.notified, 600);
    assert_eq!(metrics.bytes_in - start.bytes_in, 2400);
    assert_eq!(metrics.bytes_out - start.bytes_out, 2400);
}
