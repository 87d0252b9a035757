//! Who is on the stage of a soak: plugins that are healthy, and plugins that are not.

use crate::dice::Dice;
use crate::fixtures::{self, EXT};
use crate::ground::{Wall, conforming, conforming_with};
use crate::shape::Shape;
use ringbox::{Cache, Host, Limits, LoadOptions, Mode, Plugin, Policy, Source, WasmLimits};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) struct Stage {
    pub(super) host: Host,
    pub(super) healthy: Vec<Plugin>,
    /// What the healthy ones in the sandbox say of themselves.
    ear: Arc<Ear>,
    /// What misbehaves and stays: behind each wall, and in the sandbox with each policy and mode.
    native: Plugin,
    wasm: Vec<Plugin>,
    /// What traps: the suite's component, and one that does what its payload says.
    scripted: Vec<Fragile>,
    shaped: Vec<Fragile>,
    /// A component that fails until it rests.
    pub(super) failing: Plugin,
    /// The library in C, to stay.
    pub(super) c: Plugin,
    /// What was unloaded.
    gone: [Plugin; 2],
    /// The library that comes, goes, and is unmapped; and a component.
    library: PathBuf,
    component: PathBuf,
    /// Files that are no plugins.
    pub(super) junk: Vec<PathBuf>,
    /// Where what is loaded once is compiled, and soon forgotten.
    pub(super) cache: Cache,
    pub(super) folder: TempDir,
}

/// A component that is replaced before its failures make it rest, so that it can go on failing.
pub(super) struct Fragile {
    plugin: Plugin,
    strikes: Mutex<u32>,
}

/// A plugin that failed so often in a row waits before it is replaced.
const FREE: u32 = 3;

impl Fragile {
    /// Does what may fail, as the only one who does so with this plugin.
    pub(super) fn act<R>(&self, host: &Host, act: impl FnOnce(&Plugin) -> R) -> R {
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        if *strikes == FREE {
            *strikes = 0;
            host.reload(self.plugin.name()).expect("nobody else reloads it");
        }
        *strikes += 1;
        act(&self.plugin)
    }
}

/// Hears the numbers of calls: what a plugin's hook is given is a sid, and the token it goes by.
#[derive(Default)]
pub(super) struct Ear(Mutex<HashMap<u64, u64>>);

impl Ear {
    fn hear(&self, said: &[u8]) -> Vec<u8> {
        if let (Some(sid), Some(token)) = (said.first_chunk(), said.last_chunk()) {
            self.lock().insert(u64::from_le_bytes(*token), u64::from_le_bytes(*sid));
        }
        Vec::new()
    }

    /// The number that came with this token. It is told once.
    pub(super) fn heard(&self, token: u64) -> Option<u64> {
        self.lock().remove(&token)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each fragile plugin so often, so that workers needn't wait for each other.
const FRAGILE: usize = 4;

/// After its caller has waited so long a hostile call is over.
const SHORT: Duration = Duration::from_millis(50);

impl Stage {
    pub(super) fn new() -> Self {
        let host = Host::new();
        let load_as_it_is = |name: &str, wall: Wall, options: LoadOptions| {
            host.load_with(name, wall.source(&wall.file()), options).expect(name)
        };
        let load = |name: &str, wall: Wall, options: LoadOptions| {
            load_as_it_is(name, wall, conforming(options))
        };
        let ear = Arc::new(Ear::default());
        let patient = || {
            let ear = Arc::clone(&ear);
            let options = LoadOptions::new().wasm_limits(long());
            conforming_with(options, move |said| ear.hear(said))
        };
        let on_runners = patient().mode(Mode::Cooperative);
        let healthy = vec![
            load_as_it_is("healthy native", Wall::Native, patient()),
            load_as_it_is("healthy wasm", Wall::Wasm, patient()),
            load_as_it_is("healthy wasm on runners", Wall::Wasm, on_runners),
        ];
        let limits = Limits::default().deadline(SHORT).answer_bytes(1 << 20);
        let limits = limits.stream_frames(8).state_bytes(100);
        let hostile = || LoadOptions::new().limits(limits).grace(Duration::ZERO);
        let native = load("hostile native", Wall::Native, hostile());
        let wasm = vec![
            load("hostile wasm", Wall::Wasm, hostile()),
            load("hostile wasm on runners", Wall::Wasm, hostile().mode(Mode::Cooperative)),
            load("hostile pool", Wall::Wasm, hostile().instances(Policy::Pool(2))),
            load("hostile per call", Wall::Wasm, hostile().instances(Policy::PerCall(2))),
        ];
        let fragile = |plugin| Fragile { plugin, strikes: Mutex::default() };
        let scripted = |number| load(&format!("fragile {number}"), Wall::Wasm, hostile());
        let scripted = (0..FRAGILE).map(|number| fragile(scripted(number))).collect();
        let shape = Shape { handle: ODD, ..Shape::default() }.bytes();
        let small = WasmLimits::default().memory_bytes(1 << 20).timers(64);
        let load_shape = |name: &str| {
            let options = hostile().wasm_limits(small);
            host.load_with(name, Source::component(shape.clone()), options).expect(name)
        };
        let shaped = (0..FRAGILE)
            .map(|number| fragile(load_shape(&format!("fragile shape {number}"))))
            .collect();
        let failing = load_shape("always failing");

        let folder = tempfile::tempdir().expect("a folder");
        let library = fixtures::c_library(folder.path(), &[EXT]).expect("there is a C compiler");
        // Under another name: of this one no mapping is to be left in the end.
        let resident = folder.path().join("libresident.so");
        fs::copy(&library, &resident).expect("it is copied");
        let c = host.load_with("hostile c", Wall::Native.source(&resident), hostile());
        let c = c.expect("it is loaded");
        let gone = Wall::ALL.map(|wall| {
            let plugin = load("gone", wall, LoadOptions::new());
            host.unload("gone").expect("it goes");
            plugin
        });
        let junk: [(&str, &[u8]); 5] = [
            ("text", b"#!/bin/sh\n"),
            ("empty", b""),
            ("module.wasm", b"\0asm\x01\0\0\0"),
            ("component.wasm", b"\0asm\x0d\0\x01\0"),
            ("head.so", &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]),
        ];
        let junk = junk.map(|(name, bytes)| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("it is written");
            path
        });
        Self {
            native,
            wasm,
            scripted,
            shaped,
            failing,
            c,
            gone,
            library,
            component: Wall::Wasm.file(),
            junk: junk.to_vec(),
            cache: Cache::memory_of(0),
            folder,
            healthy,
            ear,
            host,
        }
    }

