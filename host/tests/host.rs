//! The host with plugins that are part of this program: names, reloads, handles that outlive it.

use ringbox::{
    CallError, EntryId, Fault, Host, Invocation, LoadError, LoadOptions, PluginBackend, Port,
    RawStatus, Refusal, ReloadError, Request, Sid, Source, Status, Target, UnloadError,
};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// Echoes with the number of its load in front; keeps what it is told to keep.
struct Numbered {
    port: Port,
    load: u32,
    kept: Arc<Mutex<Vec<(Port, Sid)>>>,
}

impl PluginBackend for Numbered {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let answer = |bytes: &[u8]| {
            let _ = self.port.answer(sid, RawStatus::OK, bytes);
        };
        match call.target {
            // Entries are numbered differently by each load.
            Target::Entry(id) if id.as_raw() == self.load => answer(&[self.load as u8]),
            Target::Entry(_) => answer(b"a number of another load's"),
            Target::Request(request) => match (request.method, request.path) {
                ("CALL", "load") => answer(&[self.load as u8]),
                ("CALL", "keep") => self.kept.lock().expect("kept").push((self.port, sid)),
                ("CALL", _) => return Err(Refusal::Status(Status::Unsupported)),
                (method, path) => {
                    let headers: Vec<_> =
                        request.headers.iter().map(|h| format!("{}={}", h.name, h.value)).collect();
                    let body = String::from_utf8_lossy(call.payload);
                    let query = request.query;
                    answer(
                        format!("{method} {path}?{query} {} {body}", headers.join(",")).as_bytes(),
                    );
                }
            },
        }
        Ok(())
    }

    fn resolve(&self, name: &str) -> Option<EntryId> {
        (name == "load").then(|| EntryId::from_raw(self.load))
    }
}

#[derive(Clone, Default)]
struct Loads {
    count: Arc<AtomicU32>,
    kept: Arc<Mutex<Vec<(Port, Sid)>>>,
}

impl Loads {
    fn source(&self) -> Source {
        let this = self.clone();
        Source::inline(move |port| Numbered {
            port,
            load: this.count.fetch_add(1, Ordering::SeqCst),
            kept: this.kept.clone(),
        })
    }
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park_timeout(Duration::from_secs(10));
    }
}

#[test]
fn a_plugin_is_called_by_name_by_number_and_by_whole_request() {
    let (host, loads) = (Host::new(), Loads::default());
    let plugin = host.load("numbered", loads.source()).expect("loads");
    assert_eq!(&block_on(plugin.call_response("load", b"")).expect("answers")[..], [0]);
    assert_eq!(&plugin.call_response_fast("load", b"").expect("answers")[..], [0]);
    let entry = plugin.entry("load").expect("there is one");
    assert_eq!(&block_on(entry.call_response(b"")).expect("answers")[..], [0]);
    plugin.call("load", b"").expect("taken");
    let request = Request::get("/hello").query("a=1").header("host", "ö").body("body");
    let reply = block_on(plugin.request(&request)).expect("answers");
    assert_eq!(std::str::from_utf8(&reply), Ok("GET /hello?a=1 host=ö body"));
    assert_eq!(plugin.entry("nonsense").unwrap_err(), CallError::NoSuchEntry);
    assert!(host.plugin("nobody").is_none());
}

#[test]
fn a_name_is_given_once() {
    let (host, loads) = (Host::new(), Loads::default());
    host.load("one", loads.source()).expect("loads");
    let taken = host.load("one", loads.source()).unwrap_err();
    assert!(matches!(taken, LoadError::NameTaken { name } if name == "one"));
    assert_eq!(loads.count.load(Ordering::SeqCst), 1, "a plugin without a name is not made");
    host.unload("one").expect("unloads");
    host.load("one", loads.source()).expect("loads again");
    let unknown = host.unload("two").unwrap_err();
    assert_eq!(unknown, UnloadError::NotLoaded { name: "two".into() });
}

