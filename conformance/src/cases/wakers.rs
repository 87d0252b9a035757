//! Wakers: which one, when, and whatever it is that they do.

use crate::executor::{Elsewhere, Task, elsewhere, eventually};
use crate::ground::{Answer, Counts, Ground, answer};
use crate::script::{Script, status};
use ringbox_ring::{Invocation, Link, Status};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicU64);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Of all the wakers that a call was polled with, the last one counts.
pub fn the_last_waker_is_woken_once(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().keep());
    let mut stream = plugin.stream(&Script::new().keep());
    let sids = [call.sid(), stream.sid()];
    let wakers: [Arc<Count>; 3] = Default::default();
    let mut call = Task::new(call);
    let mut reading = Task::new(stream.recv());
    for waker in &wakers {
        for _ in 0..3 {
            assert!(call.poll_with(&Waker::from(waker.clone())).is_pending());
            assert!(reading.poll_with(&Waker::from(waker.clone())).is_pending());
        }
    }
    for sid in sids {
        plugin.answer(sid, Status::Ok, b"once");
    }
    eventually("both are woken", || wakers[2].0.load(SeqCst) == 2);
    assert_eq!((wakers[0].0.load(SeqCst), wakers[1].0.load(SeqCst)), (0, 0));
    assert_eq!(&call.finish().unwrap()[..], b"once");
    assert_eq!(&reading.finish().unwrap().unwrap()[..], b"once");
    drop((call, reading));
    assert!(wakers.iter().all(|waker| Arc::strong_count(waker) == 1), "no waker is kept");
    plugin.answer(stream.sid(), Status::StreamEnd, b"");
    assert_eq!(crate::ground::rest(&mut stream).0.len(), 1);
}

/// Polled here, polled there, answered elsewhere, finished and dropped somewhere else again.
pub fn a_call_may_move_between_threads(ground: &Ground) {
    let plugin = ground.plugin();
    for _ in 0..20 {
        let call = plugin.call(&Script::new().keep());
        let sid = call.sid();
        let waker = Waker::from(Arc::new(Count::default()));
        let mut call = call;
        assert!(Pin::new(&mut call).poll(&mut Context::from_waker(&waker)).is_pending());
        let finishing: Elsewhere<_> = elsewhere(move || {
            let reply = crate::executor::block_on(call).unwrap();
            elsewhere(move || Answer::from(reply)).join()
        });
        plugin.answer(sid, Status::Ok, b"moved");
        assert_eq!(finishing.join(), Answer::ok(*b"moved"));
    }
    let dropped: Vec<_> = (0..100).map(|_| plugin.call(&Script::new().keep())).collect();
    elsewhere(move || drop(dropped)).join();
    for _ in 0..100 {
        plugin.serves();
    }
    plugin.expect(Counts { cancelled: 100, ..Counts::default() });
}

/// A waker that calls the very plugin whose answer woke it.
struct Caller {
    link: Link,
    called: AtomicBool,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        let call = self.link.call(&Invocation::entry("echo", b"from a waker"));
        assert_eq!(answer(call.unwrap()), Ok(Answer::ok(*b"from a waker")));
        let _ = self.link.metrics();
        self.called.store(true, SeqCst);
    }
}

/// No lock is held and no plugin's frame is below when a waker runs.
pub fn a_waker_may_call_the_plugin(ground: &Ground) {
    let plugin = ground.plugin();
    let caller = Arc::new(Caller { link: plugin.link, called: AtomicBool::new(false) });
    let called = || caller.called.swap(false, SeqCst);
    let waker = Waker::from(caller.clone());
    let call = plugin.call(&Script::new().keep());
    let sid = call.sid();
    let mut call = Task::new(call);
    assert!(call.poll_with(&waker).is_pending());
    plugin.answer(sid, Status::Ok, b"answer");
    eventually("the call's waker runs", called);
    assert_eq!(&call.finish().unwrap()[..], b"answer");
    let mut stream = plugin.stream(&Script::new().keep());
    let sid = stream.sid();
    let mut reading = Task::new(stream.recv());
    assert!(reading.poll_with(&waker).is_pending());
    plugin.answer(sid, Status::StreamEnd, b"end");
    eventually("the stream's waker runs", called);
    assert_eq!(&reading.finish().unwrap().unwrap()[..], b"end");
}

/// A waker that panics.
struct Explosive;

impl Wake for Explosive {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics, as this case wants it");
    }
}

/// Whoever answered is not to blame for what a waker does.
pub fn a_waker_that_panics_harms_nobody(ground: &Ground) {
    let plugin = ground.plugin();
    let waker = Waker::from(Arc::new(Explosive));
    let call = plugin.call(&Script::new().keep());
    let sid = call.sid();
    let mut call = Task::new(call);
    assert!(call.poll_with(&waker).is_pending());
    plugin.answer(sid, Status::Ok, b"answer");
    assert_eq!(&call.finish().unwrap()[..], b"answer");
    if ground.has(crate::Ability::Later) {
        let call = plugin.call(&Script::new().later().answer(status::OK, b"later"));
        let mut call = Task::new(call);
        let reply = match call.poll_with(&waker) {
            Poll::Ready(reply) => reply,
            Poll::Pending => call.finish(),
        };
        assert_eq!(&reply.unwrap()[..], b"later");
    }
    plugin.serves();
}

/// The waker of a call that is answered inside another's dispatch runs once that is left.
pub fn a_waker_runs_outside_the_plugin(ground: &Ground) {
    let plugin = ground.plugin();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let call = plugin.call(&Script::new().keep());
    let sid = call.sid();
    let mut call = Task::new(call);
    assert!(call.poll_with(&waker).is_pending());
    let seen = count.clone();
    plugin.on_hook(move |_| vec![seen.0.load(SeqCst) as u8]);
    let script = Script::new().answer_for(sid.as_raw(), status::OK, b"answer").hook(b"woken?");
    let output = plugin.output(script);
    assert_eq!(output, [1, 0, 0, 0, 0], "not while the plugin's code is on the stack");
    eventually("the waker runs", || count.0.load(SeqCst) == 1);
    assert!(matches!(call.poll_with(&waker), Poll::Ready(Ok(_))));
}
