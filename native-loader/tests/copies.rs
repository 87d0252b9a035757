//! Two loads are two plugins, whatever happens to the file.

#![cfg(target_os = "linux")]

mod support;

use ringbox_native::{LoadError, Unmapped, Warning};
use std::fs;
use std::io::Write as _;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use support::{EXT, c_library_in, loaded, number, scratch, told, try_load};

#[test]
fn two_loads_of_one_file_have_their_own_globals() {
    let path = c_plugin!();
    let (one, two) = (loaded(&path), loaded(&path));
    assert_eq!((number(one.link(), "count"), number(one.link(), "count")), (1, 2));
    assert_eq!(number(two.link(), "count"), 1);
    one.unload(Duration::ZERO).unwrap();
    assert_eq!(number(two.link(), "count"), 2);
}

#[test]
fn a_file_that_is_replaced_is_loaded_anew() {
    let folder = scratch("replaced");
    let Some(path) = c_library_in(&folder, &["-DMARK=\"first\""]) else { return };
    let old = loaded(&path);
    // Renamed over it, and written into it.
    let other = scratch("other");
    let Some(newer) = c_library_in(&other, &["-DMARK=\"second\""]) else { return };
    fs::rename(&newer, &path).unwrap();
    let new = loaded(&path);
    assert_ne!(old.sha256(), new.sha256());
    let Some(newest) = c_library_in(&other, &["-DMARK=\"third\""]) else { return };
    fs::write(&path, fs::read(newest).unwrap()).unwrap();
    let newest = loaded(&path);
    fs::remove_file(&path).unwrap();
    for (plugin, mark) in [(&old, "first"), (&new, "second"), (&newest, "third")] {
        assert_eq!(told(plugin.link(), "mark", b""), mark.as_bytes());
    }
}

#[test]
fn loads_that_race_are_each_their_own() {
    let path = c_plugin!();
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..10 {
                    let plugin = loaded(&path);
                    assert_eq!(number(plugin.link(), "count"), 1);
                }
            });
        }
    });
}

#[test]
fn a_file_that_is_being_written_is_refused_or_whole() {
    let folder = scratch("written");
    let Some(source) = c_library_in(&folder, &["-DMARK=\"whole\""]) else { return };
    let bytes = fs::read(&source).unwrap();
    let path = folder.join("libwritten.so");
    let done = AtomicBool::new(false);
    let (mut loads, mut refusals) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let mut file = fs::File::create(&path).unwrap();
                for part in bytes.chunks(bytes.len() / 7) {
                    file.write_all(part).unwrap();
                    thread::sleep(Duration::from_millis(3));
                }
                drop(file);
                thread::sleep(Duration::from_millis(100));
            }
        });
        let start = Instant::now();
        while (loads < 3 || refusals < 10) && start.elapsed() < Duration::from_secs(30) {
            match try_load(&path, &ringbox_native::Options::new()) {
                Ok(plugin) => {
                    loads += 1;
                    if told(plugin.link(), "mark", b"") != b"whole" {
                        done.store(true, Relaxed);
                        panic!("half a library was loaded");
                    }
                }
                Err(
                    LoadError::Changing
                    | LoadError::Truncated { .. }
                    | LoadError::NotALibrary { .. }
                    | LoadError::Open(_),
                ) => refusals += 1,
                Err(other) => {
                    done.store(true, Relaxed);
                    panic!("{other:?}");
                }
            }
        }
        done.store(true, Relaxed);
    });
    assert!(loads > 0 && refusals > 0, "{loads} loads, {refusals} refusals");
}

#[test]
fn no_copy_is_left_behind() {
    let path = c_plugin!();
    let folder = scratch("copies");
    let options = ringbox_native::Options::new().copies_in(&folder);
    let plugin = try_load(&path, &options).unwrap();
    let _ = try_load(&c_plugin!("-DNULL_INFO"), &options).unwrap_err();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    assert_eq!(told(plugin.link(), "echo", b"x"), b"x");
}

#[test]
fn unique_symbols_are_warned_of() {
    let plugin = loaded(&c_plugin!("-DGNU_UNIQUE", EXT));
    let [warning @ Warning::UniqueSymbols { count: 1, example }] = plugin.warnings() else {
        panic!("{plugin:?}")
    };
    assert_eq!(example, "shared_by_all");
    assert!(warning.to_string().contains("-fno-gnu-unique"));
    let unmapped = plugin.unload_and_unmap(Duration::ZERO);
    assert!(unmapped.is_ok(), "whether the system keeps it is the system's: {unmapped:?}");
}

#[test]
fn a_load_in_place_can_be_repeated_once_it_is_unmapped() {
    let path = c_plugin!(EXT);
    let options = ringbox_native::Options::new().in_place();
    for _ in 0..3 {
        let plugin = try_load(&path, &options).unwrap();
        assert_eq!(plugin.warnings(), [Warning::InPlace]);
        assert_eq!(number(plugin.link(), "count"), 1);
        assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Ok(Unmapped::Gone));
    }
}

#[test]
fn a_load_does_not_wait_for_long() {
    let path = c_plugin!();
    loaded(&path).unload(Duration::ZERO).unwrap();
    let start = Instant::now();
    loaded(&path).unload(Duration::ZERO).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
}
