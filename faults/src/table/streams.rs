//! Streams that run over, break off, or are fed after their end.

use super::answers::{deadline, kept, patient};
use super::{Group, Row, Seen};
use crate::ground::{Ground, Wall, serves};
use crate::wait::wait;
use ringbox::{CallError, Limits, Plugin, Status, Stream};
use ringbox_conformance::script::{Script, status};
use std::time::Duration;

pub(super) const GROUP: Group = Group {
    name: "Streams that go wrong",
    what: "What was queued before a fault is read before the fault is. The queue has 4 frames here.",
    rows: &[
        Row::both(
            "flood",
            "It sends 1,000 frames without asking whether there is room.",
            |g, wall| {
                let plugin = narrow(g, wall);
                read(&plugin, open(&plugin, &Script::new().frames(1_000, 8)))
            },
        ),
        Row::both("flood-that-asks", "It sends frames for as long as there is room.", |g, wall| {
            let plugin = narrow(g, wall);
            let script = Script::new().flood(1_000, 8).answer(status::STREAM_END, b"");
            read(&plugin, open(&plugin, &script))
        }),
        Row::both("frame-too-large", "It sends a frame over the limit.", |ground, wall| {
            let limits = Limits::default().answer_bytes(1_000);
            let plugin = ground.plugin_with(wall, patient(limits));
            read(&plugin, open(&plugin, &Script::new().frames(1, 10).frames(1, 2_000)))
        }),
        Row::both(
            "frames-after-the-end",
            "It sends frames after it ended the stream.",
            |g, wall| {
                let plugin = narrow(g, wall);
                let script = Script::new().answer(status::STREAM_END, b"").frames(2, 8);
                read(&plugin, open(&plugin, &script))
            },
        ),
        Row::both("backpressure-as-a-frame", "It sends a status that is no frame's.", |g, wall| {
            let plugin = narrow(g, wall);
            let script = Script::new().frames(1, 8).answer(status::BACKPRESSURE, b"");
            read(&plugin, open(&plugin, &script))
        }),
        Row::both("panic-in-a-stream", "It panics after two frames.", |ground, wall| {
            let plugin = narrow(ground, wall);
            read(&plugin, open(&plugin, &Script::new().frames(2, 8).panic("on purpose")))
        }),
        Row::both(
            "stream-goes-silent",
            "It sends two frames, and then nothing.",
            |ground, wall| {
                let plugin = ground.plugin_with(wall, deadline(Duration::from_millis(50)));
                read(&plugin, open(&plugin, &Script::new().keep().frames(2, 8)))
            },
        ),
        Row::both("reader-gone", "The reader leaves; the plugin sends on.", |ground, wall| {
            let plugin = narrow(ground, wall);
            drop(open(&plugin, &Script::new().keep().later().pump(1_000, 8)));
            Seen::nothing(&plugin, "the frames are dropped")
        }),
        Row::both(
            "data-nobody-takes",
            "The caller sends data that the plugin doesn't take.",
            |g, wall| {
                let plugin = narrow(g, wall);
                let stream = kept(&plugin);
                Seen::refused(&plugin, &stream.send(b"data").expect_err("it takes none"))
            },
        ),
        Row::both(
            "data-too-fast",
            "The caller sends data faster than it reads what comes back.",
            |g, wall| {
                let plugin = narrow(g, wall);
                let stream = open(&plugin, &Script::new().keep().take_data());
                let error = refused(&plugin, || stream.send(b"data"));
                Seen::refused(&plugin, &error)
            },
        ),
        Row::both(
            "data-after-the-end",
            "The caller sends data to a stream that is over.",
            |g, wall| {
                let plugin = narrow(g, wall);
                let stream = open(&plugin, &Script::new().answer(status::STREAM_END, b""));
                Seen::refused(&plugin, &stream.send(b"data").expect_err("it is over"))
            },
        ),
    ],
};

fn narrow(ground: &Ground, wall: Wall) -> Plugin {
    ground.plugin_with(wall, patient(Limits::default().stream_frames(4)))
}

/// A stream whose script has been run.
#[track_caller]
fn open(plugin: &Plugin, script: &Script) -> Stream {
    let stream = plugin.call_stream("run", script).expect("it takes the call");
    assert!(serves(plugin));
    stream
}

/// Reads to the end.
#[track_caller]
fn read(plugin: &Plugin, mut stream: Stream) -> Seen {
    let mut frames = 0;
    let mut last = None;
    let seen = loop {
        match wait(stream.recv()) {
            Ok(Some(frame)) => {
                frames += 1;
                last = Some((frame.status(), frame.to_vec()));
            }
            Ok(None) => {
                let words = match last {
                    None => "it ends".to_owned(),
                    Some((Status::Ok, _)) => "it ends".to_owned(),
                    Some((status, bytes)) => {
                        format!("it ends with {status:?} “{}”", String::from_utf8_lossy(&bytes))
                    }
                };
                break Seen::nothing(plugin, words);
            }
            Err(error) => break Seen::refused(plugin, &error),
        }
    };
    Seen { words: format!("after {frames} frames: {}", seen.words), ..seen }
}

/// The error that data meets in the end.
#[track_caller]
fn refused(plugin: &Plugin, mut send: impl FnMut() -> Result<(), CallError>) -> CallError {
    for _ in 0..1_000 {
        if let Err(error) = send() {
            return error;
        }
    }
    panic!("{plugin:?} takes data without a bound");
}
