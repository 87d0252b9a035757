//! `cargo xtask new-plugin`: a project for a plugin, outside of this workspace.
//!
//! ```text
//! name.rs      what it may be called
//! template/    what is in it
//! ```

mod name;

use std::path::{Component, Path, PathBuf, absolute};
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use crate::checkout::Checkout;
use crate::cmd::Verdict;
use crate::setup;
use name::Name;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What the plugin is called: lower-case letters, digits, `-` and `_`.
    name: Name,
    /// The folder to make: unless given, one of the plugin's name beside this checkout.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

/// The project's files. In their text, `plugin-name`, `plugin_name` and `PluginName` stand for the
/// plugin's name, `ringbox-checkout` for the way to this checkout.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("new_plugin/template/Cargo.toml.in")),
    ("README.md", include_str!("new_plugin/template/README.md")),
    ("src/lib.rs", include_str!("new_plugin/template/src/lib.rs")),
    ("tests/both_walls.rs", include_str!("new_plugin/template/tests/both_walls.rs")),
    (".cargo/config.toml", include_str!("new_plugin/template/.cargo/config.toml")),
    (".gitignore", include_str!("new_plugin/template/gitignore.in")),
];

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let name = &args.name;
    let folder = match &args.path {
        Some(path) => absolute(path)?,
        None => checkout.root().with_file_name(name.package()),
    };
    make(checkout.root(), name, &folder)
        .with_context(|| format!("no plugin was made in {}", folder.display()))?;

    let here = env::current_dir()?;
    println!("{} is in {}:\n", name.package(), folder.display());
    if setup::targets_missing() {
        println!("    cargo xtask setup    # once: this Rust cannot build components yet");
    }
    println!("    cd {}", way(&here, &folder.canonicalize()?).display());
    println!("    cargo test           # builds it for both walls, and calls it behind each");
    println!(
        "\nThe first test compiles the host too, which takes some minutes. What the plugin does"
    );
    println!("is in src/lib.rs; how it is built, in README.md; the guide is docs/plugins.md here.");
    Ok(Verdict::Good)
}

fn make(checkout: &Path, name: &Name, folder: &Path) -> Result<()> {
    let parent = folder.parent().context("that is no folder to make")?;
    ensure!(
        parent.is_dir(),
        "there is no folder {}: make it, or name another `--path`",
        parent.display()
    );
    ensure!(
        fs::symlink_metadata(folder).is_err(),
        "it is there already: remove it, or name another `--path`"
    );
    fs::create_dir(folder)?;
    let to_checkout = way(&folder.canonicalize()?, checkout);
    let to_checkout = to_checkout.to_str().context("this checkout's path is not plain text")?;
    // Where it stands, it is inside of quotes, and TOML's are JSON's.
    let quoted = serde_json::to_string(to_checkout)?;
    let with = [
        ("plugin-name", name.package()),
        ("plugin_name", &name.library()),
        ("PluginName", &name.type_name()),
        ("ringbox-version", env!("CARGO_PKG_VERSION")),
        ("ringbox-checkout", quoted.trim_matches('"')),
    ];
    for (file, text) in FILES {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, replaced(text, &with))?;
    }
    // What it depends on is of the versions that this checkout is tested with. Cargo takes out what it
    // doesn't need.
    fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock"))
        .context("this checkout has no Cargo.lock")?;
    Ok(())
}

/// The text with each name replaced by what stands for it. What was put in is not looked at again.
fn replaced(text: &str, with: &[(&str, &str)]) -> String {
    let mut done = String::new();
    let mut rest = text;
    let first = |text: &str| {
        let found = with.iter().filter_map(|pair| Some((text.find(pair.0)?, *pair)));
        found.min_by_key(|(at, _)| *at)
    };
    while let Some((at, (name, value))) = first(rest) {
        done += &rest[..at];
        done += value;
        rest = &rest[at + name.len()..];
    }
    done + rest
}

/// The way from one folder to another, both absolute and without links.
fn way(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(shared)).collect();
    if way.as_os_str().is_empty() { ".".into() } else { way }
}

#[cfg(test)]
mod tests {
    use super::{replaced, way};
    use std::path::Path;

    #[test]
    fn what_was_put_in_is_not_replaced_again() {
        let with = [("plugin-name", "x-way"), ("way", "plugin-name")];
        assert_eq!(
            replaced("plugin-name by way of plugin-name", &with),
            "x-way by plugin-name of x-way"
        );
        assert_eq!(replaced("nothing", &with), "nothing");
    }

    #[test]
    fn the_way_leads_from_folder_to_folder() {
        for (from, to, path) in [
            ("/a/b", "/a/ringbox", "../ringbox"),
            ("/a/ringbox/target/x", "/a/ringbox", "../.."),
            ("/a", "/a/b/c", "b/c"),
            ("/a/b", "/", "../.."),
            ("/a", "/a", "."),
        ] {
            assert_eq!(way(Path::new(from), Path::new(to)), Path::new(path));
        }
    }
}
