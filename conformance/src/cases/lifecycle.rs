//! How a plugin goes: unloaded, dropped, replaced, with whatever is still open.

use crate::executor::{block_on, elsewhere, eventually};
use crate::ground::{Answer, Counts, Ground, Plugin, answer, rest};
use crate::script::{Script, pattern, status};
use ringbox_ring::{CallError, Fault, Invocation, Link, Status, Switch, UnloadError};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const AT_ONCE: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(9);

fn unloaded() -> CallError {
    Fault::Unloaded.into()
}

/// Unloads on a thread of its own, so that a case may be inside the plugin or wait.
#[track_caller]
fn unload(link: Link, grace: Duration) -> Result<(), UnloadError> {
    elsewhere(move || link.unload(grace)).join()
}

/// Without grace: at once, and each caller hears why.
pub fn unloading_ends_open_calls(ground: &Ground) {
    let plugin = ground.plugin();
    let calls: Vec<_> = (0..20).map(|_| plugin.call(&Script::new().keep())).collect();
    let blocked = plugin.call(&Script::new().keep());
    let blocked = elsewhere(move || blocked.wait().map(Answer::from));
    let mut stream = plugin.stream(&Script::new().keep());
    assert_eq!(unload(plugin.link, AT_ONCE), Ok(()));
    for call in calls {
        assert_eq!(answer(call), Err(unloaded()));
    }
    assert_eq!(blocked.join(), Err(unloaded()));
    assert_eq!(rest(&mut stream), (Vec::new(), Some(unloaded())));
    assert!(unloaded().is_retryable());
    assert_eq!(plugin.link.metrics().faults.unloaded, 22);
    plugin.expect(Counts { faults: 22, ..Counts::default() });
}

/// What was answered or sent before is the caller's.
pub fn unloading_keeps_what_was_queued(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().answer(status::OK, b"before"));
    let reply = block_on(plugin.call(&Script::new().answer(status::OK, b"held"))).unwrap();
    let mut read = plugin.stream(&Script::new().keep().frames(2, 9));
    let frame = block_on(read.recv()).unwrap().unwrap();
    let mut over = plugin.stream(&Script::new().frames(2, 9).answer(status::STREAM_END, b""));
    let mut open = plugin.stream(&Script::new().keep().frames(5, 9));
    assert_eq!(unload(plugin.link, AT_ONCE), Ok(()));
    assert_eq!((&reply[..], &frame[..]), (&b"held"[..], &pattern(0, 9)[..]), "they stay lent");
    drop((reply, frame));
    let (frames, fault) = rest(&mut read);
    assert_eq!((frames.len(), fault), (1, Some(unloaded())));
    assert_eq!(answer(call), Ok(Answer::ok(*b"before")));
    let (frames, fault) = rest(&mut over);
    assert_eq!((frames.len(), fault), (3, None));
    let (frames, fault) = rest(&mut open);
    assert_eq!((frames.len(), fault), (5, Some(unloaded())));
    assert_eq!(open.send(b"data"), Err(CallError::StreamOver));
    plugin.expect(Counts { faults: 2, ..Counts::default() });
}

/// With grace: what was let in comes to its end, while nothing new is let in.
pub fn grace_lets_calls_end(ground: &Ground) {
    let plugin = ground.plugin();
    let script = Script::new().later().pump(500, 5).answer(status::STREAM_END, b"");
    let mut stream = plugin.stream(&script);
    let link = plugin.link;
    let unloading = elsewhere(move || link.unload(LONG));
    eventually("the plugin takes no more calls", || !link.is_loaded());
    assert_eq!(link.notify(&Invocation::entry("echo", b"")), Err(CallError::Unloaded));
    let (frames, fault) = rest(&mut stream);
    assert_eq!((frames.len(), fault), (501, None));
    drop(stream);
    assert_eq!(unloading.join(), Ok(()));
}

