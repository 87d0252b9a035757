//! What is fuzzed: functions of bytes that must neither panic nor say what isn't so.
//!
//! `fuzz/` hands each of them what a fuzzer makes up. `tests/corpus.rs` hands them their corpora, and
//! as much made up by the dice, so they are tests without any fuzzer too.

#![expect(unsafe_code, reason = "reads views that lead into the fuzzer's bytes")]

use crate::dice::Dice;
use crate::ground::{Wall, conforming, serves};
use crate::shape::Shape;
use crate::wait::wait;
use ringbox::{
    Cache, Host, Limits, LoadOptions, Plugin, Request, Rule, Source, WasmLimits, inspect,
};
use ringbox_abi::RequestView;
use ringbox_abi::v1::{NrHeader, NrRequest, NrStr};
use ringbox_conformance::script::{Script, dump, status};
use std::fs;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// A target's name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("views", views),
    ("library", library),
    ("component", component),
    ("lowering", lowering),
    ("cache", cache),
    ("options", options),
];

/// Makes ready what a target works with, so that its first input takes no longer than its others:
/// with a sanitizer in every line, compiling a component takes minutes.
pub fn prepare(name: &str) {
    match name {
        "lowering" => {
            LazyLock::force(&PLUGINS);
        }
        "cache" => {
            LazyLock::force(&CACHED);
        }
        _ => {}
    }
}

/// Hands bytes to a target.
///
/// # Panics
/// There is no target of the name, or it found something.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    (target.expect("it is one of the targets").1)(bytes);
}

/// A view into bytes, by its first byte: null, empty, or as long as it says and they are.
fn view(bytes: &[u8]) -> NrStr {
    match bytes.split_first() {
        None => NrStr { ptr: std::ptr::null(), len: 0 },
        Some((0, rest)) => NrStr { ptr: std::ptr::null(), len: rest.len() as u32 },
        Some((_, rest)) => NrStr { ptr: rest.as_ptr(), len: rest.len() as u32 },
    }
}

/// A request whose views lead into the bytes: what is read is what is there, or a typed error.
fn views(bytes: &[u8]) {
    let parts: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let headers: Vec<_> = parts[parts.len().min(3)..]
        .chunks(2)
        .map(|pair| NrHeader { key: view(pair[0]), value: view(pair.last().unwrap_or(&pair[0])) })
        .collect();
    let request = NrRequest {
        path: view(part(0)),
        method: view(part(1)),
        query: view(part(2)),
        headers: headers.as_ptr(),
        headers_len: headers.len() as u32,
        _reserved0: 0,
        _reserved1: 0,
    };
    // SAFETY: the request is a local. Its views are null, or lead into `bytes` and are no longer
    // than what is there; its headers are the vector's. All of it outlives what is read.
    let Ok(read) = (unsafe { RequestView::read(&raw const request) }) else { return };
    let text = |at: usize| part(at).get(1..).unwrap_or_default();
    assert_eq!(read.path().as_bytes(), text(0));
    assert_eq!(read.method().as_bytes(), text(1));
    assert_eq!(read.query().as_bytes(), text(2));
    assert_eq!(read.headers().len(), headers.len());
}

/// A folder for files that are made up, one at a time.
static FOLDER: LazyLock<Mutex<TempDir>> =
    LazyLock::new(|| Mutex::new(tempfile::tempdir().expect("a folder")));

