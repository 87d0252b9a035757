//! The fault table: each fault once, with what its caller sees behind each wall.
//!
//! ```text
//! calls, answers, streams, limits, files, life   the rows: a name, a sentence, how to provoke it
//!        | provoked by tests/table.rs
//! seen   what the caller saw > page   docs/faults.md
//! ```

mod answers;
mod calls;
mod files;
mod life;
mod limits;
mod page;
mod seen;
mod streams;

pub use page::{page, render};
pub use seen::{Seen, Then};
pub(crate) use seen::{name_of, name_of_load};

use crate::ground::{Ground, Wall};

/// One fault.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it is called.
    pub name: &'static str,
    /// What happens.
    pub what: &'static str,
    /// Behind the ABI alone.
    pub native: Cell,
    /// In the sandbox.
    pub wasm: Cell,
    /// Written with the SDK, behind either wall.
    pub sdk: Cell,
}

/// One fault behind one wall.
#[derive(Debug, Clone, Copy)]
pub enum Cell {
    /// It can be provoked, and this does.
    Ask(fn(&Ground, Wall) -> Seen),
    /// Nobody asks for it, for this reason.
    Not(&'static str),
}

/// Rows that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Their heading.
    pub name: &'static str,
    /// What they have in common.
    pub what: &'static str,
    /// The rows.
    pub rows: &'static [Row],
}

/// All of them.
pub const GROUPS: &[Group] =
    &[calls::GROUP, answers::GROUP, streams::GROUP, limits::GROUP, files::GROUP, life::GROUP];

/// Why nobody asks a plugin that is written with the SDK.
const UNSAID: Cell = Cell::Not("The SDK has no way to do so.");
const CODE: Cell = Cell::Not("It is the code's: as without the SDK.");
const HOSTS: Cell = Cell::Not("It is the host's: as without the SDK.");

impl Row {
    /// A fault that looks alike to whoever provokes it.
    const fn both(
        name: &'static str,
        what: &'static str,
        provoke: fn(&Ground, Wall) -> Seen,
    ) -> Self {
        Self {
            name,
            what,
            native: Cell::Ask(provoke),
            wasm: Cell::Ask(provoke),
            sdk: Cell::Ask(provoke),
        }
    }

    /// What it is behind a wall.
    #[must_use]
    pub const fn cell(&self, wall: Wall) -> Cell {
        match wall {
            Wall::Native => self.native,
            Wall::Wasm => self.wasm,
            Wall::SdkNative | Wall::SdkWasm => self.sdk,
        }
    }
}
