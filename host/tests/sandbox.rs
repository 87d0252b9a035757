//! The host with plugins that are components: the same calls, and what is theirs alone.

#[path = "../../wasm-loader/tests/support/mod.rs"]
mod support;

use ringbox::{
    Cache, CallError, ComponentInspectError, ComponentLoadError, Fault, Grants, Host, InspectError,
    Inspected, LoadError, LoadOptions, Mode, NativeLoadError, Plugin, Policy, ReloadError, Request,
    Source, Status, Wall, WasmLimits, inspect,
};
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use support::{BARE, WASI, guest};

const CASE: &str = "acme:text/case@1.0.0";

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

fn ask(plugin: &Plugin, entry: &str, payload: &[u8]) -> Result<String, CallError> {
    let reply = block_on(plugin.call_response(entry, payload))?;
    assert_eq!(reply.status(), Status::Ok);
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

/// A component's file of its own, to be replaced.
fn file(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("plugin.wasm");
    fs::write(&path, bytes).unwrap();
    path
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("sandbox-{name}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_way_to_call_a_component_is_the_way_to_call_any_plugin() {
    let host = Host::new();
    let plugin = host.load("bench", Source::component(guest("bench", BARE))).unwrap();
    assert_eq!(ask(&plugin, "echo", "grüße".as_bytes()).unwrap(), "grüße");
    assert_eq!(&plugin.call_response_fast("echo", b"at once").unwrap()[..], b"at once");
    plugin.call("nothing", b"and forget").unwrap();
    let entry = plugin.entry("echo").unwrap();
    assert_eq!(&block_on(entry.call_response(b"by its number")).unwrap()[..], b"by its number");
    let soon = plugin.call_response_timeout("echo", b"in time", Duration::from_secs(5));
    assert_eq!(&block_on(soon).unwrap()[..], b"in time");

    let mut stream = plugin.call_stream("frames", b"a frame").unwrap();
    let mut frames = 0;
    while let Some(frame) = block_on(stream.recv()).unwrap() {
        frames += u32::from(frame.status() == Status::Ok && *frame == *b"a frame");
    }
    assert_eq!(frames, 60);

    let request = Request::get("/sum").header("a", "b").header("c", "d");
    let reply = block_on(plugin.request(&request)).unwrap();
    let sum: u64 = b"abcd".iter().map(|byte| u64::from(*byte)).sum();
    assert_eq!(reply[..], sum.to_le_bytes());

    let error = block_on(plugin.call_response("no such entry", b"")).unwrap_err();
    assert_eq!(error, CallError::Refused { status: Status::Unsupported });
    let metrics = plugin.metrics();
    assert_eq!((metrics.calls.calls, metrics.calls.refused, metrics.calls.in_flight), (8, 1, 0));
    host.unload("bench").unwrap();
    assert_eq!(plugin.call("nothing", b""), Err(CallError::Unloaded));
}

#[test]
fn a_component_may_be_given_as_bytes_and_says_what_it_is() {
    let host = Host::new();
    let bytes = fs::read(guest("bench", BARE)).unwrap();
    let options = LoadOptions::new().instances(Policy::Pool(2));
    let plugin = host.load_with("bytes", Source::component(&bytes[..]), options).unwrap();
    assert_eq!(ask(&plugin, "echo", b"here").unwrap(), "here");
    let about = host.about("bytes").unwrap();
    let Wall::Sandbox(sandbox) = about.wall else { panic!("{about:?}") };
    assert_eq!((sandbox.policy, sandbox.inline), (Policy::Pool(2), true));
    assert_eq!(about.sha256.unwrap().len(), 64);
    assert_eq!(about.warnings, Vec::<String>::new());
}

#[test]
fn a_reload_takes_the_new_file_and_a_broken_one_leaves_the_old_one_serving() {
    let folder = Folder::new("reload");
    let path = file(&folder.0, &fs::read(guest("bench", BARE)).unwrap());
    let host = Host::new();
    let plugin = host.load("plugin", Source::component(&path)).unwrap();
    let before = host.about("plugin").unwrap().sha256;

    fs::write(&path, b"\0asm\x0d\0\x01\0 and then nothing of use").unwrap();
    let error = host.reload("plugin").unwrap_err();
    assert!(
        matches!(
            &error,
            ReloadError::Load(LoadError::Component { source: ComponentLoadError::Inspect(_), .. })
        ),
        "{error:?}"
    );
    assert_eq!(ask(&plugin, "echo", b"the old one").unwrap(), "the old one");

    fs::write(&path, fs::read(guest("ordinary", WASI)).unwrap()).unwrap();
    host.reload("plugin").unwrap();
    assert_ne!(host.about("plugin").unwrap().sha256, before);
    assert!(!ask(&plugin, "words", b"one two one").unwrap().is_empty());
    assert_eq!(plugin.metrics().reloads, 1);
}

/// Waits until it is so.
#[track_caller]
fn eventually(what: &str, so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn a_reload_lets_calls_end_in_the_instances_that_have_them() {
    const PATIENCE: Duration = Duration::from_secs(20);
    for (policy, at_once) in [(Policy::Single, 1), (Policy::Pool(2), 2), (Policy::PerCall(2), 2)] {
        let (enters, entered) = mpsc::channel();
        let (let_go, waits) = mpsc::channel::<()>();
        let (enters, waits) = (Mutex::new(enters), Mutex::new(waits));
        let upper = move |text: &[u8]| {
            enters.lock().unwrap().send(()).unwrap();
            waits.lock().unwrap().recv_timeout(PATIENCE).expect("it is let go");
            text.to_ascii_uppercase()
        };
        let options = LoadOptions::new().instances(policy).host_function(CASE, "upper", upper);
        let host = Host::new();
        let source = Source::component(guest("crashing", BARE));
        let plugin = host.load_with("plugin", source, options).unwrap();
        thread::scope(|scope| {
            let calls = ["one", "two"].map(|text| {
                let plugin = &plugin;
                scope.spawn(move || ask(plugin, "upper", text.as_bytes()))
            });
            for _ in 0..at_once {
                entered.recv_timeout(PATIENCE).unwrap();
            }
            eventually("the other waits", || plugin.metrics().calls.in_flight == 2);
            let reload = scope.spawn(|| host.reload_with_grace("plugin", PATIENCE));
            // What comes after the switch doesn't wait for what came before it.
            eventually("the new one serves", || {
                let soon = Duration::from_millis(50);
                block_on(plugin.call_response_timeout("echo", b"new", soon)).is_ok()
            });
            assert!(!reload.is_finished(), "{policy:?}");
            assert!(calls.iter().all(|call| !call.is_finished()), "{policy:?}");
            let_go.send(()).unwrap();
            let_go.send(()).unwrap();
            assert_eq!(calls.map(|call| call.join().unwrap().unwrap()), ["ONE", "TWO"]);
            reload.join().unwrap().unwrap();
        });
        assert_eq!(ask(&plugin, "echo", b"new").unwrap(), "new");
        assert_eq!(plugin.metrics().calls.faults.instance_lost, 0, "{policy:?}");
    }
}

#[test]
fn what_a_file_is_its_first_bytes_say() {
    let folder = Folder::new("kinds");
    let host = Host::new();
    let library = folder.0.join("library.wasm");
    fs::write(&library, b"\x7fELF\x02\x01\x01\0and so on").unwrap();
    let error = host.load("library", Source::component(&library)).unwrap_err();
    assert!(matches!(&error, LoadError::NeedsTrust { name } if name == "library"), "{error:?}");
    assert!(error.to_string().contains("Source::native"), "{error}");

    let component = folder.0.join("component.so");
    fs::copy(guest("bench", BARE), &component).unwrap();
    // SAFETY: no library is loaded: the file is none.
    #[expect(unsafe_code, reason = "native code is trusted or not loaded")]
    let source = unsafe { Source::native(&component) };
    let error = host.load("component", source).unwrap_err();
    assert!(
        matches!(&error, LoadError::Native { source: NativeLoadError::NotALibrary { .. }, .. }),
        "{error:?}"
    );
    let plugin = host.load("component", Source::component(&component)).unwrap();
    assert_eq!(ask(&plugin, "echo", b"by its bytes").unwrap(), "by its bytes");
    assert_eq!(host.names(), ["component"]);
}

#[test]
fn an_inspection_says_what_a_file_asks_for_and_would_get() {
    let options = LoadOptions::new();
    let bare = inspect(guest("bench", BARE), &options).unwrap();
    assert!(matches!(&bare, Inspected::Component(component) if component.check().is_ok()));
    let report = bare.report(&options).to_string();
    assert!(report.starts_with("a plugin: a component"), "{report}");
    assert!(report.contains("nylon:ring/host@1.0.0"), "{report}");

    let granted = LoadOptions::new().grants(Grants::new().env("STAGE", "test"));
    let report = |options: &LoadOptions| {
        inspect(guest("ordinary", WASI), options).unwrap().report(options).to_string()
    };
    assert!(report(&granted).contains("STAGE"), "{}", report(&granted));
    assert!(!report(&options).contains("STAGE"), "{}", report(&options));

    let folder = Folder::new("inspect");
    let text = folder.0.join("notes.txt");
    fs::write(&text, "not a plugin").unwrap();
    assert!(matches!(inspect(&text, &options), Err(InspectError::Native(_))));
    let module = folder.0.join("module.wasm");
    fs::write(&module, b"\0asm\x01\0\0\0").unwrap();
    let error = inspect(&module, &options).unwrap_err();
    assert!(
        matches!(&error, InspectError::Component(ComponentInspectError::CoreModule)),
        "{error:?}"
    );
    assert!(matches!(inspect(folder.0.join("none"), &options), Err(InspectError::Open(_))));
    assert!(matches!(inspect(&folder.0, &options), Err(InspectError::Native(_))));
}

#[test]
fn a_grant_gives_what_it_says_and_nothing_is_given_without_one() {
    let host = Host::new();
    let path = guest("ordinary", WASI);
    let load = |name: &str, options| host.load_with(name, Source::component(&path), options);
    let bare = load("bare", LoadOptions::new()).unwrap();
    assert!(!ask(&bare, "env", b"STAGE").unwrap_or_default().contains("test"));
    let granted = LoadOptions::new().grants(Grants::new().env("STAGE", "test"));
    let granted = load("granted", granted).unwrap();
    assert!(ask(&granted, "env", b"STAGE").unwrap().contains("test"));
}

#[test]
fn the_options_limits_are_the_sandboxs() {
    let host = Host::new();
    let path = guest("bench", BARE);
    let limits = LoadOptions::new().limits(ringbox::Limits::default().answer_bytes(10));
    let plugin = host.load_with("short", Source::component(&path), limits).unwrap();
    let error = block_on(plugin.call_response("echo", b"more than ten bytes")).unwrap_err();
    assert_eq!(error, CallError::from(Fault::TooLarge { len: 19, limit: 10 }));

    let small = LoadOptions::new().wasm_limits(WasmLimits::default().memory_bytes(1));
    let error = host.load_with("small", Source::component(&path), small).unwrap_err();
    assert!(matches!(&error, LoadError::Component { .. }), "{error:?}");
}

#[test]
fn a_cache_and_a_mode_are_passed_on() {
    let host = Host::new();
    let cache = Cache::memory();
    let load = |name| {
        let options = LoadOptions::new().cache(&cache).mode(Mode::Cooperative);
        host.load_with(name, Source::component(guest("bench", BARE)), options).unwrap()
    };
    for name in ["first", "second"] {
        assert_eq!(ask(&load(name), "echo", b"from a runner").unwrap(), "from a runner");
        let Wall::Sandbox(sandbox) = host.about(name).unwrap().wall else { panic!("no sandbox") };
        assert!(!sandbox.inline);
    }
    assert_eq!((cache.stats().misses, cache.stats().hits), (1, 1));
}
