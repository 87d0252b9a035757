//! What plugins, wakers and owners of bytes may do that a polite one would not: whatever it is, it
//! costs their own calls and nobody else's.

use ringbox_ring::*;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::ZERO;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A plugin that does in dispatch what its test wants, and echoes data as frames.
struct Plugin<F> {
    port: Port,
    body: F,
    shutdowns: Arc<AtomicUsize>,
}

impl<F: Fn(Port, Sid, &[u8]) + Send + Sync + 'static> PluginBackend for Plugin<F> {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        (self.body)(self.port, sid, call.payload);
        Ok(())
    }

    fn stream_data(&self, sid: Sid, data: &[u8]) -> Result<(), CallError> {
        let _ = self.port.answer(sid, RawStatus::OK, data);
        Ok(())
    }

    fn stream_close(&self, sid: Sid) -> Result<(), CallError> {
        let _ = self.port.answer(sid, RawStatus::STREAM_END, b"closed");
        Ok(())
    }

    fn shutdown(&self) {
        self.shutdowns.fetch_add(1, SeqCst);
    }
}

/// A plugin that refuses calls of its entries, each for a reason of its own.
struct Refuses;

impl PluginBackend for Refuses {
    fn dispatch(&self, _: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let Target::Entry(entry) = call.target else { return Ok(()) };
        Err(match entry.as_raw() {
            0 => CallError::QueueFull.into(),
            number => Refusal::from_raw(RawStatus(number)),
        })
    }
}

#[test]
fn a_refusal_of_a_call_by_number_is_the_backends_own() {
    let link = Opening::new("refuses", Limits::default()).unwrap().attach(Refuses).detach();
    let refused = |number| {
        let entry = EntryId::from_raw(number);
        link.notify(Numbered { entry, payload: b"" })
    };
    let status = |number| CallError::Refused { status: RawStatus(number).meaning() };
    assert_eq!(refused(0), Err(CallError::QueueFull));
    for number in [1, 77, u32::MAX, 77] {
        assert_eq!(refused(number), Err(status(number)));
    }
    let call = link.call(Numbered { entry: EntryId::from_raw(0), payload: b"" });
    assert_eq!(call.err(), Some(CallError::QueueFull));
    assert_eq!(link.unload(AT_ONCE), Ok(()));
}

struct Loaded {
    link: Link,
    port: Port,
    shutdowns: Arc<AtomicUsize>,
}

fn load(limits: Limits, body: impl Fn(Port, Sid, &[u8]) + Send + Sync + 'static) -> Loaded {
    let opening = Opening::new("hostile", limits).unwrap();
    let (port, shutdowns) = (opening.port(), Arc::<AtomicUsize>::default());
    let link = opening.attach(Plugin { port, body, shutdowns: shutdowns.clone() }).detach();
    Loaded { link, port, shutdowns }
}

/// A plugin that never answers by itself.
fn silent() -> Loaded {
    load(Limits::default(), |_, _, _| {})
}

impl Loaded {
    fn call(&self) -> Call {
        call(self.link)
    }

    fn stream(&self) -> Stream {
        self.link.stream(&entry(b"")).unwrap()
    }

    #[track_caller]
    fn is_settled(&self) {
        let metrics = self.link.metrics();
        assert_eq!(metrics.in_flight, 0, "{metrics:?}");
        assert_eq!(metrics.calls, metrics.notified + metrics.finished, "{metrics:?}");
    }
}

fn entry(payload: &[u8]) -> Invocation<'_> {
    Invocation::entry("entry", payload)
}

fn call(link: Link) -> Call {
    link.call(&entry(b"")).unwrap()
}

/// Runs `body` on a thread of its own, and fails where it doesn't come to its end.
#[track_caller]
fn ends<R: Send + 'static>(what: &str, body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || done.send(body()));
    is_done.recv_timeout(LONG).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Deadlines still end calls: the timer lives, and has nothing in its way.
#[track_caller]
fn deadlines_work(link: Link) {
    let waited = ends("a deadline", move || call(link).deadline(millis(5)).wait().map(drop));
    assert!(waited.unwrap_err().is_deadline());
}

#[track_caller]
fn eventually(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG, "{what}");
        thread::yield_now();
    }
}

struct Does<F>(F);

impl<F: Fn() + Send + Sync> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// A waker that does whatever it wants.
fn waker(body: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Does(body)))
}

/// A waker that sends what it came to.
fn sending<R: Send + 'static>(
    body: impl Fn() -> R + Send + Sync + 'static,
) -> (Waker, Receiver<R>) {
    let (sender, receiver) = mpsc::channel();
    let sender: Mutex<Sender<R>> = Mutex::new(sender);
    let waker = waker(move || {
        let sent = body();
        let _ = sender.lock().unwrap().send(sent);
    });
    (waker, receiver)
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[track_caller]
fn is_pending<F: Future + Unpin>(future: &mut F, waker: &Waker) {
    assert!(poll(future, waker).is_pending());
}

/// What is there already.
#[track_caller]
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("there is nothing yet"),
    }
}

/// Until the clock shows that a deadline of `of` from now is past, and the timer has seen it.
fn until_past(link: Link, of: Duration) {
    let error = call(link).deadline(of).wait().unwrap_err();
    assert!(error.is_deadline());
}

