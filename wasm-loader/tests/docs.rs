//! What the pages say of the contract is what the contract says.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The functions of a WIT file, as `interface.function`.
fn functions(wit: &str) -> Vec<String> {
    let mut interface = "";
    let mut functions = Vec::new();
    for line in wit.lines() {
        if let Some(name) = line.strip_prefix("interface ") {
            interface = name.trim_end_matches(" {");
        }
        if let Some((name, _)) = line.trim().split_once(": func(") {
            functions.push(format!("{interface}.{name}"));
        }
    }
    functions
}

/// The functions of a table of the extension, as it stands in `abi/src/ext.rs`.
fn fields<'a>(source: &'a str, table: &str) -> Vec<&'a str> {
    let (_, text) = source.split_once(&format!("pub struct {table} {{")).unwrap();
    let (text, _) = text.split_once("\n}").unwrap();
    let fields = text.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
    fields.map(|(name, _)| name).filter(|name| !["struct_size", "version"].contains(name)).collect()
}

#[test]
fn every_function_of_every_wall_has_its_row() {
    let table = page("docs/interfaces.md");
    let ring = functions(&page("wit/nylon-ring/ring.wit"));
    let ext = functions(&page("wit/nylon-ring-ext/ext.wit"));
    assert_eq!((ring.len(), ext.len()), (4, 11), "{ring:?} {ext:?}");
    let source = page("abi/src/ext.rs");
    let native = ["NrPluginExt", "NrHostExt"].map(|table| fields(&source, table)).concat();
    assert_eq!(native.len(), 19, "{native:?}");
    let names = ring.iter().chain(&ext).map(String::as_str).chain(native);
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).collect();
    for name in names {
        let quoted = format!("`{name}`");
        let named = rows.iter().any(|row| row.contains(&quoted));
        assert!(named, "no row of docs/interfaces.md names {name}");
    }
}

#[test]
fn the_plugin_on_the_page_is_one_that_is_built() {
    let source = page("wasm-loader/tests/fixtures/guests/echo/src/lib.rs");
    let source = source.replace("../../../../../wit/", "wit/");
    assert!(include_str!("../../wit/README.md").contains(&source));
}
