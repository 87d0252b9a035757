//! The host with plugins that are part of this program: names, reloads, handles that outlive it.

use ringbox::{
    CallError, EntryId, Fault, Host, Invocation, Limits, LoadError, LoadOptions, PluginBackend,
    Port, RawStatus, Refusal, ReloadError, Request, Sid, Source, Status, Target, UnloadError,
};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

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
                ("CALL", _) => return Err(Refusal::new(Status::Unsupported)),
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
    let request = Request::new("PATCH", "/").header("b", "1").header("a", "2").header("b", "3");
    let reply = block_on(plugin.request(&request)).expect("answers");
    assert_eq!(std::str::from_utf8(&reply), Ok("PATCH /? b=1,a=2,b=3 "), "in order, twice too");
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
        // By now the old one is being unloaded, or will be in a moment. Were there no grace, the call
        // would not be open for so long.
        let replaced = Instant::now();
        while replaced.elapsed() < Duration::from_millis(100) && !open.is_finished() {
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
    let closed = host.reload("suicidal").unwrap_err();
    assert!(
        matches!(closed, ReloadError::Unload(UnloadError::NotLoaded { .. })),
        "what is half unloaded is not brought back: {closed}"
    );
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

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_name_is_taken_while_its_plugin_is_being_loaded() {
    let (host, loads) = (Host::new(), Loads::default());
    let (inner, other) = (host.clone(), loads.clone());
    let source = Source::inline(move |port| {
        let second = inner.load("one", other.source()).unwrap_err();
        assert!(matches!(second, LoadError::NameTaken { .. }), "{second}");
        assert!(inner.plugin("one").is_none() && inner.names().is_empty(), "it is not there yet");
        let unknown = inner.unload("one").unwrap_err();
        assert_eq!(unknown, UnloadError::NotLoaded { name: "one".into() });
        Numbered { port, load: 9, kept: other.kept.clone() }
    });
    let plugin = host.load("one", source).expect("loads");
    assert_eq!(&plugin.call_response_fast("load", b"").expect("answers")[..], [9]);
    assert_eq!(loads.count.load(Ordering::SeqCst), 0);
}

#[test]
fn a_load_that_fails_gives_its_name_up() {
    struct Never;
    impl PluginBackend for Never {
        fn dispatch(&self, _: Sid, _: &Invocation<'_>) -> Result<(), Refusal> {
            Ok(())
        }
    }
    let (host, loads) = (Host::new(), Loads::default());
    let panics = Source::inline(|_| -> Never { panic!("it is not made") });
    let failed = host.load("one", panics).unwrap_err();
    assert!(matches!(failed, LoadError::Panicked { .. }), "{failed}");
    let limits = Limits::default().stream_frames(0);
    let impossible = LoadOptions::new().limits(limits);
    let failed = host.load_with("one", loads.source(), impossible).unwrap_err();
    assert!(matches!(failed, LoadError::Link { .. }), "{failed}");
    host.load("one", loads.source()).expect("the name is free");
}

#[test]
fn names_and_metrics_are_sorted() {
    let (host, loads) = (Host::new(), Loads::default());
    let names: Vec<_> = (0..40).map(|n| format!("{n:02}")).collect();
    for name in names.iter().rev() {
        host.load(name, loads.source()).expect("loads");
    }
    assert_eq!(host.names(), names);
    let metrics = host.metrics();
    assert!(metrics.plugins.iter().map(|plugin| &plugin.name).eq(&names));
}

#[test]
fn a_reload_or_an_unload_within_another_is_refused_at_once() {
    let (host, loads) = (Host::new(), Loads::default());
    let inner = host.clone();
    let source = Source::inline(move |port| {
        let load = loads.count.fetch_add(1, Ordering::SeqCst);
        if load > 0 {
            let busy = UnloadError::Busy { name: "busy".into() };
            assert_eq!(inner.unload("busy"), Err(busy.clone()));
            let again = inner.reload("busy").unwrap_err();
            assert!(matches!(again, ReloadError::Unload(error) if error == busy));
        }
        Numbered { port, load, kept: loads.kept.clone() }
    });
    let plugin = host.load("busy", source).expect("loads");
    host.reload("busy").expect("reloads");
    assert_eq!(&plugin.call_response_fast("load", b"").expect("answers")[..], [1]);
    host.unload("busy").expect("nobody is at it any more");
}

/// Calls that are kept, each on a thread of its own.
fn keep<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    plugin: &'scope ringbox::Plugin,
) -> thread::ScopedJoinHandle<'scope, Result<Vec<u8>, CallError>> {
    let before = plugin.metrics().calls.in_flight;
    let open =
        scope.spawn(|| block_on(plugin.call_response("keep", b"")).map(ringbox::Reply::into_vec));
    while plugin.metrics().calls.in_flight == before {
        thread::yield_now();
    }
    open
}