/// Grace is how long it may take, not how long it takes.
pub fn grace_ends_when_nothing_is_open(ground: &Ground) {
    let plugin = ground.plugin();
    plugin.serves();
    let start = Instant::now();
    assert_eq!(unload(plugin.link, LONG), Ok(()));
    assert!(start.elapsed() < LONG / 2);
}

/// Grace that is not enough.
pub fn grace_that_runs_out_ends_the_rest(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().keep());
    let start = Instant::now();
    let grace = Duration::from_millis(30);
    assert_eq!(unload(plugin.link, grace), Ok(()));
    assert!(start.elapsed() >= grace);
    assert_eq!(answer(call), Err(unloaded()));
    plugin.expect(Counts { faults: 1, ..Counts::default() });
}

/// Every way in is closed, to every copy of the handle.
pub fn an_unloaded_plugin_takes_nothing(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    assert!(link.is_loaded());
    assert_eq!(unload(link, AT_ONCE), Ok(()));
    assert!(!link.is_loaded());
    let echo = Invocation::entry("echo", b"");
    assert_eq!(link.call(&echo).map(drop), Err(CallError::Unloaded));
    assert_eq!(link.stream(&echo).map(drop), Err(CallError::Unloaded));
    assert_eq!(link.notify(&echo), Err(CallError::Unloaded));
    assert_eq!(link.resolve("echo"), Err(CallError::Unloaded));
    assert_eq!(link.name(), plugin.link.name());
}

/// Gone is gone.
pub fn unloading_twice_is_an_error(ground: &Ground) {
    let plugin = ground.plugin();
    assert_eq!(unload(plugin.link, AT_ONCE), Ok(()));
    assert_eq!(unload(plugin.link, LONG), Err(UnloadError::AlreadyUnloaded));
    drop(plugin.take_attached());
    assert_eq!(unload(plugin.link, AT_ONCE), Err(UnloadError::AlreadyUnloaded));
}

/// The owner's end is the plugin's life.
pub fn dropping_the_owner_unloads(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().keep());
    drop(plugin.take_attached());
    assert!(!plugin.link.is_loaded());
    assert_eq!(answer(call), Err(unloaded()));
    assert_eq!(unload(plugin.link, AT_ONCE), Err(UnloadError::AlreadyUnloaded));
    plugin.expect(Counts { faults: 1, ..Counts::default() });
}

/// A reader that waits is woken.
pub fn dropping_the_owner_ends_a_stream_that_is_read(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&Script::new().keep().frames(1, 1));
    let (first, is_read) = mpsc::channel();
    let reading = elsewhere(move || {
        assert!(block_on(stream.recv()).unwrap().is_some());
        first.send(()).unwrap();
        rest(&mut stream)
    });
    is_read.recv_timeout(LONG).unwrap();
    drop(plugin.take_attached());
    assert_eq!(reading.join(), (Vec::new(), Some(unloaded())));
    plugin.expect(Counts { faults: 1, ..Counts::default() });
}

/// Without an owner it lives until it is unloaded.
pub fn a_detached_plugin_stays(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.take_attached().detach();
    plugin.serves();
    assert_eq!(unload(link, AT_ONCE), Ok(()));
}

/// Once, after everything else, whichever way it went.
pub fn shutdown_runs_once_at_the_end(ground: &Ground) {
    let [unloaded, dropped] = [ground.plugin(), ground.plugin()];
    for plugin in [&unloaded, &dropped] {
        plugin.serves();
        assert_eq!(plugin.shutdowns(), 0);
    }
    assert_eq!(unload(unloaded.link, AT_ONCE), Ok(()));
    drop(unloaded.take_attached());
    drop(dropped.take_attached());
    for plugin in [&unloaded, &dropped] {
        assert_eq!(unload(plugin.link, AT_ONCE), Err(UnloadError::AlreadyUnloaded));
        assert_eq!(plugin.shutdowns(), 1);
    }
}

