//! Every way to call, and every way to be answered.

use crate::executor::{elsewhere, eventually};
use crate::ground::{Answer, Counts, Ground, answer, answer_through, rest};
use crate::script::{Script, status};
use ringbox_ring::{CallError, EntryId, Fault, Invocation, Status};

/// `now` finds what was answered inside dispatch.
pub fn an_answer_inside_dispatch_is_there_at_once(ground: &Ground) {
    let plugin = ground.plugin();
    let reply = plugin.link.call(&Invocation::entry("echo", b"hello")).unwrap().now().unwrap();
    assert_eq!(Answer::from(reply), Answer::ok(*b"hello"));
    let script = Script::new().answer(status::OK, b"scripted");
    let reply = plugin.call(&script).now().unwrap();
    assert_eq!((&reply[..], reply.status()), (&b"scripted"[..], Status::Ok));
}

/// Dispatch returns first, the answer comes from elsewhere.
pub fn an_answer_may_come_later(ground: &Ground) {
    let plugin = ground.plugin();
    for number in 0..20_u8 {
        let script = Script::new().later().answer(status::OK, &[number]);
        assert_eq!(plugin.ask(&script), Answer::ok([number]));
    }
    let twice_later = Script::new().later().later().answer(status::ERR, b"at last");
    let expected = Answer { status: Status::Err, bytes: b"at last".to_vec() };
    assert_eq!(plugin.ask(&twice_later), expected);
}

/// The plugin answers a call while it works on another.
pub fn an_answer_may_come_from_another_call(ground: &Ground) {
    let plugin = ground.plugin();
    let first = plugin.call(&Script::new().keep());
    let second = plugin.call(&Script::new().keep());
    plugin.answer(second.sid(), Status::Ok, b"second");
    plugin.answer(first.sid(), Status::Err, b"first");
    assert_eq!(answer(first), Ok(Answer { status: Status::Err, bytes: b"first".to_vec() }));
    assert_eq!(answer(second), Ok(Answer::ok(*b"second")));
}

/// The answer is given on one thread while another awaits it.
pub fn an_answer_may_come_while_another_thread_waits(ground: &Ground) {
    let plugin = ground.plugin();
    for _ in 0..20 {
        let call = plugin.call(&Script::new().keep());
        let (link, sid) = (plugin.link, call.sid());
        let answering = elsewhere(move || answer_through(link, sid, Status::Ok, b"from there"));
        assert_eq!(answer(call), Ok(Answer::ok(*b"from there")));
        answering.join();
    }
}

/// `wait` blocks until the answer is there, and no longer.
pub fn a_blocked_thread_gets_its_answer(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().later().answer(status::OK, b"later"));
    assert_eq!(elsewhere(move || call.wait().map(Answer::from)).join(), Ok(Answer::ok(*b"later")));
    let call = plugin.call(&Script::new().keep());
    let sid = call.sid();
    let waiting = elsewhere(move || call.wait().map(Answer::from));
    plugin.answer(sid, Status::Ok, b"woken");
    assert_eq!(waiting.join(), Ok(Answer::ok(*b"woken")));
}

/// `now` cancels what is not answered, and its late answer is dropped.
pub fn now_does_not_wait(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().keep());
    let sid = call.sid();
    assert_eq!(call.now().map(Answer::from), Err(CallError::NotImmediate));
    plugin.answer(sid, Status::Ok, b"too late");
    plugin.expect(Counts { cancelled: 1, after_end: 1, ..Counts::default() });
}

/// A notification reaches the plugin, and is over when it is made.
pub fn a_notified_plugin_sees_the_call(ground: &Ground) {
    let plugin = ground.plugin();
    let before = plugin.calls_seen();
    for _ in 0..10 {
        plugin.notify(&Script::new()).unwrap();
    }
    eventually("the plugin sees the notifications", || {
        let metrics = plugin.link.metrics();
        // Each question is a call that the plugin sees as well.
        plugin.calls_seen() >= before + 10 && metrics.notified >= 10
    });
    assert_eq!(plugin.link.metrics().notified, 10);
}

