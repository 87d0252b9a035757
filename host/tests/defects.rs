//! What brought another host down or left its callers hanging, from safe code, and what happens
//! here. The plugin is a shared library that does each of these on request.

#![expect(unsafe_code, reason = "the library is built from a source in this folder")]

use ringbox::{CallError, Fault, Host, Limits, LoadOptions, Plugin, Reply, Sid, Source, Status};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// The library, built once.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let library = scratch().join("libdefects.so");
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
        let status = Command::new(rustc)
            .args(["--edition", "2024", "--crate-type", "cdylib", "-C", "opt-level=1", "-o"])
            .arg(&library)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/defects.rs"))
            .status()
            .expect("rustc runs");
        assert!(status.success(), "the plugin does not compile");
        library
    })
}

/// A folder of this call's own.
fn scratch() -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("defects-{}-{number}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}

fn source(path: &Path) -> Source {
    // SAFETY: the library is built from `fixtures/defects.rs`, which keeps the ABI's contract but
    // for what the host has to withstand.
    unsafe { Source::native(path) }
}

fn load(host: &Host, name: &str) -> Plugin {
    host.load(name, source(library())).expect("the plugin loads")
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[track_caller]
fn block_on<F: Future>(future: F) -> F::Output {
    let (mut future, start) = (pin!(future), Instant::now());
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park_timeout(Duration::from_secs(1));
        assert!(start.elapsed() < Duration::from_secs(60), "this hangs");
    }
}

#[track_caller]
fn ask(plugin: &Plugin, entry: &str, payload: &[u8]) -> Vec<u8> {
    block_on(plugin.call_response(entry, payload)).map(Reply::into_vec).expect("it answers")
}

#[track_caller]
fn count(plugin: &Plugin) -> u64 {
    u64::from_le_bytes(ask(plugin, "count", b"")[..].try_into().expect("eight bytes"))
}

fn number(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}

/// A call that its plugin keeps, on a thread of its own.
fn keep(plugin: &Plugin) -> thread::JoinHandle<Result<Vec<u8>, CallError>> {
    let waiting = plugin.metrics().calls.in_flight + 1;
    let caller = plugin.clone();
    let call =
        thread::spawn(move || block_on(caller.call_response("keep", b"")).map(Reply::into_vec));
    while plugin.metrics().calls.in_flight < waiting {
        thread::yield_now();
    }
    call
}

#[test]
fn defect_01_a_pinned_plugin_is_called_after_its_host_is_gone() {
    let host = Host::new();
    let options = LoadOptions::new().pinned();
    let plugin = host.load_with("pinned", source(library()), options).expect("loads");
    drop(host);
    assert_eq!(block_on(plugin.call_response("echo", b"x")).unwrap_err(), CallError::Unloaded);
}

#[test]
fn defect_02_a_host_is_dropped_while_an_answer_is_pending() {
    let host = Host::new();
    let plugin = load(&host, "pending");
    let pending = keep(&plugin);
    // The plugin's own thread answers when everything is gone.
    let slow = plugin.clone();
    let slow = thread::spawn(move || block_on(slow.call_response("slow", &number(200))).map(drop));
    while plugin.metrics().calls.in_flight < 2 {
        thread::yield_now();
    }
    drop(host);
    for ended in [pending.join().expect("no panic").map(drop), slow.join().expect("no panic")] {
        assert_eq!(ended.unwrap_err().fault(), Some(&Fault::Unloaded));
    }
    thread::sleep(Duration::from_millis(300));
}

/// There, a map of the ABI's freed its keys twice. Here the ABI has no map: what a plugin keeps
/// with a call is the host's, and this is the same sequence on it.
#[test]
fn defect_03_eight_keys_one_removed_and_one_added() {
    use ringbox::{Invocation, PluginBackend, Port, RawStatus, Refusal};
    struct Keeps(Port);
    impl PluginBackend for Keeps {
        fn dispatch(&self, sid: Sid, _: &Invocation<'_>) -> Result<(), Refusal> {
            let keys: Vec<String> = (0..8).map(|n| format!("key {n}")).collect();
            for key in &keys {
                self.0.set_state(sid, key, key.as_bytes()).expect("kept");
            }
            self.0.set_state(sid, &keys[3], b"").expect("emptied");
            self.0.set_state(sid, "key 8", b"key 8").expect("kept");
            let whole =
                keys.iter().filter(|key| self.0.state(sid, key).as_deref() == Some(key.as_bytes()));
            let whole = whole.count() as u8;
            let _ = self.0.answer(sid, RawStatus::OK, &[whole]);
            Ok(())
        }
    }
    let host = Host::new();
    let plugin = host.load("keeps", Source::inline(Keeps)).expect("loads");
    assert_eq!(ask(&plugin, "x", b""), [7]);
}

#[test]
fn defect_04_the_same_file_is_reloaded_and_its_new_instance_works() {
    let host = Host::new();
    let plugin = load(&host, "same");
    assert_eq!((count(&plugin), count(&plugin)), (1, 2));
    host.reload("same").expect("reloads");
    assert_eq!((count(&plugin), count(&plugin)), (1, 2), "globals of its own");
    assert_eq!(ask(&plugin, "echo", b"works"), b"works");
}

#[test]
fn defect_05_after_a_reload_with_grace_the_new_instance_outlives_the_old() {
    let host = Host::new();
    let plugin = load(&host, "graceful");
    let open = keep(&plugin);
    let reloading = {
        let host = host.clone();
        thread::spawn(move || host.reload_with_grace("graceful", Duration::from_millis(300)))
    };
    reloading.join().expect("no panic").expect("reloads");
    assert_eq!(open.join().expect("no panic").unwrap_err().fault(), Some(&Fault::Unloaded));
    assert_eq!(ask(&plugin, "echo", b"alive"), b"alive");
}

#[test]
fn defect_06_a_replaced_file_is_what_a_reload_gets() {
    let host = Host::new();
    let path = scratch().join("libreplaced.so");
    let one = std::fs::read(library()).expect("the library");
    std::fs::write(&path, &one).expect("a copy");
    let plugin = host.load("replaced", source(&path)).expect("loads");
    assert_eq!(ask(&plugin, "image", b""), b"IMAGE-ONE");
    let mut two = one;
    let at = two.windows(9).position(|bytes| bytes == b"IMAGE-ONE").expect("the image's name");
    two[at..at + 9].copy_from_slice(b"IMAGE-TWO");
    // As an operator would: beside it, then in its place.
    let beside = path.with_extension("new");
    std::fs::write(&beside, &two).expect("the new file");
    std::fs::rename(&beside, &path).expect("put in place");
    host.reload("replaced").expect("reloads");
    assert_eq!(ask(&plugin, "image", b""), b"IMAGE-TWO");
}

#[test]
fn defect_07_two_hosts_load_one_file_and_share_nothing() {
    let (a, b) = (Host::new(), Host::new());
    let (first, second) = (load(&a, "one file"), load(&b, "one file"));
    assert_eq!((count(&first), count(&first), count(&second)), (1, 2, 1));
    drop(a);
    assert_eq!(count(&second), 2, "the other host's end is not this one's");
}

#[test]
fn defect_08_a_plugin_cannot_answer_anothers_call() {
    let host = Host::new();
    let (victim, forger) = (load(&host, "victim"), load(&host, "forger"));
    let pending = keep(&victim);
    // Every sid that the victim's call could have.
    let sid = u64::from_le_bytes(ask(&victim, "sid", b"")[..].try_into().expect("a sid"));
    let generation = sid >> 20;
    for index in 0..1024 {
        for generation in 1..=generation.min(16) {
            ask(&forger, "forge", &number(generation << 20 | index));
        }
    }
    ask(&victim, "release", b"its own");
    assert_eq!(pending.join().expect("no panic"), Ok(b"its own".to_vec()));
    assert!(forger.metrics().calls.foreign > 0, "{:?}", forger.metrics().calls);
}

#[test]
fn defect_09_a_huge_buffer_is_refused() {
    let host = Host::new();
    let plugin = load(&host, "greedy");
    for bytes in [1 << 40, u64::MAX, i64::MAX as u64] {
        assert_eq!(ask(&plugin, "a huge buffer", &number(bytes)), [0]);
    }
    assert_eq!(ask(&plugin, "a huge buffer", &number(4096)), [1]);
}

#[test]
fn defect_10_a_null_pointer_with_a_length_is_a_fault_of_its_call() {
    let host = Host::new();
    let plugin = load(&host, "null");
    for entry in ["null", "endless"] {
        let error = block_on(plugin.call_response(entry, b"x")).unwrap_err();
        let fault = error.fault().expect("a fault");
        assert!(matches!(fault, Fault::BadView(_) | Fault::TooLarge { .. }), "{entry}: {fault}");
    }
    assert_eq!(ask(&plugin, "echo", b"still here"), b"still here");
}

#[test]
fn defect_11_the_end_of_a_full_stream_arrives() {
    let host = Host::new();
    let plugin = load(&host, "full");
    let mut stream = plugin.call_stream("full then end", b"").expect("taken");
    block_on(async {
        for frame in 0..64u8 {
            let got = stream.recv().await.expect("no fault").expect("a frame");
            assert_eq!((&got[..], got.status()), (&[frame][..], Status::Ok));
        }
        let end = stream.recv().await.expect("no fault").expect("the end").status();
        assert_eq!(end, Status::StreamEnd);
        assert!(stream.recv().await.expect("no fault").is_none());
    });
}

#[test]
fn defect_12_nothing_follows_the_end_and_no_second_answer_replaces_the_first() {
    let host = Host::new();
    let plugin = load(&host, "twice");
    let mut stream = plugin.call_stream("frames after the end", b"").expect("taken");
    let statuses = block_on(async {
        let mut statuses = Vec::new();
        while let Some(frame) = stream.recv().await.expect("no fault") {
            statuses.push(frame.status());
        }
        statuses
    });
    assert_eq!(statuses, [Status::Ok, Status::StreamEnd]);
    assert_eq!(ask(&plugin, "twice", b""), b"first");
    assert_eq!(plugin.metrics().calls.double, 2);
}

#[test]
fn defect_13_a_waker_may_look_at_the_host() {
    struct Looks(Host, Mutex<Vec<usize>>);
    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            let metrics = self.0.metrics();
            self.0.plugin("looked at").expect("it is loaded").call("count", b"").expect("taken");
            self.1.lock().expect("looks").push(metrics.plugins.len());
        }
    }
    let host = Host::new();
    let plugin = load(&host, "looked at");
    let looks = Arc::new(Looks(host.clone(), Mutex::default()));
    let waker = Waker::from(looks.clone());
    let mut call = Box::pin(plugin.call_response("keep", b""));
    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    ask(&plugin, "release", b"woken");
    assert_eq!(*looks.1.lock().expect("looks"), [1]);
    assert_eq!(&block_on(call).expect("answered")[..], b"woken");
}