/// Loaded twice, nothing is shared.
pub fn two_loads_are_two_plugins(ground: &Ground) {
    let (one, other) = (ground.plugin(), ground.plugin());
    let start = (one.calls_seen(), other.calls_seen());
    for _ in 0..5 {
        one.serves();
    }
    assert_eq!(one.calls_seen(), start.0 + 6);
    assert_eq!(other.calls_seen(), start.1 + 1);
    assert_eq!(unload(one.link, AT_ONCE), Ok(()));
    other.serves();
}

/// New beside old, the old one goes with calls open on both.
pub fn a_reload_leaves_the_new_one_alone(ground: &Ground) {
    let old = ground.plugin();
    let on_old = [old.call(&Script::new().keep()), old.call(&Script::new().keep())];
    let new = ground.plugin();
    let on_new = new.call(&Script::new().keep());
    let mut stream = new.stream(&Script::new().keep().frames(2, 2));
    drop(old.take_attached());
    for call in on_old {
        assert_eq!(answer(call), Err(unloaded()));
    }
    new.answer(on_new.sid(), Status::Ok, b"still here");
    new.answer(stream.sid(), Status::StreamEnd, b"");
    assert_eq!(answer(on_new), Ok(Answer::ok(*b"still here")));
    let (frames, fault) = rest(&mut stream);
    assert_eq!((frames.len(), fault), (3, None));
    new.serves();
    // And again, as often as one likes: places are used again.
    for _ in 0..50 {
        let next = ground.plugin();
        next.serves();
        drop(next.take_attached());
    }
    new.serves();
    old.expect(Counts { faults: 2, ..Counts::default() });
}