#[test]
fn of_two_loads_that_race_for_a_name_one_wins() {
    for _ in 0..50 {
        let (host, loads) = (Host::new(), Loads::default());
        let wins = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| match host.load("one", loads.source()) {
                    Ok(_) => {
                        wins.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(error) => assert!(matches!(error, LoadError::NameTaken { .. }), "{error}"),
                });
            }
        });
        assert_eq!(wins.into_inner(), 1);
        assert!(host.plugin("one").is_some());
    }
}

#[test]
fn handles_and_entries_follow_a_reload() {
    let (host, loads) = (Host::new(), Loads::default());
    let plugin = host.load("numbered", loads.source()).expect("loads");
    let entry = plugin.entry("load").expect("there is one");
    for load in 1..5u8 {
        host.reload("numbered").expect("reloads");
        assert_eq!(&block_on(plugin.call_response("load", b"")).expect("answers")[..], [load]);
        assert_eq!(&block_on(entry.call_response(b"")).expect("answers")[..], [load]);
        assert_eq!(&block_on(entry.clone().call_response(b"")).expect("answers")[..], [load]);
    }
    assert_eq!(plugin.metrics().reloads, 4);
}

#[test]
fn a_reload_that_fails_leaves_the_old_one_serving() {
    let (host, turn) = (Host::new(), Arc::new(AtomicU32::new(0)));
    let loads = Loads::default();
    let counted = turn.clone();
    let source = Source::inline(move |port| {
        assert!(counted.fetch_add(1, Ordering::SeqCst) == 0, "made once, not twice");
        Numbered { port, load: 7, kept: loads.kept.clone() }
    });
    let plugin = host.load("once", source).expect("loads");
    let failed = host.reload("once").unwrap_err();
    assert!(matches!(failed, ReloadError::Load(LoadError::Panicked { .. })), "{failed}");
    assert_eq!(&block_on(plugin.call_response("load", b"")).expect("answers")[..], [7]);
    assert_eq!(turn.load(Ordering::SeqCst), 2);
}

#[test]
fn calls_go_on_while_their_plugin_is_reloaded_and_none_is_lost() {
    let (host, loads) = (Host::new(), Loads::default());
    let plugin = host.load("numbered", loads.source()).expect("loads");
    let (answered, over) = (AtomicU64::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let entry = plugin.entry("load").expect("there is one");
                while over.load(Ordering::SeqCst) == 0 {
                    let by_name = block_on(plugin.call_response("load", b"")).expect("answered");
                    let by_number = block_on(entry.call_response(b"")).expect("answered");
                    assert!(by_name.len() == 1 && by_number.len() == 1);
                    answered.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        for reload in 0..100 {
            // Each reload has calls before it and meets others.
            while answered.load(Ordering::Relaxed) < 2 * reload {
                thread::yield_now();
            }
            host.reload("numbered").expect("reloads");
        }
        over.store(1, Ordering::SeqCst);
    });
    assert_eq!(loads.count.load(Ordering::SeqCst), 101);
}

#[test]
fn a_reload_lets_open_calls_end_within_its_grace() {
    let (host, loads) = (Host::new(), Loads::default());
    let plugin = host.load("numbered", loads.source()).expect("loads");
    let answered = thread::scope(|scope| {
        let open = scope.spawn(|| block_on(plugin.call_response("keep", b"")));
        let (port, sid) = loop {
            if let Some(kept) = loads.kept.lock().expect("kept").pop() {
                break kept;
            }
            thread::yield_now();
        };
        let reload = scope.spawn(|| host.reload_with_grace("numbered", Duration::from_secs(10)));
        // The new one serves while the old one still owes an answer.
        while block_on(plugin.call_response("load", b"")).expect("answers")[..] != [1] {
            thread::yield_now();
        }
        let _ = port.answer(sid, RawStatus::OK, b"at last");
        reload.join().expect("no panic").expect("reloads");
        open.join().expect("no panic")
    });
    assert_eq!(&answered.expect("answered")[..], b"at last");
}

