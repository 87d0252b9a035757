//! Calls that are made from inside a plugin.

use crate::ground::{Answer, Counts, Ground, answer, rest};
use crate::script::{Reader, Script, status};
use ringbox_ring::{Call, CallError, Invocation, Status};
use std::sync::{Arc, Mutex};

/// What the hook returned, out of a script's output.
#[track_caller]
fn hooked(output: &[u8]) -> Vec<u8> {
    Reader::new(output).bytes().expect("what the hook returned").to_vec()
}

/// The same plugin, on the same thread, from below its own dispatch.
pub fn a_plugin_is_called_from_inside_itself(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    plugin.on_hook(move |bytes| {
        let call = link.call(&Invocation::entry("echo", bytes)).unwrap();
        link.notify(&Invocation::entry("echo", bytes)).unwrap();
        call.now().unwrap().into_vec()
    });
    let output = plugin.output(Script::new().hook(b"inner"));
    assert_eq!(hooked(&output), b"inner");
}

/// Each level has its own sid and its own answer.
pub fn calls_nest(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    plugin.on_hook(move |depth| {
        let mut own = depth.to_vec();
        if let Some(deeper) = depth[0].checked_sub(1) {
            let script = Script::new().hook(&[deeper]).output(status::OK);
            let reply = link.call(&Invocation::entry("run", &script)).unwrap().now().unwrap();
            own.extend(hooked(&reply));
        }
        own
    });
    let output = plugin.output(Script::new().hook(&[10]));
    assert_eq!(hooked(&output), (0..=10).rev().collect::<Vec<_>>());
}

/// Blocking inside would keep the thread that the answer needs.
pub fn waiting_inside_is_refused(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    plugin.on_hook(move |_| {
        let script = Script::new().keep();
        let call = link.call(&Invocation::entry("run", &script)).unwrap();
        let sid = call.sid().as_raw();
        assert_eq!(call.wait().map(Answer::from), Err(CallError::WouldDeadlock));
        sid.to_le_bytes().to_vec()
    });
    let output = plugin.output(Script::new().hook(b"wait"));
    assert_eq!(hooked(&output).len(), 8, "the hook came to its end");
    plugin.expect(Counts { cancelled: 1, ..Counts::default() });
    plugin.serves();
}

/// A call made inside is a call like any other.
pub fn a_call_made_inside_is_awaited_outside(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    let made: Arc<Mutex<Vec<Call>>> = Arc::default();
    let keep = made.clone();
    plugin.on_hook(move |bytes| {
        let echo = link.call(&Invocation::entry("echo", bytes)).unwrap();
        let script = Script::new().keep();
        let open = link.call(&Invocation::entry("run", &script)).unwrap();
        keep.lock().unwrap().extend([echo, open]);
        Vec::new()
    });
    plugin.output(Script::new().hook(b"from inside"));
    let [echo, open] = std::mem::take(&mut *made.lock().unwrap()).try_into().unwrap();
    plugin.answer(open.sid(), Status::Ok, b"from outside");
    assert_eq!(answer(echo), Ok(Answer::ok(*b"from inside")));
    assert_eq!(answer(open), Ok(Answer::ok(*b"from outside")));
}

/// A call that is open is answered by one that is dispatched inside another's dispatch.
pub fn an_inner_call_may_answer_an_open_one(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    plugin.on_hook(move |script| {
        link.notify(&Invocation::entry("run", script)).unwrap();
        Vec::new()
    });
    let open = plugin.call(&Script::new().keep());
    let inner = Script::new().answer_for(open.sid().as_raw(), status::OK, b"from the inner one");
    let outer = plugin.call(&Script::new().hook(&inner).answer(status::OK, b"and its own"));
    assert_eq!(answer(open), Ok(Answer::ok(*b"from the inner one")));
    assert_eq!(answer(outer), Ok(Answer::ok(*b"and its own")));
}

/// A call whose dispatch goes on is answered from inside: its own answer is then the second.
pub fn an_inner_call_may_answer_the_outer(ground: &Ground) {
    let plugin = ground.plugin();
    let link = plugin.link;
    plugin.on_hook(move |sid| {
        let sid = Reader::new(sid).u64().unwrap();
        let script = Script::new().answer_for(sid, status::OK, b"from the inner one");
        link.notify(&Invocation::entry("run", &script)).unwrap();
        Vec::new()
    });
    let script = Script::new().own_sid().hook(b"");
    let twice = plugin.call(&script.clone().answer(status::ERR, b"too late"));
    assert_eq!(answer(twice), Ok(Answer::ok(*b"from the inner one")));
    let mut stream = plugin.stream(&script.frames(1, 1).answer(status::STREAM_END, b"end"));
    let (frames, fault) = rest(&mut stream);
    assert_eq!((frames.len(), &frames[0].bytes[..], fault), (3, &b"from the inner one"[..], None));
    plugin.expect(Counts { after_end: 1, ..Counts::default() });
}

/// From inside one plugin into another, and back.
pub fn another_plugin_is_called_from_inside(ground: &Ground) {
    let (one, other) = (ground.plugin(), ground.plugin());
    let link = other.link;
    one.on_hook(move |bytes| {
        let call = link.call(&Invocation::entry("echo", bytes)).unwrap();
        call.now().unwrap().into_vec()
    });
    let output = one.output(Script::new().hook(b"through"));
    assert_eq!(hooked(&output), b"through");
    other.serves();
}