/// Answers the oldest kept call as soon as its plugin takes no more calls.
fn answer_once_closed(loads: &Loads, is_closed: impl Fn() -> bool) {
    while !is_closed() {
        thread::yield_now();
    }
    let (port, sid) = loop {
        if let Some(kept) = loads.kept.lock().expect("kept").pop() {
            break kept;
        }
        thread::yield_now();
    };
    // Without grace the call has its end by now.
    thread::sleep(Duration::from_millis(30));
    let _ = port.answer(sid, RawStatus::OK, b"at last");
}

#[test]
fn an_unload_with_grace_lets_open_calls_end_and_no_others_begin() {
    let (host, loads) = (Host::new(), Loads::default());
    let plugin = host.load("numbered", loads.source()).expect("loads");
    thread::scope(|scope| {
        let open = keep(scope, &plugin);
        let unload = scope.spawn(|| host.unload_with_grace("numbered", LONG));
        answer_once_closed(&loads, || plugin.call("load", b"") == Err(CallError::Unloaded));
        assert_eq!(open.join().expect("no panic"), Ok(b"at last".to_vec()));
        assert_eq!(unload.join().expect("no panic"), Ok(()));
    });
    assert!(host.plugin("numbered").is_none());
}

#[test]
fn a_reload_has_the_grace_of_its_options_unless_it_is_given_one() {
    let (host, loads) = (Host::new(), Loads::default());
    let options = |grace| LoadOptions::new().grace(grace);
    let patient = host.load_with("patient", loads.source(), options(LONG)).expect("loads");
    let hasty_loads = Loads::default();
    let hasty =
        host.load_with("hasty", hasty_loads.source(), options(Duration::ZERO)).expect("loads");
    thread::scope(|scope| {
        for all in [false, true] {
            let open = keep(scope, &patient);
            let first = loads.count.load(Ordering::SeqCst);
            let host = host.clone();
            let reload = scope.spawn(move || match all {
                true => host.reload_all().is_empty(),
                false => host.reload("patient").is_ok(),
            });
            answer_once_closed(&loads, || {
                let reply = patient.call_response_fast("load", b"").expect("one serves");
                u32::from(reply[0]) == first
            });
            assert_eq!(open.join().expect("no panic"), Ok(b"at last".to_vec()));
            assert!(reload.join().expect("no panic"));
        }
        let open = keep(scope, &hasty);
        let start = Instant::now();
        host.reload("hasty").expect("reloads");
        let ended = open.join().expect("no panic").unwrap_err();
        assert_eq!(ended.fault(), Some(&Fault::Unloaded));
        let open = keep(scope, &patient);
        host.reload_with_grace("patient", Duration::ZERO).expect("reloads");
        let ended = open.join().expect("no panic").unwrap_err();
        assert_eq!(ended.fault(), Some(&Fault::Unloaded));
        assert!(start.elapsed() < LONG / 2);
    });
}

