//! In the place of the sandbox, where the feature `sandbox` is off: components are known, and not
//! loaded.

use crate::error::LoadError;
use crate::inspect::{InspectError, Inspected, start};
use crate::options::LoadOptions;
use crate::resident::{ELF, Resident};
use crate::source::Component;
use std::path::Path;

pub(crate) fn load(
    component: &Component,
    name: &str,
    _: &LoadOptions,
) -> Result<Box<dyn Resident>, LoadError> {
    let name = name.into();
    let is_library = match component {
        Component::Path(path) => start(path).is_ok_and(|start| start == ELF),
        Component::Bytes(bytes) => bytes.starts_with(ELF),
    };
    Err(if is_library { LoadError::NeedsTrust { name } } else { LoadError::NoSandbox { name } })
}

pub(crate) fn inspect(_: &Path, _: &LoadOptions) -> Result<Inspected, InspectError> {
    Err(InspectError::NoSandbox)
}
