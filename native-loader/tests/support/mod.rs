//! Libraries built for the tests, and ways to call what is in them.

#![expect(unsafe_code, reason = "the libraries that it loads are built from this folder")]
#![expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use ringbox_native::{LoadError, Loaded, Options, load};
use ringbox_ring::{CallError, Invocation, Link, Status};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread;

/// The test ends here where there is no C compiler.
#[macro_export]
macro_rules! c_plugin {
    ($($flag:expr),* $(,)?) => {
        match $crate::support::c_library(&[$($flag),*]) {
            Some(path) => path,
            None => return,
        }
    };
}

/// Where a test keeps its files: a folder of its own.
pub fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Relaxed);
    let folder = format!("{}/{}-{number}-{name}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    fs::create_dir_all(&folder).unwrap();
    folder.into()
}

/// Builds the C fixture with these flags. None where there is no C compiler.
pub fn c_library(flags: &[&str]) -> Option<PathBuf> {
    c_library_in(&scratch("c"), flags)
}

/// The same in a folder that is given.
pub fn c_library_in(folder: &Path, flags: &[&str]) -> Option<PathBuf> {
    let cc = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if Command::new(&cc).arg("--version").output().is_err() {
        println!("SKIPPED: no C compiler here, so a plugin in C was NOT built");
        return None;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = folder.join("libfixture.so");
    let output = Command::new(&cc)
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-fPIC", "-pthread"])
        .arg("-I")
        .arg(here.join("../abi/include"))
        .arg(here.join("tests/fixtures/plugin.c"))
        .args(if flags.contains(&"-c") { &[][..] } else { &["-shared"] })
        .args(flags)
        .arg("-o")
        .arg(&library)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(library)
}

/// The flag for a plugin with the extension.
pub const EXT: &str = "-DEXT=sizeof(NrPluginExt)";

/// Loads a library that was built here.
pub fn try_load(path: &Path, options: &Options) -> Result<Loaded, LoadError> {
    // SAFETY: the library was built from a source in this folder, which does nothing but what its
    // tests ask of it.
    unsafe { load(path, "fixture", options) }
}

/// The same, where it has to work.
#[track_caller]
pub fn loaded(path: &Path) -> Loaded {
    try_load(path, &Options::new()).unwrap()
}

/// The same, where it has to fail.
#[track_caller]
pub fn refused(path: &Path) -> LoadError {
    match try_load(path, &Options::new()) {
        Ok(plugin) => panic!("it is loaded: {plugin:?}"),
        Err(error) => error,
    }
}

/// Calls an entry, and waits for its answer.
pub fn ask(link: Link, entry: &str, payload: &[u8]) -> Result<(Status, Vec<u8>), CallError> {
    let reply = link.call(&Invocation::entry(entry, payload))?.wait()?;
    Ok((reply.status(), reply.to_vec()))
}

/// The same, where the answer has to be `Ok`.
#[track_caller]
pub fn told(link: Link, entry: &str, payload: &[u8]) -> Vec<u8> {
    let (status, bytes) = ask(link, entry, payload).unwrap();
    assert_eq!(status, Status::Ok);
    bytes
}

/// The same, where it is a number.
#[track_caller]
pub fn number(link: Link, entry: &str) -> u64 {
    u64::from_le_bytes(told(link, entry, b"")[..8].try_into().unwrap())
}

/// Builds the workspace in this folder of the crate's, and returns the library of this name.
pub fn cargo_build(workspace: &str, library: &str) -> PathBuf {
    static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(workspace).join("Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(workspace.replace('/', "-"));
    let build = |offline: &[&str]| {
        Command::new(env!("CARGO"))
            .args(["build", "--locked", "--manifest-path"])
            .arg(&manifest)
            .arg("--target-dir")
            .arg(&target)
            .args(offline)
            // What the tests themselves are built with is none of its business.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .unwrap()
    };
    if !built.iter().any(|done| done == workspace) {
        // What is needed is fetched only where it isn't there yet.
        let mut output = build(&["--offline"]);
        if !output.status.success() {
            output = build(&[]);
        }
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        built.push(workspace.to_owned());
    }
    target.join("debug").join(format!("lib{library}.so"))
}

/// Waits for what needs no executor.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
