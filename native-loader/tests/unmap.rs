//! Unmapping: only when nothing can miss the library, and then for good.

#![cfg(target_os = "linux")]

mod support;

use ringbox_native::{Options, UnmapError, Unmapped};
use ringbox_ring::{Invocation, Switch, UnloadError};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use support::{EXT, loaded, told, try_load};

/// How many mappings the process has that are code of the fixture's.
fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("libfixture.so")).count()
}

fn all_mappings() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

/// One after the other, since they count the process' mappings.
fn turn() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn what_is_idle_is_unmapped_once() {
    let _turn = turn();
    let before = mappings();
    let plugin = loaded(&c_plugin!(EXT));
    told(plugin.link(), "echo", b"x");
    assert!(mappings() > before);
    assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Ok(Unmapped::Gone));
    assert_eq!(mappings(), before);
    assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Err(UnmapError::AlreadyUnmapped));
    assert_eq!(plugin.unload(Duration::ZERO), Err(UnloadError::AlreadyUnloaded));
}

#[test]
fn unloading_leaves_it_mapped_until_it_is_asked_for() {
    let _turn = turn();
    let before = mappings();
    let plugin = loaded(&c_plugin!(EXT));
    plugin.unload(Duration::ZERO).unwrap();
    assert!(mappings() > before);
    assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Ok(Unmapped::Gone));
    assert_eq!(mappings(), before);
}

#[test]
fn a_plugin_that_cannot_tell_stays_mapped() {
    let _turn = turn();
    let plugin = loaded(&c_plugin!());
    for _ in 0..2 {
        assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Err(UnmapError::CannotTell));
    }
}

#[test]
fn a_plugin_whose_threads_run_stays_mapped() {
    let _turn = turn();
    let plugin = loaded(&c_plugin!(EXT));
    told(plugin.link(), "linger", b"");
    assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Err(UnmapError::NotQuiescent));
}

#[test]
fn a_reply_with_the_plugins_bytes_keeps_it_mapped() {
    let _turn = turn();
    let before = mappings();
    let plugin = loaded(&c_plugin!(EXT));
    let reply = plugin.link().call(&Invocation::entry("give", b"")).unwrap().wait().unwrap();
    let in_use = UnmapError::BytesInUse { count: 1 };
    assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Err(in_use));
    assert_eq!(reply[0], b'g');
    drop(reply);
    assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Ok(Unmapped::Gone));
    assert_eq!(mappings(), before);
}

#[test]
fn leases_that_were_kept_are_freed() {
    let _turn = turn();
    let path = c_plugin!(EXT);
    let plugin = try_load(&path, &Options::new().leases(5, 1 << 20)).unwrap();
    told(plugin.link(), "keep leases", b"");
    plugin.unload(Duration::ZERO).unwrap();
    assert_eq!(plugin.usage().leases, 5, "visible, and not freed under a thread that may write");
    assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Ok(Unmapped::Gone));
    assert_eq!(plugin.usage().leases, 0);
}

#[test]
fn a_thousand_reloads_under_load_lose_nothing_and_leave_nothing() {
    let _turn = turn();
    let path = c_plugin!(EXT);
    reloads(&path, 20);
    let (before, all) = (mappings(), all_mappings());
    reloads(&path, 1000);
    assert_eq!(mappings(), before);
    // The allocator may have grown by some.
    assert!(all_mappings() < all + 20, "{} mappings, {all} before", all_mappings());
}

/// Reloads so many times while threads call, some of them from the plugin's own threads.
fn reloads(path: &Path, count: usize) {
    let mut serving = loaded(path);
    let switch = Switch::new(serving.link());
    let done = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        let caller = |entry: &'static str, payload: &'static [u8], expected: &'static [u8]| {
            let (switch, done, answered) = (&switch, &done, &answered);
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    let link = switch.link();
                    match support::ask(link, entry, payload) {
                        Ok((_, bytes)) => {
                            assert_eq!(bytes, expected);
                            answered.fetch_add(1, Relaxed);
                        }
                        // The link was read just before it was switched: the call never went in.
                        Err(ringbox_ring::CallError::Unloaded) => thread::yield_now(),
                        Err(other) => panic!("{entry}: {other:?}"),
                    }
                }
            });
        };
        caller("echo", b"payload", b"payload");
        caller("later", b"", b"later");
        for _ in 0..count {
            let next = loaded(path);
            switch.switch(next.link());
            let old = std::mem::replace(&mut serving, next);
            let mut result = old.unload_and_unmap(Duration::from_secs(10));
            // A reply, or a thread, may be on its way out.
            let end = Instant::now() + Duration::from_secs(20);
            while matches!(result, Err(UnmapError::NotQuiescent | UnmapError::BytesInUse { .. })) {
                assert!(Instant::now() < end, "{result:?}");
                thread::sleep(Duration::from_micros(200));
                result = old.unload_and_unmap(Duration::ZERO);
            }
            assert_eq!(result, Ok(Unmapped::Gone));
            let metrics = old.link().metrics();
            assert_eq!((metrics.faults.total(), metrics.in_flight), (0, 0), "{metrics:?}");
        }
        done.store(true, Relaxed);
    });
    assert!(answered.load(Relaxed) as usize > count);
    assert_eq!(serving.unload_and_unmap(Duration::from_secs(1)), Ok(Unmapped::Gone));
}
