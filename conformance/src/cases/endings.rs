//! Calls that end without an answer: out of time, or left by their caller.

use crate::executor::{Task, block_on, drop_after_each_poll};
use crate::ground::{Answer, Counts, Ground, answer, next, rest};
use crate::script::{Script, status};
use ringbox_ring::{CallError, Fault, Sid, Status};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(20);

fn deadline(after: Duration) -> CallError {
    Fault::Deadline { after }.into()
}

/// Not before its time, and its late answer is dropped.
pub fn a_deadline_ends_a_call(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().keep()).deadline(SOON);
    let (sid, start) = (call.sid(), Instant::now());
    let error = answer(call).unwrap_err();
    assert_eq!(error, deadline(SOON));
    assert!(error.is_deadline() && start.elapsed() >= SOON);
    plugin.answer(sid, Status::Ok, b"late");
    assert_eq!(plugin.link.metrics().faults.deadline, 1);
    plugin.expect(Counts { faults: 1, after_end: 1, ..Counts::default() });
}

/// No time at all is enough for an answer that is there.
pub fn a_deadline_of_zero_is_for_waiting_only(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().answer(status::OK, b"there"));
    if ground.has(crate::Ability::Inside) {
        assert_eq!(answer(call.deadline(Duration::ZERO)), Ok(Answer::ok(*b"there")));
    } else {
        assert_eq!(answer(call), Ok(Answer::ok(*b"there")));
    }
    let call = plugin.call(&Script::new().keep()).deadline(Duration::ZERO);
    assert_eq!(answer(call), Err(deadline(Duration::ZERO)));
    plugin.expect(Counts { faults: 1, ..Counts::default() });
}

/// A plugin need not go on working for nobody.
pub fn a_deadline_is_told_to_the_plugin(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().keep()).deadline(SOON);
    let stream = plugin.stream(&Script::new().keep()).deadline(SOON);
    let sids = [call.sid(), stream.sid()];
    assert_eq!(answer(call), Err(deadline(SOON)));
    assert_eq!(rest(&mut { stream }), (Vec::new(), Some(deadline(SOON))));
    for sid in sids {
        plugin.hears_cancel(sid);
    }
    plugin.expect(Counts { faults: 2, ..Counts::default() });
}

/// A call that says nothing of deadlines has its plugin's.
pub fn the_plugins_deadline_is_the_default(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.deadline(SOON));
    assert_eq!(answer(plugin.call(&Script::new().keep())), Err(deadline(SOON)));
    let mut stream = plugin.stream(&Script::new().keep());
    assert_eq!(rest(&mut stream), (Vec::new(), Some(deadline(SOON))));
    drop(stream);
    let call = plugin.call(&Script::new().keep());
    assert_eq!(call.wait().map(Answer::from), Err(deadline(SOON)));
    plugin.expect(Counts { faults: 3, ..Counts::default() });
}

/// Nothing ever comes.
pub fn a_deadline_ends_a_stream_that_nothing_comes_on(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&Script::new().keep()).deadline(SOON);
    let start = Instant::now();
    assert_eq!(rest(&mut stream), (Vec::new(), Some(deadline(SOON))));
    assert!(start.elapsed() >= SOON);
    plugin.answer(stream.sid(), Status::Ok, b"late");
    plugin.expect(Counts { faults: 1, after_end: 1, ..Counts::default() });
}

/// A stream's deadline is for each wait, not for the whole.
pub fn a_stream_within_its_deadline_goes_on(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.stream_frames(4));
    let wait = Duration::from_secs(5);
    let script = Script::new().later().pump(500, 1).answer(status::STREAM_END, b"");
    let (frames, fault) = rest(&mut plugin.stream(&script).deadline(wait));
    assert_eq!((frames.len(), fault), (501, None));
}

/// What was sent in time is read, then comes the fault.
pub fn frames_before_a_deadline_are_read(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&Script::new().keep().frames(3, 2)).deadline(SOON);
    let (frames, fault) = rest(&mut stream);
    assert_eq!((frames.len(), fault), (3, Some(deadline(SOON))));
    plugin.expect(Counts { faults: 1, ..Counts::default() });
}

/// The earlier deadline ends its call first, in whatever order they were made.
pub fn deadlines_end_calls_in_their_order(ground: &Ground) {
    let plugin = ground.plugin();
    let after = |millis| Duration::from_millis(millis);
    let mut calls: Vec<_> = [400, 30, 90, 60]
        .map(|millis| {
            let call = plugin.call(&Script::new().keep()).deadline(after(millis));
            let mut task = Task::new(call);
            assert!(task.poll().is_pending());
            (millis, task)
        })
        .into();
    calls.sort_by_key(|(millis, _)| *millis);
    for (millis, mut task) in calls.drain(..3) {
        assert_eq!(task.finish().map(drop), Err(deadline(after(millis))));
    }
    let (_, mut last) = calls.remove(0);
    if last.poll().is_pending() {
        drop(last);
        plugin.expect(Counts { cancelled: 1, faults: 3, ..Counts::default() });
    } else {
        // The machine was busy for so long that its time came as well.
        plugin.expect(Counts { faults: 4, ..Counts::default() });
    }
}

/// For ever is a deadline too.
pub fn a_call_without_a_deadline_waits(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.deadline(Duration::MAX));
    let script = Script::new().later().answer(status::OK, b"in the end");
    assert_eq!(plugin.ask(&script), Answer::ok(*b"in the end"));
    let call = plugin.call(&script).deadline(Duration::from_secs(u64::MAX));
    assert_eq!(answer(call), Ok(Answer::ok(*b"in the end")));
}

