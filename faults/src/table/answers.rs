//! Answers that are wrong, late, doubled, missing, or somebody else's.

use super::calls::handle;
use super::{Cell, Group, Row, Seen, UNSAID};
use crate::fixtures::EXT;
use crate::ground::{Ground, ask, run};
use crate::wait::{eventually, wait};
use ringbox::{Limits, LoadOptions, Metrics, Plugin, Stream};
use ringbox_conformance::script::{Script, status};
use std::time::Duration;

/// Long enough to be told from nothing, short enough to be waited for.
const SHORT: Duration = Duration::from_millis(50);

pub(super) const GROUP: Group = Group {
    name: "Answers that are wrong",
    what: "Answers pass the routing core, whichever wall they come through. What is nobody's reaches \
           nobody, and is counted.",
    rows: &[
        Row::both("refusal", "It refuses the call.", |ground, wall| {
            let plugin = ground.plugin(wall);
            Seen::call(&plugin, &run(&plugin, &Script::new().return_status(status::UNSUPPORTED)))
        }),
        Row {
            name: "refusal-with-nonsense",
            what: "It refuses the call with a status that does not exist.",
            sdk: UNSAID,
            native: Cell::Ask(|ground, _| c(ground, "refuse")),
            wasm: Cell::Ask(|g, _| handle(g, "(return (i32.const 77))", LoadOptions::new())),
        },
        Row {
            name: "unknown-status",
            what: "It answers with status 9, which does not exist.",
            sdk: UNSAID,
            native: Cell::Ask(|ground, _| c(ground, "nine")),
            wasm: Cell::Ask(|g, _| {
                let send =
                    "(call $send (local.get $sid) (i32.const 9) (i32.const 0) (i32.const 0))";
                handle(g, send, LoadOptions::new())
            }),
        },
        Row::both("stream-end-on-a-call", "It ends a stream that is none.", |ground, wall| {
            let plugin = ground.plugin(wall);
            Seen::call(&plugin, &run(&plugin, &Script::new().answer(status::STREAM_END, b"")))
        }),
        Row::both("double-answer", "It answers twice.", |ground, wall| {
            let plugin = ground.plugin(wall);
            let script = Script::new().answer(status::OK, b"first").answer(status::OK, b"second");
            let seen = Seen::call(&plugin, &run(&plugin, &script));
            counted(&plugin, |metrics| metrics.double + metrics.late);
            seen
        }),
        Row::both("made-up-sid", "It answers a call that never was.", |ground, wall| {
            let plugin = ground.plugin(wall);
            let seen = answer_for(&plugin, 0xffff_ffff);
            counted(&plugin, |metrics| metrics.unknown);
            seen
        }),
        Row::both("sid-0", "It answers the number that no call has.", |ground, wall| {
            let plugin = ground.plugin(wall);
            let seen = answer_for(&plugin, 0);
            counted(&plugin, |metrics| metrics.unknown);
            seen
        }),
        Row::both("finished-sid", "It answers a call that is over.", |ground, wall| {
            let plugin = ground.plugin(wall);
            let script = Script::new().own_sid().output(status::OK);
            let reply = run(&plugin, &script).expect("it says its number");
            let sid = u64::from_le_bytes(reply[..8].try_into().expect("eight bytes"));
            drop(reply);
            let seen = answer_for(&plugin, sid);
            counted(&plugin, |metrics| metrics.late);
            seen
        }),
        Row::both("foreign-sid", "It answers another plugin's call.", |ground, wall| {
            let plugin = ground.plugin(wall);
            let victim = ground.host.load_with(
                "victim",
                wall.source(&wall.file()),
                crate::ground::conforming(LoadOptions::new()),
            );
            let victim = victim.expect("it is loaded");
            let mut open = kept(&victim);
            let _ = answer_for(&plugin, open.sid().as_raw());
            counted(&plugin, |metrics| metrics.foreign);
            // The victim's own answer is the one that arrives.
            let _ = answer_for(&victim, open.sid().as_raw());
            let frame = wait(open.recv()).expect("no fault").map(|frame| frame.to_vec());
            assert_eq!(frame.as_deref(), Some(&b"for another"[..]));
            Seen::nothing(&plugin, "the other call goes on, and gets its own answer")
        }),
        Row::both("no-answer", "It returns, and nothing is left that could answer.", |g, wall| {
            let plugin = g.plugin_with(wall, deadline(SHORT));
            Seen::call(&plugin, &run(&plugin, &Script::new()))
        }),
        Row::both("never", "It keeps the call, and never answers.", |ground, wall| {
            let plugin = ground.plugin_with(wall, deadline(SHORT));
            Seen::call(&plugin, &run(&plugin, &Script::new().keep()))
        }),
        Row::both("late", "It answers when the caller has gone.", |ground, wall| {
            let plugin = ground.plugin(wall);
            let open = kept(&plugin);
            let sid = open.sid().as_raw();
            drop(open);
            let seen = answer_for(&plugin, sid);
            counted(&plugin, |metrics| metrics.late);
            seen
        }),
        Row::both(
            "not-at-once",
            "It doesn't answer at once, where only that was asked for.",
            |g, wall| {
                let plugin = g.plugin(wall);
                let error =
                    plugin.call_response_fast("run", &Script::new().keep()).expect_err("kept");
                Seen::refused(&plugin, &error)
            },
        ),
        Row::both("cancelled", "The caller leaves; the plugin is told.", |ground, wall| {
            let plugin = ground.plugin(wall);
            let open = kept(&plugin);
            let sid = open.sid().as_raw();
            drop(open);
            eventually("the plugin is told", || {
                let heard = run(&plugin, &Script::new().cancelled().output(status::OK));
                heard
                    .expect("it says what it heard")
                    .windows(8)
                    .any(|bytes| bytes == sid.to_le_bytes())
            });
            Seen::nothing(&plugin, "the plugin is told which")
        }),
        Row::both("too-large", "It answers with 2 MiB where 1 MiB is allowed.", |ground, wall| {
            let limits = Limits::default().answer_bytes(1 << 20);
            let plugin = ground.plugin_with(wall, patient(limits));
            Seen::call(&plugin, &run(&plugin, &Script::new().answer_size(status::OK, 2 << 20)))
        }),
        Row {
            name: "monster-answer",
            what: "It claims to answer with a GiB or more, and has a few bytes.",
            sdk: UNSAID,
            native: Cell::Ask(|ground, _| c(ground, "huge")),
            wasm: Cell::Ask(|g, _| {
                let send = "(call $send (local.get $sid) (i32.const 0) (i32.const 0)
                    (i32.const 0x40000000))";
                handle(g, send, LoadOptions::new())
            }),
        },
        Row {
            name: "endless-answer",
            what: "It claims to answer with as many bytes as a length can say.",
            sdk: UNSAID,
            native: Cell::Ask(|ground, _| c(ground, "endless")),
            wasm: Cell::Ask(|g, _| {
                let send =
                    "(call $send (local.get $sid) (i32.const 0) (i32.const 0) (i32.const -1))";
                handle(g, send, LoadOptions::new())
            }),
        },
        Row {
            name: "answer-from-nowhere",
            what: "Its answer's address is one where there are no bytes.",
            sdk: UNSAID,
            native: Cell::Ask(|ground, _| c(ground, "null")),
            wasm: Cell::Ask(|g, _| {
                let send =
                    "(call $send (local.get $sid) (i32.const 0) (i32.const -16) (i32.const 5))";
                handle(g, send, LoadOptions::new())
            }),
        },
        Row {
            name: "bad-address",
            what: "Its answer's address leads into memory that is not its own.",
            sdk: UNSAID,
            native: Cell::Not("**Not held**: whatever lies there is read, or the process ends."),
            wasm: Cell::Not("It has no address of any other memory: its own ends at its size."),
        },
        Row {
            name: "no-context",
            what: "It answers without saying who it is.",
            sdk: UNSAID,
            native: Cell::Ask(|ground, _| c(ground, "no context")),
            wasm: Cell::Not("It is not asked: the host knows which instance it runs."),
        },
        Row {
            name: "bad-text",
            what: "It logs bytes that are not UTF-8.",
            sdk: UNSAID,
            native: Cell::Ask(|ground, _| {
                let plugin = ground.c(&[EXT], LoadOptions::new()).expect("it is loaded");
                let reply = ask(&plugin, "log no text", b"").expect("it answers");
                assert_eq!(*reply, *b"logged");
                Seen::nothing(&plugin, "what is no text in the line is replaced")
            }),
            wasm: Cell::Ask(|g, _| {
                let write = "(i32.store8 (i32.const 200) (i32.const 255))
                    (call $write (i32.const 2) (i32.const 200) (i32.const 1))";
                handle(g, write, LoadOptions::new())
            }),
        },
        Row::both("no-such-entry", "The caller asks for an entry that it lacks.", |g, wall| {
            let plugin = g.plugin(wall);
            let error = plugin.entry("nothing").map(drop).expect_err("there is no such entry");
            Seen::refused(&plugin, &error)
        }),
        Row::both("garbage-in", "The caller sends what the plugin cannot read.", |ground, wall| {
            let plugin = ground.plugin(wall);
            Seen::call(&plugin, &ask(&plugin, "run", b"\xff\xff\xff"))
        }),
    ],
};

