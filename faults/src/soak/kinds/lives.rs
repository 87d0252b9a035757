//! Loads that are refused, and plugins that come, are replaced, and go.

use super::{Came, came, not_loaded, refused, repertoire};
use crate::dice::Dice;
use crate::ground::{Wall, ask, conforming};
use crate::shape::Shape;
use ringbox::{Host, LoadOptions, ReloadError, Source, UnloadError, WasmLimits};
use ringbox_conformance::script::Script;
use std::fs;
use std::time::Duration;

repertoire! {
    "no-plugin" BOTH 10 |stage, wall, dice| {
        let path = dice.pick(&stage.junk);
        not_loaded(stage.host.load(&name(dice), wall.source(path)))
    };
    "half-written" BOTH 3 |stage, wall, dice| {
        let whole = fs::read(stage.file(wall)).expect("it is there");
        // Not by little: it may be whole but for what it says of its making.
        let half = &whole[..dice.roll(whole.len() as u64 * 9 / 10) as usize];
        let path = stage.folder.path().join(name(dice));
        fs::write(&path, half).expect("it is written");
        let result = stage.host.load(&name(dice), wall.source(&path));
        fs::remove_file(&path).expect("it is removed");
        not_loaded(result)
    };
    "wrong-wall" BOTH 2 |stage, wall, dice| {
        let other = if wall.is_native() { Wall::Wasm } else { Wall::Native };
        not_loaded(stage.host.load(&name(dice), wall.source(stage.file(other))))
    };
    "no-file" BOTH 50 |stage, wall, dice| {
        let path = stage.folder.path().join(name(dice));
        not_loaded(stage.host.load(&name(dice), wall.source(&path)))
    };
    "name-taken" BOTH 50 |stage, wall, dice| {
        let taken = stage.hostile(wall, dice).name();
        not_loaded(stage.host.load(taken, wall.source(stage.file(wall))))
    };
    "unload-of-nothing" BOTH 100 |stage, _, dice| match stage.host.unload(&name(dice)) {
        Err(UnloadError::NotLoaded { .. }) => Came::So("UnloadError::NotLoaded".to_owned()),
        other => Came::Wrong(format!("{other:?}")),
    };
    "unloaded" BOTH 100 |stage, wall, _| {
        refused(ask(stage.gone(wall), "echo", b"e").map(drop))
    };
    // Unmapped where it is a library.
    "comes-and-goes" BOTH 2 |stage, wall, dice| {
        let options = conforming(LoadOptions::new().unmap());
        let name = name(dice);
        let plugin = match stage.host.load_with(&name, wall.source(stage.file(wall)), options) {
            Ok(plugin) => plugin,
            Err(error) => return Came::Wrong(error.to_string()),
        };
        let entries: &[&str] = if wall.is_native() {
            &["echo", "null", "endless", "huge", "nine", "refuse", "later"]
        } else {
            &["echo", "nothing"]
        };
        let entry: &&str = dice.pick(entries);
        let said = came(&ask(&plugin, entry, b"e"));
        if dice.roll(2) == 0
            && let Err(error) = stage.host.reload(&name)
        {
            return Came::Wrong(format!("a reload: {error}"));
        }
        match stage.host.unload(&name) {
            Ok(()) => said,
            Err(error) => Came::Wrong(format!("an unload: {error}")),
        }
    };
    "host-dropped-under-a-call" BOTH 2 |stage, wall, _| {
        let host = Host::new();
        let options = conforming(LoadOptions::new().unmap());
        let plugin = match host.load_with("short", wall.source(stage.file(wall)), options) {
            Ok(plugin) => plugin,
            Err(error) => return Came::Wrong(error.to_string()),
        };
        let keep = Script::new().keep();
        let open = match wall.is_native() {
            true => plugin.call_stream("later", b""),
            false => plugin.call_stream("run", &keep),
        };
        drop(host);
        refused(open.and_then(|open| open.send(b"data")))
    };
    "reload-of-junk" BOTH 3 |stage, wall, dice| {
        let name = name(dice);
        let path = stage.folder.path().join(format!("{name} libfixture.so"));
        fs::copy(stage.file(wall), &path).expect("it is copied");
        let options = conforming(LoadOptions::new().unmap());
        if let Err(error) = stage.host.load_with(&name, wall.source(&path), options) {
            return Came::Wrong(error.to_string());
        }
        fs::write(&path, b"junk").expect("it is written");
        let reloaded = stage.host.reload(&name);
        fs::remove_file(&path).expect("it is removed");
        let unloaded = stage.host.unload(&name);
        match (reloaded, unloaded) {
            (Err(ReloadError::Load(error)), Ok(())) => Came::So(crate::table::name_of_load(&error)),
            other => Came::Wrong(format!("{other:?}")),
        }
    };
    "reload-under-calls" WASM 1 |stage, wall, dice| {
        match stage.host.reload(stage.hostile(wall, dice).name()) {
            Ok(()) => Came::So("reloaded".to_owned()),
            // Another worker is at it.
            Err(ReloadError::Unload(UnloadError::Busy { .. })) => Came::Away("Busy".to_owned()),
            Err(error) => Came::Wrong(error.to_string()),
        }
    };
    "bad-start" WASM 2 |stage, _, dice| {
        let init = *dice.pick(&["(call $spin)", "unreachable", "(return (i32.const 1))",
            "(return (i32.const 99))", "(drop (call $recurse (i32.const 0)))"]);
        let source = Source::component(Shape { init, ..Shape::default() }.bytes());
        not_loaded(stage.host.load_with(&name(dice), source, short()))
    };
    "bad-shutdown" WASM 2 |stage, _, dice| {
        let shutdown = *dice.pick(&["(call $spin)", "unreachable"]);
        let source = Source::component(Shape { shutdown, ..Shape::default() }.bytes());
        let name = name(dice);
        if let Err(error) = stage.host.load_with(&name, source, short()) {
            return Came::Wrong(error.to_string());
        }
        match stage.host.unload(&name) {
            Ok(()) => Came::So("unloaded".to_owned()),
            Err(error) => Came::Wrong(error.to_string()),
        }
    };
    "limit-that-cannot-be" BOTH 50 |stage, wall, dice| {
        let limits = ringbox::Limits::default().stream_frames(0);
        let options = conforming(LoadOptions::new().limits(limits));
        not_loaded(stage.host.load_with(&name(dice), wall.source(stage.file(wall)), options))
    };
}

/// A name that nobody has.
fn name(dice: &mut Dice) -> String {
    format!("passing {:x}", dice.roll(u64::MAX))
}

fn short() -> LoadOptions {
    LoadOptions::new().wasm_limits(WasmLimits::default().start_budget(Duration::from_millis(5)))
}