#[test]
fn draining_gives_all_plugins_one_grace_together() {
    let host = Host::new();
    let plugins: Vec<_> = (0..8)
        .map(|n| host.load(&n.to_string(), Loads::default().source()).expect("loads"))
        .collect();
    thread::scope(|scope| {
        let open: Vec<_> = plugins.iter().map(|plugin| keep(scope, plugin)).collect();
        let start = Instant::now();
        assert!(host.drain(Duration::from_millis(500)).is_empty());
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(500), "{took:?}");
        assert!(took < Duration::from_secs(3), "eight graces are four seconds: {took:?}");
        for open in open {
            let ended = open.join().expect("no panic").unwrap_err();
            assert_eq!(ended.fault(), Some(&Fault::Unloaded));
        }
    });
    assert!(host.names().is_empty());
}

#[test]
fn draining_leaves_a_plugin_that_was_loaded_meanwhile() {
    /// Replaces another plugin when it is shut down.
    struct Replaces(Host, Loads);
    impl PluginBackend for Replaces {
        fn dispatch(&self, _: Sid, _: &Invocation<'_>) -> Result<(), Refusal> {
            Ok(())
        }
        fn shutdown(&self) {
            self.0.unload("b").expect("unloads");
            self.0.load("b", self.1.source()).expect("loads");
        }
    }
    let (host, loads) = (Host::new(), Loads::default());
    let (inner, others) = (host.clone(), loads.clone());
    host.load("a", Source::inline(move |_| Replaces(inner.clone(), others.clone())))
        .expect("loads");
    host.load("b", loads.source()).expect("loads");
    assert!(host.drain(Duration::ZERO).is_empty());
    assert_eq!(host.names(), ["b"], "the name is another plugin's now");
    let plugin = host.plugin("b").expect("it is there");
    assert_eq!(&plugin.call_response_fast("load", b"").expect("answers")[..], [1]);
}

#[test]
fn reloading_all_tries_all_and_names_those_that_failed() {
    let (host, loads) = (Host::new(), Loads::default());
    let others = loads.clone();
    let once = AtomicU32::new(0);
    let fails = Source::inline(move |port| {
        assert_eq!(once.fetch_add(1, Ordering::SeqCst), 0, "made once, not twice");
        Numbered { port, load: 7, kept: others.kept.clone() }
    });
    host.load("b", fails).expect("loads");
    for name in ["a", "c"] {
        host.load(name, loads.source()).expect("loads");
    }
    let failed = host.reload_all();
    let [(name, error)] = &failed[..] else { panic!("one fails: {failed:?}") };
    assert_eq!(name, "b");
    assert!(matches!(error, ReloadError::Load(LoadError::Panicked { .. })), "{error}");
    let reloads = host.metrics().plugins.iter().map(|plugin| plugin.reloads).collect::<Vec<_>>();
    assert_eq!(reloads, [1, 0, 1]);
}

#[test]
fn an_answer_that_is_not_there_at_once_is_an_error_of_its_own() {
    let (host, loads) = (Host::new(), Loads::default());
    let limits = Limits::default().deadline(Duration::from_secs(1));
    let options = LoadOptions::new().limits(limits);
    let plugin = host.load_with("numbered", loads.source(), options).expect("loads");
    let late = plugin.call_response_fast("keep", b"").unwrap_err();
    assert_eq!(late, CallError::NotImmediate);
    let metrics = plugin.metrics().calls;
    assert_eq!((metrics.in_flight, metrics.cancelled), (0, 1), "and the call is left");
    let refused = plugin.call_response_fast("nonsense", b"").unwrap_err();
    assert_eq!(refused, CallError::Refused { status: Status::Unsupported });
}

