//! What takes more than it may.

use super::calls::{TAKES_THE_PROCESS, handle, provoke};
use super::{CODE, Cell, Group, HOSTS, Row, Seen};
use crate::fixtures::EXT;
use crate::ground::{Ground, ask, run};
use crate::shape::Shape;
use crate::wait::eventually;
use ringbox::{Limits, LoadOptions, Plugin, WasmLimits};
use ringbox_conformance::script::{Script, status};
use std::thread;
use std::time::Duration;

pub(super) const GROUP: Group = Group {
    name: "More than it may take",
    what: "All limits are on from the start. What is over one costs its own plugin alone.",
    rows: &[
        Row {
            name: "memory-bomb",
            what: "It takes memory until there is no more.",
            sdk: CODE,
            native: Cell::Not("**Not held**: it is the process' memory."),
            wasm: Cell::Ask(|ground, _| {
                let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
                    unreachable";
                handle(ground, grow, limits(|limits| limits.memory_bytes(1 << 20)))
            }),
        },
        Row {
            name: "memory-bomb-in-init",
            what: "It does so in `init`.",
            sdk: CODE,
            native: Cell::Not("**Not held**: it is the process' memory."),
            wasm: Cell::Ask(|ground, _| {
                let init = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
                    unreachable";
                let options = limits(|limits| limits.memory_bytes(1 << 20));
                Seen::load(ground.shape(Shape { init, ..Shape::default() }, options))
            }),
        },
        Row {
            name: "born-too-large",
            what: "Its memory begins larger than it may get.",
            sdk: CODE,
            native: Cell::Not("**Not held**: it is the process' memory."),
            wasm: Cell::Ask(|ground, _| {
                let options = limits(|limits| limits.memory_bytes(1 << 20));
                Seen::load(ground.shape(Shape { pages: 17, ..Shape::default() }, options))
            }),
        },
        Row {
            name: "table-bomb",
            what: "Its table has more elements than it may.",
            sdk: CODE,
            native: Cell::Not(TAKES_THE_PROCESS),
            wasm: Cell::Ask(|ground, _| {
                let options = limits(|limits| limits.table_elements(999));
                Seen::load(ground.shape(Shape { table: 1_000, ..Shape::default() }, options))
            }),
        },
        Row {
            name: "payload-that-does-not-fit",
            what: "The caller sends more than the plugin's memory holds.",
            sdk: HOSTS,
            native: Cell::Not("A native plugin is lent the caller's bytes: nothing has to fit."),
            wasm: Cell::Ask(|ground, _| {
                let options = limits(|limits| limits.memory_bytes(1 << 20));
                let plugin = ground.shape(Shape::default(), options).expect("it is loaded");
                Seen::call(&plugin, &ask(&plugin, "x", &[b'e'; 2 << 20]))
            }),
        },
        Row {
            name: "log-flood",
            what: "It logs 1,000 lines at once where 10 are allowed.",
            sdk: CODE,
            native: Cell::Not(
                "Lines are dropped and counted; `native-loader/tests/log.rs` asks for it: `lines_of_the_log_carry_the_plugins_name_are_text_and_are_bounded`.",
            ),
            wasm: Cell::Ask(|ground, _| {
                let flood = "(local.set $n (i32.const 1000))
                    (loop $more (call $write (i32.const 2) (i32.const 64) (i32.const 4))
                      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                      (br_if $more (local.get $n)))
                    (call $send (local.get $sid) (i32.const 0) (i32.const 64) (i32.const 4))";
                let options = limits(|limits| limits.log_bytes(680).budget(Duration::from_secs(5)));
                handle(ground, flood, options)
            }),
        },
        Row {
            name: "wakes-without-end",
            what: "It asks to be woken, more often than it may.",
            sdk: CODE,
            native: Cell::Not(
                "`Backpressure` too; `native-loader/tests/extension.rs` asks for it: `wakes_are_bounded_and_forgotten_when_the_plugin_goes`.",
            ),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape {
                    // The answer's status is what the wake that is too many is refused with.
                    handle: "(block $full (loop $more
                          (local.set $n (call $wake-after (i64.const 7) (i64.const 3600000000000)))
                          (br_if $full (local.get $n)) (br $more)))
                        (call $send (local.get $sid) (local.get $n) (i32.const 64) (i32.const 4))",
                    ..Shape::default()
                };
                provoke(ground, shape, limits(|limits| limits.timers(7)))
            }),
        },
        Row {
            name: "calls-without-end",
            what: "It keeps two calls open, and another comes.",
            sdk: CODE,
            native: Cell::Not(
                "Only the process' 16,777,216 bound it; `ring/tests/many.rs` asks for it: `the_most_that_can_be_open_is_an_error_and_not_the_end`.",
            ),
            wasm: Cell::Ask(|ground, _| {
                let options = limits(|limits| limits.kept_calls(2));
                let plugin = ground.shape(Shape::default(), options).expect("it is loaded");
                let keep = || plugin.call_stream("x", b"k");
                let open = [keep().expect("the first"), keep().expect("the second")];
                let error = keep().map(drop).expect_err("it is one too many");
                drop(open);
                Seen::refused(&plugin, &error)
            }),
        },
        Row {
            name: "queue-without-end",
            what: "Calls wait while it is busy, and another comes.",
            sdk: HOSTS,
            native: Cell::Not(
                "Calls don't wait for each other: they run on their callers' threads.",
            ),
            wasm: Cell::Ask(queue),
        },
        Row::both(
            "state-too-large",
            "It keeps more state with a call than it may.",
            |ground, wall| {
                let limits = Limits::default().state_bytes(100);
                let plugin = ground.plugin_with(wall, LoadOptions::new().limits(limits));
                let script = Script::new().set_state(0, "key", &[0; 200]).output(status::OK);
                let reply = run(&plugin, &script).expect("it is told, and answers");
                assert_eq!(*reply, [2], "too large");
                Seen::nothing(
                    &plugin,
                    "the plugin is told that it is too large, and nothing is kept",
                )
            },
        ),
        Row {
            name: "buffers-without-end",
            what: "It borrows the host's buffers, and never gives them back.",
            sdk: CODE,
            native: Cell::Ask(|ground, _| {
                let options = LoadOptions::new();
                let plugin = ground.c(&[EXT], options).expect("it is loaded");
                let reply = ask(&plugin, "keep leases", b"").expect("it answers");
                let word = |at: usize| u64::from_le_bytes(reply[at..at + 8].try_into().expect("8"));
                let words = format!(
                    "it is lent {} of them; then it is told {}",
                    word(0),
                    match word(8) {
                        6 => "`Backpressure`",
                        other => panic!("status {other}"),
                    }
                );
                Seen::nothing(&plugin, words)
            }),
            wasm: Cell::Not("It is lent none."),
        },
        Row {
            name: "monster-buffer",
            what: "It asks to borrow a buffer of 2^62 bytes.",
            sdk: CODE,
            native: Cell::Ask(|ground, _| {
                let plugin = ground.c(&[EXT], LoadOptions::new()).expect("it is loaded");
                let reply = ask(&plugin, "monster lease", b"").expect("it answers");
                assert_eq!(reply[0], 2, "invalid");
                Seen::nothing(&plugin, "it is told `Invalid`")
            }),
            wasm: Cell::Not("It is lent none."),
        },
        Row {
            name: "limit-that-cannot-be",
            what: "The operator sets a limit to what cannot be held.",
            sdk: HOSTS,
            native: Cell::Ask(|ground, wall| {
                let options = LoadOptions::new().limits(Limits::default().stream_frames(0));
                Seen::load(ground.load(wall, &wall.file(), options))
            }),
            wasm: Cell::Ask(|ground, _| {
                let options = limits(|limits| limits.budget(Duration::ZERO));
                Seen::load(ground.shape(Shape::default(), options))
            }),
        },
    ],
};

fn limits(set: impl FnOnce(WasmLimits) -> WasmLimits) -> LoadOptions {
    LoadOptions::new().wasm_limits(set(WasmLimits::default()))
}

fn queue(ground: &Ground, _: crate::ground::Wall) -> Seen {
    let options = limits(|limits| limits.budget(Duration::from_millis(500)).queued_calls(1));
    let plugin = ground.shape(Shape::default(), options).expect("it is loaded");
    let spinning = spin(&plugin);
    let mut waiting = Vec::new();
    let mut error = None;
    eventually("the queue is full", || {
        match plugin.call_stream("x", b"e") {
            Ok(stream) => waiting.push(stream),
            Err(full) => error = Some(full),
        }
        error.is_some()
    });
    spinning.join().expect("it is stopped");
    drop(waiting);
    Seen::refused(&plugin, &error.expect("it is full"))
}

/// Keeps the plugin busy.
fn spin(plugin: &Plugin) -> thread::JoinHandle<()> {
    let (before, busy) = (plugin.metrics().calls.calls, plugin.clone());
    let spinning = thread::spawn(move || drop(ask(&busy, "x", b"s")));
    eventually("the call is made", || plugin.metrics().calls.calls > before);
    spinning
}
