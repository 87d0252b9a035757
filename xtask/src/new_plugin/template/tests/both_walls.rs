//! The plugin says the same as a shared library and as a component.

use anyhow::{Context, ensure};
use pollster::block_on;
use ringbox::{Host, Request, Source};
use std::path::PathBuf;
use std::process::{Command, Stdio};

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
    // SAFETY: it was built just now, of this project's own code, which is trusted here.
    greets(unsafe { Source::native(build(&[])?) })
}

#[test]
fn it_greets_as_a_component() -> anyhow::Result<()> {
    greets(Source::component(build(&["--target", "wasm32-unknown-unknown"])?))
}

/// Builds the plugin as it is shipped, and returns the file.
fn build(flags: &[&str]) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--release", "--quiet"]);
    cargo.args(flags).arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = cargo.output()?;
    ensure!(output.status.success(), "the plugin doesn't build: see above");
    let file = String::from_utf8(output.stdout)?.lines().filter_map(built).next_back();
    file.context("cargo built nothing")
}

/// The library that a line of cargo's speaks of. The last one is the plugin's.
fn built(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let library = message["target"]["kind"].as_array()?.contains(&"cdylib".into());
    Some(message["filenames"].as_array().filter(|_| library)?.first()?.as_str()?.into())
}