fn look(magic: &[u8], bytes: &[u8]) {
    let folder = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    let path = folder.path().join("file");
    fs::write(&path, [magic, bytes].concat()).expect("it is written");
    let options = LoadOptions::new();
    match inspect(&path, &options) {
        Ok(inspected) => assert!(!inspected.report(&options).to_string().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A library's file, of which nothing is run.
fn library(bytes: &[u8]) {
    look(b"\x7fELF", bytes);
}

/// A component's file, before it is compiled.
fn component(bytes: &[u8]) {
    look(b"\0asm\x0d\0\x01\0", bytes);
}

/// Plugins that stay loaded.
static PLUGINS: LazyLock<(Host, [Plugin; 2])> = LazyLock::new(|| {
    let host = Host::new();
    let limits = WasmLimits::default().budget(Duration::from_secs(10));
    let plugins = Wall::ALL.map(|wall| {
        let options = conforming(LoadOptions::new().wasm_limits(limits));
        host.load_with(wall.name(), wall.source(&wall.file()), options).expect("it is loaded")
    });
    (host, plugins)
});

/// A whole request, and frames: what arrives, and comes back, is what was sent.
fn lowering(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parts: Vec<_> = text.split('\n').collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let headers: Vec<_> = parts.iter().skip(3).filter_map(|line| line.split_once(':')).collect();
    // A call of an entry is another thing than a request.
    let method = if part(1) == "CALL" { "GET" } else { part(1) };
    let mut request = Request::new(method, part(0)).query(part(2)).body(bytes);
    for (name, value) in &headers {
        request = request.header(*name, *value);
    }
    let expected = dump(method, part(0), part(2), headers.iter().copied(), bytes);
    let frames: Vec<_> = bytes.chunks(1 + bytes.len() / 9).collect();
    let script =
        frames.iter().fold(Script::new(), |script, frame| script.answer(status::OK, frame));
    let script = script.answer(status::STREAM_END, b"");
    for plugin in &PLUGINS.1 {
        let reply = wait(plugin.request(&request)).expect("it is answered");
        assert_eq!(*reply, *expected, "{}", plugin.name());
        let mut stream = plugin.call_stream("run", &script).expect("it is opened");
        for frame in &frames {
            let read = wait(stream.recv()).expect("no fault").expect("a frame");
            assert_eq!(*read, **frame, "{}", plugin.name());
        }
    }
}

/// A cache's folder with one component in it.
static CACHED: LazyLock<Mutex<(TempDir, PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let compiled = folder.path().join("compiled");
    let wasm = Shape::default().bytes();
    load_cached(&Cache::directory(&compiled).expect("a cache"), &wasm);
    let mut files =
        fs::read_dir(&compiled).expect("it is there").map(|file| file.expect("a file").path());
    let code = files.find(|path| path.extension().is_some()).expect("the code");
    Mutex::new((folder, code, wasm))
});

fn load_cached(cache: &Cache, wasm: &[u8]) {
    let host = Host::new();
    let plugin = host.load_with("cached", Source::component(wasm), LoadOptions::new().cache(cache));
    assert!(serves(&plugin.expect("it is loaded")));
}

/// A cache's file that is something else: it is thrown away, and what serves is compiled anew.
fn cache(bytes: &[u8]) {
    let cached = CACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, code, wasm) = &*cached;
    let mut file = fs::read(code).expect("the code");
    // By the first byte: in its place, after it, or over a part of it.
    match bytes.split_first() {
        Some((0, rest)) => file = rest.to_vec(),
        Some((1, rest)) if !rest.is_empty() => file.extend(rest),
        _ => {
            for (at, byte) in bytes.iter().enumerate() {
                let at = (at + 1) * 7919 % file.len();
                file[at] ^= byte | 1;
            }
            // Nothing in it may be missed.
            file.push(0);
        }
    }
    fs::write(code, file).expect("it is written");
    let cache = Cache::directory(code.parent().expect("a folder")).expect("a cache");
    load_cached(&cache, wasm);
    assert_eq!((cache.stats().rejected, cache.stats().misses), (1, 1), "{:?}", cache.stats());
}

/// Options of any kind: they are refused with a type, or the plugin serves or fails with one.
fn options(bytes: &[u8]) {
    let _ = String::from_utf8_lossy(bytes).parse::<Rule>().map(|rule| rule.to_string());
    let seed = bytes.iter().fold(0_u64, |seed, byte| seed.wrapping_mul(257) + u64::from(*byte));
    let dice = &mut Dice::new(seed);
    // Numbers of every size.
    let mut number = |most: u32| {
        let bits = dice.roll(u64::from(most) + 1) as u32;
        dice.roll(1 << bits)
    };
    let limits = Limits::default()
        .answer_bytes(number(40) as usize)
        .stream_frames(number(16) as usize)
        .stream_bytes(number(40) as usize)
        .state_bytes(number(40) as usize);
    let wasm = WasmLimits::default()
        .memory_bytes(number(28) as usize)
        .table_elements(number(20) as usize)
        .core_instances(number(12) as usize)
        .wasm_stack(number(22) as usize)
        .budget(Duration::from_nanos(number(33)))
        .host_call_bytes(number(30) as usize)
        .queued_calls(number(21) as usize)
        .kept_calls(number(21) as u32)
        .timers(number(21) as usize)
        .log_bytes(number(32) as u32);
    let options = LoadOptions::new().limits(limits).wasm_limits(wasm);
    let host = Host::new();
    match host.load_with("odd", Source::component(Shape::default().bytes()), options) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(plugin) => match crate::ground::ask(&plugin, "x", b"e") {
            Ok(reply) => assert_eq!(*reply, *b"e"),
            Err(error) => assert!(!error.to_string().is_empty()),
        },
    }
}
