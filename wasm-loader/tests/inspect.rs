//! What is said of a file before any of it is compiled.

use ringbox_wasm::inspect::{
    Bound, Capability, InspectError, Inspection, Provider, Version, inspect_file, read,
};
use ringbox_wasm::{ComponentLimits, Grants, inspect};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

const RING: &str = include_str!("../../wit/nylon-ring/ring.wit");
const EXT: &str = include_str!("../../wit/nylon-ring-ext/ext.wit");

/// A component of a world, whose functions do nothing. `packages` are what the world is made of.
fn component(packages: &[&str], world: &str) -> Vec<u8> {
    component_with(packages, world, &[])
}

/// The same of a core module with these sections more.
fn component_with(packages: &[&str], world: &str, sections: &[u8]) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for (at, package) in packages.iter().enumerate() {
        resolve.push_str(format!("{at}.wit"), package).unwrap();
    }
    let main = resolve.push_str("main.wit", &format!("package test:main;\n{world}")).unwrap();
    let world = resolve.select_world(&[main], None).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module.extend(sections);
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

fn plugin() -> Vec<u8> {
    plugin_of(&[])
}

fn plugin_of(sections: &[u8]) -> Vec<u8> {
    component_with(&[RING], "world w { include nylon:ring/plugin@1.0.0; }", sections)
}

