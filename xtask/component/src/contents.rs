//! What a component imports and exports.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use wit_component::{DecodedWasm, decode};
use wit_parser::{Resolve, WorldItem, WorldKey};

/// A line for each interface that has functions, with their names.
pub(crate) fn of(component: &[u8]) -> Result<String> {
    let DecodedWasm::Component(resolve, world) = decode(component)? else {
        bail!("it is a package of WIT, and no component");
    };
    let mut lines = String::new();
    let world = &resolve.worlds[world];
    for (word, items) in [("imports", &world.imports), ("exports", &world.exports)] {
        for (key, item) in items {
            if let Some(functions) = functions(&resolve, item) {
                writeln!(lines, "  {word}  {}{functions}", name(&resolve, key))?;
            }
        }
    }
    Ok(lines)
}

/// The functions of an item, as they stand behind its name. An interface may have types alone.
fn functions(resolve: &Resolve, item: &WorldItem) -> Option<String> {
    match item {
        WorldItem::Interface { id, .. } => {
            let names: Vec<_> =
                resolve.interfaces[*id].functions.keys().map(String::as_str).collect();
            (!names.is_empty()).then(|| format!(": {}", names.join(", ")))
        }
        WorldItem::Function(_) => Some(String::new()),
        WorldItem::Type { .. } => None,
    }
}

fn name(resolve: &Resolve, key: &WorldKey) -> String {
    resolve.name_world_key(key)
}