#[test]
fn a_visit_before_the_plugin_is_there_is_not_let_in() {
    let opening = Opening::new("hostile", Limits::default()).unwrap();
    let port = opening.port();
    let visited = AtomicUsize::new(0);
    let visit = || port.visit(|| visited.fetch_add(1, SeqCst));
    assert_eq!(visit(), None);
    let shutdowns = Arc::default();
    let attached = opening.attach(Plugin { port, body: |_, _, _: &[u8]| {}, shutdowns });
    assert_eq!(visit(), Some(0));
    drop(attached);
    assert_eq!((visit(), visited.load(SeqCst)), (None, 1));
    let never_attached = Opening::new("hostile", Limits::default()).unwrap().port();
    assert_eq!(never_attached.visit(|| ()), None);
    assert_eq!(never_attached.end_all(&Fault::Unloaded), 0);
}

#[test]
fn a_waker_may_unload_the_plugin_that_is_being_unloaded() {
    let plugin = silent();
    let (link, mut waiting) = (plugin.link, plugin.call());
    let (waker, inner) = sending(move || link.unload(AT_ONCE));
    is_pending(&mut waiting, &waker);
    let outer = ends("an unload", move || link.unload(AT_ONCE));
    let mut both = [outer, inner.recv_timeout(LONG).unwrap()];
    both.sort_by_key(Result::is_err);
    assert_eq!(both, [Ok(()), Err(UnloadError::AlreadyUnloaded)]);
    assert_eq!(ready(waiting).map(drop), Err(Fault::Unloaded.into()));
    assert_eq!(plugin.shutdowns.load(SeqCst), 1);
    plugin.is_settled();
}

#[test]
fn a_waker_may_drop_the_owner_of_the_plugin_that_is_being_unloaded() {
    let opening = Opening::new("hostile", Limits::default()).unwrap();
    let (port, shutdowns) = (opening.port(), Arc::<AtomicUsize>::default());
    let body = |_: Port, _: Sid, _: &[u8]| {};
    let attached = opening.attach(Plugin { port, body, shutdowns: shutdowns.clone() });
    let link = attached.link();
    let owner = Mutex::new(Some(attached));
    let mut waiting = call(link);
    let (waker, dropped) = sending(move || drop(owner.lock().unwrap().take()));
    is_pending(&mut waiting, &waker);
    let _ = ends("an unload", move || link.unload(AT_ONCE));
    dropped.recv_timeout(LONG).unwrap();
    assert_eq!(ready(waiting).map(drop), Err(Fault::Unloaded.into()));
    assert_eq!((link.is_loaded(), shutdowns.load(SeqCst)), (false, 1));
}

#[test]
fn an_unload_with_less_grace_does_not_wait_for_one_with_more() {
    let plugin = silent();
    let (link, open) = (plugin.link, plugin.call());
    let patient = thread::spawn(move || link.unload(Duration::from_secs(3600)));
    eventually("the plugin takes no more calls", || !link.is_loaded());
    let hasty = ends("the unload without grace", move || link.unload(AT_ONCE));
    let mut both = [hasty, ends("the other one", move || patient.join().unwrap())];
    both.sort_by_key(Result::is_err);
    assert_eq!(both, [Ok(()), Err(UnloadError::AlreadyUnloaded)]);
    assert_eq!(ready(open).map(drop), Err(Fault::Unloaded.into()));
}

#[test]
fn a_deadline_in_a_chunk_made_while_the_timer_looks_is_kept() {
    let plugin = load(Limits::default().deadline(Duration::MAX), |_, _, _| {});
    let link = plugin.link;
    ends("each deadline", move || {
        let mut open = Vec::new();
        // Up to the last slot of the thread's last chunk: the next one is in a chunk that is new.
        let mut use_up = || {
            loop {
                open.push(call(link));
                if index(open[open.len() - 1].sid()) % 64 == 63 {
                    break;
                }
            }
        };
        for round in 0..150_u64 {
            use_up();
            let (mut first, start) = (call(link).deadline(millis(1)), Instant::now());
            is_pending(&mut first, Waker::noop());
            use_up();
            // That deadline passes, and some time during or after the timer's look at it..
            while start.elapsed() < millis(1) + Duration::from_micros(round * 4) {
                std::hint::spin_loop();
            }
            // .. a call is made in a chunk that is made for it.
            let error = call(link).deadline(millis(1)).wait().unwrap_err();
            assert!(error.is_deadline());
        }
    });
    plugin.is_settled();
}

#[test]
fn the_first_call_of_each_of_many_new_threads_meets_its_deadline() {
    let link = silent().link;
    for _ in 0..4 {
        let threads: Vec<_> = (0..64)
            .map(|number| {
                thread::spawn(move || {
                    call(link).deadline(millis(1 + number % 4)).wait().map(drop).unwrap_err()
                })
            })
            .collect();
        for thread in threads {
            let error = ends("a new thread's deadline", move || thread.join().unwrap());
            assert!(error.is_deadline());
        }
    }
}

