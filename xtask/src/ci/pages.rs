//! What the .md files name is there: links and paths lead to files, commands exist, and Rust is
//! compiled by some doc test (which includes the page, and so fails when the code does not build).
//! Every page in docs/ can be come to by a link from another.
//!
//! A block that something runs or builds is marked by a comment above it, such as
//! `<!-- ci: test -->`.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser as _;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::checkout::Checkout;
use crate::cli::Cli;

/// Commands that a page may name besides our own, by their first words.
const COMMANDS: &[&str] = &[
    "cargo test",
    "cargo bench",
    "cargo build",
    "cargo run",
    "cargo doc",
    "cargo component",
    "git clone",
    "cd",
    "clang",
    ".ci/run",
];

/// What tells a path from other words in code.
const EXTENSIONS: &[&str] =
    &["rs", "md", "toml", "wit", "h", "c", "cpp", "zig", "go", "sh", "json", "patch"];

pub(super) fn check(checkout: &Checkout) -> Result<String> {
    let files = checkout.files()?;
    let tested = tested(checkout.root(), &files);
    let pages: Vec<_> = files.iter().filter(|file| is_kind(file, "md")).collect();
    let mut complaints = 0;
    for page in not_linked(checkout.root(), &pages)? {
        println!("{}: no other page links to it", page.display());
        complaints += 1;
    }
    for page in &pages {
        let path = checkout.root().join(page);
        let text = fs::read_to_string(&path)?;
        if has_rust(&text) && !tested.contains(&path) {
            println!(
                "{}: no doc test includes this page, so nothing compiles its Rust",
                page.display()
            );
            complaints += 1;
        }
        for item in items(&text) {
            let Some(complaint) = complaint_about(&item.what, checkout.root(), page) else {
                continue;
            };
            let line = text[..item.at.start].lines().count().max(1);
            println!("{}:{line}: {complaint}", page.display());
            complaints += 1;
        }
    }
    ensure!(complaints == 0, "{complaints} complaints about pages");
    Ok(format!("{} pages", pages.len()))
}

fn is_kind(file: &Path, kind: &str) -> bool {
    file.extension().is_some_and(|extension| extension == kind)
}

/// Whether there is Rust on the page that nothing is marked to build.
fn has_rust(text: &str) -> bool {
    Parser::new(text).into_offset_iter().any(|(event, at)| {
        let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) = event else {
            return false;
        };
        language.starts_with("rust") && marker(&text[..at.start]).is_none()
    })
}

/// The pages that some Rust file includes as documentation.
fn tested(root: &Path, files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut pages = BTreeSet::new();
    for file in files.iter().filter(|file| is_kind(file, "rs")) {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        let folder = root.join(file.parent().unwrap_or(Path::new("")));
        let names = text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        pages.extend(names.filter_map(|name| folder.join(name).canonicalize().ok()));
    }
    pages
}

/// The pages in docs/ that no other page links to: nobody comes to read them.
fn not_linked<'a>(root: &Path, pages: &[&'a PathBuf]) -> Result<Vec<&'a Path>> {
    let mut linked = BTreeSet::new();
    for page in pages {
        let path = root.join(page).canonicalize()?;
        let text = fs::read_to_string(&path)?;
        let beside = path.parent().unwrap_or(root);
        let files = items(&text).filter_map(|item| {
            let Named::Link(link) = item.what else { return None };
            beside.join(link.split('#').next()?).canonicalize().ok()
        });
        linked.extend(files.filter(|file| *file != path));
    }
    let lost = |page: &Path| {
        let file = root.join(page).canonicalize();
        page.starts_with("docs") && !file.is_ok_and(|file| linked.contains(&file))
    };
    Ok(pages.iter().map(|page| page.as_path()).filter(|page| lost(page)).collect())
}

/// A block of code that is marked, and what its mark says.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Block {
    pub(super) marker: String,
    pub(super) text: String,
}

/// The block of the README below the comment `<!-- ci: marker -->`.
pub(super) fn readme_command(checkout: &Checkout, marker: &str) -> Result<String> {
    let text = fs::read_to_string(checkout.root().join("README.md"))?;
    let block = marked(&text).into_iter().find(|block| block.marker == marker);
    Ok(block
        .with_context(|| {
            format!("README.md has no block of code right below the comment <!-- ci: {marker} -->")
        })?
        .text)
}

/// The marked blocks of a page, in their order.
pub(super) fn marked(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (event, at) in Parser::new(page).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(_)) => {
                let marker = marker(&page[..at.start]);
                inside = marker.is_some();
                let block = |marker: &str| Block { marker: marker.to_owned(), text: String::new() };
                blocks.extend(marker.map(block));
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => {
                if let Some(block) = blocks.last_mut() {
                    block.text.push_str(&text);
                }
            }
            _ => {}
        }
    }
    blocks
}

/// What the comment says that ends what stands above a block.
fn marker(above: &str) -> Option<&str> {
    let line = above.trim_end().lines().next_back()?;
    line.strip_prefix("<!-- ci: ")?.strip_suffix(" -->")
}

/// Something that a page names, and where.
struct Item {
    what: Named,
    at: Range<usize>,
}

#[derive(PartialEq, Eq, Debug)]
enum Named {
    Link(String),
    Code(String),
    Shell(String),
}

