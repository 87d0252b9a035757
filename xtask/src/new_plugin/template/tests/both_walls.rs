//! The plugin says the same as a shared library and as a component.

use pollster::block_on;
use ringbox::{Host, Request, Source};
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What holds behind either wall.
fn greets(source: Source) -> anyhow::Result<()> {
    let host = Host::new();
    let plugin = host.load("plugin-name", source)?;
    let reply = block_on(plugin.call_response("greet", b"World"))?;
    assert_eq!(&reply[..], b"Hello, World!");
    let reply = block_on(plugin.call_response("greet-later", b"World"))?;
    assert_eq!(&reply[..], b"Hello, World!");
    let reply = block_on(plugin.request(&Request::get("/hello")))?;
    assert_eq!(&reply[..], b"OK: GET /hello");
    host.unload("plugin-name")?;
    Ok(())
}

#[test]
fn it_greets_as_a_shared_library() -> anyhow::Result<()> {
    let library = build(&[])?.join(format!("release/{DLL_PREFIX}plugin_name{DLL_SUFFIX}"));
    // SAFETY: it was built just now, of this project's own code, which is trusted here.
    greets(unsafe { Source::native(library) })
}

#[test]
fn it_greets_as_a_component() -> anyhow::Result<()> {
    let built = build(&["--target", "wasm32-unknown-unknown"])?;
    greets(Source::component(built.join("wasm32-unknown-unknown/release/plugin_name.wasm")))
}

/// Builds the plugin as it is shipped, and returns the folder that it was built to.
fn build(flags: &[&str]) -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--quiet", "--release", "--target-dir"]).arg(&folder).args(flags);
    anyhow::ensure!(cargo.status()?.success(), "the plugin doesn't build: see above");
    Ok(folder)
}
