//! From a core module to a component.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata, metadata};
use wit_parser::Resolve;

/// The world of a module that doesn't say its own.
const WORLD: &str = "nylon:ring/plugin@1.0.0";

/// How a module begins, and how a component does.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// The section in which a plugin says what it asks for.
const ASK: &str = "ringbox:ask";

/// The component with what it asks for, one line each. If it asked before, this counts instead.
pub(crate) fn asking(component: &[u8], ask: &str) -> Vec<u8> {
    let name = [&length(ASK.len())[..], ASK.as_bytes()].concat();
    let size = length(name.len() + ask.len());
    // A custom section may stand anywhere; zero is its kind.
    [component, &[0], &size, &name, ask.as_bytes()].concat()
}

/// A number as sections have them: seven bits to a byte, the lowest first.
fn length(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Whether these bytes are a component already.
pub(crate) fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(COMPONENT)
}

/// The component of this module. A module whose bindings were generated says itself which world it is
/// for. One written by hand doesn't: then it is for `world`, or for the world of all plugins, which
/// is looked up in `wit`.
pub(crate) fn component(
    mut module: Vec<u8>,
    world: Option<&str>,
    wit: &[PathBuf],
) -> Result<Vec<u8>> {
    ensure!(!is_component(&module), "it is one already");
    ensure!(module.starts_with(MODULE), "it is no WebAssembly module");
    let (with_world, _) = metadata::decode(&module)?;
    match (with_world, world) {
        (Some(_), Some(_)) => bail!("it says itself which world it is for: leave out `--world`"),
        (Some(_), None) => {}
        (None, _) => embed(&mut module, world.unwrap_or(WORLD), wit)?,
    }
    let mut encoder = ComponentEncoder::default().validate(true).module(&module)?;
    encoder.encode().map_err(|error| match wasi(&error) {
        true => error.context(
            "it imports from WASI, so it was built with a C library or with Rust's std for \
             `wasm32-wasip1`. Build for `wasm32-wasip2`, where the linker makes a component of it, \
             or without a system, for `wasm32-unknown-unknown`",
        ),
        false => error,
    })
}

/// Says in the module which world it is for.
fn embed(module: &mut Vec<u8>, world: &str, wit: &[PathBuf]) -> Result<()> {
    let mut resolve = Resolve::default();
    let mut packages = Vec::new();
    for path in wit {
        let (package, _) = resolve
            .push_path(path)
            .with_context(|| format!("cannot read the WIT in {}", path.display()))?;
        packages.push(package);
    }
    let world = resolve
        .select_world(&packages, Some(world))
        .with_context(|| format!("the world `{world}` is not in the WIT"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}

fn wasi(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("wasi_snapshot_preview1"))
}

#[cfg(test)]
mod tests {
    use super::component;
    use crate::contents;
    use std::path::{Path, PathBuf};

    /// A plugin's exports, by hand. Its functions do nothing.
    const PLUGIN: &str = r#"
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
        (func (export "nylon:ring/guest@1.0.0#init") (result i32) i32.const 0)
        (func (export "nylon:ring/guest@1.0.0#handle")
            (param i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) i32.const 0)
        (func (export "nylon:ring/guest@1.0.0#shutdown"))
    "#;

    const SEND: &str = r#"
        (import "nylon:ring/host@1.0.0" "send-result" (func (param i64 i32 i32 i32)))
    "#;

    const TIMER: &str = r#"
        (import "nylon:ring-ext/timers@0.1.0" "wake-after" (func (param i64 i64) (result i32)))
    "#;

    fn wit() -> Vec<PathBuf> {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        vec![wit.join("nylon-ring"), wit.join("nylon-ring-ext")]
    }

    fn module(parts: &[&str]) -> Vec<u8> {
        wat::parse_str(format!("(module {})", parts.concat())).unwrap()
    }

    #[track_caller]
    fn refusal(module: Vec<u8>, world: Option<&str>) -> String {
        format!("{:#}", component(module, world, &wit()).unwrap_err())
    }

    #[test]
    fn a_module_by_hand_is_for_the_world_of_all_plugins() {
        let component = component(module(&[SEND, PLUGIN]), None, &wit()).unwrap();
        let contents = contents::of(&component).unwrap();
        assert_eq!(
            contents,
            "  imports  nylon:ring/host@1.0.0: send-result\n  \
               exports  nylon:ring/guest@1.0.0: init, handle, shutdown\n"
        );
    }

    #[test]
    fn what_is_not_used_of_a_world_is_not_imported() {
        let inline = std::env::temp_dir().join(format!("timers-{}.wit", std::process::id()));
        let world = "package my:plugin;\nworld plugin {\n  include nylon:ring/plugin@1.0.0;\n  \
                     import nylon:ring-ext/timers@0.1.0;\n}\n";
        std::fs::write(&inline, world).unwrap();
        let with_mine = [wit(), vec![inline.clone()]].concat();
        let make = |parts: &[&str]| {
            let component = component(module(parts), Some("my:plugin/plugin"), &with_mine).unwrap();
            contents::of(&component).unwrap()
        };
        let both = make(&[SEND, TIMER, PLUGIN]);
        let neither = make(&[PLUGIN]);
        std::fs::remove_file(&inline).unwrap();
        assert!(both.contains("  imports  nylon:ring-ext/timers@0.1.0: wake-after\n"), "{both}");
        assert!(!neither.contains("imports"), "{neither}");
    }

    #[test]
    fn a_module_that_says_its_world_needs_no_other() {
        let mut said = module(&[SEND, PLUGIN]);
        super::embed(&mut said, super::WORLD, &wit()).unwrap();
        assert!(component(said.clone(), None, &[]).is_ok());
        let refused = refusal(said, Some(super::WORLD));
        assert!(refused.contains("leave out `--world`"), "{refused}");
    }

    #[test]
    fn what_a_component_asks_for_is_a_section_of_its_own() {
        let component = component(module(&[SEND, PLUGIN]), None, &wit()).unwrap();
        // Long enough for lengths of two bytes.
        let ask = "net api.example.com:443\n".repeat(20);
        let asking = super::asking(&component, &ask);
        assert_eq!(contents::of(&asking).unwrap(), contents::of(&component).unwrap());
        let section = [&b"\x00\xec\x03\x0bringbox:ask"[..], ask.as_bytes()].concat();
        assert_eq!(asking, [component, section].concat());
    }

    #[test]
    fn what_cannot_be_a_component_says_why() {
        let component = component(module(&[PLUGIN]), None, &wit()).unwrap();
        for (module, world, why) in [
            (component, None, "it is one already"),
            (b"\x7fELF".to_vec(), None, "no WebAssembly module"),
            (module(&[PLUGIN]), Some("my:plugin/none"), "the world `my:plugin/none` is not in"),
            (module(&[SEND]), None, "nylon:ring/guest@1.0.0"),
            (
                module(&[
                    r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#,
                    PLUGIN,
                ]),
                None,
                "Build for `wasm32-wasip2`",
            ),
        ] {
            let refused = refusal(module, world);
            assert!(refused.contains(why), "{refused}");
        }
    }
}