#[test]
fn a_waker_that_the_timer_runs_cannot_block_it() {
    let (plugin, other) = (silent(), silent());
    let (link, doomed) = (plugin.link, other.link);
    let (waker, results) = sending(move || {
        let waited = call(link).wait().map(drop);
        let timed = call(link).deadline(millis(1)).wait().map(drop);
        (waited, timed, doomed.unload(LONG))
    });
    let mut timed = plugin.call().deadline(millis(5));
    is_pending(&mut timed, &waker);
    let refused = Err(CallError::WouldDeadlock);
    let expected = (refused.clone(), refused, Err(UnloadError::WouldDeadlock));
    assert_eq!(results.recv_timeout(LONG), Ok(expected));
    assert!(ready(timed).unwrap_err().is_deadline());
    deadlines_work(link);
    assert!(!doomed.is_loaded(), "it takes no more calls");
    assert_eq!(doomed.unload(AT_ONCE), Ok(()));
    plugin.is_settled();
}

#[test]
fn a_waker_that_waits_where_another_thread_answers_gets_its_answer() {
    // On an ordinary thread a waker may block: nobody's deadline depends on it.
    let plugin = load(Limits::default(), |port, sid, payload| {
        if payload == b"now" {
            let _ = port.answer(sid, RawStatus::OK, b"answered");
        }
    });
    let link = plugin.link;
    let (waker, results) =
        sending(move || link.call(&entry(b"now")).unwrap().wait().map(Reply::into_vec));
    let mut waiting = plugin.call();
    is_pending(&mut waiting, &waker);
    let (port, sid) = (plugin.port, waiting.sid());
    let sent = ends("an answer", move || port.answer(sid, RawStatus::OK, b""));
    assert_eq!(sent, Delivery::Taken);
    assert_eq!(results.recv_timeout(LONG), Ok(Ok(b"answered".to_vec())));
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("what a panic carried panics");
    }
}

#[test]
fn a_wakers_panic_that_panics_when_dropped_leaves_the_timer_alive() {
    let plugin = silent();
    let (link, blown) = (plugin.link, Arc::new(AtomicUsize::new(0)));
    for round in 1..=3 {
        let blowing = blown.clone();
        let bomb = waker(move || {
            blowing.fetch_add(1, SeqCst);
            panic_any(Bomb);
        });
        let mut timed = plugin.call().deadline(millis(2));
        is_pending(&mut timed, &bomb);
        deadlines_work(link);
        assert!(ready(timed).unwrap_err().is_deadline());
        eventually("the waker has run", || blown.load(SeqCst) == round);
    }
    // And so for whoever answers.
    let mut waiting = plugin.call();
    is_pending(&mut waiting, &waker(|| panic_any(Bomb)));
    assert_eq!(plugin.port.answer(waiting.sid(), RawStatus::OK, b"whole"), Delivery::Taken);
    assert_eq!(&ready(waiting).unwrap()[..], b"whole");
    plugin.is_settled();
}

#[test]
fn a_plugin_that_stays_inside_keeps_no_other_caller_beyond_its_deadline() {
    let (stay, leave) = mpsc::channel::<()>();
    let (answered, is_answered) = mpsc::channel();
    let ends_of_it = Mutex::new((leave, answered));
    let plugin = load(Limits::default(), move |port, _, payload| {
        if let Ok(sid) = payload.try_into().map(u64::from_le_bytes) {
            let ends = ends_of_it.lock().unwrap();
            let sent = port.answer(Sid::from_raw(sid), RawStatus::OK, b"from another's dispatch");
            ends.1.send(sent).unwrap();
            let _ = ends.0.recv_timeout(LONG);
        }
    });
    let link = plugin.link;
    let mut first = plugin.call().deadline(millis(500));
    let (waker, woken) = sending(Instant::now);
    is_pending(&mut first, &waker);
    let (start, sid) = (Instant::now(), first.sid().as_raw().to_le_bytes());
    let staying = thread::spawn(move || link.notify(&entry(&sid)));
    assert_eq!(is_answered.recv_timeout(LONG), Ok(Delivery::Taken));
    let at = woken.recv_timeout(LONG).expect("the caller is woken while the plugin stays inside");
    assert!(at - start < LONG / 2);
    assert_eq!(&ready(first).unwrap()[..], b"from another's dispatch");
    stay.send(()).unwrap();
    staying.join().unwrap().unwrap();
    plugin.is_settled();
}

#[test]
fn a_reader_is_not_kept_either() {
    let (stay, leave) = mpsc::channel::<()>();
    let leave = Mutex::new(leave);
    let plugin = load(Limits::default(), move |port, _, payload| {
        if let Ok(sid) = payload.try_into().map(u64::from_le_bytes) {
            let _ = port.answer(Sid::from_raw(sid), RawStatus::OK, b"frame");
            let _ = leave.lock().unwrap().recv_timeout(LONG);
        }
    });
    let link = plugin.link;
    let mut stream = plugin.stream().deadline(millis(500));
    let sid = stream.sid().as_raw().to_le_bytes();
    let (waker, woken) = sending(|| ());
    {
        let mut reading = Box::pin(stream.recv());
        is_pending(&mut reading, &waker);
        let staying = thread::spawn(move || link.notify(&entry(&sid)));
        woken.recv_timeout(LONG).expect("the reader is woken while the plugin stays inside");
        assert_eq!(&ready(reading).unwrap().unwrap()[..], b"frame");
        stay.send(()).unwrap();
        staying.join().unwrap().unwrap();
    }
    drop(stream);
    plugin.is_settled();
}

