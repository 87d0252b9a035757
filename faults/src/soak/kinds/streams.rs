//! Streams that run over, break off, or are fed after their end.

use super::{Came, PATIENCE, failed, fatal, repertoire};
use crate::dice::Dice;
use crate::ground::Wall;
use crate::soak::stage::Stage;
use crate::wait::wait;
use ringbox::{CallError, Plugin, Stream};
use ringbox_conformance::script::{Script, status};

repertoire! {
    "flood" BOTH 20 |stage, wall, dice| read(stage, wall, dice, &Script::new().frames(100, 100));
    "flood-that-asks" BOTH 20 |stage, wall, dice| {
        let flood = Script::new().flood(100, 100).answer(status::STREAM_END, b"");
        read(stage, wall, dice, &flood)
    };
    "pump" BOTH 3 |stage, wall, dice| {
        let frames = dice.roll(100) as u32;
        let pump = Script::new().keep().later().pump(frames, 100);
        read(stage, wall, dice, &pump.answer(status::STREAM_END, b""))
    };
    "frame-too-large" BOTH 3 |stage, wall, dice| {
        read(stage, wall, dice, &Script::new().frames(1, 10).frames(1, 2 << 20))
    };
    "frames-after-the-end" BOTH 20 |stage, wall, dice| {
        let after = Script::new().answer(status::STREAM_END, b"").frames(2, 8);
        read(stage, wall, dice, &after)
    };
    "backpressure-as-a-frame" BOTH 20 |stage, wall, dice| {
        let odd = Script::new().frames(1, 8).answer(status::BACKPRESSURE, b"");
        read(stage, wall, dice, &odd)
    };
    "stream-goes-silent" BOTH 3 |stage, wall, dice| {
        read(stage, wall, dice, &Script::new().keep().frames(2, 8))
    };
    "panic-in-a-stream" BOTH 3 |stage, wall, dice| {
        let script = Script::new().frames(2, 8).panic("on purpose");
        fatal(stage, wall, dice, |plugin| read_of(plugin, &script))
    };
    "reader-gone" BOTH 10 |stage, wall, dice| {
        let script = Script::new().keep().later().pump(1_000, 100);
        with(stage.hostile(wall, dice), &script, |_| Came::So("left".to_owned()))
    };
    "data-too-fast" BOTH 5 |stage, wall, dice| {
        with(stage.hostile(wall, dice), &Script::new().keep().take_data(), |stream| {
            sent((0..1_000).find_map(|_| stream.send(b"data").err()))
        })
    };
    "data-nobody-takes" BOTH 20 |stage, wall, dice| {
        with(stage.hostile(wall, dice), &Script::new().keep(), |stream| {
            sent(stream.send(b"data").err())
        })
    };
    "data-after-the-end" BOTH 20 |stage, wall, dice| {
        let over = Script::new().answer(status::STREAM_END, b"");
        with(stage.hostile(wall, dice), &over, |stream| sent(stream.send(b"data").err()))
    };
}

fn with(plugin: &Plugin, script: &Script, then: impl FnOnce(&mut Stream) -> Came) -> Came {
    match plugin.call_stream("run", script) {
        Ok(mut stream) => then(&mut stream),
        Err(error) => failed(error),
    }
}

fn sent(error: Option<CallError>) -> Came {
    error.map_or_else(|| Came::So("taken".to_owned()), failed)
}

fn read(stage: &Stage, wall: Wall, dice: &mut Dice, script: &Script) -> Came {
    read_of(stage.hostile(wall, dice), script)
}

/// Reads a stream to its end.
fn read_of(plugin: &Plugin, script: &Script) -> Came {
    let mut stream = match plugin.call_stream("run", script) {
        Ok(stream) => stream.deadline(PATIENCE),
        Err(error) => return failed(error),
    };
    loop {
        match wait(stream.recv()) {
            Ok(Some(_)) => {}
            Ok(None) => return Came::So("ended".to_owned()),
            Err(error) => return failed(error),
        }
    }
}
