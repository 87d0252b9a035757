//! Who is on the stage of a soak: plugins that are healthy, and plugins that are not.

use crate::fixtures::{self, EXT};
use crate::ground::{Wall, conforming};
use crate::shape::Shape;
use ringbox::{Cache, Host, Limits, LoadOptions, Mode, Plugin, Source, WasmLimits};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) struct Stage {
    pub(super) host: Host,
    pub(super) healthy: Vec<Plugin>,
    native: Plugin,
    wasm: Plugin,
    /// A component that misbehaves by the first byte of its payload.
    pub(super) shape: Plugin,
    /// The library that comes, goes, and is unmapped.
    pub(super) visitor: std::path::PathBuf,
    /// One name, one at a time.
    pub(super) visit: Mutex<()>,
    /// Where what is loaded once is compiled, and soon forgotten.
    pub(super) cache: Cache,
    pub(super) folder: TempDir,
}

/// After its caller has waited so long a hostile call is over.
const SHORT: Duration = Duration::from_millis(50);

impl Stage {
    pub(super) fn new() -> Self {
        let host = Host::new();
        let patient = || LoadOptions::new().wasm_limits(long());
        let load = |name: &str, wall: Wall, options: LoadOptions| {
            host.load_with(name, wall.source(&wall.file()), conforming(options)).expect(name)
        };
        let mut on_runners = patient();
        on_runners.wasm = on_runners.wasm.mode(Mode::Cooperative);
        let healthy = vec![
            load("healthy native", Wall::Native, patient()),
            load("healthy wasm", Wall::Wasm, patient()),
            load("healthy wasm on runners", Wall::Wasm, on_runners),
        ];
        let limits = Limits::default().deadline(SHORT).answer_bytes(1 << 20).stream_frames(8);
        let hostile = || LoadOptions::new().limits(limits).grace(Duration::ZERO);
        let native = load("hostile native", Wall::Native, hostile());
        let wasm = load("hostile wasm", Wall::Wasm, hostile());
        let small = WasmLimits::default().memory_bytes(1 << 20);
        let shape = Shape {
            handle: "(drop (i32.div_u (i32.const 1) (local.get $n)))",
            shutdown: "(call $spin)",
            ..Shape::default()
        };
        let small = small.start_budget(Duration::from_millis(20));
        let source = Source::component(shape.bytes());
        let shape = host.load_with("hostile shape", source, hostile().wasm_limits(small));
        let folder = tempfile::tempdir().expect("a folder");
        let visitor = fixtures::c_library(folder.path(), &[EXT]).expect("there is a C compiler");
        Self {
            native,
            wasm,
            shape: shape.expect("it is loaded"),
            visitor,
            visit: Mutex::default(),
            cache: Cache::memory_of(0),
            folder,
            healthy,
            host,
        }
    }

    /// The hostile plugin behind that wall.
    pub(super) fn hostile(&self, wall: Wall) -> &Plugin {
        match wall {
            Wall::Native => &self.native,
            Wall::Wasm => &self.wasm,
        }
    }

    /// Waits until no call is left.
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
