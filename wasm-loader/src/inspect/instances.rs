//! How much a component instantiates, each nested component counted as often as it is.
//!
//! Two instances of a component that has two instances of another, and so on, take a line each to
//! write and double each time: the compiler would follow all of them.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Instance, Payload,
};

/// One component whose sections are being read.
#[derive(Default)]
struct Level {
    /// How much one instance of this component instantiates, so far.
    total: u64,
    /// The same for each component that it can name.
    named: Vec<u64>,
}

/// Counts along while a component's payloads pass by.
pub(super) struct Instances {
    levels: Vec<Level>,
}

/// What stands in the way of counting.
pub(super) enum Uncounted {
    /// The bytes are not what they should be; validation says how.
    Invalid,
    /// A component that is only known when it is instantiated, at this byte.
    Value(usize),
}

impl Instances {
    pub(super) fn new() -> Self {
        Self { levels: Vec::new() }
    }

    /// A component begins.
    pub(super) fn enter(&mut self) {
        self.levels.push(Level::default());
    }

    /// A component ends: its parent can name it now. How much the outermost one instantiates.
    pub(super) fn leave(&mut self) -> Option<u64> {
        let ended = self.levels.pop()?;
        match self.levels.last_mut() {
            Some(parent) => {
                parent.named.push(ended.total);
                None
            }
            None => Some(ended.total),
        }
    }

    /// How much is instantiated by the component that is being read.
    pub(super) fn so_far(&self) -> u64 {
        self.levels.last().map_or(0, |level| level.total)
    }

    pub(super) fn payload(&mut self, payload: &Payload<'_>) -> Result<(), Uncounted> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { .. } =
                        instance.map_err(|_| Uncounted::Invalid)?
                    {
                        self.add(1)?;
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    let instance = instance.map_err(|_| Uncounted::Invalid)?;
                    if let ComponentInstance::Instantiate { component_index, .. } = instance {
                        let inside = self.named(0, component_index)?;
                        self.add(inside.saturating_add(1))?;
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone().into_iter_with_offsets() {
                    let (offset, alias) = alias.map_err(|_| Uncounted::Invalid)?;
                    match alias {
                        ComponentAlias::Outer {
                            kind: ComponentOuterAliasKind::Component,
                            count,
                            index,
                        } => {
                            let inside = self.named(count, index)?;
                            self.level()?.named.push(inside);
                        }
                        ComponentAlias::InstanceExport {
                            kind: ComponentExternalKind::Component,
                            ..
                        } => return Err(Uncounted::Value(offset)),
                        _ => {}
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone().into_iter_with_offsets() {
                    let (offset, import) = import.map_err(|_| Uncounted::Invalid)?;
                    if let ComponentTypeRef::Component(_) = import.ty {
                        return Err(Uncounted::Value(offset));
                    }
                }
            }
            // An export gives what it exports a second index.
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export.map_err(|_| Uncounted::Invalid)?;
                    if export.kind == ComponentExternalKind::Component {
                        let inside = self.named(0, export.index)?;
                        self.level()?.named.push(inside);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn level(&mut self) -> Result<&mut Level, Uncounted> {
        self.levels.last_mut().ok_or(Uncounted::Invalid)
    }

    fn add(&mut self, more: u64) -> Result<(), Uncounted> {
        let level = self.level()?;
        level.total = level.total.saturating_add(more);
        Ok(())
    }

    /// What a component `out` levels outwards, counted from the one that is being read, holds.
    fn named(&self, out: u32, index: u32) -> Result<u64, Uncounted> {
        let level = self.levels.iter().rev().nth(out as usize).ok_or(Uncounted::Invalid)?;
        level.named.get(index as usize).copied().ok_or(Uncounted::Invalid)
    }
}
