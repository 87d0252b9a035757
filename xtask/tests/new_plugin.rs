//! The whole of `cargo xtask new-plugin`, but for the plugin itself: ci builds and runs one, as
//! `docs/first-plugin.md` has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Runs it in this folder.
fn new_plugin(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.current_dir(folder).args(["new-plugin", "--root"]).arg(checkout());
    command.args(args).output().unwrap()
}

#[track_caller]
fn refusal(folder: &Path, args: &[&str]) -> String {
    let output = new_plugin(folder, args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// All files below a folder, relative to it.
fn files(folder: &Path, below: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(folder, &path));
        } else {
            found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[test]
fn a_new_plugin_is_a_project_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let output = new_plugin(dir.path(), &["geo-filter", "--path", "mine"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("    cd mine\n    cargo test "), "{said}");

    let folder = dir.path().join("mine");
    assert_eq!(
        files(&folder, &folder),
        [
            ".cargo/config.toml",
            ".gitignore",
            "Cargo.lock",
            "Cargo.toml",
            "README.md",
            "src/lib.rs",
            "tests/both_walls.rs",
        ]
    );
    for file in ["Cargo.toml", "README.md", "src/lib.rs", "tests/both_walls.rs"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        for left in
            ["plugin-name", "plugin_name", "PluginName", "ringbox-checkout", "ringbox-version"]
        {
            assert!(!text.contains(left), "{file} still says {left}:\n{text}");
        }
    }
    let source = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
    assert!(source.contains("struct GeoFilter;"), "{source}");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(readme.contains("libgeo_filter.so") && readme.lines().count() <= 12, "{readme}");
}

#[test]
fn cargo_takes_it_and_finds_this_checkout() {
    let dir = tempfile::tempdir().unwrap();
    // Cargo reads it as it is in the file, whatever is in the way there.
    let odd = dir.path().join("it's \"odd\" ä");
    fs::create_dir(&odd).unwrap();
    assert!(new_plugin(&odd, &["hello", "--path", "hello"]).status.success());
    let metadata = Command::new(env!("CARGO"))
        .current_dir(odd.join("hello"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let [package] = &metadata["packages"].as_array().unwrap()[..] else { panic!("{metadata}") };
    assert_eq!(package["name"], "hello");
    for (name, member) in [("ringbox-guest", "wasm-guest-sdk"), ("ringbox", "host")] {
        let dependencies = package["dependencies"].as_array().unwrap();
        let dependency = dependencies.iter().find(|dependency| dependency["name"] == name).unwrap();
        let path = Path::new(dependency["path"].as_str().unwrap()).canonicalize().unwrap();
        assert_eq!(path, checkout().join(member));
        assert_eq!(dependency["req"], concat!("^", env!("CARGO_PKG_VERSION")), "{name}");
    }
}

#[test]
fn what_cannot_be_made_is_refused_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("there")).unwrap();
    fs::write(dir.path().join("file"), "mine").unwrap();
    for (args, why) in [
        (["hello", "--path", "there"], "it is there already"),
        (["hello", "--path", "file"], "it is there already"),
        (["hello", "--path", "nowhere/hello"], "there is no folder"),
        (["Hello", "--path", "new"], "lower-case letters"),
        (["match", "--path", "new"], "the name of something else"),
        (["../x", "--path", "new"], "lower-case letters"),
    ] {
        let refused = refusal(dir.path(), &args);
        assert!(refused.contains(why), "{args:?}: {refused}");
    }
    assert_eq!(files(dir.path(), dir.path()), ["file"]);
    assert_eq!(fs::read_to_string(dir.path().join("file")).unwrap(), "mine");
}