#[test]
fn a_notification_whose_dispatch_panics_is_over() {
    let plugin = load(Limits::default(), |_, _, _| panic!("the plugin's own"));
    for _ in 0..3 {
        let link = plugin.link;
        let unwound = catch_unwind(AssertUnwindSafe(|| link.notify(&entry(b"")))).is_err();
        assert!(unwound, "the caller is unwound");
    }
    let metrics = plugin.link.metrics();
    assert_eq!((metrics.calls, metrics.notified, metrics.in_flight), (3, 3, 0), "{metrics:?}");
    assert_eq!(plugin.link.unload(LONG), Ok(()), "and nobody is thought to be inside");
}

#[test]
fn a_deadline_given_after_the_first_wait_begins_anew() {
    let plugin = load(Limits::default().deadline(millis(200)), |_, _, _| {});
    // It replaces the plugin's own, which was armed already.
    let mut waiting = plugin.call();
    is_pending(&mut waiting, Waker::noop());
    let mut waiting = waiting.deadline(Duration::MAX);
    is_pending(&mut waiting, Waker::noop());
    until_past(plugin.link, millis(300));
    assert_eq!(plugin.port.answer(waiting.sid(), RawStatus::OK, b"in time"), Delivery::Taken);
    assert_eq!(&ready(waiting).unwrap()[..], b"in time");
    // It is what the fault tells of, and what is waited for.
    let patient = silent();
    let mut waiting = patient.call();
    is_pending(&mut waiting, Waker::noop());
    let (waiting, start) = (waiting.deadline(millis(30)), Instant::now());
    let error = ends("the new deadline", move || waiting.wait().map(drop)).unwrap_err();
    assert_eq!(error, Fault::Deadline { after: millis(30) }.into());
    assert!(start.elapsed() >= millis(30));
}

#[test]
fn a_deadline_that_was_replaced_never_ends_the_slots_next_call() {
    let plugin = load(Limits::default().deadline(millis(200)), |_, _, _| {});
    let mut waiting = plugin.call();
    is_pending(&mut waiting, Waker::noop());
    assert_eq!(plugin.port.answer(waiting.sid(), RawStatus::OK, b""), Delivery::Taken);
    let slot = index(waiting.sid());
    drop(ready(waiting.deadline(Duration::MAX)).unwrap());
    let mut next = plugin.call().deadline(Duration::MAX);
    assert_eq!(index(next.sid()), slot, "the same slot");
    is_pending(&mut next, Waker::noop());
    until_past(plugin.link, millis(300));
    assert_eq!(plugin.port.answer(next.sid(), RawStatus::OK, b""), Delivery::Taken);
    assert!(ready(next).is_ok());
}

#[test]
fn a_wait_for_a_frame_that_is_dropped_takes_its_deadline_along() {
    let plugin = silent();
    let mut stream = plugin.stream().deadline(millis(200));
    let sid = stream.sid();
    {
        let mut reading = Box::pin(stream.recv());
        is_pending(&mut reading, Waker::noop());
    }
    until_past(plugin.link, millis(300));
    assert_eq!(plugin.port.answer(sid, RawStatus::OK, b"frame"), Delivery::Taken);
    assert_eq!(&ready(stream.recv()).unwrap().unwrap()[..], b"frame");
    // The next wait has the whole time again.
    let start = Instant::now();
    let mut reading = Box::pin(stream.recv());
    let (waker, woken) = sending(|| ());
    is_pending(&mut reading, &waker);
    woken.recv_timeout(LONG).unwrap();
    assert!(ready(reading).unwrap_err().is_deadline());
    assert!(start.elapsed() >= millis(200));
}

#[test]
fn an_immediate_answer_to_a_call_that_the_host_ended_is_its_fault() {
    let plugin = silent();
    let ended = plugin.call();
    assert_eq!(plugin.port.end_all(&Fault::InstanceLost), 1);
    assert_eq!(ended.now().map(drop), Err(Fault::InstanceLost.into()));
    let faulted = plugin.call();
    assert_eq!(plugin.port.fault(faulted.sid(), Fault::Unanswered), Delivery::Taken);
    assert_eq!(faulted.now().map(drop), Err(Fault::Unanswered.into()));
    let open = plugin.call();
    assert_eq!(open.now().map(drop), Err(CallError::NotImmediate));
    let metrics = plugin.link.metrics();
    assert_eq!((metrics.faults.total(), metrics.cancelled), (2, 1), "{metrics:?}");
    plugin.is_settled();
}

#[test]
fn a_stream_takes_data_while_its_plugin_drains() {
    let plugin = silent();
    let (link, mut stream) = (plugin.link, plugin.stream());
    let draining = thread::spawn(move || link.unload(LONG));
    eventually("the plugin takes no more calls", || !link.is_loaded());
    assert_eq!(link.notify(&entry(b"")), Err(CallError::Unloaded), "no new call is let in");
    assert_eq!(stream.send(b"data"), Ok(()));
    assert_eq!(&ready(stream.recv()).unwrap().unwrap()[..], b"data");
    assert_eq!(stream.close(), Ok(()));
    assert_eq!(ready(stream.recv()).unwrap().unwrap().status(), Status::StreamEnd);
    assert!(ready(stream.recv()).unwrap().is_none());
    drop(stream);
    assert_eq!(ends("the unload", move || draining.join().unwrap()), Ok(()));
}

/// Bytes whose owner counts that they are given back, and panics.
struct Costly(Arc<AtomicUsize>);

#[expect(unsafe_code, reason = "the trait is unsafe to implement")]
// SAFETY: the bytes are static. Dropping it panics, against the contract, which the test is about.
unsafe impl OwnedBytes for Costly {
    fn bytes(&self) -> &[u8] {
        b"costly"
    }
}

