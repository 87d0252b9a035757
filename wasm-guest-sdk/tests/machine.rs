//! What the SDK asks of its host, and when: a plugin with a host that takes notes.

#![cfg(target_os = "linux")]

mod notes;

use notes::{Driver, Said};
use ringbox_guest::{Call, Deferred, Error, Host, Plugin, Request, Responder, Status};
use ringbox_guest::{Reply, Sid, sleep, yield_now};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// How many values are alive that async handlers hold.
static HELD: AtomicUsize = AtomicUsize::new(0);

struct Held;

impl Held {
    fn new() -> Self {
        HELD.fetch_add(1, SeqCst);
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, SeqCst);
    }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[derive(Default)]
struct Tester {
    kept: Mutex<Vec<Responder>>,
    wakers: Mutex<Vec<Waker>>,
    opened: AtomicUsize,
    noted: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plugin for Tester {
    fn new(_host: &Host) -> Result<Self, Error> {
        Ok(Self::default())
    }

    fn data(&self, sid: Sid, data: &[u8]) -> Status {
        lock(&self.noted).push(format!("data {sid} {}", data.len()));
        Status::Backpressure
    }

    fn cancelled(&self, sid: Sid) {
        lock(&self.noted).push(format!("cancelled {sid}"));
    }

    fn woken(&self, token: u64) {
        lock(&self.noted).push(format!("woken {token}"));
    }
}

impl Tester {
    fn echo<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        payload
    }

    fn text(&self, text: &str) -> String {
        text.to_uppercase()
    }

    fn refuses(&self, (): ()) -> Reply<'static> {
        Reply::refused(Status::Backpressure)
    }

    async fn refuses_late(&self, (): ()) -> Reply<'static> {
        yield_now().await;
        Reply::refused(Status::Ok)
    }

    fn drops(&self, _: Deferred<()>) {}

    fn keeps(&self, call: Deferred<()>) {
        lock(&self.kept).push(call.responder);
    }

    fn answers_kept(&self, with: &str) {
        for responder in std::mem::take(&mut *lock(&self.kept)) {
            responder.answer(with);
        }
    }

    fn panics(&self, (): ()) {
        panic!("at once")
    }

    fn panics_with_responder(&self, _call: Deferred<()>) {
        panic!("beside a responder")
    }

    async fn panics_late(&self, (): ()) {
        let _held = Held::new();
        yield_now().await;
        panic!("after an await")
    }

    async fn panics_when_dropped(&self, (): ()) {
        let _held = Held::new();
        let _bad = PanicsWhenDropped;
        sleep(Duration::from_secs(1)).await;
    }

    async fn sleeps(&self, millis: &str) -> String {
        let _held = Held::new();
        sleep(Duration::from_millis(millis.parse().unwrap())).await;
        format!("slept {millis}")
    }

    async fn sleeps_owing(&self, call: Deferred<()>) {
        let _held = Held::new();
        sleep(Duration::from_secs(1)).await;
        call.responder.answer("slept");
    }

    async fn waits(&self, (): ()) -> &'static str {
        let _held = Held::new();
        std::future::poll_fn(|context| {
            if self.opened.load(SeqCst) > 0 {
                return Poll::Ready(());
            }
            lock(&self.wakers).push(context.waker().clone());
            Poll::Pending
        })
        .await;
        "open"
    }

    /// Wakes everybody who waits, each of them twice.
    fn opens(&self, (): ()) {
        self.opened.store(1, SeqCst);
        for waker in std::mem::take(&mut *lock(&self.wakers)) {
            waker.wake_by_ref();
            waker.wake();
        }
    }

    async fn yields(&self, times: &str) {
        for _ in 0..times.parse().unwrap() {
            yield_now().await;
        }
    }

    async fn frames(&self, Deferred { call, responder }: Deferred<&[u8]>) {
        for frame in call {
            if responder.send(&[*frame]).await.is_err() {
                return;
            }
        }
        responder.end();
    }

    async fn shouts(&self, Deferred { responder, .. }: Deferred<()>) {
        let mut inbox = responder.inbox();
        while let Some(data) = inbox.recv().await {
            let _ = responder.frame(&data.to_ascii_uppercase());
        }
        responder.end();
    }

    async fn slow_reader(&self, Deferred { responder, .. }: Deferred<()>) {
        let _inbox = responder.inbox();
        sleep(Duration::from_secs(1)).await;
    }

    fn noted(&self, _: Call<'_>) -> String {
        std::mem::take(&mut *lock(&self.noted)).join(", ")
    }

    fn wakes_itself(&self, call: Call<'_>) -> Result<(), ringbox_guest::Refused> {
        call.host().wake_after(9, Duration::from_nanos(1))?;
        call.host().wake_after(1 << 63, Duration::ZERO)
    }

    fn request(&self, request: Request<'_>) -> String {
        let header = request.header("B").unwrap_or("none");
        format!(
            "{} {}?{} {} b: {header} {}",
            request.method(),
            request.path(),
            request.query(),
            request.headers().len(),
            String::from_utf8_lossy(request.body())
        )
    }
}

