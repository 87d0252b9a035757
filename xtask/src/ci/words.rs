//! No file speaks of one machine only: neither of its folders nor of hosts that only it reaches.

use std::fs;

use anyhow::{Result, ensure};

use crate::checkout::Checkout;

/// Folders that exist on somebody's machine and not on everybody's.
const FOLDERS: &[&str] = &["work", "root", "home", "Users", "tmp/target"];

/// The hosts that a link may lead to, subdomains included. A new one is added on purpose.
const HOSTS: &[&str] = &[
    "apache.org",
    "contributor-covenant.org",
    "crates.io",
    "docs.rs",
    "example.com",
    "github.com",
    "keepachangelog.com",
    "localhost",
    "opensource.org",
    "rust-lang.org",
    "rustup.rs",
    "semver.org",
    "wasmtime.dev",
    "webassembly.org",
];

pub(super) fn check(checkout: &Checkout) -> Result<String> {
    let files = checkout.files()?;
    let mut complaints = 0;
    for file in &files {
        // What is not text says nothing.
        let Ok(text) = fs::read_to_string(checkout.root().join(file)) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            for complaint in complaints_about(line) {
                println!("{}:{number}: {complaint}", file.display());
                complaints += 1;
            }
        }
    }
    ensure!(complaints == 0, "{complaints} words that only one machine understands");
    Ok(format!("{} files", files.len()))
}

fn complaints_about(line: &str) -> Vec<String> {
    let folders = FOLDERS.iter().filter(|folder| names_folder(line, folder));
    let folders = folders.map(|folder| format!("`/{folder}/` is a folder of one machine"));
    let hosts = hosts(line).filter(|host| !is_known(host));
    let hosts = hosts.map(|host| format!("`{host}` is not a host that everybody knows"));
    folders.chain(hosts).collect()
}

/// Whether an absolute path into this folder stands in the line.
fn names_folder(line: &str, folder: &str) -> bool {
    let path = format!("/{folder}");
    line.match_indices(&path).any(|(at, _)| {
        let goes_on = |c: char| c.is_alphanumeric() || "._-~$}*/".contains(c);
        let begins = !line[..at].ends_with(goes_on);
        let rest = &line[at + path.len()..];
        begins && (rest.starts_with('/') || folder.contains('/'))
    })
}

/// The hosts of the links in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c));
        rest[..end.unwrap_or(rest.len())].trim_end_matches('.')
    })
}

fn is_known(host: &str) -> bool {
    let of = |known: &&str| host == *known || host.ends_with(&format!(".{known}"));
    // A host without a dot is a name in an example, such as `scheme://name`.
    !host.contains('.') || HOSTS.iter().any(of)
}

#[cfg(test)]
mod tests {
    use super::{FOLDERS, complaints_about};

    #[test]
    fn folders_of_one_machine_are_found() {
        for folder in FOLDERS {
            for line in [format!("see /{folder}/x"), format!("\"/{folder}/x\"")] {
                assert_eq!(complaints_about(&line).len(), 1, "{line}");
            }
            for line in [format!("some/{folder}/x"), format!("../{folder}/x"), format!("{folder}/")]
            {
                assert!(complaints_about(&line).is_empty(), "{line}");
            }
        }
    }

    #[test]
    fn links_lead_where_everybody_can_follow() {
        let line = |host: &str| complaints_about(&format!("see <https{}{host}/x>.", "://"));
        assert!(line("github.com").is_empty());
        assert!(line("static.crates.io").is_empty());
        assert_eq!(line("mirror.internal").len(), 1);
        assert_eq!(line("notgithub.com").len(), 1);
    }
}