impl Drop for Costly {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        panic!("giving the bytes back panics");
    }
}

#[test]
fn owned_bytes_that_panic_when_dropped_cost_nothing_else() {
    let plugin = load(Limits::default().stream_frames(2), |_, _, _| {});
    let (port, dropped) = (plugin.port, Arc::new(AtomicUsize::new(0)));
    let costly = || Box::new(Costly(dropped.clone()));
    // A reply, dropped or made a vector of.
    for _ in 0..3 {
        let call = plugin.call();
        assert_eq!(port.answer_owned(call.sid(), RawStatus::OK, costly()), Delivery::Taken);
        assert_eq!(&call.now().unwrap()[..], b"costly");
        let call = plugin.call();
        assert_eq!(port.answer_owned(call.sid(), RawStatus::OK, costly()), Delivery::Taken);
        assert_eq!(call.now().unwrap().into_vec(), b"costly");
    }
    // An answer that nobody reads.
    let call = plugin.call();
    assert_eq!(port.answer_owned(call.sid(), RawStatus::OK, costly()), Delivery::Taken);
    drop(call);
    assert_eq!(dropped.load(SeqCst), 7);
    // A frame that is read, one for which there is no room, and ones that nobody reads.
    let mut stream = plugin.stream();
    let sid = stream.sid();
    assert_eq!(port.send_frame_owned(sid, RawStatus::OK, costly()), Delivery::Taken);
    assert_eq!(&ready(stream.recv()).unwrap().unwrap()[..], b"costly");
    assert_eq!(dropped.load(SeqCst), 8);
    for _ in 0..2 {
        assert_eq!(port.send_frame_owned(sid, RawStatus::OK, costly()), Delivery::Taken);
    }
    let full =
        catch_unwind(AssertUnwindSafe(|| port.send_frame_owned(sid, RawStatus::OK, costly())));
    assert!(!matches!(full, Ok(Delivery::Taken)));
    assert_eq!(port.answer(sid, RawStatus::STREAM_END, b"end"), Delivery::Taken);
    assert_eq!(&ready(stream.recv()).unwrap().unwrap()[..], b"costly");
    drop(stream);
    assert_eq!(dropped.load(SeqCst), 11);
    deadlines_work(plugin.link);
    plugin.is_settled();
}

#[test]
fn the_largest_queue_takes_8192_frames_and_the_end() {
    let plugin = load(Limits::default().stream_frames(8192), |_, _, _| {});
    let (port, mut stream) = (plugin.port, plugin.stream());
    let sid = stream.sid();
    let frame = |number: u32| port.send_frame(sid, RawStatus::OK, &number.to_le_bytes());
    let (mut sent, mut read) = (0, 0);
    // Filled three times over, from another place in the ring each time.
    for spare in [8192, 5000, 1] {
        while frame(sent) == Delivery::Taken {
            sent += 1;
        }
        assert_eq!(sent - read, 8192);
        for _ in 0..spare {
            assert_eq!(ready(stream.recv()).unwrap().unwrap()[..], u32::to_le_bytes(read));
            read += 1;
        }
    }
    assert_eq!(frame(sent), Delivery::Taken);
    sent += 1;
    assert_eq!(frame(sent), Delivery::Full);
    assert_eq!(port.answer(sid, RawStatus::STREAM_END, b"end"), Delivery::Taken);
    while read < sent {
        assert_eq!(ready(stream.recv()).unwrap().unwrap()[..], u32::to_le_bytes(read));
        read += 1;
    }
    assert_eq!(&ready(stream.recv()).unwrap().unwrap()[..], b"end");
    assert!(ready(stream.recv()).unwrap().is_none());
}

#[test]
fn a_queue_that_cannot_be_is_refused() {
    for (value, is_fine) in
        [(0, false), (1, true), (8192, true), (8193, false), (usize::MAX, false)]
    {
        let opening = Opening::new("hostile", Limits::default().stream_frames(value));
        assert_eq!(opening.is_ok(), is_fine, "{value}");
        if let Err(error) = opening {
            let (name, least, most) = ("stream_frames", 1, 8192);
            assert_eq!(error, LinkError::BadLimit { name, value, least, most });
        }
    }
}

#[test]
fn a_calls_state_has_so_many_keys_and_no_more() {
    let plugin = silent();
    let (port, open) = (plugin.port, plugin.call());
    let set = |key: u32, value: &[u8]| port.set_state(open.sid(), &key.to_string(), value);
    for key in 0..256 {
        assert_eq!(set(key, b""), Ok(()));
    }
    assert_eq!(set(256, b""), Err(StateError::TooManyKeys));
    assert_eq!(set(255, b"a new value for an old key"), Ok(()));
    assert_eq!(port.state(open.sid(), "256"), None);
    let other = plugin.call();
    assert_eq!(port.set_state(other.sid(), "256", b""), Ok(()), "each call has its own");
}

fn index(sid: Sid) -> u64 {
    sid.as_raw() % MAX_OPEN as u64
}