ringbox_guest::plugin! {
    type: Tester,
    entries: {
        "echo" => Tester::echo,
        "text" => Tester::text,
        "refuses" => Tester::refuses,
        "refuses-late" => async Tester::refuses_late,
        "drops" => Tester::drops,
        "keeps" => Tester::keeps,
        "answers-kept" => Tester::answers_kept,
        "panics" => Tester::panics,
        "panics-with-responder" => Tester::panics_with_responder,
        "panics-late" => async Tester::panics_late,
        "panics-when-dropped" => async Tester::panics_when_dropped,
        "sleeps" => async Tester::sleeps,
        "sleeps-owing" => async Tester::sleeps_owing,
        "waits" => async Tester::waits,
        "opens" => Tester::opens,
        "yields" => async Tester::yields,
        "frames" => async Tester::frames,
        "shouts" => async Tester::shouts,
        "slow-reader" => async Tester::slow_reader,
        "noted" => Tester::noted,
        "wakes-itself" => Tester::wakes_itself,
    },
    requests: Tester::request,
    exports: none,
}

/// A test has the plugin for itself.
fn driven(test: impl FnOnce(&Driver)) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = lock(&ONE);
    std::panic::set_hook(Box::new(|info| {
        // What the plugin's handlers throw is expected; what a test throws is told.
        if info.location().is_some_and(|place| place.line() > TESTS_BEGIN) {
            eprintln!("{info}");
        }
    }));
    let driver = Driver::start(nylon_ring_get_plugin_v1(), nylon_ring_get_plugin_ext_v1());
    test(&driver);
    driver.stop();
    assert_eq!(HELD.load(SeqCst), 0, "a future is left when the plugin has stopped");
}

const TESTS_BEGIN: u32 = line!();

fn ok(sid: u64, bytes: &str) -> Said {
    Said { sid, status: 0, bytes: bytes.to_owned() }
}

fn err(sid: u64, bytes: &str) -> Said {
    Said { sid, status: 1, bytes: bytes.to_owned() }
}

fn panic(sid: u64, bytes: &str) -> Said {
    Said { sid, status: 5, bytes: bytes.to_owned() }
}

fn end(sid: u64) -> Said {
    Said { sid, status: 4, bytes: String::new() }
}

#[test]
fn what_a_handler_returns_is_the_answer() {
    driven(|host| {
        assert_eq!(host.call("echo", 1, "hello"), 0);
        assert_eq!(host.call("text", 2, "hello"), 0);
        assert_eq!(host.said(), [ok(1, "hello"), ok(2, "HELLO")]);
        assert_eq!(host.asked(), []);
    });
}

#[test]
fn what_is_no_text_is_answered_for_the_author() {
    driven(|host| {
        assert_eq!(host.call_bytes("text", 1, b"\xff"), 0);
        let said = host.said();
        assert_eq!((said.len(), said[0].status), (1, 2), "{said:?}");
    });
}

#[test]
fn a_refusal_is_what_dispatch_returns_and_no_answer() {
    driven(|host| {
        assert_eq!(host.call("refuses", 1, ""), 6);
        assert_eq!(host.call("nothing of the kind", 2, ""), 3);
        assert_eq!(host.said(), []);
    });
}

