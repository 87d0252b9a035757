//! Compiled components are kept, and nothing else is run.

mod small;

use ringbox_wasm::cache::{Cache, CacheError, CacheStats};
use ringbox_wasm::{Loaded, Policy, WasmOptions, load_bytes};
use small::{Guest, echoes, guest};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use tempfile::TempDir;

fn load(cache: &Cache) -> Loaded {
    load_bytes(guest(), "guest", &WasmOptions::new().cache(cache)).unwrap()
}

/// Loads, and unloads again.
fn compile(cache: &Cache, bytes: &[u8]) {
    drop(load_bytes(bytes, "guest", &WasmOptions::new().cache(cache)).unwrap());
}

/// What a cache did: hits, misses, rejected.
fn did(cache: &Cache) -> (u64, u64, u64) {
    let CacheStats { hits, misses, rejected, .. } = cache.stats();
    (hits, misses, rejected)
}

/// A directory in a directory, so that the test sees it made.
fn folder() -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("compiled");
    (outer, path)
}

/// The one file of code in there.
fn kept(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    let mut code: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    assert_eq!(code.len(), 1, "{code:?}");
    code.remove(0)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_same_bytes_are_compiled_once() {
    let cache = Cache::memory();
    let (first, second) = (load(&cache), load(&cache));
    assert_eq!(did(&cache), (1, 1, 0));
    assert!(cache.stats().kept == 1 && cache.stats().kept_bytes > 0);
    echoes(first.link());
    echoes(second.link());
    let other = Guest { pages: 2, ..Guest::default() }.bytes();
    compile(&cache, &other);
    assert_eq!(did(&cache), (1, 2, 0));
}

#[test]
fn code_is_for_every_engine_with_the_same_settings() {
    let cache = Cache::memory();
    // Each pool has an engine of its own.
    let options = WasmOptions::new().policy(Policy::Pool(2)).cache(&cache);
    let first = load_bytes(guest(), "first", &options).unwrap();
    let second = load_bytes(guest(), "second", &options).unwrap();
    assert_eq!(did(&cache), (1, 1, 0));
    echoes(first.link());
    echoes(second.link());
}

#[test]
fn loads_that_race_compile_once() {
    let cache = Cache::memory();
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                echoes(load(&cache).link());
            });
        }
    });
    assert_eq!(did(&cache), (7, 1, 0));
}

#[test]
fn what_was_used_longest_ago_goes_first_and_no_more_is_kept_than_may_be() {
    let bytes = |pages| Guest { pages, ..Guest::default() }.bytes();
    let measure = Cache::memory();
    compile(&measure, &bytes(1));
    let one = measure.stats().kept_bytes;
    let cache = Cache::memory_of(2 * one + one / 2);
    let load = |pages| {
        compile(&cache, &bytes(pages));
        cache.stats()
    };
    load(1);
    load(2);
    assert_eq!(load(1).misses, 2);
    // The second is the oldest now.
    assert_eq!(load(3).kept, 2);
    assert_eq!(load(1).misses, 3);
    assert_eq!(load(2).misses, 4);
    assert!(cache.stats().kept_bytes <= 2 * one + one / 2);
    let none = Cache::memory_of(0);
    compile(&none, &bytes(1));
    assert_eq!((none.stats().kept, none.stats().kept_bytes), (0, 0));
}

#[test]
fn a_directory_keeps_code_for_the_next_process() {
    let (_outer, path) = folder();
    compile(&Cache::directory(&path).unwrap(), guest());
    assert_eq!((mode(&path), mode(&path.join("key")), mode(&kept(&path))), (0o700, 0o600, 0o600));
    // A second process has another cache in memory.
    let next = Cache::directory(&path).unwrap();
    echoes(load(&next).link());
    assert_eq!(did(&next), (1, 0, 0));
}

#[test]
fn a_tampered_file_is_thrown_away_and_compiled_anew() {
    let (_outer, path) = folder();
    compile(&Cache::directory(&path).unwrap(), guest());
    let file = kept(&path);
    let good = fs::read(&file).unwrap();
    let mut tampered: Vec<(String, Vec<u8>)> = Vec::new();
    for at in [0, 20, 50, 60, 88, 100, good.len() / 2, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        tampered.push((format!("a bit at {at}"), bytes));
    }
    for len in [0, 10, 87, 88, good.len() - 1] {
        tampered.push((format!("cut off after {len}"), good[..len].to_vec()));
    }
    tampered.push(("one byte more".to_owned(), [&good[..], b"x"].concat()));
    for (how, bytes) in tampered {
        fs::write(&file, &bytes).unwrap();
        let cache = Cache::directory(&path).unwrap();
        echoes(load(&cache).link());
        assert_eq!(did(&cache), (0, 1, 1), "{how}");
        assert_eq!(fs::read(&file).unwrap().len(), good.len(), "{how}: it is not written anew");
        let next = Cache::directory(&path).unwrap();
        compile(&next, guest());
        assert_eq!(did(&next), (1, 0, 0), "{how}");
    }
}