#[test]
fn a_timeout_is_the_one_that_was_given() {
    struct Silent;
    impl PluginBackend for Silent {
        fn dispatch(&self, _: Sid, _: &Invocation<'_>) -> Result<(), Refusal> {
            Ok(())
        }
        fn resolve(&self, _: &str) -> Option<EntryId> {
            Some(EntryId::from_raw(0))
        }
    }
    let host = Host::new();
    let limits = Limits::default().deadline(Duration::from_millis(30));
    let options = LoadOptions::new().limits(limits);
    let plugin = host.load_with("silent", Source::inline(|_| Silent), options).expect("loads");
    assert_eq!(plugin.limits(), limits);
    let entry = plugin.entry("x").expect("there is one");
    let request = Request::get("/");
    let soon = Duration::from_millis(20);
    let timed = [
        block_on(plugin.call_response_timeout("x", b"", soon)).map(drop),
        block_on(plugin.request_timeout(&request, soon)).map(drop),
        block_on(entry.call_response_timeout(b"", soon)).map(drop),
    ];
    let after = |after| Err(Fault::Deadline { after }.into());
    assert_eq!(timed, [after(soon), after(soon), after(soon)]);
    let untimed = [
        block_on(plugin.call_response("x", b"")).map(drop),
        block_on(plugin.request(&request)).map(drop),
        block_on(entry.call_response(b"")).map(drop),
    ];
    assert_eq!(untimed, [0; 3].map(|_| after(limits.deadline)), "else the options' holds");
}

#[test]
fn faults_are_counted_for_each_plugin_by_their_cause() {
    struct Faulty(Port);
    impl PluginBackend for Faulty {
        fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
            let _ = match call.payload {
                b"large" => self.0.answer(sid, RawStatus::OK, &[0; 11]),
                b"status" => self.0.answer(sid, RawStatus::STREAM_END, b""),
                _ => return Ok(()),
            };
            Ok(())
        }
    }
    let host = Host::new();
    let options = LoadOptions::new().limits(Limits::default().answer_bytes(10));
    let plugin = host.load_with("faulty", Source::inline(Faulty), options).expect("loads");
    let other = host.load("other", Source::inline(Faulty)).expect("loads");
    for (payload, times) in [(&b"large"[..], 1), (b"status", 2), (b"", 3)] {
        for _ in 0..times {
            let soon = Duration::from_millis(1);
            let ended = block_on(plugin.call_response_timeout("x", payload, soon)).unwrap_err();
            assert!(ended.fault().is_some(), "{ended}");
        }
    }
    let faults = plugin.metrics().calls.faults;
    assert_eq!((faults.too_large, faults.bad_status, faults.deadline), (1, 2, 3), "{faults:?}");
    assert_eq!(faults.total(), 6, "{faults:?}");
    assert_eq!(other.metrics().calls.faults.total(), 0);
}

#[test]
fn an_entry_whose_plugin_is_reloaded_while_it_is_looked_up_reaches_the_new_one() {
    /// Has itself reloaded while its entry is looked up, which closes it.
    struct Hasty(Port, Host, u32);
    impl PluginBackend for Hasty {
        fn dispatch(&self, sid: Sid, _: &Invocation<'_>) -> Result<(), Refusal> {
            let _ = self.0.answer(sid, RawStatus::OK, &[self.2 as u8]);
            Ok(())
        }
        fn resolve(&self, _: &str) -> Option<EntryId> {
            if self.2 == 1 {
                self.1.reload("hasty").expect("reloads");
            }
            Some(EntryId::from_raw(self.2))
        }
    }
    let (host, loads) = (Host::new(), Loads::default());
    let inner = host.clone();
    let source = Source::inline(move |port| {
        Hasty(port, inner.clone(), loads.count.fetch_add(1, Ordering::SeqCst))
    });
    let plugin = host.load("hasty", source).expect("loads");
    let entry = plugin.entry("x").expect("there is one");
    host.reload("hasty").expect("reloads");
    assert_eq!(&entry.call_response_fast(b"").expect("answers")[..], [2]);
}