/// A plugin may answer what expects no answer. It isn't counted as a mistake.
pub fn an_answer_to_a_notification_is_nobodys(ground: &Ground) {
    let plugin = ground.plugin();
    plugin.notify(&Script::new().answer(status::OK, b"inside")).unwrap();
    plugin.notify(&Script::new().frames(3, 3).answer(status::STREAM_END, b"")).unwrap();
    if ground.has(crate::Ability::Later) {
        plugin.notify(&Script::new().later().answer(status::OK, b"later")).unwrap();
    }
    plugin.link.notify(&Invocation::entry("echo", b"bytes")).unwrap();
    plugin.serves();
}

/// A resolved entry is the entry, for each kind of call.
pub fn entries_are_called_by_number(ground: &Ground) {
    let plugin = ground.plugin();
    let echo = plugin.link.resolve("echo").unwrap();
    let run = plugin.link.resolve("run").unwrap();
    assert_ne!(echo, run);
    assert_eq!(plugin.link.resolve("echo"), Ok(echo), "a name keeps its number");
    let call = plugin.link.call(&Invocation::entry_id(echo, b"by number")).unwrap();
    assert_eq!(answer(call), Ok(Answer::ok(*b"by number")));
    let script = Script::new().frames(2, 1).answer(status::STREAM_END, b"");
    let mut stream = plugin.link.stream(&Invocation::entry_id(run, &script)).unwrap();
    assert_eq!(rest(&mut stream).0.len(), 3);
    plugin.link.notify(&Invocation::entry_id(echo, b"")).unwrap();
}

/// A name that the plugin does not know is refused with its own word for it.
pub fn an_unknown_entry_is_refused(ground: &Ground) {
    let plugin = ground.plugin();
    for name in ["nobody", "", "Echo", "echo ", "écho"] {
        let error = plugin.link.call(&Invocation::entry(name, b"")).map(drop);
        assert_eq!(error, Err(CallError::Refused { status: Status::Unsupported }), "{name:?}");
        assert_eq!(plugin.link.resolve(name), Err(CallError::NoSuchEntry), "{name:?}");
    }
    plugin.expect(Counts { refused: 5, ..Counts::default() });
    plugin.serves();
}

/// A number that nothing was resolved to is refused.
pub fn an_unknown_number_is_refused(ground: &Ground) {
    let plugin = ground.plugin();
    for number in [99, 1 << 20, u32::MAX] {
        let call = Invocation::entry_id(EntryId::from_raw(number), b"");
        assert_eq!(plugin.link.call(&call).map(drop), Err(CallError::NoSuchEntry), "{number}");
    }
    plugin.expect(Counts { refused: 3, ..Counts::default() });
    plugin.serves();
}

/// What dispatch returns is what the caller gets, and no call is left open.
pub fn a_refusal_reaches_every_kind_of_caller(ground: &Ground) {
    let plugin = ground.plugin();
    for status in [Status::Err, Status::Invalid, Status::Unsupported] {
        let script = Script::new().return_status(status.raw().0);
        let refused = Err(CallError::Refused { status });
        assert_eq!(plugin.try_call(&script).map(drop), refused);
        assert_eq!(plugin.link.stream(&Invocation::entry("run", &script)).map(drop), refused);
        assert_eq!(plugin.notify(&script), refused);
    }
    plugin.expect(Counts { refused: 9, ..Counts::default() });
    plugin.serves();
}

