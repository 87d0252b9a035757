//! Options in, table and JSON out.

use crate::interleave::{Plan, Row, Rows};
use anyhow::{Context as _, Result};
use clap::Parser;
use std::path::PathBuf;
use std::process::Command;

/// Measures the project's speed, interleaved with what it is compared with.
#[derive(Debug, Parser)]
pub struct Options {
    /// Fewer and shorter rounds: for a look, not for figures to keep.
    #[arg(long)]
    quick: bool,
    /// Write the rows to this file too, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only rows whose name contains this.
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// What `cargo bench` passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// The rows to fill.
    pub fn rows(&self) -> Rows {
        let plan = if self.quick { Plan::QUICK } else { Plan::FULL };
        Rows::new(plan, self.only.clone(), commit())
    }
}

/// Tells what was measured.
///
/// # Errors
/// The JSON file cannot be written.
pub fn report(options: &Options, rows: Rows) -> Result<()> {
    let rows = rows.into_rows();
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&rows)?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("{} rows written to {}", rows.len(), path.display());
    }
    Ok(())
}

/// A row as it is printed.
pub(crate) fn line(row: &Row) -> String {
    format!(
        "{:<44} {:>8.1} ns   {:<17} {:>8.1} ns   ratio {:>6.3}  (95 % below {:.3})",
        row.name, row.ours_ns, row.peer, row.peer_ns, row.ratio, row.ratio_ci95_hi
    )
}

fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    output.ok().filter(|output| output.status.success()).map_or_else(
        || "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().into(),
    )
}