#[test]
fn one_components_file_is_not_anothers() {
    let (_outer, path) = folder();
    compile(&Cache::directory(&path).unwrap(), guest());
    let file = kept(&path);
    let other = Guest { pages: 2, ..Guest::default() }.bytes();
    let (_outer, second) = folder();
    let cache = Cache::directory(&second).unwrap();
    compile(&cache, &other);
    // Under the same key even.
    fs::copy(path.join("key"), second.join("key")).unwrap();
    let victim = kept(&second);
    fs::copy(&file, &victim).unwrap();
    let cache = Cache::directory(&second).unwrap();
    compile(&cache, &other);
    assert_eq!(did(&cache), (0, 1, 1));
}

#[test]
fn a_file_under_another_key_is_thrown_away() {
    let (_outer, path) = folder();
    compile(&Cache::directory(&path).unwrap(), guest());
    fs::write(path.join("key"), [7; 32]).unwrap();
    let cache = Cache::directory(&path).unwrap();
    compile(&cache, guest());
    assert_eq!(did(&cache), (0, 1, 1));
}

#[test]
fn what_lies_in_a_files_place_is_not_followed() {
    let (outer, path) = folder();
    compile(&Cache::directory(&path).unwrap(), guest());
    let file = kept(&path);
    let elsewhere = outer.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    let cache = Cache::directory(&path).unwrap();
    compile(&cache, guest());
    assert_eq!(did(&cache), (0, 1, 1));
    assert!(elsewhere.exists(), "what it led to is not ours to remove");
    assert!(!fs::symlink_metadata(&file).unwrap().is_symlink());
}

#[test]
fn a_directory_that_others_may_use_is_refused() {
    for open in [0o777, 0o770, 0o707, 0o750, 0o701] {
        let (_outer, path) = folder();
        fs::create_dir(&path).unwrap();
        set_mode(&path, open);
        let error = Cache::directory(&path).unwrap_err();
        assert!(
            matches!(error, CacheError::Open { mode, wanted: 0o700, .. } if mode == open),
            "{error}"
        );
        set_mode(&path, 0o700);
        Cache::directory(&path).unwrap();
    }
}

#[test]
fn a_link_or_a_file_is_no_directory() {
    let (outer, path) = folder();
    fs::create_dir(outer.path().join("real")).unwrap();
    set_mode(&outer.path().join("real"), 0o700);
    symlink(outer.path().join("real"), &path).unwrap();
    assert!(matches!(Cache::directory(&path), Err(CacheError::NotADirectory { .. })));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    assert!(matches!(Cache::directory(&path), Err(CacheError::NotADirectory { .. })));
    let deep = outer.path().join("a/b");
    assert!(matches!(Cache::directory(deep), Err(CacheError::Io { .. })));
}

#[test]
fn somebody_elses_directory_is_refused() {
    // Only root can make one for this test.
    let (_outer, path) = folder();
    fs::create_dir(&path).unwrap();
    set_mode(&path, 0o700);
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        return;
    }
    let error = Cache::directory(&path).unwrap_err();
    assert!(matches!(error, CacheError::ForeignOwner { owner: 65_534, .. }), "{error}");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    for open in [0o640, 0o604, 0o660, 0o666] {
        let (_outer, path) = folder();
        Cache::directory(&path).unwrap();
        set_mode(&path.join("key"), open);
        let error = Cache::directory(&path).unwrap_err();
        assert!(
            matches!(error, CacheError::Open { mode, wanted: 0o600, .. } if mode == open),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let bad = |spoil: &dyn Fn(&Path)| {
        let (_outer, path) = folder();
        Cache::directory(&path).unwrap();
        spoil(&path.join("key"));
        let error = Cache::directory(&path).unwrap_err();
        assert!(matches!(error, CacheError::BadKey { .. }), "{error}");
    };
    bad(&|key| fs::write(key, "short").unwrap());
    bad(&|key| fs::write(key, [0; 33]).unwrap());
    bad(&|key| fs::hard_link(key, key.with_file_name("second")).unwrap());
    bad(&|key| {
        fs::rename(key, key.with_file_name("real")).unwrap();
        symlink("real", key).unwrap();
    });
    bad(&|key| {
        fs::remove_file(key).unwrap();
        fs::create_dir(key).unwrap();
    });
}

#[test]
fn processes_that_race_agree_on_a_key() {
    let (_outer, path) = folder();
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                let cache = Cache::directory(&path).unwrap();
                echoes(load(&cache).link());
                assert_eq!(cache.stats().rejected, 0);
            });
        }
    });
    let after = Cache::directory(&path).unwrap();
    compile(&after, guest());
    assert_eq!(did(&after), (1, 0, 0));
    let left = fs::read_dir(&path).unwrap().count();
    assert_eq!(left, 2, "nothing but the key and the code is left");
}

#[test]
fn code_that_cannot_be_written_is_used_all_the_same() {
    let (_outer, path) = folder();
    let cache = Cache::directory(&path).unwrap();
    fs::remove_dir_all(&path).unwrap();
    echoes(load(&cache).link());
    assert_eq!(cache.stats().unwritten, 1);
}
