//! The clock's thread rests when nothing runs. Alone in its file: other plugins would keep it awake.

mod small;

use ringbox_ring::{Invocation, TrapCause};
use small::{ask, cause, eventually, load, with, with_number};
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How often the clock's thread has gone to sleep.
fn naps() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let is_clock = |comm: String| comm.trim_end() == "ringbox-clock";
    let clock = tasks
        .into_iter()
        .find(|task| fs::read_to_string(task.join("comm")).is_ok_and(is_clock))
        .expect("there is a clock");
    let status = fs::read_to_string(clock.join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Whether it sleeps for as long as many ticks take.
fn rests() -> bool {
    let before = naps();
    thread::park_timeout(Duration::from_millis(50));
    naps() == before
}

#[test]
fn a_clock_that_nobody_needs_parks_and_is_there_when_it_is_needed() {
    let limit = Duration::from_millis(20);
    let plugin = load(&with(|limits| limits.budget(limit)));
    let link = plugin.link();
    for _ in 0..3 {
        // A spinning call is stopped, though the clock parks when it is made. Nobody else would
        // stop it, so it is another thread that waits.
        eventually("the clock parks", rests);
        let (done, stopped) = mpsc::channel();
        thread::spawn(move || done.send(cause(ask(link, b"s"))));
        let stopped = stopped.recv_timeout(small::PATIENCE).expect("the call is stopped");
        assert_eq!(stopped, TrapCause::Budget { limit });
    }
    // What is due in an hour doesn't keep it awake, and what is due sooner is done in its time.
    let kept = link.call(&Invocation::entry("x", b"k")).unwrap();
    eventually("the clock parks", rests);
    assert_eq!(ask(link, &with_number(b'w', 30_000_000)).unwrap(), b"kept");
    eventually("the clock parks", rests);
    drop(kept);
}
