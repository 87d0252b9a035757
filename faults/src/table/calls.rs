//! Code that goes wrong while it runs.

use super::{CODE, Cell, Group, Row, Seen, Then};
use crate::ground::{Ground, Wall, ask, run};
use crate::shape::Shape;
use crate::wait::{eventually, wait};
use ringbox::{LoadOptions, WasmLimits};
use ringbox_conformance::script::{Script, status};
use std::time::Duration;

pub(super) const GROUP: Group = Group {
    name: "Code that goes wrong",
    what: "What a wall holds shows here first. The sandbox stops whatever it is; native code is \
           contained where it panics, and not where it crashes or never returns.",
    rows: &[
        Row::both("panic-in-handler", "The handler panics.", |ground, wall| {
            let plugin = ground.plugin(wall);
            Seen::call(&plugin, &run(&plugin, &Script::new().panic("on purpose")))
        }),
        Row::both(
            "panic-after-a-wake",
            "It panics later, when it goes on elsewhere.",
            |ground, wall| {
                let plugin = ground.plugin(wall);
                Seen::call(
                    &plugin,
                    &run(&plugin, &Script::new().keep().later().panic("on purpose")),
                )
            },
        ),
        Row::both("panic-after-its-answer", "It panics once it has answered.", |ground, wall| {
            let plugin = ground.plugin(wall);
            let script = Script::new().answer(status::OK, b"first").panic("on purpose");
            Seen::call(&plugin, &run(&plugin, &script))
        }),
        Row::both(
            "panic-of-another-call",
            "It panics in one call while another one is open.",
            |ground, wall| {
                let plugin = ground.plugin(wall);
                let script = Script::new().keep();
                let options = Duration::from_millis(200);
                let open = plugin.call_response_timeout("run", &script, options);
                let mut open = std::pin::pin!(open);
                // The call is made by its first poll.
                let pending = std::future::poll_fn(|cx| {
                    std::task::Poll::Ready(open.as_mut().poll(cx).is_pending())
                });
                assert!(wait(pending), "the call is kept");
                let _ = run(&plugin, &Script::new().panic("on purpose"));
                Seen::call(&plugin, &wait(open))
            },
        ),
        crash("unreachable", "It runs into `unreachable`, as a panic that aborts does.", |g, _| {
            trap(g, "unreachable")
        }),
        crash("read-out-of-bounds", "It reads far outside of its memory.", |g, _| trap(g, "read")),
        crash("write-out-of-bounds", "It writes far outside of its memory.", |g, _| {
            trap(g, "write")
        }),
        crash("call-of-nothing", "It calls a function that is not there.", |g, _| trap(g, "call")),
        crash("division-by-zero", "It divides by zero.", |g, _| {
            handle(g, "(drop (i32.div_u (i32.const 1) (local.get $n)))", LoadOptions::new())
        }),
        crash("stack-overflow", "It calls itself without end.", |g, _| trap(g, "recurse")),
        Row {
            name: "exit",
            what: "It ends itself with an error.",
            sdk: CODE,
            native: Cell::Not(TAKES_THE_PROCESS),
            wasm: Cell::Ask(|ground, _| {
                let plugin = ground.ordinary();
                Seen::call(&plugin, &ask(&plugin, "exit", b"3"))
            }),
        },
        Row {
            name: "spin-in-handler",
            what: "The handler never returns.",
            sdk: CODE,
            native: Cell::Not(KEEPS_ITS_THREAD),
            wasm: Cell::Ask(|g, _| handle(g, "(call $spin)", LoadOptions::new())),
        },
        Row {
            name: "spin-after-a-wake",
            what: "It never returns from a wake, while a call is open.",
            sdk: CODE,
            native: Cell::Not(KEEPS_ITS_THREAD),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape {
                    handle: "(drop (call $wake-after (i64.const 7) (i64.const 0)))",
                    wake: "(call $spin)",
                    ..Shape::default()
                };
                provoke(ground, shape, LoadOptions::new())
            }),
        },
        Row {
            name: "spin-in-init",
            what: "`init` never returns.",
            sdk: CODE,
            native: Cell::Not(KEEPS_ITS_THREAD),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape { init: "(call $spin)", ..Shape::default() };
                Seen::load(ground.shape(shape, short_start()))
            }),
        },
        Row {
            name: "spin-in-shutdown",
            what: "`shutdown` never returns.",
            sdk: CODE,
            native: Cell::Not(KEEPS_ITS_THREAD),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape { shutdown: "(call $spin)", ..Shape::default() };
                let plugin = ground.shape(shape, short_start()).expect("it is loaded");
                Seen::unload(ground.host.unload(plugin.name()))
            }),
        },
        Row {
            name: "trap-in-init",
            what: "`init` traps.",
            sdk: CODE,
            native: Cell::Not(TAKES_THE_PROCESS),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape { init: "unreachable", ..Shape::default() };
                Seen::load(ground.shape(shape, LoadOptions::new()))
            }),
        },
        Row {
            name: "trap-in-shutdown",
            what: "`shutdown` traps.",
            sdk: CODE,
            native: Cell::Not(TAKES_THE_PROCESS),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape { shutdown: "unreachable", ..Shape::default() };
                let plugin = ground.shape(shape, LoadOptions::new()).expect("it is loaded");
                Seen::unload(ground.host.unload(plugin.name()))
            }),
        },
        Row {
            name: "init-says-no",
            what: "`init` returns `err`.",
            sdk: CODE,
            native: Cell::Ask(|g, _| Seen::load(g.c(&["-DINIT_STATUS=1"], LoadOptions::new()))),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape { init: "(return (i32.const 1))", ..Shape::default() };
                Seen::load(ground.shape(shape, LoadOptions::new()))
            }),
        },
        Row {
            name: "init-panics",
            what: "`init` panics, and says so.",
            sdk: CODE,
            native: Cell::Ask(|g, _| Seen::load(g.c(&["-DINIT_STATUS=5"], LoadOptions::new()))),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape { init: "(return (i32.const 5))", ..Shape::default() };
                Seen::load(ground.shape(shape, LoadOptions::new()))
            }),
        },
        Row {
            name: "init-says-nonsense",
            what: "`init` returns a status that does not exist.",
            sdk: CODE,
            native: Cell::Ask(|g, _| Seen::load(g.c(&["-DINIT_STATUS=99"], LoadOptions::new()))),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape { init: "(return (i32.const 99))", ..Shape::default() };
                Seen::load(ground.shape(shape, LoadOptions::new()))
            }),
        },
        Row {
            name: "panic-in-a-granted-function",
            what: "A function that the host lends the plugin panics.",
            sdk: CODE,
            native: Cell::Not("A native plugin is lent no functions beside the ABI's."),
            wasm: Cell::Ask(|ground, _| {
                let plugin = ground.crashing();
                Seen::call(&plugin, &ask(&plugin, "upper", b"panic"))
            }),
        },
        Row {
            name: "always-failing",
            what: "It fails each time that it is called.",
            sdk: CODE,
            native: Cell::Not("A native plugin keeps its memory, so there is nothing to replace."),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape { handle: "unreachable", ..Shape::default() };
                let plugin = ground.shape(shape, LoadOptions::new()).expect("it is loaded");
                let mut last = Seen::gone("");
                eventually("it rests", || {
                    last = Seen::result(&ask(&plugin, "x", b"!"));
                    last.name.ends_with("Quarantined")
                });
                Seen { then: Then::Rests, ..last }
            }),
        },
    ],
};

