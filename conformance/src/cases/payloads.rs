//! Bytes: none, few, many, too many.

use crate::ground::{Answer, Counts, Ground, answer, rest};
use crate::script::{Script, pattern, status};
use ringbox_ring::{CallError, Fault, Invocation};

/// Nothing, one byte, around where buffers stop being kept, and a lot.
const SIZES: [u32; 7] = [0, 1, 128, 4096, 4097, 65_536, 16 << 20];

/// What goes in comes out, inside dispatch.
pub fn payloads_of_every_size_come_back(ground: &Ground) {
    let plugin = ground.plugin();
    for len in SIZES {
        let payload = pattern(1, len);
        let call = plugin.link.call(&Invocation::entry("echo", &payload)).unwrap();
        assert!(answer(call).unwrap().bytes == payload, "{len} bytes");
    }
}

/// The same for answers that do not come inside dispatch.
pub fn answers_of_every_size_come_later(ground: &Ground) {
    let plugin = ground.plugin();
    for len in SIZES {
        let got = plugin.ask(&Script::new().later().answer_size(status::OK, len));
        assert!(got == Answer::ok(pattern(0, len)), "{len} bytes");
    }
}

/// The same for frames, the last one included.
pub fn frames_of_every_size_arrive(ground: &Ground) {
    let plugin = ground.plugin();
    for len in SIZES {
        let script = Script::new().frames(2, len).answer_size(status::STREAM_END, len);
        let (frames, fault) = rest(&mut plugin.stream(&script));
        assert_eq!((frames.len(), fault), (3, None), "{len} bytes");
        for (frame, number) in frames.iter().zip([0, 1, 0]) {
            assert!(frame.bytes == pattern(number, len), "{len} bytes in frame {number}");
        }
    }
}

/// A buffer that served a long answer shows nothing of it.
pub fn a_short_answer_after_a_long_one_is_short(ground: &Ground) {
    let plugin = ground.plugin();
    for len in [3000, 5, 70_000, 0, 1, 4096, 2] {
        let got = plugin.ask(&Script::new().answer_size(status::OK, len));
        assert_eq!(got, Answer::ok(pattern(0, len)));
    }
}

/// The limit itself is allowed, one byte more is a fault that says so.
pub fn an_answer_up_to_the_limit_is_taken(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.answer_bytes(1000));
    assert_eq!(plugin.ask(&Script::new().answer_size(status::OK, 1000)).bytes.len(), 1000);
    let too_large = |len| Err(CallError::from(Fault::TooLarge { len, limit: 1000 }));
    let call = plugin.call(&Script::new().answer_size(status::OK, 1001));
    assert_eq!(answer(call), too_large(1001));
    let mut counts = Counts { faults: 1, ..Counts::default() };
    if ground.has(crate::Ability::Later) {
        let call = plugin.call(&Script::new().later().answer_size(status::ERR, 1 << 20));
        assert_eq!(answer(call), too_large(1 << 20));
        counts.faults += 1;
    }
    assert_eq!(plugin.link.metrics().faults.too_large, counts.faults);
    plugin.expect(counts);
    plugin.serves();
}

/// A reply's bytes can be had for good, large or small.
pub fn a_large_reply_becomes_a_vec(ground: &Ground) {
    let plugin = ground.plugin();
    for len in [0, 10, 4096, 1 << 20] {
        let reply = plugin.call(&Script::new().answer_size(status::OK, len));
        let reply = crate::executor::block_on(reply).unwrap();
        assert_eq!(reply.len(), len as usize);
        assert!(reply.into_vec() == pattern(0, len), "{len} bytes");
    }
}

/// A reply that is held on to is not overwritten by the calls that follow.
pub fn kept_replies_keep_their_bytes(ground: &Ground) {
    let plugin = ground.plugin();
    let replies: Vec<_> = (0..100_u8)
        .map(|number| {
            let bytes = [number; 40];
            let call = plugin.link.call(&Invocation::entry("echo", &bytes)).unwrap();
            crate::executor::block_on(call).unwrap()
        })
        .collect();
    for (number, reply) in replies.iter().enumerate() {
        assert_eq!(reply[..], [number as u8; 40]);
    }
}
