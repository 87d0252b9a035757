//! Many of everything: threads that come and go, calls up to the most there can be, calls from
//! threads that are ending, and wakers that do what wakers may do.
//!
//! One test, step by step: the slots of a process are shared.

use ringbox_ring::*;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// Answers "now" at once, and keeps the rest.
struct Keeper {
    port: Port,
    kept: Arc<Mutex<Vec<Sid>>>,
}

impl PluginBackend for Keeper {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        match call.payload {
            b"now" => {
                // Of a call that expects no answer, nobody takes one.
                let taken = self.port.answer(sid, RawStatus::OK, b"done") == Delivery::Taken;
                assert_eq!(taken, !sid.is_notify());
            }
            b"panic" => panic!("the plugin's own"),
            _ => self.kept.lock().unwrap().push(sid),
        }
        Ok(())
    }
}

struct Plugin {
    link: Link,
    port: Port,
    kept: Arc<Mutex<Vec<Sid>>>,
}

fn load() -> Plugin {
    let opening = Opening::new("keeper", Limits::default()).unwrap();
    let (port, kept) = (opening.port(), Arc::<Mutex<Vec<Sid>>>::default());
    let link = opening.attach(Keeper { port, kept: kept.clone() }).detach();
    Plugin { link, port, kept }
}

impl Plugin {
    fn call(&self, payload: &[u8]) -> Result<Call, CallError> {
        self.link.call(&Invocation::entry("x", payload))
    }

    fn answer_all(&self) {
        for sid in std::mem::take(&mut *self.kept.lock().unwrap()) {
            let _ = self.port.answer(sid, RawStatus::OK, b"done");
        }
    }

    fn is_settled(&self) {
        let metrics = self.link.metrics();
        assert_eq!(metrics.in_flight, 0, "{metrics:?}");
        assert_eq!(metrics.calls, metrics.notified + metrics.finished, "{metrics:?}");
    }
}

fn index(sid: Sid) -> u64 {
    sid.as_raw() % MAX_OPEN as u64
}

#[test]
fn many_of_everything() {
    short_lived_threads_hand_their_slots_on();
    a_call_from_an_ending_thread_works_or_says_why_not();
    wakers_may_do_what_they_like();
    a_plugin_that_panics_leaves_no_call_open();
    a_plugin_that_is_gone_uses_no_slots_up();
    the_most_instances_are_an_error();
    the_most_that_can_be_open_is_an_error_and_not_the_end();
}

/// Each answers its own calls and no other's, and then there are no more.
fn the_most_instances_are_an_error() {
    let plugin = load();
    let call = plugin.call(b"later").unwrap();
    let mut last = plugin.port;
    for _ in 0..65_535 {
        last = plugin.port.instance().unwrap();
    }
    assert_eq!(plugin.port.instance().unwrap_err(), LinkError::TooManyInstances { limit: 65_535 });
    assert_eq!(last.answer(call.sid(), RawStatus::OK, b"not yet"), Delivery::Dropped);
    assert_eq!(last.adopt(call.sid()), Delivery::Taken);
    assert_eq!(plugin.port.answer(call.sid(), RawStatus::OK, b"no more"), Delivery::Dropped);
    assert_eq!(last.answer(call.sid(), RawStatus::OK, b"done"), Delivery::Taken);
    assert_eq!(&call.wait().unwrap()[..], b"done");
    plugin.is_settled();
    plugin.link.unload(Duration::ZERO).unwrap();
}

fn short_lived_threads_hand_their_slots_on() {
    let plugin = load();
    let mut highest = 0;
    for _ in 0..2_500 {
        // A few at a time, each with calls answered at once, from elsewhere, and given up.
        let threads = [0; 4].map(|_| {
            let Plugin { link, port, .. } = plugin;
            thread::spawn(move || {
                let call = |payload: &[u8]| link.call(&Invocation::entry("x", payload)).unwrap();
                let now = call(b"now");
                let mut highest = index(now.sid());
                assert_eq!(&now.now().unwrap()[..], b"done");
                let (later, never) = (call(b"later"), call(b"never"));
                highest = highest.max(index(later.sid())).max(index(never.sid()));
                let sid = later.sid();
                assert_eq!(port.answer(sid, RawStatus::OK, b"late"), Delivery::Taken);
                assert_eq!(&later.wait().unwrap()[..], b"late");
                // It outlives its thread, which is how a slot gets home from another one.
                (highest, never)
            })
        });
        for thread in threads {
            let (index, never) = thread.join().unwrap();
            highest = highest.max(index);
            drop(never);
        }
    }
    plugin.kept.lock().unwrap().clear();
    // Each lane begins with 64 slots, and there were five threads at a time.
    assert!(highest < 64 * 16, "10,000 threads reached slot {highest}");
    plugin.is_settled();
    assert_eq!(plugin.link.metrics().calls, 30_000);
}