/// There, an async handler that panicked after its first await left its caller hanging. Here a
/// call whose worker is gone without a word ends by its deadline.
#[test]
fn defect_14_a_worker_that_dies_does_not_keep_its_caller() {
    let host = Host::new();
    let plugin = load(&host, "dies");
    let soon = Duration::from_millis(100);
    let error = block_on(plugin.call_response_timeout("worker dies", b"", soon)).unwrap_err();
    assert!(error.is_deadline(), "{error}");
    let options = LoadOptions::new().limits(Limits::default().deadline(soon));
    let plugin = host.load_with("dies too", source(library()), options).expect("loads");
    let error = block_on(plugin.call_response("worker dies", b"")).unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::Deadline { after: soon }));
}

#[test]
fn defect_15_buffers_that_are_never_given_back_are_bounded() {
    let host = Host::new();
    let plugin = load(&host, "hoarder");
    let taken = u64::from_le_bytes(ask(&plugin, "hoard", &number(5000))[..].try_into().expect("n"));
    assert!((1..=256).contains(&taken), "{taken} MiB were taken");
    assert_eq!(ask(&plugin, "hoard", &number(1)), number(0), "and no more are given");
    let about = host.about("hoarder").expect("it is loaded");
    assert_eq!(about.leases, Some(taken), "{about:?}");
}

