//! State that a plugin keeps with a call.

use crate::ground::{Answer, Counts, Ground, answer, rest};
use crate::script::{Kept, Script, status};
use ringbox_ring::Status;

const KEPT: u8 = Kept::Yes as u8;
const NOT_OPEN: u8 = Kept::NotOpen as u8;
const TOO_LARGE: u8 = Kept::TooLarge as u8;

fn found(value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// What one call keeps, it finds; the next one, in the same slot or not, finds nothing.
pub fn state_lives_as_long_as_its_call(ground: &Ground) {
    let plugin = ground.plugin();
    for round in 0..10_u8 {
        let script = Script::new().state(0, "key").set_state(0, "key", &[round]).state(0, "key");
        let expected = [vec![0, KEPT], found(&[round])].concat();
        assert_eq!(plugin.output(script), expected);
    }
    let script = Script::new()
        .set_state(0, "", b"empty key")
        .set_state(0, "ключ", b"")
        .set_state(0, "", b"another value")
        .state(0, "")
        .state(0, "ключ")
        .state(0, "nothing");
    let expected = [vec![KEPT; 3], found(b"another value"), found(b""), vec![0]].concat();
    assert_eq!(plugin.output(script), expected);
}

/// While it is open, a call's state can be got at by its sid; after that it can't.
pub fn state_is_seen_between_calls_by_sid(ground: &Ground) {
    let plugin = ground.plugin();
    let open = plugin.call(&Script::new().keep().set_state(0, "who", b"the open one"));
    let sid = open.sid().as_raw();
    let look = || Script::new().state(sid, "who").set_state(sid, "more", b"set from another call");
    assert_eq!(plugin.output(look()), [found(b"the open one"), vec![KEPT]].concat());
    plugin.answer(open.sid(), Status::Ok, b"done");
    assert_eq!(answer(open), Ok(Answer::ok(*b"done")));
    assert_eq!(plugin.output(look()), [0, NOT_OPEN]);
    for unknown in [1, u64::MAX, 1 << 62] {
        let script = Script::new().state(unknown, "who").set_state(unknown, "who", b"nobody");
        assert_eq!(plugin.output(script), [0, NOT_OPEN]);
    }
}

/// Keys and values count, what is replaced is given back, and what does not fit changes nothing.
pub fn state_is_bounded(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.state_bytes(100));
    let script = Script::new()
        .set_state(0, "0123456789", &[1; 90])
        .set_state(0, "0123456789", &[2; 91])
        .state(0, "0123456789")
        .set_state(0, "x", b"")
        .set_state(0, "0123456789", &[3; 10])
        .set_state(0, "x", &[4; 79])
        .set_state(0, "x", &[5; 80])
        .state(0, "x");
    let expected = [
        vec![KEPT, TOO_LARGE],
        found(&[1; 90]),
        vec![TOO_LARGE, KEPT, KEPT, TOO_LARGE],
        found(&[4; 79]),
    ];
    assert_eq!(plugin.output(script), expected.concat());
}

/// Knowing a sid is not enough.
pub fn state_of_another_plugin_is_out_of_reach(ground: &Ground) {
    let (owner, thief) = (ground.plugin(), ground.plugin());
    let open = owner.call(&Script::new().keep().set_state(0, "secret", b"mine"));
    let sid = open.sid().as_raw();
    let script = Script::new().state(sid, "secret").set_state(sid, "secret", b"overwritten");
    assert_eq!(thief.output(script), [0, NOT_OPEN]);
    assert_eq!(owner.output(Script::new().state(sid, "secret")), found(b"mine"));
    drop(open);
    assert_eq!(owner.output(Script::new().state(sid, "secret")), [0]);
    owner.expect(Counts { cancelled: 1, ..Counts::default() });
}

/// A stream keeps state as a call does.
pub fn a_streams_state_ends_with_it(ground: &Ground) {
    let plugin = ground.plugin();
    let script = Script::new().keep().set_state(0, "key", b"of a stream");
    let mut stream = plugin.stream(&script.frames(2, 2).state(0, "key").output(status::OK));
    let sid = stream.sid().as_raw();
    assert_eq!(plugin.output(Script::new().state(sid, "key")), found(b"of a stream"));
    plugin.answer(stream.sid(), Status::StreamEnd, b"");
    let (frames, fault) = rest(&mut stream);
    let expected = [vec![KEPT], found(b"of a stream")].concat();
    assert_eq!((frames.len(), &frames[2].bytes, fault), (4, &expected, None));
    drop(stream);
    assert_eq!(plugin.output(Script::new().state(sid, "key")), [0]);
}
