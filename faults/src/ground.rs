//! What a fault is provoked on: a host with a healthy plugin behind each wall, and the plugin that
//! is to misbehave.

#![expect(unsafe_code, reason = "the libraries that it loads are the tests' own")]

use crate::fixtures::{self, BARE, WASI};
use crate::shape::Shape;
use crate::wait::wait;
use ringbox::{CallError, Host, LoadError, LoadOptions, Plugin, Reply, Source, Status, WasmLimits};
use ringbox_conformance::script::Script;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// What is between a plugin and the host, and how the plugin is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wall {
    /// The ABI alone: a shared library in this process.
    Native,
    /// The sandbox.
    Wasm,
    /// A shared library, written with the SDK.
    SdkNative,
    /// The same source in the sandbox.
    SdkWasm,
}

impl Wall {
    /// Both walls, where it is not about the SDK.
    pub const ALL: [Self; 2] = [Self::Native, Self::Wasm];

    /// The columns of the table.
    pub const COLUMNS: [Self; 4] = [Self::Native, Self::Wasm, Self::SdkNative, Self::SdkWasm];

    /// Whether there is no wall but the ABI.
    #[must_use]
    pub const fn is_native(self) -> bool {
        matches!(self, Self::Native | Self::SdkNative)
    }

    /// The same wall, whoever wrote the plugin.
    #[must_use]
    pub const fn plain(self) -> Self {
        if self.is_native() { Self::Native } else { Self::Wasm }
    }

    /// The heading of its column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "wasm",
            Self::SdkNative => "sdk-native",
            Self::SdkWasm => "sdk-wasm",
        }
    }

    /// The file of the conformance suite's plugin.
    #[must_use]
    pub fn file(self) -> PathBuf {
        match self {
            Self::Native => fixtures::library("conforming"),
            Self::Wasm => fixtures::component("conforming", BARE),
            Self::SdkNative => fixtures::sdk_library("conforming"),
            Self::SdkWasm => fixtures::sdk_component("conforming"),
        }
    }

    /// A plugin of the tests' own that lies there.
    #[must_use]
    pub fn source(self, path: &Path) -> Source {
        if self.is_native() {
            // SAFETY: every file that is loaded by this crate was built from the checkout's own
            // sources, which keep the contract but for what the host checks; or it is a broken one
            // that is refused before it is mapped.
            unsafe { Source::native(path) }
        } else {
            Source::component(path)
        }
    }
}

/// Options for the conformance suite's plugin, which wants a hook.
#[must_use]
pub(crate) fn conforming(options: LoadOptions) -> LoadOptions {
    conforming_with(options, |_| Vec::new())
}

