//! Files that are no plugins, or not whole, or not what they were.

use super::{Cell, Group, HOSTS, Row, Seen};
use crate::ground::{Ground, NAME, Wall, serves};
use crate::shape::Shape;
use ringbox::{Cache, ComponentLimits, Host, LoadOptions, Plugin, Source};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(super) const GROUP: Group = Group {
    name: "Files that are no plugins",
    what: "A file is read, and checked, before any of it runs. What it is its bytes say, and never its \
           name.",
    rows: &[
        Row::both("no-file", "There is no file.", |ground, wall| {
            Seen::load(ground.load(wall, Path::new("/nonexistent/plugin"), LoadOptions::new()))
        }),
        Row::both("empty-file", "The file is empty.", |g, wall| bytes(g, wall, b"")),
        Row::both("text", "The file is a script.", |g, wall| bytes(g, wall, b"#!/bin/sh\necho\n")),
        Row::both("half-written", "The file ends after its first half.", |ground, wall| {
            let whole = fs::read(wall.file()).expect("it is built");
            bytes(ground, wall, &whole[..whole.len() / 2]).roughly()
        }),
        Row::both("last-byte-missing", "The file lacks its last byte.", |ground, wall| {
            let whole = fs::read(wall.file()).expect("it is built");
            bytes(ground, wall, &whole[..whole.len() - 1]).roughly()
        }),
        Row {
            name: "wrong-architecture",
            what: "The file is for another machine.",
            sdk: HOSTS,
            native: Cell::Ask(|ground, wall| {
                let mut library = fs::read(wall.file()).expect("it is built");
                library[18..20].copy_from_slice(&0xf3_u16.to_le_bytes());
                bytes(ground, wall, &library).up_to("RISC-V")
            }),
            wasm: Cell::Not("A component is for every machine."),
        },
        Row {
            name: "core-module",
            what: "The file is a WebAssembly module, and no component.",
            sdk: HOSTS,
            native: Cell::Ask(|ground, wall| bytes(ground, wall, b"\0asm\x01\0\0\0")),
            wasm: Cell::Ask(|ground, wall| bytes(ground, wall, b"\0asm\x01\0\0\0")),
        },
        Row::both("wrong-wall", "It is shipped for the other wall.", |ground, wall| {
            let other = if wall.is_native() { Wall::Wasm } else { Wall::Native };
            Seen::load(ground.load(wall, &other.file(), LoadOptions::new()))
        }),
        Row {
            name: "no-plugin",
            what: "It is whole, and no plugin.",
            sdk: HOSTS,
            native: Cell::Ask(|g, _| Seen::load(g.c(&["-DNO_SYMBOL"], LoadOptions::new()))),
            wasm: Cell::Ask(|g, wall| bytes(g, wall, b"\0asm\x0d\0\x01\0")),
        },
        Row {
            name: "newer-contract",
            what: "It is built for a version that is not spoken here.",
            sdk: HOSTS,
            native: Cell::Ask(|g, _| Seen::load(g.c(&["-DABI_VERSION=7"], LoadOptions::new()))),
            wasm: Cell::Ask(|ground, _| {
                let shape = Shape { version: "2.0.0", ..Shape::default() };
                Seen::load(ground.shape(shape, LoadOptions::new()))
            }),
        },
        Row {
            name: "no-handler",
            what: "It has nothing that takes calls.",
            sdk: HOSTS,
            native: Cell::Ask(|g, _| Seen::load(g.c(&["-DNO_HANDLE"], LoadOptions::new()))),
            wasm: Cell::Ask(|ground, _| {
                let text = Shape::default().text();
                let text = text.replace("    (export \"handle\" (func $handle))\n", "");
                component(ground, &wat::parse_str(text).expect("it is a component"))
            }),
        },
        Row {
            name: "null-info",
            what: "Its table is nowhere.",
            sdk: HOSTS,
            native: Cell::Ask(|g, _| Seen::load(g.c(&["-DNULL_INFO"], LoadOptions::new()))),
            wasm: Cell::Not("A component has no tables of addresses."),
        },
        Row {
            name: "misaligned-info",
            what: "Its table is where no table can be.",
            sdk: HOSTS,
            native: Cell::Ask(|g, _| Seen::load(g.c(&["-DMISALIGNED"], LoadOptions::new()))),
            wasm: Cell::Not("A component has no tables of addresses."),
        },
        Row {
            name: "bad-name",
            what: "The name that it gives itself is longer than a name may be.",
            sdk: HOSTS,
            native: Cell::Ask(|ground, _| {
                let name = "-DNAME={(const uint8_t *)\"x\", UINT32_MAX}";
                Seen::load(ground.c(&[name], LoadOptions::new()))
            }),
            wasm: Cell::Ask(|ground, _| {
                let name = format!("name {}", "x".repeat(257));
                let custom = format!("(component\n(@custom \"ringbox:plugin\" \"{name}\")");
                let text = Shape::default().text().replacen("(component", &custom, 1);
                component(ground, &wat::parse_str(text).expect("it is a component"))
            }),
        },
        Row {
            name: "attach-says-no",
            what: "It does not take the host's extension.",
            sdk: HOSTS,
            native: Cell::Ask(|ground, _| {
                let flags = [crate::fixtures::EXT, "-DATTACH_STATUS=3"];
                Seen::load(ground.c(&flags, LoadOptions::new()))
            }),
            wasm: Cell::Not("A component imports what it uses; there is nothing to take."),
        },
        Row {
            name: "unknown-import",
            what: "It needs what it is not given.",
            sdk: HOSTS,
            native: Cell::Ask(|ground, _| {
                let folder = ground.folder().join("helper");
                fs::create_dir(&folder).expect("a folder");
                let flag = ["-Wl,-soname,libmissing.so"];
                let helper = crate::fixtures::c_library(&folder, &flag).expect("a C compiler");
                let missing = folder.join("libmissing.so");
                fs::rename(helper, &missing).expect("it is renamed");
                let link = format!("-L{}", folder.display());
                let path = ground.c_file(&["-Wl,--no-as-needed", &link, "-lmissing"]);
                fs::remove_dir_all(&folder).expect("it is removed");
                let seen = Seen::load(ground.load(Wall::Native, &path, LoadOptions::new()));
                seen.up_to("the system does not load the library")
            }),
            wasm: Cell::Ask(|ground, _| {
                let path = crate::fixtures::component("crashing", crate::fixtures::BARE);
                Seen::load(ground.load(Wall::Wasm, &path, LoadOptions::new()))
            }),
        },
        Row::both("giant-file", "The file is larger than one may be.", |ground, wall| {
            let mut options = LoadOptions::new();
            options.native = options.native.file_bytes(4_000);
            options.wasm = options.wasm.component_limits(ComponentLimits::new().bytes(4_000));
            Seen::load(ground.load(wall, &wall.file(), options)).roughly()
        }),
        Row {
            name: "monster-function",
            what: "It has a function that takes too long to compile.",
            sdk: HOSTS,
            native: Cell::Not("Nothing is compiled."),
            wasm: Cell::Ask(|ground, _| {
                let nops = "nop ".repeat(1 << 20);
                Seen::load(
                    ground.shape(Shape { init: &nops, ..Shape::default() }, LoadOptions::new()),
                )
                .roughly()
            }),
        },
        Row {
            name: "nested-components",
            what: "It is components in components, without end.",
            sdk: HOSTS,
            native: Cell::Not("There is no such thing."),
            wasm: Cell::Ask(|ground, _| {
                let text = "(component ".repeat(30) + &")".repeat(30);
                component(ground, &wat::parse_str(text).expect("it is a component"))
            }),
        },
        Row {
            name: "tampered-cache",
            what: "Somebody changed what was compiled.",
            sdk: HOSTS,
            native: Cell::Not("Nothing is compiled, so nothing is kept."),
            wasm: Cell::Ask(tampered_cache),
        },
        Row {
            name: "open-cache",
            what: "The folder of what was compiled is open to everybody.",
            sdk: HOSTS,
            native: Cell::Not("Nothing is compiled, so nothing is kept."),
            wasm: Cell::Ask(|ground, _| {
                let folder = ground.folder().join("open");
                fs::create_dir(&folder).expect("a folder");
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("its mode");
                let error = Cache::directory(&folder).map(drop).expect_err("it is refused");
                let words = error.to_string().replace(&folder.display().to_string(), "FOLDER");
                Seen { name: "CacheError".to_owned(), words, then: super::Then::None }
            }),
        },
    ],
};