#[test]
fn a_deadline_of_a_call_that_is_over_never_ends_the_slots_next_call() {
    let plugin = load(Limits::default().deadline(millis(200)), |_, _, _| {});
    let patient = load(Limits::default().deadline(Duration::MAX), |_, _, _| {});
    // Answered, given up, read as a stream, given up as one.
    for end in 0..4 {
        let gone = if end < 2 {
            let mut call = plugin.call();
            is_pending(&mut call, Waker::noop());
            let sid = call.sid();
            if end == 0 {
                assert_eq!(plugin.port.answer(sid, RawStatus::OK, b""), Delivery::Taken);
                drop(ready(call).unwrap());
            }
            sid
        } else {
            let mut stream = plugin.stream();
            let sid = stream.sid();
            let mut reading = Box::pin(stream.recv());
            is_pending(&mut reading, Waker::noop());
            if end == 2 {
                assert_eq!(plugin.port.answer(sid, RawStatus::STREAM_END, b""), Delivery::Taken);
                assert!(ready(reading).unwrap().is_some());
            } else {
                // Its deadline stays armed, as that of a future which is never polled again.
                std::mem::forget(reading);
            }
            drop(stream);
            sid
        };
        let mut next = patient.call();
        assert_eq!(index(next.sid()), index(gone), "the same slot");
        is_pending(&mut next, Waker::noop());
        until_past(plugin.link, millis(300));
        assert_eq!(patient.port.answer(next.sid(), RawStatus::OK, b""), Delivery::Taken);
        assert!(ready(next).is_ok());
    }
}

#[test]
fn a_foreign_port_answers_nothing_from_inside_the_dispatch_either() {
    let thief = silent();
    let stolen = thief.port;
    let plugin = load(Limits::default(), move |port, sid, _| {
        // The slot has room for no bytes, and not yet for others.
        for forged in [&b"forged"[..], b""] {
            assert_eq!(stolen.answer(sid, RawStatus::OK, forged), Delivery::Dropped);
            assert_eq!(stolen.answer_vec(sid, RawStatus::OK, forged.to_vec()), Delivery::Dropped);
            assert_eq!(stolen.send_frame(sid, RawStatus::OK, forged), Delivery::Dropped);
            // Another instance of the same plugin is foreign as well.
            assert_eq!(
                port.instance().unwrap().answer(sid, RawStatus::OK, forged),
                Delivery::Dropped
            );
        }
        assert_eq!(stolen.fault(sid, Fault::Unanswered), Delivery::Dropped);
        assert_eq!(stolen.adopt(sid), Delivery::Dropped);
        assert_eq!(port.answer(sid, RawStatus::ERR, b"real"), Delivery::Taken);
    });
    assert_eq!(&plugin.call().now().unwrap()[..], b"real");
    assert_eq!(&ready(plugin.stream().recv()).unwrap().unwrap()[..], b"real");
    assert_eq!((thief.link.metrics().foreign, plugin.link.metrics().foreign), (14, 4));
}

#[test]
fn however_a_call_ends_its_slot_serves_the_next() {
    let plugin = load(Limits::default().stream_frames(4), |port, sid, payload| match payload {
        b"now" => assert_eq!(port.answer(sid, RawStatus::OK, b""), Delivery::Taken),
        b"panic" => panic!("the plugin's own"),
        _ => {}
    });
    struct Refuses;
    impl PluginBackend for Refuses {
        fn dispatch(&self, _: Sid, _: &Invocation<'_>) -> Result<(), Refusal> {
            Err(Refusal::new(Status::Unsupported))
        }
    }
    let (link, port) = (plugin.link, plugin.port);
    let refusing = Opening::new("refuses", Limits::default()).unwrap().attach(Refuses);
    let gone = silent().link;
    gone.unload(AT_ONCE).unwrap();
    let ends: [(&str, &dyn Fn()); 12] = [
        ("of a plugin that is gone", &|| assert!(gone.call(&entry(b"")).is_err())),
        ("a stream of one that is gone", &|| assert!(gone.stream(&entry(b"")).is_err())),
        ("answered", &|| drop(link.call(&entry(b"now")).unwrap().now().unwrap())),
        ("answered and unread", &|| drop(link.call(&entry(b"now")).unwrap())),
        ("left", &|| drop(plugin.call())),
        ("not immediate", &|| assert!(plugin.call().now().is_err())),
        ("refused", &|| assert!(refusing.link().call(&entry(b"")).is_err())),
        ("a refused stream", &|| assert!(refusing.link().stream(&entry(b"")).is_err())),
        ("a stream that was left", &|| drop(plugin.stream())),
        ("a stream with frames", &|| drop(link.stream(&entry(b"now")).unwrap())),
        ("ended by the host", &|| {
            let call = plugin.call();
            assert_eq!(port.fault(call.sid(), Fault::Unanswered), Delivery::Taken);
            drop(call);
        }),
        ("unwound", &|| {
            let call = || drop(link.call(&entry(b"panic")));
            assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
        }),
    ];
    let first = plugin.call();
    let slot = index(first.sid());
    drop(first);
    for (how, end) in ends {
        end();
        let next = plugin.call();
        assert_eq!(index(next.sid()), slot, "{how}");
        // Listed twice, it would serve two at a time.
        assert_ne!(index(plugin.call().sid()), slot, "{how}");
    }
    plugin.is_settled();
    assert_eq!(refusing.link().metrics().in_flight, 0);
}