/// Why nobody asks a native plugin.
pub(super) const TAKES_THE_PROCESS: &str = "**Not held**: it takes the process.";
pub(super) const KEEPS_ITS_THREAD: &str = "**Not held**: it keeps the thread that it is on.";

const fn crash(name: &'static str, what: &'static str, provoke: fn(&Ground, Wall) -> Seen) -> Row {
    Row { name, what, native: Cell::Not(TAKES_THE_PROCESS), wasm: Cell::Ask(provoke), sdk: CODE }
}

/// Calls an entry of the component that crashes.
fn trap(ground: &Ground, entry: &str) -> Seen {
    let plugin = ground.crashing();
    Seen::call(&plugin, &ask(&plugin, entry, b""))
}

/// A component whose handler does this.
pub(super) fn handle(ground: &Ground, handle: &str, options: LoadOptions) -> Seen {
    provoke(ground, Shape { handle, ..Shape::default() }, options)
}

/// Calls a component that misbehaves.
pub(super) fn provoke(ground: &Ground, shape: Shape<'_>, options: LoadOptions) -> Seen {
    let plugin = ground.shape(shape, options).expect("it is loaded");
    Seen::call(&plugin, &ask(&plugin, "x", b"!"))
}

fn short_start() -> LoadOptions {
    let limits = WasmLimits::default().start_budget(Duration::from_millis(20));
    LoadOptions::new().wasm_limits(limits)
}