/// Calls when it is dropped, which is when its thread ends.
struct Caller(Link, Arc<Mutex<Vec<Result<(), CallError>>>>, Option<Call>);

impl Drop for Caller {
    fn drop(&mut self) {
        let invocation = Invocation::entry("x", b"now");
        let notified = self.0.notify(&invocation);
        let called = self.0.call(&invocation).and_then(Call::now).map(drop);
        let streamed = self.0.stream(&invocation).map(drop);
        self.1.lock().unwrap().extend([notified, called, streamed]);
        drop(self.2.take());
    }
}

thread_local! {
    static BEFORE: RefCell<Option<Caller>> = const { RefCell::new(None) };
    static AFTER: RefCell<Option<Caller>> = const { RefCell::new(None) };
}

fn a_call_from_an_ending_thread_works_or_says_why_not() {
    let plugin = load();
    let results = Arc::<Mutex<Vec<_>>>::default();
    for round in 0..8 {
        let (link, results) = (plugin.link, results.clone());
        let body = move || {
            let open = || link.call(&Invocation::entry("x", b"never")).ok();
            // Thread-locals go in the opposite order: one after the ring's own, one before it.
            if round & 1 != 0 {
                BEFORE.set(Some(Caller(link, results.clone(), None)));
            }
            if round & 2 != 0 {
                let call = open();
                BEFORE.with_borrow_mut(|caller| {
                    if let Some(caller) = caller {
                        caller.2 = call;
                    }
                });
            }
            if round & 4 != 0 {
                let call = open();
                AFTER.set(Some(Caller(link, results, call)));
            }
        };
        thread::spawn(body).join().unwrap();
    }
    let results = results.lock().unwrap();
    assert_eq!(results.len(), 8 * 3);
    for result in &*results {
        assert!(matches!(result, Ok(()) | Err(CallError::ThreadEnding)), "{result:?}");
    }
    assert!(results.contains(&Ok(())));
    plugin.is_settled();
}

/// A waker that does something else each time.
struct Odd<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for Odd<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn odd(body: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Odd(body)))
}

fn poll(call: &mut Call, waker: &Waker) -> Poll<Result<Reply, CallError>> {
    Pin::new(call).poll(&mut Context::from_waker(waker))
}