#[test]
fn a_stray_answer_is_counted_for_what_it_is() {
    let (plugin, other) = (silent(), silent());
    let port = plugin.port;
    let counts = || {
        let metrics = plugin.link.metrics();
        [metrics.late, metrics.double, metrics.foreign, metrics.unknown]
    };
    let stray = |sid: Sid, status: RawStatus| {
        assert_eq!(port.answer(sid, status, b"stray"), Delivery::Dropped);
    };
    // The caller has left, and so has its slot's next one.
    let left = plugin.call().sid();
    stray(left, RawStatus::OK);
    drop(plugin.call());
    stray(left, RawStatus::OK);
    assert_eq!(counts(), [2, 0, 0, 0]);
    // The host ended it, and its caller has not looked yet.
    let (ended, ended_stream) = (plugin.call(), plugin.stream());
    assert_eq!(port.end_all(&Fault::InstanceLost), 2);
    stray(ended.sid(), RawStatus::OK);
    stray(ended_stream.sid(), RawStatus::OK);
    assert_eq!(counts(), [4, 0, 0, 0]);
    // It has its answer, or its last frame.
    let (answered, over) = (plugin.call(), plugin.stream());
    assert_eq!(port.answer(answered.sid(), RawStatus::OK, b""), Delivery::Taken);
    assert_eq!(port.answer(over.sid(), RawStatus::STREAM_END, b""), Delivery::Taken);
    stray(answered.sid(), RawStatus::OK);
    stray(over.sid(), RawStatus::OK);
    assert_eq!(counts(), [4, 2, 0, 0]);
    // It is another plugin's.
    let (theirs, their_stream) = (other.call(), other.stream());
    stray(theirs.sid(), RawStatus::OK);
    stray(their_stream.sid(), RawStatus::OK);
    assert_eq!(counts(), [4, 2, 2, 0]);
    // It never was: 0, a generation to come, a slot that isn't there.
    for sid in [0, answered.sid().as_raw() + (1 << 40), (1 << 62) | 0xf_ffff] {
        stray(Sid::from_raw(sid), RawStatus::OK);
    }
    assert_eq!(counts(), [4, 2, 2, 3]);
    // What expects no answer may get one.
    stray(Sid::from_raw(1 << 63 | 1 << 20), RawStatus::OK);
    assert_eq!(counts(), [4, 2, 2, 3]);
    assert_eq!(other.link.metrics().foreign, 0);
}

#[test]
fn no_slot_begins_with_generation_0_so_0_is_no_sid() {
    let plugin = silent();
    let calls: Vec<_> = (0..300).map(|_| plugin.call()).collect();
    assert!(calls.iter().all(|call| call.sid().as_raw() >> 20 != 0));
}

#[test]
fn a_notification_is_told_from_a_call() {
    let sids = Arc::<Mutex<Vec<Sid>>>::default();
    let seen = sids.clone();
    let plugin = load(Limits::default(), move |_, sid, _| seen.lock().unwrap().push(sid));
    // Notifications have numbers, whose low bits are those of slots with an open call each.
    let open: Vec<_> = (0..300).map(|_| plugin.call()).collect();
    for _ in 0..300 {
        plugin.link.notify(&entry(b"")).unwrap();
    }
    let sids = std::mem::take(&mut *sids.lock().unwrap());
    let notified: Vec<_> = sids.into_iter().filter(|sid| sid.is_notify()).collect();
    assert_eq!(notified.len(), 300);
    for sid in &notified {
        assert_eq!(plugin.port.answer(*sid, RawStatus::OK, b""), Delivery::Dropped);
        assert_eq!(plugin.port.set_state(*sid, "key", b""), Err(StateError::NotOpen));
    }
    for call in &open {
        let forged = Sid::from_raw(call.sid().as_raw() | 1 << 63);
        assert_eq!(plugin.port.answer(forged, RawStatus::OK, b"forged"), Delivery::Dropped);
    }
    let metrics = plugin.link.metrics();
    let strays = metrics.late + metrics.double + metrics.foreign + metrics.unknown;
    assert_eq!((metrics.in_flight, strays), (300, 0), "{metrics:?}");
    drop(open);
    plugin.is_settled();
}

#[test]
fn a_late_frame_never_reaches_the_slots_next_stream() {
    let plugin = silent();
    for _ in 0..20 {
        let gone = plugin.stream();
        let sid = gone.sid();
        drop(gone);
        let mut next = plugin.stream();
        assert_eq!(index(next.sid()), index(sid), "the same slot");
        for status in [RawStatus::OK, RawStatus::STREAM_END] {
            assert_eq!(plugin.port.answer(sid, status, b"late"), Delivery::Dropped);
            assert_eq!(plugin.port.send_frame(sid, status, b"late"), Delivery::Dropped);
        }
        assert_eq!(plugin.port.fault(sid, Fault::Unanswered), Delivery::Dropped);
        assert_eq!(plugin.port.answer(next.sid(), RawStatus::STREAM_END, b""), Delivery::Taken);
        assert_eq!(&ready(next.recv()).unwrap().unwrap()[..], b"");
    }
    assert_eq!(plugin.link.metrics().late, 100);
    plugin.is_settled();
}