#[test]
fn a_refusal_after_an_await_is_an_answer() {
    driven(|host| {
        assert_eq!(host.call("refuses-late", 1, ""), 0);
        host.turn();
        assert_eq!(host.said(), [err(1, "")]);
    });
}

#[test]
fn a_whole_request_comes_with_all_its_parts() {
    driven(|host| {
        assert_eq!(host.request(1, "GET", "/ä", "q", &[("a", "1"), ("b", "2")], "body"), 0);
        assert_eq!(host.said(), [ok(1, "GET /ä?q 2 b: 2 body")]);
    });
}

#[test]
fn a_dropped_responder_answers_with_an_error() {
    driven(|host| {
        host.call("drops", 1, "");
        assert_eq!(host.said(), [err(1, "the plugin dropped this unanswered")]);
    });
}

#[test]
fn a_kept_responder_answers_when_it_is_told_to() {
    driven(|host| {
        host.call("keeps", 1, "");
        host.call("keeps", 2, "");
        assert_eq!(host.said(), []);
        host.call("answers-kept", 3, "late");
        assert_eq!(host.said(), [ok(1, "late"), ok(2, "late"), ok(3, "")]);
    });
}

#[test]
fn a_panic_is_its_calls_answer_once() {
    driven(|host| {
        assert_eq!(host.call("panics", 1, ""), 0);
        assert_eq!(host.call("panics-with-responder", 2, ""), 0);
        assert_eq!(host.said(), [panic(1, "at once"), panic(2, "beside a responder")]);
        host.call("echo", 3, "on it goes");
        assert_eq!(host.said(), [ok(3, "on it goes")]);
    });
}

#[test]
fn a_panic_after_an_await_is_its_calls_answer() {
    driven(|host| {
        assert_eq!(host.call("panics-late", 1, ""), 0);
        assert_eq!(host.said(), []);
        host.turn();
        assert_eq!(host.said(), [panic(1, "after an await")]);
        assert_eq!(HELD.load(SeqCst), 0);
    });
}

#[test]
fn a_cancelled_calls_future_is_dropped_at_once() {
    driven(|host| {
        host.call("sleeps", 1, "50");
        host.call("sleeps-owing", 2, "");
        assert_eq!(HELD.load(SeqCst), 2);
        host.cancel(1);
        host.cancel(2);
        assert_eq!(HELD.load(SeqCst), 0);
        host.turn();
        assert_eq!(host.said(), [], "nobody waits for these");
        host.call("noted", 3, "");
        assert_eq!(host.said(), [ok(3, "cancelled 1, cancelled 2")]);
    });
}

#[test]
fn a_panic_in_a_cancelled_futures_drop_is_logged() {
    driven(|host| {
        host.call("panics-when-dropped", 1, "");
        host.cancel(1);
        assert_eq!(HELD.load(SeqCst), 0);
        assert_eq!((host.said(), host.logged()), (vec![], vec!["dropped".to_owned()]));
    });
}

#[test]
fn futures_are_dropped_when_the_plugin_stops() {
    driven(|host| {
        host.call("sleeps", 1, "50");
        host.call("waits", 2, "");
        assert_eq!(HELD.load(SeqCst), 2);
    });
}

#[test]
fn many_wakers_ask_for_one_wake() {
    driven(|host| {
        for sid in 1..=50 {
            host.call("waits", sid, "");
        }
        assert_eq!(host.asked(), []);
        host.call("opens", 51, "");
        assert_eq!(host.asked_nanos(), [0]);
        host.said();
        assert_eq!(host.turn(), 1);
        assert_eq!(host.said(), (1..=50).map(|sid| ok(sid, "open")).collect::<Vec<_>>());
        assert_eq!(host.asked(), []);
    });
}

#[test]
fn a_task_that_yields_lets_the_host_in_each_time() {
    driven(|host| {
        host.call("yields", 1, "3");
        for _ in 0..3 {
            assert_eq!(host.said(), []);
            assert_eq!(host.turn(), 1);
        }
        assert_eq!(host.said(), [ok(1, "")]);
        assert_eq!(host.turn(), 0);
    });
}