fn wakers_may_do_what_they_like() {
    let plugin = load();
    let got = Arc::new(AtomicU64::new(0));

    // It polls what it wakes, on the answering thread.
    let place = Arc::new(Mutex::new(None));
    let mut call = plugin.call(b"later").unwrap();
    let inline = odd({
        let (place, got) = (place.clone(), got.clone());
        move || {
            let call: Option<Call> = place.lock().unwrap().take();
            let polled = poll(&mut call.expect("woken once"), Waker::noop());
            assert!(matches!(polled, Poll::Ready(Ok(reply)) if *reply == *b"done"));
            got.fetch_add(1, SeqCst);
        }
    });
    assert!(poll(&mut call, &inline).is_pending());
    *place.lock().unwrap() = Some(call);
    plugin.answer_all();
    assert_eq!(got.load(SeqCst), 1);

    // It drops what it wakes.
    let mut call = plugin.call(b"later").unwrap();
    let dropping = odd({
        let place = place.clone();
        move || drop(place.lock().unwrap().take())
    });
    assert!(poll(&mut call, &dropping).is_pending());
    *place.lock().unwrap() = Some(call);
    plugin.answer_all();
    assert!(place.lock().unwrap().is_none());

    // It calls again.
    let mut call = plugin.call(b"later").unwrap();
    let calling = odd({
        let (link, got) = (plugin.link, got.clone());
        move || {
            let call = link.call(&Invocation::entry("x", b"now")).unwrap();
            assert_eq!(&call.now().unwrap()[..], b"done");
            got.fetch_add(1, SeqCst);
        }
    });
    assert!(poll(&mut call, &calling).is_pending());
    plugin.answer_all();
    assert_eq!(got.load(SeqCst), 2);
    assert!(poll(&mut call, Waker::noop()).is_ready());

    // It panics: whoever answers notices nothing, and the timer goes on.
    let panicking = odd(|| panic!("the executor's own"));
    let mut call = plugin.call(b"later").unwrap();
    assert!(poll(&mut call, &panicking).is_pending());
    plugin.answer_all();
    assert!(poll(&mut call, Waker::noop()).is_ready());
    let mut timed = plugin.call(b"never").unwrap().deadline(Duration::from_millis(1));
    let polled = Pin::new(&mut timed).poll(&mut Context::from_waker(&panicking));
    assert!(polled.is_pending());
    let other = plugin.call(b"never").unwrap().deadline(Duration::from_millis(5));
    assert!(other.wait().unwrap_err().is_deadline());
    let polled = Pin::new(&mut timed).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(error)) if error.is_deadline()));

    // It was left on one thread, the call is polled on another and dropped on a third.
    let mut call = plugin.call(b"never").unwrap();
    assert!(poll(&mut call, &panicking).is_pending());
    let call = thread::spawn(move || {
        assert!(poll(&mut call, Waker::noop()).is_pending());
        call
    });
    let call = call.join().unwrap();
    thread::spawn(move || drop(call)).join().unwrap();
    plugin.answer_all();
    plugin.is_settled();
}

fn a_plugin_that_panics_leaves_no_call_open() {
    let plugin = load();
    let panics = |body: &dyn Fn()| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        assert!(caught.is_err(), "the caller is unwound");
    };
    panics(&|| drop(plugin.call(b"panic")));
    panics(&|| drop(plugin.link.stream(&Invocation::entry("x", b"panic"))));
    panics(&|| drop(plugin.link.notify(&Invocation::entry("x", b"panic"))));
    plugin.is_settled();
    assert_eq!(plugin.link.unload(Duration::ZERO), Ok(()));
}

fn a_plugin_that_is_gone_uses_no_slots_up() {
    let (gone, plugin) = (load(), load());
    assert_eq!(gone.link.unload(Duration::ZERO), Ok(()));
    for _ in 0..MAX_OPEN {
        assert_eq!(gone.call(b"now").map(drop), Err(CallError::Unloaded));
    }
    assert_eq!(&plugin.call(b"now").unwrap().now().unwrap()[..], b"done");
    gone.is_settled();
    assert_eq!(gone.link.metrics().calls, 0, "none was handed to it");
}

fn the_most_that_can_be_open_is_an_error_and_not_the_end() {
    let plugin = load();
    let mut open = Vec::with_capacity(MAX_OPEN);
    let error = loop {
        match plugin.call(b"later") {
            Ok(call) => open.push(call),
            Err(error) => break error,
        }
    };
    assert!(error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains(&MAX_OPEN.to_string()), "{error}");
    assert_eq!(open.len(), MAX_OPEN, "every slot that there is was used");
    // One that ends makes room for one, on whichever thread that is.
    drop(open.pop());
    open.push(plugin.call(b"later").unwrap());
    assert!(plugin.call(b"later").is_err());
    let last = open.pop().unwrap();
    thread::spawn(move || drop(last)).join().unwrap();
    open.push(plugin.call(b"later").unwrap());
    plugin.answer_all();
    // Half of them end here, and half on a thread that is gone when their slots are needed.
    let half = open.split_off(MAX_OPEN / 2);
    thread::spawn(move || drop(half)).join().unwrap();
    for call in open {
        assert_eq!(&call.now().unwrap()[..], b"done");
    }
    plugin.is_settled();
    let again: Vec<_> = (0..MAX_OPEN).map(|_| plugin.call(b"now").unwrap()).collect();
    for call in again {
        assert_eq!(&call.now().unwrap()[..], b"done");
    }
    plugin.is_settled();
}