fn look(bytes: &[u8]) -> Inspection {
    inspect(bytes, &ComponentLimits::new()).unwrap()
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn too_large(bytes: &[u8], limits: &ComponentLimits) -> (Bound, u64, u64) {
    match inspect(bytes, limits).unwrap_err() {
        InspectError::TooLarge { bound, found, most } => (bound, found, most),
        error => panic!("{error}"),
    }
}

#[test]
fn a_plugin_is_known_as_one() {
    let seen = look(&plugin());
    seen.check().unwrap();
    assert_eq!(seen.guest(), Some("nylon:ring/guest@1.0.0"));
    assert_eq!(seen.import("nylon:ring", "host"), Some("nylon:ring/host@1.0.0"));
    assert_eq!(seen.export("nylon:ring-ext", "data"), None);
    assert!(seen.imports.iter().all(|import| import.provider == Provider::Host));
    assert!(seen.modules >= 1 && seen.functions >= 3 && seen.instances >= 2);
    assert!(seen.largest_function > 0 && seen.bytes > 0);
}

#[test]
fn a_plugin_with_all_of_the_extension_is_known_as_one() {
    let seen = look(&component(&[RING, EXT], "world w { include nylon:ring-ext/plugin@0.1.0; }"));
    seen.check().unwrap();
    for export in ["entries", "data", "cancellation", "wakeable"] {
        assert!(seen.export("nylon:ring-ext", export).is_some(), "{export}");
    }
    for import in ["frames", "timers", "log", "state"] {
        assert!(seen.import("nylon:ring-ext", import).is_some(), "{import}");
    }
}

#[test]
fn what_is_no_component_is_named() {
    let limits = ComponentLimits::new();
    let error = |bytes: &[u8]| inspect(bytes, &limits).unwrap_err();
    assert!(matches!(error(b""), InspectError::NotWasm { start } if start.is_empty()));
    assert!(
        matches!(error(b"\x7fELF and so on"), InspectError::NotWasm { start } if start == b"\x7fELF and")
    );
    assert!(matches!(error(b"\0as"), InspectError::Truncated { len: 3 }));
    assert!(matches!(error(b"\0asm\x0d\0"), InspectError::Truncated { len: 6 }));
    assert!(matches!(error(b" (component)"), InspectError::Text));
    let module = error(&wat("(module)"));
    assert!(matches!(module, InspectError::CoreModule));
    assert!(module.to_string().contains("wasm-tools component new"), "{module}");
    let version = error(b"\0asm\x0e\0\x01\0");
    assert!(matches!(version, InspectError::UnknownVersion { version: 0x0001_000e }));
}

#[test]
fn a_component_that_is_no_plugin_says_what_it_exports() {
    let bytes = component(&[], "interface i { f: func(); } world w { export i; }");
    let error = look(&bytes).check().unwrap_err();
    assert!(matches!(&error, InspectError::NoGuest { exports } if exports == &["test:main/i"]));
    assert!(error.to_string().contains("`test:main/i`"), "{error}");
    assert!(matches!(look(&wat("(component)")).check(), Err(InspectError::NoGuest { .. })));
}

#[test]
fn a_wrong_signature_shows_both() {
    let wrong = |from: &str, to: &str| {
        let ring = RING.replacen(from, to, 1);
        assert_ne!(ring, RING);
        let bytes = component(&[&ring], "world w { include nylon:ring/plugin@1.0.0; }");
        look(&bytes).check().unwrap_err()
    };
    let cases = [
        ("init: func() -> status", "init: func() -> bool", "init", "func() -> bool"),
        ("shutdown: func()", "shutdown: func(now: bool)", "shutdown", "func(bool)"),
        (
            "    backpressure,\n",
            "",
            "init",
            "func() -> enum { ok, err, invalid, unsupported, stream-end, panic }",
        ),
        (
            "    query: string,\n",
            "",
            "handle",
            "func(u64, record { path: string, method: string, headers: list<header> }, list<u8>) \
             -> status",
        ),
        (
            "send-result: func(sid: u64, status: status, payload: list<u8>);",
            "send-result: func(sid: u64, status: status, payload: string);",
            "send-result",
            "func(u64, status, string)",
        ),
    ];
    for (from, to, name, signature) in cases {
        match wrong(from, to) {
            InspectError::WrongSignature { function, found, wanted, .. } => {
                assert_eq!((function, found.as_str()), (name, signature));
                assert_ne!(wanted, signature);
            }
            error => panic!("{error}"),
        }
    }
}

#[test]
fn a_function_too_few_or_too_many_is_named() {
    let with = |from: &str, to: &str| {
        let ring = RING.replacen(from, to, 1);
        assert_ne!(ring, RING);
        look(&component(&[&ring], "world w { include nylon:ring/plugin@1.0.0; }")).check()
    };
    let error = with("shutdown: func();", "").unwrap_err();
    assert!(matches!(error, InspectError::MissingFunction { function: "shutdown", .. }), "{error}");
    // A plugin may export more than is called.
    with("shutdown: func();", "shutdown: func(); more: func();").unwrap();
    let error = with("send-result: func(", "more: func(); send-result: func(").unwrap_err();
    assert!(
        matches!(&error, InspectError::UnknownImport { name } if name == "nylon:ring/host@1.0.0#more"),
        "{error}"
    );
}

#[test]
fn a_plugin_for_a_later_host_is_told_so() {
    let at = |version: &str, more: &str| {
        let ring = RING.replacen("nylon:ring@1.0.0", &format!("nylon:ring@{version}"), 1);
        let ring = ring.replacen("send-result: func(", &format!("{more} send-result: func("), 1);
        let world = format!("world w {{ include nylon:ring/plugin@{version}; }}");
        look(&component(&[&ring], &world)).check()
    };
    match at("2.0.0", "").unwrap_err() {
        InspectError::Newer { name, found, known } => {
            assert_eq!((found.major, known.major), (2, 1));
            assert_eq!(name, "nylon:ring/guest@2.0.0");
        }
        error => panic!("{error}"),
    }
    // A later minor fits for as long as nothing is needed that it added.
    at("1.4.2", "").unwrap();
    match at("1.4.2", "more: func();").unwrap_err() {
        InspectError::Newer { name, found, .. } => {
            assert_eq!(found, Version { major: 1, minor: 4, patch: 2 });
            assert_eq!(name, "nylon:ring/host@1.4.2#more");
        }
        error => panic!("{error}"),
    }
    let ext = EXT.replacen("nylon:ring-ext@0.1.0", "nylon:ring-ext@0.2.0", 1);
    let world = "world w { include nylon:ring-ext/plugin@0.2.0; }";
    let error = look(&component(&[RING, &ext], world)).check().unwrap_err();
    assert!(matches!(error, InspectError::Newer { .. }), "{error}");
}

#[test]
fn an_import_that_nobody_has_is_named() {
    let http = "package wasi:http@0.2.3; interface outgoing-handler { handle: func(); }";
    let world =
        "world w { include nylon:ring/plugin@1.0.0; import wasi:http/outgoing-handler@0.2.3; }";
    let seen = look(&component(&[RING, http], world));
    let error = seen.check().unwrap_err();
    assert!(
        matches!(&error, InspectError::UnknownImport { name } if name == "wasi:http/outgoing-handler@0.2.3")
    );
    assert!(error.to_string().contains("Grants::network"), "{error}");
    // The host may bring more than the contract.
    seen.check_with(|name| name.starts_with("wasi:http/")).unwrap();
}

#[test]
fn imports_of_wasi_say_what_they_are_for() {
    let wasi =
        "package wasi:cli@0.2.6; interface environment { get-arguments: func() -> list<string>; }";
    let old = "package wasi:random@0.3.0; interface random { f: func() -> u64; }";
    let world = "world w { include nylon:ring/plugin@1.0.0; import wasi:cli/environment@0.2.6; \
                 import wasi:random/random@0.3.0; }";
    let seen = look(&component(&[RING, wasi, old], world));
    let provider = |name: &str| {
        seen.imports.iter().find(|import| import.name == name).map(|import| import.provider)
    };
    assert_eq!(
        provider("wasi:cli/environment@0.2.6"),
        Some(Provider::Wasi(Capability::Environment))
    );
    assert_eq!(provider("wasi:random/random@0.3.0"), Some(Provider::Unknown));
    let error = seen.check().unwrap_err();
    assert!(error.to_string().contains("wasm32-wasip2"), "{error}");
}

#[test]
fn every_limit_is_held_and_named() {
    let bytes = plugin();
    let seen = look(&bytes);
    let all = ComponentLimits::new();
    let len = bytes.len() as u64;
    assert_eq!(too_large(&bytes, &all.bytes(len - 1)), (Bound::Bytes, len, len - 1));
    let functions = seen.functions;
    assert_eq!(too_large(&bytes, &all.functions(functions - 1)).0, Bound::Functions);
    let largest = seen.largest_function;
    assert_eq!(too_large(&bytes, &all.function_bytes(largest - 1)).0, Bound::FunctionBytes);
    assert_eq!(too_large(&bytes, &all.modules(seen.modules - 1)).0, Bound::Modules);
    let instances = u32::try_from(seen.instances).unwrap();
    assert_eq!(too_large(&bytes, &all.instances(instances - 1)).0, Bound::Instances);
    assert_eq!(too_large(&bytes, &all.nesting(1)).0, Bound::Nesting);
    let exact = all.bytes(len).functions(functions).function_bytes(largest);
    let exact = exact.modules(seen.modules).instances(instances);
    inspect(&bytes, &exact).unwrap();
}

#[test]
fn instances_that_double_at_each_step_are_counted_not_followed() {
    let mut text = String::from(
        "(component (component $c0 (core module $m) (core instance (instantiate $m)))",
    );
    for level in 1..40 {
        let before = level - 1;
        text += &format!(
            "(component $c{level} (alias outer 1 $c{before} (component $c)) \
             (instance (instantiate $c)) (instance (instantiate $c)))"
        );
    }
    text += "(instance (instantiate $c39)))";
    let started = Instant::now();
    let (bound, found, _) = too_large(&wat(&text), &ComponentLimits::new());
    assert_eq!(bound, Bound::Instances);
    assert!(found > 256);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn components_as_values_are_refused() {
    let error = inspect(&wat("(component (import \"c\" (component)))"), &ComponentLimits::new());
    assert!(matches!(error, Err(InspectError::ComponentValue { .. })), "{error:?}");
}

#[test]
fn records_in_records_are_not_written_out() {
    let ring =
        RING.replacen("init: func() -> status;", "use types.{deep}; init: func() -> deep;", 1);
    let mut deep = String::from("record d0 { key: u8 }\n");
    for level in 1..12 {
        deep += &format!("record d{level} {{ key: d{}, value: d{} }}\n", level - 1, level - 1);
    }
    let ring = ring.replacen(
        "interface types {",
        &format!("interface types {{ {deep} type deep = d11;"),
        1,
    );
    let bytes = component(&[&ring], "world w { include nylon:ring/plugin@1.0.0; }");
    let error = look(&bytes).check().unwrap_err();
    assert!(
        matches!(&error, InspectError::WrongSignature { found, .. } if found.len() < 500),
        "{error}"
    );
}

#[test]
fn a_component_of_a_gibibyte_is_refused_by_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.wasm");
    File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let started = Instant::now();
    let error = inspect_file(&path, &ComponentLimits::new()).unwrap_err();
    assert!(
        matches!(error, InspectError::TooLarge { bound: Bound::Bytes, found: 0x4000_0000, .. }),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(1), "it was read");
}

#[test]
fn what_grows_without_end_is_read_no_further_than_the_limit() {
    // Its length is said to be 0.
    let error =
        read(Path::new("/proc/self/environ"), &ComponentLimits::new().bytes(1)).unwrap_err();
    assert!(matches!(error, InspectError::TooLarge { found: 2, .. }), "{error}");
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let limits = ComponentLimits::new();
    assert!(matches!(read(folder.path(), &limits), Err(InspectError::NotAFile)));
    assert!(matches!(read(Path::new("/dev/zero"), &limits), Err(InspectError::NotAFile)));
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    assert!(matches!(read(&pipe, &limits), Err(InspectError::NotAFile)));
    let missing = folder.path().join("missing");
    assert!(matches!(read(&missing, &limits), Err(InspectError::Open(_))));
}

#[test]
fn a_component_cut_off_anywhere_is_an_error_or_lacks_nothing_that_counts() {
    let bytes = plugin();
    let whole = look(&bytes);
    for len in 0..bytes.len() {
        match inspect(&bytes[..len], &ComponentLimits::new()) {
            Err(InspectError::TooLarge { .. } | InspectError::BadAsk { .. }) => panic!("{len}"),
            Err(_) => {}
            // Between two sections a component may end. Last come those that say who made it.
            Ok(seen) => {
                assert!(seen.check().is_err() || seen.exports == whole.exports, "{len}");
            }
        }
    }
    for len in [bytes.len() / 3, bytes.len() - 1] {
        let error = inspect(&bytes[..len], &ComponentLimits::new()).unwrap_err();
        assert!(
            matches!(error, InspectError::Truncated { len: said } if said == len as u64),
            "{error}"
        );
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_another_valid_component() {
    let bytes = plugin();
    let mut valid = Vec::new();
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(seen) = inspect(&flipped, &ComponentLimits::new()) {
                let _ = (seen.check(), seen.to_string());
                valid.push(flipped);
            }
        }
    }
    // What passes here is not refused by the engine, which would be too late.
    let engine = wasmtime::Engine::default();
    for flipped in valid.iter().step_by(40) {
        wasmtime::component::Component::from_binary(&engine, flipped).unwrap();
    }
}

#[test]
fn validation_has_the_engines_features() {
    let mut config = wasmtime::Config::new();
    config.wasm_memory64(false);
    let engine = wasmtime::Engine::new(&config).unwrap();
    let core = |text: &str| format!("(component (core module {text}))");
    let cases = [
        core("(func (param v128))"),
        core("(func (result i32 i32) i32.const 0 i32.const 0)"),
        core("(memory 1) (memory 1)"),
        core("(memory i64 1)"),
        core("(table i64 1 funcref)"),
        core("(func $f return_call $f)"),
        core("(table 1 funcref)"),
        core("(table 1 externref)"),
        core("(memory 1 1 shared)"),
        core("(tag)"),
        core("(type (struct (field i32)))"),
        core("(type $f (func)) (func (param (ref null $f)))"),
        core("(memory 1 (pagesize 1))"),
        core("(func (result i64 i64) i64.const 0 i64.const 0 i64.const 0 i64.const 0 i64.add128)"),
        "(component (type (func async)))".to_owned(),
        "(component (type (stream u8)))".to_owned(),
        "(component (type (list u8 4)))".to_owned(),
        "(component (type (map u32 u32)))".to_owned(),
        "(component (type (error-context)))".to_owned(),
    ];
    for text in cases {
        let Ok(bytes) = wat::parse_str(&text) else { continue };
        let ours = inspect(&bytes, &ComponentLimits::new());
        let theirs = wasmtime::component::Component::from_binary(&engine, &bytes);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?} {:?}", theirs.err());
    }
}

