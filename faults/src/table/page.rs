//! The table as a page.

use super::seen::quoted;
use super::{Cell, GROUPS, Row, Seen};
use crate::fixtures;
use crate::ground::Wall;
use std::fmt::Write as _;
use std::path::PathBuf;

const HEAD: &str = "\
# Faults

What a caller sees of each fault, behind each wall. This page is made by a test: it provokes each of
them, and fails when the page is not what it saw. `cargo xtask faults --write` writes it anew.

After each fault, healthy plugins behind both walls are called in the same process, and have to
answer; calls that are left over fail the test as well. The last word of a cell is what became of the
plugin: it **serves on** (the next call is answered, where need be by a new instance), **rests**
(for 30 seconds), or there is **none**.

The columns `sdk-native` and `sdk-wasm` are a plugin of one source, written with the SDK
([`wasm-guest-sdk`](../wasm-guest-sdk/README.md)), behind both walls.

Where nobody asks, the cell says why. *Not held* marks what a wall does not hold: native code that
crashes takes the process with it, and native code that never returns keeps the thread that called
it. That is what the sandbox is for.
";

/// Where the page is.
#[must_use]
pub fn page() -> PathBuf {
    fixtures::root().join("docs/faults.md")
}

/// The page, from what was seen.
#[must_use]
pub fn render(seen: impl Fn(&Row, Wall) -> Option<Seen>) -> String {
    let mut page = HEAD.to_owned();
    for group in GROUPS {
        let _ = write!(page, "\n## {}\n\n{}\n\n| fault |", group.name, group.what);
        for wall in Wall::COLUMNS {
            let _ = write!(page, " `{}` |", wall.name());
        }
        page += "\n|---|---|---|---|---|\n";
        for row in group.rows {
            let _ = write!(page, "| **{}**: {} |", row.name, row.what);
            for wall in Wall::COLUMNS {
                let told = match row.cell(wall) {
                    Cell::Not(why) => why.to_owned(),
                    Cell::Ask(_) => match seen(row, wall) {
                        None => "?".to_owned(),
                        Some(what)
                            if wall != wall.plain()
                                && seen(row, wall.plain()) == Some(what.clone()) =>
                        {
                            format!("as `{}`", wall.plain().name())
                        }
                        Some(what) => cell(&what),
                    },
                };
                let _ = write!(page, " {told} |");
            }
            page.push('\n');
        }
    }
    page
}

fn cell(seen: &Seen) -> String {
    let Seen { name, words, then } = seen;
    let name = if name == "no error" { String::new() } else { format!("`{name}`: ") };
    format!("{name}{} → {}", quoted(words), then.text())
}