/// Options with another deadline.
pub(super) fn deadline(deadline: Duration) -> LoadOptions {
    LoadOptions::new().limits(Limits::default().deadline(deadline))
}

/// Options with these limits, where it is not about time.
pub(super) fn patient(limits: Limits) -> LoadOptions {
    let wasm = ringbox::WasmLimits::default().budget(Duration::from_secs(5));
    LoadOptions::new().limits(limits).wasm_limits(wasm)
}

/// Calls an entry of the plugin in C.
fn c(ground: &Ground, entry: &str) -> Seen {
    let plugin = ground.c(&[], LoadOptions::new()).expect("it is loaded");
    Seen::call(&plugin, &ask(&plugin, entry, b"e"))
}

/// A call that the plugin keeps, as a stream, whose number is known while it is open.
#[track_caller]
pub(super) fn kept(plugin: &Plugin) -> Stream {
    let stream = plugin.call_stream("run", &Script::new().keep()).expect("it takes the call");
    // What queued before this is over.
    assert!(crate::ground::serves(plugin));
    stream
}

/// Has the plugin answer that number.
#[track_caller]
fn answer_for(plugin: &Plugin, sid: u64) -> Seen {
    let script = Script::new().answer_for(sid, status::OK, b"for another");
    let reply = run(plugin, &script.answer(status::OK, b"did")).expect("it answers its own call");
    assert_eq!(*reply, *b"did");
    Seen::nothing(plugin, "nobody gets it; it is counted")
}

#[track_caller]
fn counted(plugin: &Plugin, count: impl Fn(&Metrics) -> u64) {
    eventually("it is counted", || count(&plugin.metrics().calls) == 1);
}