#[test]
fn a_pinned_plugin_stays() {
    let (host, loads) = (Host::new(), Loads::default());
    let options = LoadOptions::new().pinned();
    let plugin = host.load_with("pinned", loads.source(), options).expect("loads");
    assert_eq!(host.unload("pinned"), Err(UnloadError::Pinned { name: "pinned".into() }));
    assert!(matches!(host.reload("pinned"), Err(ReloadError::Unload(UnloadError::Pinned { .. }))));
    assert!(host.reload_all().is_empty());
    assert_eq!(&block_on(plugin.call_response("load", b"")).expect("answers")[..], [0]);
    assert!(host.drain(Duration::ZERO).is_empty());
    assert_eq!(block_on(plugin.call_response("load", b"")).unwrap_err(), CallError::Unloaded);
}

#[test]
fn handles_outlive_their_host_and_open_calls_end_with_it() {
    let (host, loads) = (Host::new(), Loads::default());
    let plugin = host.load("numbered", loads.source()).expect("loads");
    let clone = host.clone();
    drop(host);
    assert!(clone.plugin("numbered").is_some(), "a clone keeps the plugins");
    let error = thread::scope(|scope| {
        let open = scope.spawn(|| block_on(plugin.call_response("keep", b"")));
        while loads.kept.lock().expect("kept").is_empty() {
            thread::yield_now();
        }
        drop(clone);
        open.join().expect("no panic").unwrap_err()
    });
    assert_eq!(error.fault(), Some(&Fault::Unloaded));
    assert_eq!(plugin.call("load", b""), Err(CallError::Unloaded));
}

#[test]
fn metrics_are_kept_for_each_plugin() {
    let (host, loads) = (Host::new(), Loads::default());
    let plugin = host.load("a", loads.source()).expect("loads");
    host.load("b", loads.source()).expect("loads");
    for _ in 0..200 {
        let _ = block_on(plugin.call_response("load", b"four")).expect("answers");
    }
    let metrics = host.metrics();
    let (a, b) = (metrics.plugin("a").expect("a"), metrics.plugin("b").expect("b"));
    assert_eq!((a.calls.calls, a.calls.finished, a.calls.in_flight), (200, 200, 0));
    assert_eq!((a.calls.bytes_in, a.calls.bytes_out), (800, 200));
    assert_eq!(b.calls.calls, 0);
    assert!((3..=4).contains(&a.latency.samples()), "{}", a.latency.samples());
    assert!(a.latency.quantile(0.5).is_some());
}

#[test]
fn unloading_from_inside_the_plugin_says_so() {
    struct Suicidal(Port, Host);
    impl PluginBackend for Suicidal {
        fn dispatch(&self, sid: Sid, _: &Invocation<'_>) -> Result<(), Refusal> {
            let error = self.1.unload("suicidal").unwrap_err().to_string();
            let _ = self.0.answer(sid, RawStatus::OK, error.as_bytes());
            Ok(())
        }
    }
    let host = Host::new();
    let inner = host.clone();
    let source = Source::inline(move |port| Suicidal(port, inner.clone()));
    let plugin = host.load("suicidal", source).expect("loads");
    let error = block_on(plugin.call_response("x", b"")).unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::Unloaded), "its calls end all the same");
    host.unload("suicidal").expect("unloads from outside");
    assert!(host.plugin("suicidal").is_none());
}

#[test]
fn a_plugin_may_look_at_itself_while_it_is_reloaded() {
    let (host, loads) = (Host::new(), Loads::default());
    let (inner, seen) = (host.clone(), Arc::new(AtomicU32::new(0)));
    let looks = seen.clone();
    let source = Source::inline(move |port| {
        // None at the first load: it has no name yet.
        looks.fetch_add(u32::from(inner.about("looks").is_some()), Ordering::SeqCst);
        Numbered { port, load: 0, kept: loads.kept.clone() }
    });
    host.load("looks", source).expect("loads");
    host.reload("looks").expect("reloads");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    host.unload("looks").expect("unloads");
}