/// The same, where its hook is for something.
#[must_use]
pub(crate) fn conforming_with(
    mut options: LoadOptions,
    hook: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> LoadOptions {
    options.wasm = options.wasm.host_function("ringbox:conformance/hook@0.1.0", "call", hook);
    options
}

/// A host with healthy siblings.
pub struct Ground {
    /// The host.
    pub host: Host,
    folder: TempDir,
    siblings: [Plugin; 2],
}

/// The name of the plugin that misbehaves.
pub(crate) const NAME: &str = "plugin";

impl Default for Ground {
    fn default() -> Self {
        let host = Host::new();
        let siblings = Wall::ALL.map(|wall| {
            // A sibling that waits for its turn while the machine is busy is not stopped for it.
            let limits = WasmLimits::default().budget(Duration::from_secs(5));
            let options = conforming(LoadOptions::new().wasm_limits(limits));
            let name = format!("healthy {}", wall.name());
            host.load_with(&name, wall.source(&wall.file()), options).expect("a healthy plugin")
        });
        Self { host, folder: tempfile::tempdir().expect("a folder"), siblings }
    }
}

impl Ground {
    /// The suite's plugin behind that wall.
    #[must_use]
    pub fn plugin(&self, wall: Wall) -> Plugin {
        self.plugin_with(wall, LoadOptions::new())
    }

    /// The same with options.
    #[must_use]
    pub fn plugin_with(&self, wall: Wall, options: LoadOptions) -> Plugin {
        self.load(wall, &wall.file(), options).expect("the suite's plugin is loaded")
    }

    /// Whatever that file is, behind that wall.
    ///
    /// # Errors
    /// Those of the host.
    pub fn load(&self, wall: Wall, path: &Path, options: LoadOptions) -> Result<Plugin, LoadError> {
        self.host.load_with(NAME, wall.source(path), conforming(options))
    }

    /// A component that misbehaves.
    ///
    /// # Errors
    /// Those of the host.
    pub fn shape(&self, shape: Shape<'_>, options: LoadOptions) -> Result<Plugin, LoadError> {
        self.host.load_with(NAME, Source::component(shape.bytes()), options)
    }

    /// The plugin in C with these flags.
    ///
    /// # Errors
    /// Those of the host.
    pub fn c(&self, flags: &[&str], options: LoadOptions) -> Result<Plugin, LoadError> {
        self.load(Wall::Native, &self.c_file(flags), options)
    }

    /// Its file.
    #[must_use]
    pub fn c_file(&self, flags: &[&str]) -> PathBuf {
        fixtures::c_library(self.folder(), flags).expect("there is a C compiler")
    }

    /// The component whose entries each trap.
    #[must_use]
    pub fn crashing(&self) -> Plugin {
        let upper = |bytes: &[u8]| match bytes {
            b"panic" => panic!("on purpose"),
            _ => bytes.to_ascii_uppercase(),
        };
        let mut options = LoadOptions::new();
        options.wasm = options.wasm.host_function("acme:text/case@1.0.0", "upper", upper);
        let path = fixtures::component("crashing", BARE);
        self.host.load_with(NAME, Source::component(path), options).expect("it is loaded")
    }

    /// The component that uses std as any program does.
    #[must_use]
    pub fn ordinary(&self) -> Plugin {
        let path = fixtures::component("ordinary", WASI);
        self.host.load(NAME, Source::component(path)).expect("it is loaded")
    }

    /// A folder of this ground's own.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file of this ground's own, with these bytes from now on.
    pub fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder().join("libplugin.so");
        fs::write(&path, bytes).expect("the file is written");
        path
    }

    /// After a fault: the healthy plugins serve, and nothing that was loaded for it is left.
    #[track_caller]
    pub fn check_and_clear(&self) {
        for sibling in &self.siblings {
            let name = sibling.name();
            let reply = ask(sibling, "echo", b"unharmed");
            assert_eq!(&*reply.unwrap_or_else(|error| panic!("{name}: {error}")), b"unharmed");
        }
        for name in self.host.names().iter().filter(|name| !name.starts_with("healthy")) {
            self.host.unload(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let metrics = self.host.metrics();
        for plugin in &metrics.plugins {
            assert_eq!(plugin.calls.in_flight, 0, "{} has calls left", plugin.name);
        }
    }
}

/// Calls an entry and waits.
///
/// # Errors
/// Those of the call.
#[track_caller]
pub(crate) fn ask(plugin: &Plugin, entry: &str, payload: &[u8]) -> Result<Reply, CallError> {
    wait(plugin.call_response(entry, payload))
}

/// Has the suite's plugin run a script.
///
/// # Errors
/// Those of the call.
#[track_caller]
pub(crate) fn run(plugin: &Plugin, script: &Script) -> Result<Reply, CallError> {
    ask(plugin, "run", script)
}

/// Whether it serves. (What all of the plugins here have in common is that they echo this.)
#[track_caller]
pub(crate) fn serves(plugin: &Plugin) -> bool {
    ask(plugin, "echo", b"e").is_ok_and(|reply| reply.status() == Status::Ok && *reply == *b"e")
}