    /// A healthy plugin that says the numbers of its calls, and who hears them.
    pub(super) fn telling(&self, dice: &mut Dice) -> (&Plugin, &Ear) {
        (dice.pick(&self.healthy[1..]), &self.ear)
    }

    /// A hostile plugin behind that wall, which stays alive.
    pub(super) fn hostile(&self, wall: Wall, dice: &mut Dice) -> &Plugin {
        if wall.is_native() { &self.native } else { dice.pick(&self.wasm) }
    }

    /// The suite's component, for what it doesn't survive.
    pub(super) fn scripted(&self, dice: &mut Dice) -> &Fragile {
        dice.pick(&self.scripted)
    }

    /// A component that misbehaves by the first byte of its payload.
    pub(super) fn shaped(&self, dice: &mut Dice) -> &Fragile {
        dice.pick(&self.shaped)
    }

    /// What was unloaded.
    pub(super) fn gone(&self, wall: Wall) -> &Plugin {
        &self.gone[usize::from(!wall.is_native())]
    }

    /// A plugin's file that is loaded again and again.
    pub(super) fn file(&self, wall: Wall) -> &Path {
        if wall.is_native() { &self.library } else { &self.component }
    }

    /// Waits until no call is left, and looks whether each was counted once.
    pub(super) fn settle(&self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let metrics = self.host.metrics();
            let left = metrics.plugins.iter().find(|plugin| plugin.calls.in_flight > 0);
            let Some(left) = left else { break };
            if Instant::now() > end {
                return Err(format!("{} calls of `{}` are left", left.calls.in_flight, left.name));
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        // The threads that plugins started for calls that were left end by themselves.
        thread::park_timeout(Duration::from_millis(200));
        for plugin in self.host.metrics().plugins {
            let calls = plugin.calls;
            if calls.calls != calls.notified + calls.finished {
                return Err(format!("calls of `{}` are lost: {calls:?}", plugin.name));
            }
        }
        Ok(())
    }

    /// Replaces what a fault may have let grow and has not ended: until then its instances keep that
    /// memory, more or less of it each time.
    pub(super) fn renew(&self) -> Result<(), String> {
        let fragile = self.scripted.iter().chain(&self.shaped).map(|fragile| &fragile.plugin);
        for plugin in self.wasm.iter().chain(fragile) {
            let name = plugin.name();
            self.host.reload(name).map_err(|error| format!("`{name}` is not renewed: {error}"))?;
        }
        Ok(())
    }

    /// Unloads all of them.
    pub(super) fn end(&self) -> Vec<String> {
        let errors = self.host.drain(Duration::from_secs(1));
        errors.into_iter().map(|(name, error)| format!("`{name}` stays: {error}")).collect()
    }
}

/// A healthy plugin that waits for its turn on a busy machine is not stopped for it.
fn long() -> WasmLimits {
    WasmLimits::default().budget(Duration::from_secs(10))
}

/// What the shape does with a payload that begins with `!`: by the byte after it.
const ODD: &str = "
    (local.set $n (i32.load8_u (i32.add (local.get $at) (i32.const 1))))
    (if (i32.eq (local.get $n) (i32.const 0)) (then
      (drop (i32.div_u (i32.const 1) (local.get $n)))))
    (if (i32.eq (local.get $n) (i32.const 1)) (then (return (i32.const 77))))
    (if (i32.eq (local.get $n) (i32.const 2)) (then
      (call $send (local.get $sid) (i32.const 9) (i32.const 0) (i32.const 0))))
    (if (i32.eq (local.get $n) (i32.const 3)) (then
      (i32.store8 (i32.const 200) (i32.const 255))
      (call $write (i32.const 2) (i32.const 200) (i32.const 1))))
    (if (i32.eq (local.get $n) (i32.const 4)) (then
      (call $send (local.get $sid) (i32.const 0) (i32.const -16) (i32.const 5))))
    (if (i32.eq (local.get $n) (i32.const 5)) (then
      (call $send (local.get $sid) (i32.const 0) (i32.const 0) (i32.const -1))))
    (if (i32.eq (local.get $n) (i32.const 6)) (then
      (drop (i32.load (i32.const -4)))))";
