//! Answers that are nobody's, and answers that meet each other.

use crate::executor::{block_on, elsewhere};
use crate::ground::{Answer, Counts, Ground, answer};
use crate::script::{Reader, Script, status};
use ringbox_ring::{Invocation, Sid, Status};
use std::collections::HashSet;

/// The first answer is the answer.
pub fn second_answer_is_dropped(ground: &Ground) {
    let plugin = ground.plugin();
    let twice = Script::new().answer(status::OK, b"first").answer(status::ERR, b"second");
    assert_eq!(plugin.ask(&twice), Answer::ok(*b"first"));
    let call = plugin.call(&Script::new().keep());
    plugin.answer(call.sid(), Status::Ok, b"first");
    plugin.answer(call.sid(), Status::Err, b"second, and a good deal longer");
    plugin.answer(call.sid(), Status::StreamEnd, b"third");
    assert_eq!(answer(call), Ok(Answer::ok(*b"first")));
    plugin.expect(Counts { after_end: 3, ..Counts::default() });
}

/// Whoever left gets nothing, and what comes for it is counted.
pub fn an_answer_after_the_caller_left_is_dropped(ground: &Ground) {
    let plugin = ground.plugin();
    let sids: Vec<_> = (0..10).map(|_| plugin.call(&Script::new().keep()).sid()).collect();
    for sid in sids {
        plugin.answer(sid, Status::Ok, b"late");
    }
    plugin.expect(Counts { cancelled: 10, after_end: 10, ..Counts::default() });
}

/// Numbers that never were a sid.
pub fn an_answer_to_an_unknown_sid_is_dropped(ground: &Ground) {
    let plugin = ground.plugin();
    let open = plugin.call(&Script::new().keep());
    let of_this_slot = open.sid().as_raw();
    let high = 1 << 62;
    for sid in [0, of_this_slot + high, of_this_slot ^ 0xf_ffff, high - 1] {
        plugin.answer(Sid::from_raw(sid), Status::Ok, b"forged");
    }
    // What looks like a call that expects no answer is not counted at all.
    plugin.answer(Sid::from_raw(u64::MAX), Status::Ok, b"forged");
    plugin.answer(open.sid(), Status::Ok, b"real");
    assert_eq!(answer(open), Ok(Answer::ok(*b"real")));
    plugin.expect(Counts { unknown: 4, ..Counts::default() });
}

/// A plugin answers only its own calls, whatever it knows of others'.
pub fn an_answer_to_another_plugins_call_is_dropped(ground: &Ground) {
    let (owner, thief) = (ground.plugin(), ground.plugin());
    let call = owner.call(&Script::new().keep());
    let stream = owner.stream(&Script::new().keep());
    for sid in [call.sid(), stream.sid()] {
        thief.answer(sid, Status::Ok, b"forged");
        thief.answer(sid, Status::StreamEnd, b"forged");
    }
    owner.answer(call.sid(), Status::Ok, b"real");
    owner.answer(stream.sid(), Status::StreamEnd, b"real");
    assert_eq!(answer(call), Ok(Answer::ok(*b"real")));
    let (frames, fault) = crate::ground::rest(&mut { stream });
    assert_eq!((frames.len(), &frames[0].bytes[..], fault), (1, &b"real"[..], None));
    thief.expect(Counts { foreign: 4, ..Counts::default() });
}

/// A slot serves one call after the other; an answer for one never reaches the next.
pub fn a_late_answer_never_reaches_the_next_call(ground: &Ground) {
    let plugin = ground.plugin();
    let mut old = Vec::new();
    for _ in 0..50 {
        let gone = plugin.call(&Script::new().keep());
        old.push(gone.sid());
        drop(gone);
        let call = plugin.call(&Script::new().keep());
        for sid in &old {
            plugin.answer(*sid, Status::Err, b"for a call that is over");
        }
        plugin.answer(call.sid(), Status::Ok, b"its own");
        assert_eq!(answer(call), Ok(Answer::ok(*b"its own")));
    }
    let late = (1..=50).sum();
    plugin.expect(Counts { cancelled: 50, after_end: late, ..Counts::default() });
}

/// What the plugin is given is what the caller sees, it isn't 0, and it does not come back.
pub fn no_sid_comes_twice(ground: &Ground) {
    let plugin = ground.plugin();
    let mut seen = HashSet::new();
    for _ in 0..1000 {
        let call = plugin.call(&Script::new().own_sid().output(status::OK));
        let sid = call.sid();
        let answer = answer(call).unwrap();
        assert_eq!(Reader::new(&answer.bytes).u64(), Some(sid.as_raw()));
        assert_ne!(sid.as_raw(), 0);
        assert!(seen.insert(sid), "{sid:?} came twice");
    }
}

/// Many open calls, answered in another order than they were made in.
pub fn thousands_of_calls_are_open_at_once(ground: &Ground) {
    let plugin = ground.plugin();
    let calls: Vec<_> = (0..3000_u32).map(|_| plugin.call(&Script::new().keep())).collect();
    assert_eq!(plugin.link.metrics().in_flight, 3000);
    for (number, call) in calls.iter().enumerate().rev() {
        plugin.answer(call.sid(), Status::Ok, &number.to_le_bytes());
    }
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call), Ok(Answer::ok(number.to_le_bytes())));
    }
}

/// Threads that answer at the same time: one is heard, whole.
pub fn of_racing_answers_one_is_taken(ground: &Ground) {
    let plugin = ground.plugin();
    for _ in 0..20 {
        let got = plugin.ask(&Script::new().race(4));
        assert!(got.status == Status::Ok && got.bytes.len() == 1 && got.bytes[0] < 4, "{got:?}");
    }
    plugin.expect(Counts { after_end: 60, ..Counts::default() });
}

/// Callers that leave just when the answer comes: nothing leaks, and every call is counted once.
pub fn of_racing_answers_and_cancels_nothing_is_left(ground: &Ground) {
    let plugin = ground.plugin();
    let mut answered = 0;
    for round in 0..200_u32 {
        let call = plugin.call(&Script::new().later().answer(status::OK, b"racing"));
        for _ in 0..round * 20 {
            std::hint::spin_loop();
        }
        match call.now() {
            Ok(reply) => {
                assert_eq!(&reply[..], b"racing");
                answered += 1;
            }
            Err(error) => assert_eq!(error, ringbox_ring::CallError::NotImmediate),
        }
    }
    let late = 200 - answered;
    // An answer that came in while its caller left is neither late nor double, and one that came
    // just before left nothing to cancel.
    plugin.expect(Counts { cancelled_spare: late, after_end_spare: late, ..Counts::default() });
    plugin.serves();
}

/// Many threads at once, and every answer is its caller's.
pub fn many_callers_each_get_their_own_answer(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    let callers: Vec<_> = (0..8_u32)
        .map(|caller| {
            elsewhere(move || {
                for number in 0..50_u32 {
                    let bytes = [caller.to_le_bytes(), number.to_le_bytes()].concat();
                    let mut script = Script::new();
                    if number % 2 == 0 {
                        script = script.later();
                    }
                    let script = script.answer(status::OK, &bytes);
                    let call = link.call(&Invocation::entry("run", &script)).unwrap();
                    assert_eq!(block_on(call).unwrap()[..], bytes);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join();
    }
}
