//! Panics: whose call they cost, and whose they don't.

use crate::ground::{Answer, Counts, Ground, answer, rest};
use crate::script::{Reader, Script, status};
use ringbox_ring::{CallError, Fault, Status};
use std::time::Duration;

#[track_caller]
fn is_panic(answer: &Answer, message: &str) {
    assert_eq!(answer.status, Status::Panic);
    let said = String::from_utf8_lossy(&answer.bytes);
    assert!(said.contains(message), "{said:?} says {message:?}");
}

/// Inside dispatch.
pub fn a_panic_is_answered_with_its_message(ground: &Ground) {
    let plugin = ground.plugin();
    for message in ["on purpose", "not only ASCII: ß🦀"] {
        is_panic(&plugin.ask(&Script::new().panic(message)), message);
    }
}

/// After dispatch has returned: nobody is left hanging.
pub fn a_panic_after_a_pause_is_answered(ground: &Ground) {
    let plugin = ground.plugin();
    is_panic(&plugin.ask(&Script::new().later().panic("later on")), "later on");
    is_panic(&plugin.ask(&Script::new().later().later().panic("still")), "still");
}

/// On a stream it is the terminal frame.
pub fn a_panic_ends_a_stream_after_its_frames(ground: &Ground) {
    let plugin = ground.plugin();
    let (mut frames, fault) = rest(&mut plugin.stream(&Script::new().frames(64, 2).panic("mid")));
    assert_eq!((frames.len(), fault), (65, None));
    let last = frames.pop().unwrap();
    is_panic(&Answer { status: last.status, bytes: last.bytes }, "mid");
}

/// What was answered before stands.
pub fn a_panic_after_the_answer_changes_nothing(ground: &Ground) {
    let plugin = ground.plugin();
    let script = Script::new().answer(status::OK, b"answered").panic("afterwards");
    assert_eq!(plugin.ask(&script), Answer::ok(*b"answered"));
    plugin.expect(Counts { after_end_spare: 1, ..Counts::default() });
    plugin.serves();
}

/// Where no answer is expected, there is nobody to tell.
pub fn a_panic_in_a_notification_harms_nobody(ground: &Ground) {
    let plugin = ground.plugin();
    for _ in 0..3 {
        plugin.notify(&Script::new().panic("unheard")).unwrap();
    }
    plugin.serves();
}

/// The plugin is there for the next call, however often it panics.
pub fn after_a_panic_the_plugin_serves(ground: &Ground) {
    let plugin = ground.plugin();
    for _ in 0..5 {
        is_panic(&plugin.ask(&Script::new().panic("again")), "again");
        plugin.serves();
    }
}

/// Its memory is as it was.
pub fn a_panic_keeps_the_plugins_memory(ground: &Ground) {
    let plugin = ground.plugin();
    let before = plugin.calls_seen();
    is_panic(&plugin.ask(&Script::new().panic("and go on")), "and go on");
    assert_eq!(plugin.calls_seen(), before + 2);
}

/// Calls that were open are open still.
pub fn a_panic_leaves_other_calls_open(ground: &Ground) {
    let plugin = ground.plugin();
    let call = plugin.call(&Script::new().keep());
    let mut stream = plugin.stream(&Script::new().keep().frames(1, 1));
    is_panic(&plugin.ask(&Script::new().panic("next to others")), "next to others");
    plugin.answer(call.sid(), Status::Ok, b"unharmed");
    plugin.answer(stream.sid(), Status::StreamEnd, b"unharmed");
    assert_eq!(answer(call), Ok(Answer::ok(*b"unharmed")));
    assert_eq!(rest(&mut stream).0.len(), 2);
}

/// Calls that were open end somehow: by an answer where the plugin lived on, at once and retryable
/// where its instance is lost.
pub fn a_panic_never_leaves_another_call_hanging(ground: &Ground) {
    let plugin = ground.plugin();
    let soon = Duration::from_millis(50);
    let call = plugin.call(&Script::new().keep()).deadline(soon);
    let mut stream = plugin.stream(&Script::new().keep().frames(1, 1)).deadline(soon);
    is_panic(&plugin.ask(&Script::new().panic("next to others")), "next to others");
    let lives = ground.has(crate::Ability::KeepsStateInPanic);
    let expected: CallError =
        if lives { Fault::Deadline { after: soon } } else { Fault::InstanceLost }.into();
    assert_eq!(expected.is_retryable(), !lives);
    assert_eq!(answer(call), Err(expected.clone()));
    let (frames, fault) = rest(&mut stream);
    assert_eq!((frames.len(), fault), (1, Some(expected)));
    plugin.expect(Counts { faults: 2, ..Counts::default() });
    if !lives {
        let output = plugin.output(Script::new().calls());
        assert_eq!(Reader::new(&output).u64(), Some(1), "the replacement starts anew");
    }
}