fn bytes(ground: &Ground, wall: Wall, bytes: &[u8]) -> Seen {
    Seen::load(ground.load(wall, &ground.file(bytes), LoadOptions::new()))
}

fn component(ground: &Ground, bytes: &[u8]) -> Seen {
    Seen::load(ground.host.load(NAME, Source::component(bytes)))
}

/// The file of code in a cache's folder.
fn kept(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).expect("the folder").map(|item| item.expect("a file").path());
    let mut code: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    assert_eq!(code.len(), 1, "{code:?}");
    code.remove(0)
}

fn tampered_cache(ground: &Ground, _: Wall) -> Seen {
    let folder = ground.folder().join("compiled");
    let load = |cache: &Cache, host: &Host| -> Plugin {
        let options = LoadOptions::new().cache(cache);
        host.load_with(NAME, Source::component(Shape::default().bytes()), options).expect("loaded")
    };
    let before = Host::new();
    drop(load(&Cache::directory(&folder).expect("a cache"), &before));
    drop(before);
    let code = kept(&folder);
    let mut bytes = fs::read(&code).expect("the code");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&code, bytes).expect("it is changed");
    let cache = Cache::directory(&folder).expect("a cache");
    let plugin = load(&cache, &ground.host);
    assert!(serves(&plugin));
    assert_eq!((cache.stats().rejected, cache.stats().misses), (1, 1), "{:?}", cache.stats());
    Seen::nothing(&plugin, "the file is thrown away and counted; it is compiled anew")
}