#[test]
fn defect_16_a_timeout_needs_no_runtime() {
    let host = Host::new();
    let plugin = load(&host, "timeout");
    let after = Duration::from_millis(50);
    let error = block_on(plugin.call_response_timeout("keep", b"", after)).unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::Deadline { after }));
}

#[test]
fn defect_17_a_plugin_that_still_works_is_not_unmapped() {
    let host = Host::new();
    let options = LoadOptions::new().unmap();
    let plugin = host.load_with("busy", source(library()), options).expect("loads");
    let inside = {
        let plugin = plugin.clone();
        thread::spawn(move || block_on(plugin.call_response("busy", &number(1500))).map(drop))
    };
    while plugin.metrics().calls.in_flight == 0 {
        thread::yield_now();
    }
    // Grace is over long before the plugin's code has returned.
    let error = host.unload_with_grace("busy", Duration::from_millis(10)).unwrap_err();
    assert!(matches!(error, ringbox::UnloadError::Ring { .. }), "{error}");
    assert_eq!(inside.join().expect("no panic").unwrap_err().fault(), Some(&Fault::Unloaded));
    host.unload("busy").expect("it has returned");
    assert!(host.plugin("busy").is_none());
}

#[test]
fn calls_in_flight_may_be_dropped_with_their_plugin() {
    let host = Host::new();
    let plugin = load(&host, "dropped");
    let mut call = Box::pin(plugin.call_response("keep", b""));
    let polled = Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    host.unload("dropped").expect("unloads");
    drop(call);
}