/// Callers that find their plugin by a switch, and call again where they were too late, notice
/// nothing of reloads.
pub fn callers_are_switched_over_without_a_gap(ground: &Ground) {
    let first = ground.plugin();
    let switch = Arc::new(Switch::new(first.link));
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (switch, over) = (switch.clone(), over.clone());
            elsewhere(move || {
                let mut answered = 0;
                while !over.load(SeqCst) {
                    match switch.link().call(&Invocation::entry("echo", b"switched")) {
                        Ok(call) => assert_eq!(answer(call), Ok(Answer::ok(*b"switched"))),
                        Err(CallError::Unloaded) => continue,
                        Err(error) => panic!("{error}"),
                    }
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let mut old = first;
    for _ in 0..10 {
        eventually("calls reach the newest", || old.link.metrics().calls > 20);
        let new = ground.plugin();
        assert_eq!(switch.switch(new.link).name(), old.link.name());
        assert_eq!(unload(old.link, LONG), Ok(()));
        old = new;
    }
    over.store(true, SeqCst);
    let answered: u64 = callers.into_iter().map(|caller| caller.join()).sum();
    assert!(answered > 200, "{answered} calls were answered");
}

/// The one that is being replaced knows no sid of its successor's.
pub fn an_old_load_cannot_answer_for_the_new_one(ground: &Ground) {
    let (old, new) = (ground.plugin(), ground.plugin());
    let gone = old.call(&Script::new().keep());
    let sid = gone.sid();
    drop(gone);
    let call = new.call(&Script::new().keep());
    old.answer(call.sid(), Status::Err, b"from the old one");
    new.answer(sid, Status::Err, b"for a call of the old one");
    new.answer(call.sid(), Status::Ok, b"from the new one");
    assert_eq!(answer(call), Ok(Answer::ok(*b"from the new one")));
    old.expect(Counts { cancelled: 1, foreign: 1, ..Counts::default() });
    new.expect(Counts { after_end: 1, ..Counts::default() });
}

/// Each call that meets the end of its plugin is answered, or says so.
pub fn callers_race_an_unload_and_none_hangs(ground: &Ground) {
    for _ in 0..10 {
        let plugin = ground.plugin();
        let link = plugin.link;
        let callers: Vec<_> = (0..4)
            .map(|_| {
                elsewhere(move || {
                    let mut faults = 0;
                    loop {
                        let call = match link.call(&Invocation::entry("echo", b"racing")) {
                            Ok(call) => call,
                            Err(CallError::Unloaded) => return faults,
                            Err(error) => panic!("{error}"),
                        };
                        match answer(call) {
                            Ok(answer) => assert_eq!(answer, Answer::ok(*b"racing")),
                            Err(error) => {
                                assert_eq!(error, unloaded());
                                faults += 1;
                            }
                        }
                    }
                })
            })
            .collect();
        eventually("calls are made", || link.metrics().calls > 100);
        assert_eq!(unload(link, AT_ONCE), Ok(()));
        let faults = callers.into_iter().map(|caller| caller.join()).sum();
        // An answer that comes just after its call was ended is late.
        plugin.expect(Counts { faults, after_end_spare: faults, ..Counts::default() });
    }
}

/// A thread that is inside cannot wait until it is out. The plugin is closed all the same.
pub fn unloading_from_inside_is_refused(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    let open = plugin.call(&Script::new().keep());
    plugin.on_hook(move |_| format!("{:?}", link.unload(LONG)).into_bytes());
    let call = plugin.call(&Script::new().hook(b"unload").output(status::OK));
    // Its own call was ended by the unload, before the answer.
    assert_eq!(answer(call), Err(unloaded()));
    assert_eq!(answer(open), Err(unloaded()));
    assert!(!link.is_loaded());
    assert_eq!(unload(link, AT_ONCE), Ok(()));
    plugin.expect(Counts { faults: 2, after_end: 1, ..Counts::default() });
}

/// Where a plugin's hook waits until the case opens it.
struct Gate {
    arrival: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    fn new(plugin: &Plugin) -> Self {
        let (arrived, arrival) = mpsc::channel();
        let (open, opened) = mpsc::channel::<()>();
        let ends = Mutex::new((arrived, opened));
        plugin.on_hook(move |_| {
            let ends = ends.lock().expect("one hook at a time");
            let _ = ends.0.send(());
            let _ = ends.1.recv_timeout(LONG);
            Vec::new()
        });
        Self { arrival, open }
    }

    #[track_caller]
    fn until_somebody_waits(&self) {
        self.arrival.recv_timeout(LONG).expect("the plugin calls its hook");
    }

    fn open(&self) {
        self.open.send(()).expect("somebody waits");
    }
}

/// The backend is not taken from under a thread; once that has left, unloading goes through.
pub fn a_thread_that_stays_inside_is_waited_for(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    let gate = Gate::new(&plugin);
    let staying = elsewhere(move || {
        let script = Script::new().hook(b"stay").output(status::OK);
        let call = link.call(&Invocation::entry("run", &script));
        call.and_then(answer)
    });
    gate.until_somebody_waits();
    assert_eq!(unload(link, AT_ONCE), Err(UnloadError::StillInside));
    assert!(!link.is_loaded());
    assert_eq!(plugin.shutdowns(), 0);
    gate.open();
    assert_eq!(staying.join(), Err(unloaded()));
    assert_eq!(unload(link, AT_ONCE), Ok(()));
    assert_eq!(plugin.shutdowns(), 1);
    plugin.expect(Counts { faults: 1, after_end: 1, ..Counts::default() });
}

/// A thread of the plugin's that outlives it answers nobody.
pub fn an_answer_after_the_unload_is_dropped(ground: &Ground) {
    let plugin = ground.plugin();
    let gate = Gate::new(&plugin);
    let call = plugin.call(&Script::new().later().hook(b"wait").answer(status::OK, b"too late"));
    gate.until_somebody_waits();
    assert_eq!(unload(plugin.link, AT_ONCE), Ok(()));
    assert_eq!(answer(call), Err(unloaded()));
    let successor = ground.plugin();
    let waiting = successor.call(&Script::new().keep());
    gate.open();
    eventually("the answer comes", || plugin.counts().after_end == 1);
    successor.answer(waiting.sid(), Status::Ok, b"its own");
    assert_eq!(answer(waiting), Ok(Answer::ok(*b"its own")));
    plugin.expect(Counts { faults: 1, after_end: 1, ..Counts::default() });
}