fn items(text: &str) -> impl Iterator<Item = Item> {
    let mut shell: Option<String> = None;
    Parser::new(text).into_offset_iter().filter_map(move |(event, at)| {
        let what = match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Named::Link(dest_url.into_string())
            }
            Event::Code(code) => Named::Code(code.into_string()),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                shell = (&*language == "sh").then(String::new);
                return None;
            }
            Event::Text(line) => {
                shell.as_mut()?.push_str(&line);
                return None;
            }
            Event::End(TagEnd::CodeBlock) => Named::Shell(shell.take()?),
            _ => return None,
        };
        Some(Item { what, at })
    })
}

fn complaint_about(what: &Named, root: &Path, page: &Path) -> Option<String> {
    let beside = root.join(page.parent().unwrap_or(Path::new("")));
    match what {
        Named::Link(link) => {
            let file = link.split('#').next().unwrap_or_default();
            let leads = link.contains(':') || file.is_empty() || beside.join(file).exists();
            (!leads).then(|| format!("the link `{link}` leads nowhere"))
        }
        Named::Code(code) => {
            let there = !is_path(code) || root.join(code).exists() || beside.join(code).exists();
            (!there).then(|| format!("there is no `{code}`"))
        }
        Named::Shell(script) => script.lines().find_map(complaint_about_command),
    }
}

/// A path of ours: of plain characters, a folder or a file of a kind that we have.
fn is_path(code: &str) -> bool {
    let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let ours = !code.starts_with(['/', '-']) && !code.starts_with("target/");
    let extension = Path::new(code).extension().unwrap_or_default();
    let file = code.contains('/') && EXTENSIONS.iter().any(|known| extension == *known);
    plain && ours && (code.ends_with('/') || file)
}

fn complaint_about_command(line: &str) -> Option<String> {
    let line = line.split(" #").next().unwrap_or_default().trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    if line.starts_with("cargo xtask ") {
        use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
        let error = Cli::try_parse_from(line.split_whitespace().skip(1)).err()?;
        let known = matches!(error.kind(), DisplayHelp | DisplayVersion);
        return (!known).then(|| format!("`{line}`: {}", error.kind()));
    }
    let begins = |known: &&str| line == *known || line.starts_with(&format!("{known} "));
    (!COMMANDS.iter().any(begins)).then(|| format!("`{line}` is not a command that we know"))
}

#[cfg(test)]
mod tests {
    use super::{
        Block, Named, complaint_about, has_rust, is_path, items, marked, not_linked, tested,
    };
    use std::fs;
    use std::path::{Path, PathBuf};

    fn complaint(text: &str) -> Option<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        items(text).find_map(|item| complaint_about(&item.what, root, Path::new("src/x.md")))
    }

    #[test]
    fn links_and_paths_must_lead_somewhere() {
        for good in [
            "[a](main.rs) [b](../Cargo.toml#x) [c](#here) [d](https://docs.rs) `src/` `ci/steps.rs`",
            "`K/N` `/etc/x.toml` `target/loom/` `src/<name>.rs` `application/json` `ring.rs`",
            "```text\nsrc/absent.rs\n```",
        ] {
            assert_eq!(complaint(good), None, "{good}");
        }
        for bad in ["[a](absent.rs)", "`absent/`", "`src/absent.rs`"] {
            assert!(complaint(bad).is_some(), "{bad}");
        }
        assert!(is_path("ring/src/sid.rs"));
    }

    #[test]
    fn shell_blocks_hold_commands_that_exist() {
        let sh = |line: &str| complaint(&format!("```sh\n{line}\n```"));
        for good in
            ["cargo xtask test", "cargo xtask mutants --only x  # one", "# so", "cd ringbox"]
        {
            assert_eq!(sh(good), None, "{good}");
        }
        for bad in ["cargo xtask tests", "cargo xtask test --fast", "cdx", "rm -r x"] {
            assert!(sh(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_marked_block_is_found() {
        let text = "x\n\n<!-- ci: test -->\n```sh\ncargo xtask test\n```\n<!-- ci: demo -->\nx\n\n```sh\ny\n```\n";
        let only = Block { marker: "test".to_owned(), text: "cargo xtask test\n".to_owned() };
        assert_eq!(marked(text), [only], "below the other, something stands between");
        assert!(items(text).any(|item| item.what == Named::Shell("y\n".to_owned())));
    }

    #[test]
    fn rust_on_a_page_wants_a_doc_test() {
        assert!(has_rust("```rust,no_run\nlet x = 1;\n```\n"));
        assert!(!has_rust("```sh\nrust\n```\n"));
        assert!(!has_rust("<!-- ci: src/lib.rs -->\n```rust\nlet x = 1;\n```\n"));

        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/src")).unwrap();
        fs::write(root.join("README.md"), "").unwrap();
        let code = format!("#![doc = {}\"../../README.md\")]", "include_str!(");
        fs::write(root.join("a/src/lib.rs"), code).unwrap();
        let tested = tested(&root, &[PathBuf::from("a/src/lib.rs")]);
        assert!(tested.contains(&root.join("README.md")));
    }

    #[test]
    fn every_page_in_docs_is_linked_from_another() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("docs")).unwrap();
        let pages = [
            ("README.md", "[a](docs/a.md#x) `docs/named.md`"),
            ("docs/a.md", "[b](b.md) [c](../docs/c.md)"),
            ("docs/b.md", ""),
            ("docs/c.md", ""),
            ("docs/named.md", "named is not linked"),
            ("docs/own.md", "[itself](own.md)"),
        ];
        for (page, text) in pages {
            fs::write(dir.path().join(page), text).unwrap();
        }
        let pages = pages.map(|(page, _)| PathBuf::from(page));
        let lost = not_linked(dir.path(), &pages.each_ref()).unwrap();
        assert_eq!(lost, ["docs/named.md", "docs/own.md"].map(Path::new));
    }
}