/// A custom section.
fn section(name: &str, text: &str) -> Vec<u8> {
    let body = [&[name.len() as u8], name.as_bytes(), text.as_bytes()].concat();
    [&[0, body.len() as u8], &*body].concat()
}

#[test]
fn what_a_plugin_says_that_it_asks_for_is_read() {
    let mut bytes = plugin();
    let broken = [bytes.clone(), section("ringbox:ask", "env A\nteleport\n")].concat();
    let error = inspect(&broken, &ComponentLimits::new()).unwrap_err();
    assert!(matches!(error, InspectError::BadAsk { line: 2, .. }), "{error}");
    bytes.extend(section("ringbox:ask", "env A\n"));
    let grants = Grants::new().env("A", "1").env("B", "2");
    // It imports nothing that has an environment, so it gets none.
    let text = look(&bytes).report(&grants).to_string();
    assert!(text.contains("a plugin") && text.contains("would get:"), "{text}");
    assert!(!text.contains("env B"), "{text}");
}

#[test]
fn what_a_plugin_says_that_it_is_called_is_read() {
    let names = |bytes: &[u8]| {
        let seen = look(bytes);
        (seen.name().map(str::to_owned), seen.version().map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(names(&plugin()), (None, None));
    // Linkers put it into the core module, and what makes a component of that leaves it there.
    let within = plugin_of(&section("ringbox:plugin", "name inner\nversion 1.0.0"));
    assert_eq!(names(&within), (some("inner"), some("1.0.0")));
    let text = look(&within).report(&Grants::new()).to_string();
    assert!(text.contains("inner 1.0.0"), "{text}");
    // The component itself overrules that.
    let outer = [within, section("ringbox:plugin", "name outer")].concat();
    assert_eq!(names(&outer), (some("outer"), None));
    // What a component inside is called is its own business.
    let nested = [&*wat("(component)"), &*section("ringbox:plugin", "name nested")].concat();
    let nesting = [&*wat("(component)"), &[4, nested.len() as u8], &*nested].concat();
    assert_eq!(names(&nesting), (None, None));

    let broken = [plugin(), section("ringbox:plugin", "name a\u{7}b")].concat();
    let error = inspect(&broken, &ComponentLimits::new()).unwrap_err();
    assert!(matches!(error, InspectError::BadIdentity { .. }), "{error}");
    assert!(error.to_string().contains("ringbox:plugin"), "{error}");
}
