//! An inspection for people to read.

use super::{Capability, Inspection, Provider};
use crate::grants::Grants;
use std::fmt;

/// What a component is, what it asks for, and what it would get under some grants. It is text:
/// `println!("{report}")`.
#[derive(Debug)]
pub struct Report<'a> {
    inspection: &'a Inspection,
    grants: &'a Grants,
}

impl<'a> Report<'a> {
    pub(super) fn new(inspection: &'a Inspection, grants: &'a Grants) -> Self {
        Self { inspection, grants }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effective = self.grants.cut(&self.inspection.ask);
        write!(f, "{}", self.inspection)?;
        writeln!(f, "would get:")?;
        for line in effective.to_string().lines() {
            writeln!(f, "  {line}")?;
        }
        let runs = if effective.needs_runner() {
            "on threads of the host's, since it may wait"
        } else {
            "on its caller's thread"
        };
        writeln!(f, "would run:\n  {runs}")
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.check() {
            Ok(()) => writeln!(f, "a plugin: a component that exports nylon:ring/guest")?,
            Err(error) => writeln!(f, "a component, and no plugin for this host: {error}")?,
        }
        if let Some(name) = self.name() {
            writeln!(f, "  {name} {}", self.version().unwrap_or_default())?;
        }
        writeln!(
            f,
            "  {} bytes, {} functions (the largest has {} bytes), {} core modules, {} instances",
            self.bytes, self.functions, self.largest_function, self.modules, self.instances
        )?;
        writeln!(f, "exports:")?;
        for export in &self.exports {
            writeln!(f, "  {export}")?;
        }
        writeln!(f, "imports:")?;
        for import in &self.imports {
            writeln!(f, "  {}: {}", import.name, import.provider)?;
        }
        Ok(())
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host"),
            Self::Wasi(capability) => capability.fmt(f),
            Self::Newer { found, known } => {
                write!(f, "later than {known}, which this host knows ({found})")
            }
            Self::Unknown => f.write_str("unknown, nothing brings it"),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io => "always there",
            Self::Stdio => "input is empty, output is captured",
            Self::Exit => "ending itself is a trap",
            Self::Environment => "empty, except for what `Grants::env` gives",
            Self::Clocks => "virtual, unless `Grants::clocks` makes them real",
            Self::Random => "seeded, unless `Grants::random` makes it real",
            Self::Files => "no files, except for what `Grants::directory` gives",
            Self::Network => "no network, except for what `Grants::network` allows",
        })
    }
}
