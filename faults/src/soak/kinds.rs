//! What a hostile worker may do, each time one of these.

use super::stage::Stage;
use crate::dice::Dice;
use crate::generated::generated;
use crate::ground::{Wall, ask, conforming, run};
use crate::shape::Shape;
use crate::table::Seen;
use crate::wait::wait;
use ringbox::{CallError, LoadOptions, Plugin, Source, Stream, WasmLimits};
use ringbox_conformance::script::{Script, status};
use std::fs;
use std::sync::PoisonError;
use std::time::Duration;

/// One thing that goes wrong.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) walls: &'static [Wall],
    /// Says what came of it.
    pub(super) provoke: fn(&Stage, Wall, &mut Dice) -> String,
}

const BOTH: &[Wall] = &Wall::ALL;
const NATIVE: &[Wall] = &[Wall::Native];
const WASM: &[Wall] = &[Wall::Wasm];

macro_rules! kinds {
    ($($name:literal $walls:ident |$stage:pat_param, $wall:pat_param, $dice:pat_param| $body:expr;)*) => {
        pub(super) const KINDS: &[Kind] = &[$(Kind {
            name: $name,
            walls: $walls,
            provoke: |$stage, $wall, $dice| $body,
        }),*];
    };
}

kinds! {
    "echo" BOTH |stage, wall, dice| {
        let len = dice.roll(10_000) as usize;
        came(&ask(stage.hostile(wall), "echo", &vec![7; len]))
    };
    "panic" BOTH |stage, wall, _| script(stage, wall, &Script::new().panic("on purpose"));
    "panic-later" BOTH |stage, wall, _| {
        script(stage, wall, &Script::new().keep().later().panic("on purpose"))
    };
    "refusal" BOTH |stage, wall, _| {
        script(stage, wall, &Script::new().return_status(status::UNSUPPORTED))
    };
    "double-answer" BOTH |stage, wall, _| {
        script(stage, wall, &Script::new().answer(status::OK, b"1").answer(status::OK, b"2"))
    };
    "random-sid" BOTH |stage, wall, dice| {
        let sid = dice.roll(u64::MAX);
        let answer = Script::new().answer_for(sid, status::OK, b"for another");
        script(stage, wall, &answer.answer(status::OK, b"did"))
    };
    "stream-end-on-a-call" BOTH |stage, wall, _| {
        script(stage, wall, &Script::new().answer(status::STREAM_END, b""))
    };
    "no-answer" BOTH |stage, wall, _| script(stage, wall, &Script::new());
    "never" BOTH |stage, wall, _| script(stage, wall, &Script::new().keep());
    "too-large" BOTH |stage, wall, _| {
        script(stage, wall, &Script::new().answer_size(status::OK, 2 << 20))
    };
    "later" BOTH |stage, wall, _| {
        script(stage, wall, &Script::new().keep().later().answer(status::OK, b"later"))
    };
    "flood" BOTH |stage, wall, _| read(stage, wall, &Script::new().frames(100, 100));
    "pump" BOTH |stage, wall, dice| {
        let frames = dice.roll(100) as u32;
        let script = Script::new().keep().later().pump(frames, 100);
        read(stage, wall, &script.answer(status::STREAM_END, b""))
    };
    "stream-goes-silent" BOTH |stage, wall, _| read(stage, wall, &Script::new().keep().frames(2, 8));
    "panic-in-a-stream" BOTH |stage, wall, _| {
        read(stage, wall, &Script::new().frames(2, 8).panic("on purpose"))
    };
    "reader-gone" BOTH |stage, wall, _| {
        let script = Script::new().keep().later().pump(1_000, 100);
        left(&stage.hostile(wall).call_stream("run", &script).map(drop))
    };
    "cancel" BOTH |stage, wall, dice| {
        let plugin = stage.hostile(wall);
        let patience = Duration::from_micros(dice.roll(2_000));
        let script = Script::new().keep();
        came(&wait(plugin.call_response_timeout("run", &script, patience)))
    };
    "data" BOTH |stage, wall, _| {
        match stage.hostile(wall).call_stream("run", &Script::new().keep().take_data()) {
            Err(error) => came(&Err(error)),
            Ok(stream) => {
                let sent = (0..20).find_map(|_| stream.send(b"data").err());
                sent.map_or_else(|| "taken".to_owned(), |error| came(&Err(error)))
            }
        }
    };
    "garbage-in" BOTH |stage, wall, dice| {
        let bytes: Vec<u8> = (0..dice.roll(40)).map(|_| 20 + dice.roll(236) as u8).collect();
        came(&ask(stage.hostile(wall), "run", &bytes))
    };
    "spin" WASM |stage, _, _| shape(stage, b"s");
    "unreachable" WASM |stage, _, _| shape(stage, b"u");
    "recursion" WASM |stage, _, _| shape(stage, b"r");
    "division-by-zero" WASM |stage, _, _| shape(stage, b"!");
    "memory-bomb" WASM |stage, _, _| shape(stage, b"m");
    "spinning-wake" WASM |stage, _, _| shape(stage, b"W");
    "wakes-without-end" WASM |stage, _, _| shape(stage, b"t");
    "monster-answer" WASM |stage, _, _| shape(stage, b"b\0\0\0\x40\0\0\0\0");
    "log-flood" WASM |stage, _, _| shape(stage, b"l\xff\x0f\0\0\0\0\0\0");
    "reload" WASM |stage, wall, _| {
        let result = stage.host.reload(stage.hostile(wall).name());
        result.map_or_else(|error| format!("{error}"), |()| "reloaded".to_owned())
    };
    "visitor" NATIVE |stage, wall, dice| {
        let _one_at_a_time = stage.visit.lock().unwrap_or_else(PoisonError::into_inner);
        let options = LoadOptions::new().unmap();
        let source = wall.source(&stage.visitor);
        let plugin = match stage.host.load_with("visitor", source, options) {
            Ok(plugin) => plugin,
            Err(error) => return error.to_string(),
        };
        let entry = dice.pick(&["echo", "null", "endless", "huge", "nine", "refuse", "later"]);
        let mut said = came(&ask(&plugin, entry, b"e"));
        if dice.roll(2) == 0 {
            said += ", reloaded";
            stage.host.reload("visitor").expect("its file is there");
        }
        stage.host.unload("visitor").expect("it goes");
        said
    };
    "half-written" NATIVE |stage, wall, dice| {
        let whole = fs::read(&stage.visitor).expect("it is there");
        let path = stage.folder.path().join(format!("half-{}.so", dice.roll(u64::MAX)));
        let half = dice.roll(whole.len() as u64) as usize;
        fs::write(&path, &whole[..half]).expect("it is written");
        let result = stage.host.load("half written", wall.source(&path));
        fs::remove_file(&path).expect("it is removed");
        loaded(result.map(drop))
    };
    "flipped-bit" WASM |stage, _, dice| {
        let mut bytes = Shape::default().bytes();
        let bit = dice.roll(bytes.len() as u64 * 8) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
        guest(stage, bytes, dice)
    };
    "generated" WASM |stage, _, dice| guest(stage, generated(dice.roll(1_000)), dice);
    "bad-start" WASM |stage, _, dice| {
        let init = *dice.pick(&["(call $spin)", "unreachable", "(return (i32.const 1))",
            "(return (i32.const 99))", "(drop (call $recurse (i32.const 0)))"]);
        guest(stage, Shape { init, ..Shape::default() }.bytes(), dice)
    };
}