#[test]
fn a_sleep_is_one_timer() {
    driven(|host| {
        host.call("sleeps", 1, "50");
        assert_eq!(host.asked_nanos(), [50_000_000]);
        assert_eq!(host.turn(), 1);
        assert_eq!(host.said(), [ok(1, "slept 50")]);
        assert_eq!(host.asked(), []);
    });
}

#[test]
fn a_long_sleep_is_several_timers_and_never_more_than_one_at_a_time() {
    driven(|host| {
        host.call("sleeps", 1, "25000");
        let mut nanos = Vec::new();
        while host.said().is_empty() {
            let asked = host.asked_nanos();
            assert_eq!(asked.len(), 1);
            nanos.extend(asked);
            host.turn();
        }
        assert_eq!(nanos, [10_000_000_000, 10_000_000_000, 5_000_000_000]);
    });
}

#[test]
fn sleeps_beyond_the_hosts_timers_share_the_next() {
    driven(|host| {
        host.allow_timers(3);
        for sid in 1..=10 {
            assert_eq!(host.call("sleeps", sid, "50"), 0);
        }
        assert_eq!(host.asked().len(), 3);
        host.turn_one();
        // One is free again, and all that waited share it.
        assert_eq!(host.asked().len(), 3);
        while host.turn() > 0 {}
        let mut sids: Vec<u64> = host.said().iter().map(|said| said.sid).collect();
        sids.sort_unstable();
        assert_eq!(sids, (1..=10).collect::<Vec<_>>());
    });
}

#[test]
fn sleepers_that_are_cancelled_leave_nothing_but_their_timers() {
    driven(|host| {
        for sid in 1..=5000 {
            host.call("sleeps", sid, "9999999");
            host.cancel(sid);
        }
        let asked = host.asked();
        assert!(asked.len() <= 1000, "{}", asked.len());
        assert!(asked.iter().all(|ask| ask.nanos <= 10_000_000_000));
        assert_eq!(host.turn(), asked.len());
        assert_eq!(host.asked(), [], "nobody sleeps any more");
    });
}

#[test]
fn a_frame_is_sent_when_there_is_room() {
    driven(|host| {
        host.allow_frames(2);
        host.call("frames", 1, "abcd");
        assert_eq!(host.said(), [ok(1, "a"), ok(1, "b")]);
        assert_eq!(host.turn(), 1);
        assert_eq!(host.said(), []);
        host.allow_frames(2);
        while host.turn() > 0 {}
        assert_eq!(host.said(), [ok(1, "c"), ok(1, "d"), end(1)]);
    });
}

#[test]
fn an_inbox_brings_what_the_caller_sends() {
    driven(|host| {
        assert_eq!(host.data(1, "early"), 6, "this one's own handler says so");
        host.call("shouts", 2, "");
        assert_eq!(host.data(2, "a"), 0);
        assert_eq!(host.data(2, "b"), 0);
        assert_eq!(host.turn(), 1);
        assert_eq!(host.close(2), 0);
        assert_eq!(host.data(2, "after the end"), 2);
        assert_eq!(host.turn(), 1);
        assert_eq!(host.said(), [ok(2, "A"), ok(2, "B"), end(2)]);
        assert_eq!(host.close(2), 3, "its inbox is gone");
    });
}

#[test]
fn a_full_inbox_says_so() {
    driven(|host| {
        host.call("slow-reader", 1, "");
        let taken = (0..1000).take_while(|_| host.data(1, "x") == 0).count();
        assert_eq!(taken, 64);
        assert_eq!(host.data(1, "x"), 6);
        host.call("slow-reader", 2, "");
        let piece = "x".repeat(300 << 10);
        let taken = (0..1000).take_while(|_| host.data(2, &piece) == 0).count();
        assert_eq!(taken, 4);
    });
}

#[test]
fn the_plugins_own_wakes_reach_it() {
    driven(|host| {
        host.call("wakes-itself", 1, "");
        assert_eq!(host.said(), [err(1, "the host refused")], "the upper half is not its own");
        host.turn();
        host.call("noted", 2, "");
        assert_eq!(host.said(), [ok(2, "woken 9")]);
    });
}
