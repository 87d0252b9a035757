//! Coming, going, and being replaced, while calls are open.

use super::answers::kept;
use super::{Group, Row, Seen, Then};
use crate::ground::{Ground, NAME, Wall, ask, conforming, serves};
use crate::wait::wait;
use ringbox::{Host, LoadOptions, Plugin};
use std::fs;
use std::time::Duration;

pub(super) const GROUP: Group = Group {
    name: "Coming and going",
    what: "Whoever calls has an answer or a typed end, whatever becomes of the plugin.",
    rows: &[
        Row::both("unloaded", "It is called after it was unloaded.", |ground, wall| {
            let plugin = ground.plugin(wall);
            ground.host.unload(NAME).expect("it is unloaded");
            Seen::result(&ask(&plugin, "echo", b"e"))
        }),
        Row::both(
            "unloaded-under-a-call",
            "It is unloaded while a call is open.",
            |ground, wall| {
                let plugin = ground.plugin(wall);
                let mut open = kept(&plugin);
                ground.host.unload(NAME).expect("it is unloaded");
                let error = wait(open.recv()).map(drop).expect_err("it ends");
                Seen::result(&Err(error))
            },
        ),
        Row::both("host-dropped", "The host is dropped while a call is open.", |_, wall| {
            let host = Host::new();
            let options = conforming(LoadOptions::new());
            let plugin = host.load_with(NAME, wall.source(&wall.file()), options).expect("loaded");
            let mut open = kept(&plugin);
            drop(host);
            let error = wait(open.recv()).map(drop).expect_err("it ends");
            Seen::result(&Err(error))
        }),
        Row::both(
            "reloaded-under-a-call",
            "It is reloaded while a call is open.",
            |ground, wall| {
                let plugin = ground.plugin(wall);
                let mut open = kept(&plugin);
                ground.host.reload_with_grace(NAME, Duration::ZERO).expect("it is reloaded");
                let error = wait(open.recv()).map(drop).expect_err("it ends");
                Seen::refused(&plugin, &error)
            },
        ),
        Row::both(
            "reload-of-junk",
            "It is reloaded from a file that is junk by now.",
            |g, wall| {
                let plugin = copy(g, wall);
                g.file(b"junk");
                Seen::reload(&plugin, g.host.reload(NAME))
            },
        ),
        Row::both(
            "reload-of-a-half",
            "It is reloaded while its file is half written.",
            |g, wall| {
                let plugin = copy(g, wall);
                let whole = fs::read(wall.file()).expect("it is built");
                g.file(&whole[..whole.len() / 2]);
                Seen::reload(&plugin, g.host.reload(NAME)).roughly()
            },
        ),
        Row::both("reload-of-nothing", "It is reloaded and its file is gone.", |ground, wall| {
            let plugin = copy(ground, wall);
            fs::remove_file(ground.folder().join("libplugin.so")).expect("it was there");
            Seen::reload(&plugin, ground.host.reload(NAME))
        }),
        Row::both("file-replaced", "Its file is overwritten while it serves.", |ground, wall| {
            let plugin = copy(ground, wall);
            ground.file(b"junk");
            Seen::nothing(&plugin, "what runs is a copy")
        }),
        Row::both("name-taken", "Another plugin has its name.", |ground, wall| {
            let plugin = ground.plugin(wall);
            let seen = Seen::load(ground.load(wall, &wall.file(), LoadOptions::new()));
            Seen { then: Then::of(&plugin), ..seen }
        }),
        Row::both("unload-of-nothing", "What isn't loaded is unloaded.", |ground, _| {
            Seen::unload(ground.host.unload(NAME))
        }),
        Row::both(
            "unload-of-a-pinned-plugin",
            "What was loaded to stay is unloaded.",
            |_, wall| {
                let host = Host::new();
                let options = conforming(LoadOptions::new().pinned());
                let plugin =
                    host.load_with(NAME, wall.source(&wall.file()), options).expect("loaded");
                Seen { then: Then::of(&plugin), ..Seen::unload(host.unload(NAME)) }
            },
        ),
        Row::both("twenty-reloads", "It is reloaded twenty times in a row.", |g, wall| {
            let plugin = g.plugin(wall);
            for _ in 0..20 {
                g.host.reload_with_grace(NAME, Duration::ZERO).expect("it is reloaded");
                assert!(serves(&plugin));
            }
            Seen::nothing(&plugin, "each answers from then on")
        }),
    ],
};

/// The plugin, from a file of the ground's own.
fn copy(ground: &Ground, wall: Wall) -> Plugin {
    let file = ground.file(&fs::read(wall.file()).expect("it is built"));
    ground.load(wall, &file, LoadOptions::new()).expect("it is loaded")
}