/// The name of what came of a call.
fn came(result: &Result<ringbox::Reply, CallError>) -> String {
    Seen::result(result).name
}

fn left(result: &Result<(), CallError>) -> String {
    match result {
        Ok(()) => "left".to_owned(),
        Err(error) => came(&Err(error.clone())),
    }
}

fn script(stage: &Stage, wall: Wall, script: &Script) -> String {
    came(&run(stage.hostile(wall), script))
}

/// Where it rests, it is loaded anew: it is to go on failing.
fn shape(stage: &Stage, payload: &[u8]) -> String {
    let result = ask(&stage.shape, "x", payload);
    if matches!(result, Err(CallError::Quarantined(_))) {
        // Another worker may be at it.
        let _ = stage.host.reload(stage.shape.name());
    }
    came(&result)
}

/// Reads a stream to its end.
fn read(stage: &Stage, wall: Wall, script: &Script) -> String {
    let stream = stage.hostile(wall).call_stream("run", script);
    let to_end = |mut stream: Stream| loop {
        match wait(stream.recv()) {
            Ok(Some(_)) => {}
            Ok(None) => return "ended".to_owned(),
            Err(error) => return came(&Err(error)),
        }
    };
    stream.map_or_else(|error| came(&Err(error)), to_end)
}

/// Loads a component, calls it, drops it.
fn guest(stage: &Stage, bytes: Vec<u8>, dice: &mut Dice) -> String {
    let limits = WasmLimits::default().memory_bytes(1 << 20);
    let limits = limits.start_budget(Duration::from_millis(20));
    let options = conforming(LoadOptions::new().wasm_limits(limits).cache(&stage.cache));
    let name = format!("guest {}", dice.roll(u64::MAX));
    match stage.host.load_with(&name, Source::component(bytes), options) {
        Err(error) => loaded(Err(error)),
        Ok(plugin) => {
            let said = call_once(&plugin);
            stage.host.unload(&name).expect("it goes");
            said
        }
    }
}

fn call_once(plugin: &Plugin) -> String {
    format!("loaded, {}", came(&ask(plugin, "x", b"e")))
}

fn loaded(result: Result<(), ringbox::LoadError>) -> String {
    match result {
        Ok(()) => "loaded".to_owned(),
        Err(error) => crate::table::name_of_load(&error),
    }
}