#[test]
fn unloading_from_inside_is_refused_at_once() {
    let (sender, results) = mpsc::channel();
    let sender = Mutex::new(sender);
    let place = Arc::<Mutex<Option<Link>>>::default();
    let its = place.clone();
    let plugin = load(Limits::default(), move |_, _, _| {
        let link = its.lock().unwrap().expect("it is called once it is loaded");
        let start = Instant::now();
        let results = [link.unload(LONG), link.unload(AT_ONCE)];
        sender.lock().unwrap().send((results, start.elapsed())).unwrap();
    });
    *place.lock().unwrap() = Some(plugin.link);
    let open = plugin.link.call(&entry(b"")).unwrap();
    let (refused, took) = results.recv_timeout(LONG).unwrap();
    assert_eq!(refused, [Err(UnloadError::WouldDeadlock); 2]);
    assert!(took < LONG / 2, "{took:?}");
    assert_eq!(open.now().map(drop), Err(Fault::Unloaded.into()));
    assert_eq!(plugin.link.unload(AT_ONCE), Ok(()));
}

#[test]
fn the_bytes_of_frames_that_were_read_make_room_for_others() {
    let plugin = load(Limits::default().stream_bytes(10), |_, _, _| {});
    let (port, mut stream) = (plugin.port, plugin.stream());
    let sid = stream.sid();
    let frame = || port.send_frame(sid, RawStatus::OK, b"four");
    assert_eq!([frame(), frame(), frame()], [Delivery::Taken, Delivery::Taken, Delivery::Full]);
    for _ in 0..20 {
        assert_eq!(&ready(stream.recv()).unwrap().unwrap()[..], b"four");
        assert_eq!([frame(), frame()], [Delivery::Taken, Delivery::Full]);
    }
}

#[test]
fn a_waker_that_is_put_off_waits_until_the_outermost_plugin_is_left() {
    let (owing, inner) = (silent(), silent());
    let woken = Arc::new(AtomicUsize::new(0));
    for panics in [false, true] {
        woken.store(0, SeqCst);
        let waking = woken.clone();
        let mut waiting = owing.call();
        let waker = waker(move || {
            waking.fetch_add(1, SeqCst);
        });
        is_pending(&mut waiting, &waker);
        let (port, sid, link, seen) = (owing.port, waiting.sid(), inner.link, woken.clone());
        let outer = load(Limits::default(), move |_, _, _| {
            assert_eq!(port.answer(sid, RawStatus::OK, b""), Delivery::Taken);
            drop(call(link));
            link.notify(&entry(b"")).unwrap();
            assert_eq!(seen.swap(10, SeqCst), 0, "the outer plugin's code is on the stack");
            assert!(!panics, "the plugin's own");
        });
        let left = catch_unwind(AssertUnwindSafe(|| outer.link.notify(&entry(b""))));
        assert_eq!(left.is_err(), panics);
        assert_eq!(woken.load(SeqCst), 11, "once it is left, whichever way");
        assert!(ready(waiting).is_ok());
        outer.is_settled();
    }
}

#[test]
fn a_waker_that_is_put_off_in_an_inner_plugin_waits_for_the_outer_one() {
    let owing = silent();
    let woken = Arc::new(AtomicUsize::new(0));
    let waking = woken.clone();
    let mut waiting = owing.call();
    let waker = waker(move || {
        waking.fetch_add(1, SeqCst);
    });
    is_pending(&mut waiting, &waker);
    let (port, sid, seen) = (owing.port, waiting.sid(), woken.clone());
    let inner = load(Limits::default(), move |_, _, _| {
        assert_eq!(port.answer(sid, RawStatus::OK, b""), Delivery::Taken);
    });
    let link = inner.link;
    let outer = load(Limits::default(), move |_, _, _| {
        link.notify(&entry(b"")).unwrap();
        assert_eq!(seen.load(SeqCst), 0, "the outer plugin's code is on the stack");
    });
    outer.link.notify(&entry(b"")).unwrap();
    assert_eq!(woken.load(SeqCst), 1, "both are left");
    assert!(ready(waiting).is_ok());
}

#[test]
fn wakers_that_call_plugins_run_one_after_the_other() {
    const CALLS: usize = 40;
    let (owing, runs, woken) =
        (silent(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let port = owing.port;
    let noting = {
        let woken = woken.clone();
        waker(move || {
            woken.fetch_add(1, SeqCst);
        })
    };
    let (mut calls, mut sids) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        // The call's waker has a plugin answer another one, whose waker runs when that is left.
        let mut other = owing.call();
        is_pending(&mut other, &noting);
        let sid = other.sid();
        let answering = load(Limits::default(), move |_, _, _| {
            assert_eq!(port.answer(sid, RawStatus::OK, b""), Delivery::Taken);
        });
        let (link, runs, woken) = (answering.link, runs.clone(), woken.clone());
        let mut call = owing.call();
        is_pending(
            &mut call,
            &waker(move || {
                assert_eq!(runs.fetch_add(1, SeqCst), 0, "another one's is on the stack");
                let before = woken.load(SeqCst);
                link.notify(&entry(b"")).unwrap();
                assert_eq!(woken.load(SeqCst), before + 1);
                runs.fetch_sub(1, SeqCst);
            }),
        );
        sids.push(call.sid());
        calls.extend([call, other]);
    }
    let all = load(Limits::default(), move |_, _, _| {
        for sid in &sids {
            assert_eq!(port.answer(*sid, RawStatus::OK, b""), Delivery::Taken);
        }
    });
    all.link.notify(&entry(b"")).unwrap();
    assert_eq!((runs.load(SeqCst), woken.load(SeqCst)), (0, CALLS));
    calls.into_iter().for_each(|call| assert!(ready(call).is_ok()));
}