/// At once or after a while, it is the same error.
pub fn a_refusal_reaches_whoever_waits(ground: &Ground) {
    let plugin = ground.plugin();
    for status in [Status::Err, Status::Invalid, Status::Unsupported] {
        let script = Script::new().return_status(status.raw().0);
        let refused = CallError::Refused { status };
        assert_eq!(plugin.try_call(&script).and_then(answer), Err(refused.clone()));
        let stream = plugin.link.stream(&Invocation::entry("run", &script));
        let read = stream.map(|mut stream| rest(&mut stream));
        assert!(
            read == Err(refused.clone()) || read == Ok((Vec::new(), Some(refused))),
            "{read:?}"
        );
    }
    plugin.serves();
    let counts = plugin.counts();
    assert_eq!(counts.refused + counts.faults, 6);
    plugin.expect(counts);
}

/// After a refusal nothing is owed, and nothing that was said before it counts.
pub fn an_answer_before_a_refusal_is_dropped(ground: &Ground) {
    let plugin = ground.plugin();
    let script = Script::new().answer(status::OK, b"yes").return_status(status::ERR);
    let refused = Err(CallError::Refused { status: Status::Err });
    assert_eq!(plugin.try_call(&script).map(drop), refused);
    assert_eq!(plugin.link.stream(&Invocation::entry("run", &script)).map(drop), refused);
    plugin.expect(Counts { refused: 2, after_end_spare: 2, ..Counts::default() });
    plugin.serves();
}

/// A call's answer may have any status but the end of a stream.
pub fn every_status_reaches_the_caller(ground: &Ground) {
    use Status::{Backpressure, Err, Invalid, Ok, Panic, Unsupported};
    let plugin = ground.plugin();
    for status in [Ok, Err, Invalid, Unsupported, Panic, Backpressure] {
        let got = plugin.ask(&Script::new().answer(status.raw().0, b"with bytes"));
        assert_eq!(got, Answer { status, bytes: b"with bytes".to_vec() });
        let got = plugin.ask(&Script::new().answer(status.raw().0, b""));
        assert_eq!(got, Answer { status, bytes: Vec::new() });
    }
}

/// A number without a name is no reason to lose the answer.
pub fn an_unknown_status_keeps_its_number(ground: &Ground) {
    let plugin = ground.plugin();
    for number in [7, 9, 0x8000_0000, u32::MAX] {
        let got = plugin.ask(&Script::new().answer(number, b"odd"));
        assert_eq!(got, Answer { status: Status::Unknown(number), bytes: b"odd".to_vec() });
        let refused = plugin.try_call(&Script::new().return_status(number)).map(drop);
        assert_eq!(refused, Err(CallError::Refused { status: Status::Unknown(number) }));
    }
    plugin.expect(Counts { refused: 4, ..Counts::default() });
}

/// `StreamEnd` means nothing where one answer is owed.
pub fn a_stream_end_on_a_call_is_a_fault(ground: &Ground) {
    let plugin = ground.plugin();
    let bad = Err(CallError::from(Fault::BadStatus(Status::StreamEnd)));
    // There is always room for no bytes, and for others only in a buffer that had them before.
    for bytes in [&b"bytes"[..], b""] {
        let call = plugin.call(&Script::new().answer(status::STREAM_END, bytes));
        assert_eq!(answer(call), bad);
    }
    let call = plugin.call(&Script::new().keep());
    plugin.answer(call.sid(), Status::StreamEnd, b"");
    assert_eq!(answer(call), bad);
    plugin.expect(Counts { faults: 3, ..Counts::default() });
    assert_eq!(plugin.link.metrics().faults.bad_status, 3);
}

/// What cannot be read is refused, whatever it is.
pub fn an_unreadable_script_is_refused(ground: &Ground) {
    let plugin = ground.plugin();
    let script = Script::new().answer(status::OK, b"bytes");
    for broken in [&[0_u8][..], &[255; 100], &script[..script.len() - 1]] {
        let error = plugin.link.call(&Invocation::entry("run", broken)).map(drop);
        assert_eq!(error, Err(CallError::Refused { status: Status::Invalid }));
    }
    plugin.expect(Counts { refused: 3, ..Counts::default() });
}