/// Nothing is left that could answer: where the wall can tell, it ends the call at once. (A stream
/// that takes data may yet be woken by its caller.)
pub fn an_abandoned_call_ends(ground: &Ground) {
    let plugin = ground.plugin();
    let waits = ground.has(crate::Ability::KeepsAbandoned);
    let expected = |waits| if waits { deadline(SOON) } else { Fault::Unanswered.into() };
    let call = plugin.call(&Script::new()).deadline(SOON);
    assert_eq!(answer(call), Err(expected(waits)));
    let mut stream = plugin.stream(&Script::new().frames(1, 1)).deadline(SOON);
    let (frames, fault) = rest(&mut stream);
    let waits = waits || ground.has(crate::Ability::Data);
    assert_eq!((frames.len(), fault), (1, Some(expected(waits))));
    plugin.expect(Counts { faults: 2, ..Counts::default() });
}

/// Cancelling is told once, for whichever way the caller left.
pub fn a_dropped_call_is_told_to_the_plugin(ground: &Ground) {
    let plugin = ground.plugin();
    let unpolled = plugin.call(&Script::new().keep());
    let sid = unpolled.sid();
    drop(unpolled);
    plugin.hears_cancel(sid);
    let call = plugin.call(&Script::new().keep());
    let sid = call.sid();
    let mut polled = Task::new(call);
    assert!(polled.poll().is_pending());
    drop(polled);
    plugin.hears_cancel(sid);
    plugin.expect(Counts { cancelled: 2, ..Counts::default() });
}

/// Who has answered need not hear that the answer wasn't wanted.
pub fn a_dropped_answered_call_is_not_told(ground: &Ground) {
    let plugin = ground.plugin();
    let answered = plugin.call(&Script::new().keep());
    plugin.answer(answered.sid(), Status::Ok, b"unread");
    drop(answered);
    // Another call's notice comes after it would have.
    let open = plugin.call(&Script::new().keep());
    let sid = open.sid();
    drop(open);
    plugin.hears_cancel(sid);
    let output = plugin.output(Script::new().cancelled());
    assert_eq!(output[..4], 1_u32.to_le_bytes());
    // The answered one had ended before its caller left.
    plugin.expect(Counts { cancelled: 1, ..Counts::default() });
}

/// What was opened, what was left open when it was dropped, and what came too late for it.
#[derive(Default)]
struct Book {
    opened: RefCell<Vec<Sid>>,
    cancelled: Cell<u64>,
    late: Cell<u64>,
}

impl Book {
    fn open(&self, sid: Sid) {
        self.opened.borrow_mut().push(sid);
    }

    /// The scenario was dropped: answers all that it opened once more, and sees that nothing is
    /// left.
    fn close(&self, plugin: &crate::Plugin, open_when_dropped: u64) {
        for sid in self.opened.take() {
            plugin.answer(sid, Status::StreamEnd, b"late");
            self.late.set(self.late.get() + 1);
        }
        self.cancelled.set(self.cancelled.get() + open_when_dropped);
        let (cancelled, after_end) = (self.cancelled.get(), self.late.get());
        plugin.expect(Counts { cancelled, after_end, ..Counts::default() });
        plugin.settle();
        plugin.serves();
    }
}

/// Dropped before its first poll, after it, and so on: nothing leaks, nothing is miscounted.
pub fn a_call_may_be_dropped_at_every_await(ground: &Ground) {
    let plugin = ground.plugin();
    let book = Book::default();
    let open = Cell::new(0_u64);
    let scenario = || async {
        for _ in 0..3 {
            let call = plugin.call(&Script::new().keep());
            book.open(call.sid());
            open.set(1);
            assert_eq!(&call.await.unwrap()[..], b"answered");
            open.set(0);
        }
    };
    let between = |_| {
        let sid = *book.opened.borrow().last().unwrap();
        plugin.answer(sid, Status::Ok, b"answered");
        // Over, read or not: leaving it now cancels nothing.
        open.set(0);
    };
    drop_after_each_poll(scenario, between, |_| book.close(&plugin, open.take()));
}

/// The same for a stream, with frames queued and unqueued, and its end.
pub fn a_stream_may_be_dropped_at_every_await(ground: &Ground) {
    let plugin = ground.plugin();
    let book = Book::default();
    let open = Cell::new(0_u64);
    let scenario = || async {
        let mut stream = plugin.stream(&Script::new().keep().frames(2, 1));
        book.open(stream.sid());
        open.set(1);
        let mut read = 0;
        while let Some(frame) = stream.recv().await.unwrap() {
            read += 1;
            if frame.status() == Status::StreamEnd {
                open.set(0);
            }
        }
        assert_eq!(read, 2 + 3 + 1);
    };
    let between = |poll| {
        let sid = book.opened.borrow()[0];
        if poll <= 3 {
            plugin.answer(sid, Status::Ok, b"frame");
        } else {
            plugin.answer(sid, Status::StreamEnd, b"end");
            // Over, read or not: leaving it now cancels nothing.
            open.set(0);
        }
    };
    drop_after_each_poll(scenario, between, |_| book.close(&plugin, open.take()));
    let mut stream = plugin.stream(&Script::new().keep());
    plugin.answer(stream.sid(), Status::StreamEnd, b"");
    assert!(block_on(stream.recv()).unwrap().is_some());
    assert_eq!(next(&mut stream), Ok(None));
}
