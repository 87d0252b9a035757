//! Follows `docs/first-plugin.md` from its first command to its last, as its reader would.
//!
//! What the page says to type is run in one shell, from this checkout. What it says to write is
//! written. Only the folder that the reader makes beside the checkout lies in the target folder here.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::pages::{self, Block};
use crate::checkout::Checkout;

const PAGE: &str = "docs/first-plugin.md";

/// The reader's folder, as the page calls it.
const THEIRS: &str = "../hello";

/// What each host that the page runs has to say.
const ANSWER: &str = "answer    Hello, World!";

/// The page as a command that follows it.
pub(super) fn follow(checkout: &Checkout) -> Result<Command> {
    let page = fs::read_to_string(checkout.root().join(PAGE))?;
    let folder = checkout.target().join("first-plugin");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut command = Command::new("bash");
    command.current_dir(checkout.root());
    command.args(["-euo", "pipefail", "-c", &script(&page, &folder.join("hello"))?]);
    // The reader's project builds to a folder of its own. What lies between, such as the host, is
    // the same there as here, so it isn't built again.
    command.env_remove("CARGO_TARGET_DIR").env("CARGO_BUILD_BUILD_DIR", checkout.target());
    Ok(command)
}

/// What was said has an answer for each host that was run.
pub(super) fn check(said: &str) -> Result<()> {
    let answers = said.matches(ANSWER).count();
    ensure!(answers == 2, "a plugin behind each wall says `{ANSWER}`; {answers} did");
    Ok(())
}

fn script(page: &str, folder: &Path) -> Result<String> {
    let folder = folder.to_str().context("the target folder's path is not plain text")?;
    let mut script = "set -x\n".to_owned();
    for Block { marker, text } in pages::marked(page) {
        if marker == "run" {
            script += &text.replace(THEIRS, &format!("'{folder}'"));
        } else {
            script += &format!("cat > '{folder}/{marker}' <<'END OF FILE'\n{text}END OF FILE\n");
        }
    }
    ensure!(script.contains(folder), "{PAGE} has no commands that are marked to be run");
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::{check, script};
    use std::path::Path;

    #[test]
    fn a_page_is_a_script() {
        let page = "# X\n<!-- ci: run -->\n```sh\ncd ../hello/x\n```\nThen:\n\n<!-- ci: a.rs -->\n\
                    ```rust\nfn a() {}\n```\n```sh\nnot this\n```\n";
        let script = script(page, Path::new("/t/hello")).unwrap();
        assert_eq!(
            script,
            "set -x\ncd '/t/hello'/x\ncat > '/t/hello/a.rs' <<'END OF FILE'\nfn a() {}\n\
             END OF FILE\n"
        );
        assert!(super::script("# X\n", Path::new("/t/hello")).is_err());
    }

    #[test]
    fn both_hosts_have_to_answer() {
        assert!(check("answer    Hello, World!\nanswer    Hello, World!\n").is_ok());
        assert!(check("answer    Hello, World!\n").is_err());
    }
}
