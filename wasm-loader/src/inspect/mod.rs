//! What a file is, before any of it is compiled.
//!
//! Compiling takes long and cannot be cancelled, so everything that can be known without it is
//! known first: whether the bytes are a component at all, how much there is to compile, whether it
//! is a plugin, and what it asks for.
//!
//! ```
//! use ringbox_wasm::{ComponentLimits, InspectError, inspect};
//!
//! let core_module = b"\0asm\x01\0\0\0";
//! let error = inspect(core_module, &ComponentLimits::new()).unwrap_err();
//! assert!(matches!(error, InspectError::CoreModule));
//! ```

mod contract;
mod error;
mod features;
mod identity;
mod import;
mod instances;
mod limits;
mod name;
mod read;
mod report;
mod scan;
mod signature;

pub use error::{Bound, InspectError};
pub(crate) use features::features;
pub(crate) use identity::Identity;
pub use import::{Capability, Import, Provider};
pub use limits::ComponentLimits;
pub(crate) use name::InterfaceName;
pub use name::Version;
pub use read::read;
pub use report::Report;

use crate::grants::{Ask, Grants};
use contract::{BASE, Fit, GUEST, Interface, Package};
use std::path::Path;

/// The custom section in which a plugin may say what it asks for, one line each.
pub const ASK_SECTION: &str = "ringbox:ask";

/// The custom section in which a plugin may say its name and its version, one line each.
pub const PLUGIN_SECTION: &str = "ringbox:plugin";

/// A valid component within its limits: what it is and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Its size.
    pub bytes: u64,
    /// Its functions with a body.
    pub functions: u32,
    /// The bytes of the largest of them.
    pub largest_function: u32,
    /// Its core modules.
    pub modules: u32,
    /// What is instantiated when it is.
    pub instances: u64,
    /// What it imports, in its order.
    pub imports: Vec<Import>,
    /// What it exports, in its order.
    pub exports: Vec<String>,
    /// What it asks for.
    pub ask: Ask,
    pub(crate) identity: Identity,
    /// The contract's functions, as they are here.
    functions_found: Vec<Found>,
}

/// A function of the contract, or the lack of it, in an interface that a component has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    interface: String,
    function: String,
    imported: bool,
    signature: String,
}

/// Looks at a component's bytes.
///
/// # Errors
///
/// [`InspectError`] for what is no component, is broken, or is over a limit. A component that is no
/// plugin is none of these: [`Inspection::check`] says so.
pub fn inspect(bytes: &[u8], limits: &ComponentLimits) -> Result<Inspection, InspectError> {
    scan::scan(bytes, limits)
}

/// Looks at a file.
///
/// # Errors
///
/// As [`inspect`] and [`read()`].
pub fn inspect_file(path: &Path, limits: &ComponentLimits) -> Result<Inspection, InspectError> {
    inspect(&read(path, limits)?, limits)
}

impl Inspection {
    /// Whether it is a plugin that this host can load: it exports the guest's interface, with the
    /// right functions, for this host's version, and imports nothing that there isn't.
    ///
    /// # Errors
    ///
    /// [`InspectError::NoGuest`], [`InspectError::Newer`], [`InspectError::MissingFunction`],
    /// [`InspectError::WrongSignature`], [`InspectError::UnknownImport`].
    pub fn check(&self) -> Result<(), InspectError> {
        self.check_with(|_| false)
    }

    /// The same where the host brings more than the contract: `provided` tells by its full name
    /// whether an import that is unknown here is one of those.
    ///
    /// # Errors
    ///
    /// As [`Inspection::check`].
    pub fn check_with(&self, provided: impl Fn(&str) -> bool) -> Result<(), InspectError> {
        self.guest().ok_or_else(|| self.no_guest())?;
        self.check_exports()?;
        self.check_imports(provided)
    }

    /// What it says its name is, where it says so.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.identity.name.as_deref()
    }

    /// What it says its version is, where it says so.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.identity.version.as_deref()
    }

    /// The full name under which it exports the guest's interface.
    #[must_use]
    pub fn guest(&self) -> Option<&str> {
        self.export(BASE, GUEST)
    }

    /// The full name under which it exports an interface of the contract, in a version that this
    /// host knows: `export("nylon:ring-ext", "data")`.
    #[must_use]
    pub fn export(&self, package: &str, interface: &str) -> Option<&str> {
        self.contract().find_map(|(full, name, fit, _)| {
            (fit == Fit::Known && (name.package, name.interface) == (package, interface))
                .then_some(full)
        })
    }

    /// The full name under which it imports an interface of the contract.
    #[must_use]
    pub fn import(&self, package: &str, interface: &str) -> Option<&str> {
        self.imports.iter().filter(|import| import.provider == Provider::Host).find_map(|import| {
            let name = InterfaceName::parse(&import.name)?;
            ((name.package, name.interface) == (package, interface)).then_some(&*import.name)
        })
    }

    /// What it asks for and what it would get: for people to read.
    #[must_use]
    pub fn report<'a>(&'a self, grants: &'a Grants) -> Report<'a> {
        Report::new(self, grants)
    }

    /// The exports that are of a package of ours.
    fn contract(
        &self,
    ) -> impl Iterator<Item = (&str, InterfaceName<'_>, Fit, Option<&'static Interface>)> {
        self.exports.iter().filter_map(|full| {
            let name = InterfaceName::parse(full)?;
            let (fit, interface) = Package::of(&name)?.export(&name);
            Some((full.as_str(), name, fit, interface))
        })
    }

    /// Why there is no guest: it may be a later one.
    fn no_guest(&self) -> InspectError {
        self.contract()
            .find(|(_, name, _, _)| (name.package, name.interface) == (BASE, GUEST))
            .and_then(|(full, _, fit, _)| newer(full, fit))
            .unwrap_or_else(|| InspectError::NoGuest { exports: self.exports.clone() })
    }

    fn check_exports(&self) -> Result<(), InspectError> {
        for (full, name, fit, interface) in self.contract() {
            // It may be there in a version for us too.
            if let Some(error) = newer(full, fit)
                && self.export(name.package, name.interface).is_none()
            {
                return Err(error);
            }
            for function in interface.into_iter().flat_map(|interface| interface.functions) {
                let found = self.found(full, function.name, false).ok_or_else(|| {
                    InspectError::MissingFunction {
                        interface: full.to_owned(),
                        function: function.name,
                    }
                })?;
                same(full, function, &found.signature)?;
            }
        }
        Ok(())
    }

    fn check_imports(&self, provided: impl Fn(&str) -> bool) -> Result<(), InspectError> {
        for import in &self.imports {
            match import.provider {
                Provider::Host | Provider::Wasi(_) => {}
                Provider::Newer { found, known } => {
                    return Err(InspectError::Newer { name: import.name.clone(), found, known });
                }
                Provider::Unknown if provided(&import.name) => {}
                Provider::Unknown => {
                    return Err(InspectError::UnknownImport { name: import.name.clone() });
                }
            }
        }
        for found in self.functions_found.iter().filter(|found| found.imported) {
            let Some(name) = InterfaceName::parse(&found.interface) else { continue };
            let Some(package) = Package::of(&name) else { continue };
            let functions = package.import(&name).1.map_or(&[][..], |one| one.functions);
            let Some(function) = functions.iter().find(|one| one.name == found.function) else {
                return Err(unknown_function(package, &name, found));
            };
            same(&found.interface, function, &found.signature)?;
        }
        Ok(())
    }

    fn found(&self, interface: &str, function: &str, imported: bool) -> Option<&Found> {
        self.functions_found.iter().find(|found| {
            found.imported == imported && found.interface == interface && found.function == function
        })
    }
}

/// A function that is imported from a package of ours and isn't in it: as yet, or at all.
fn unknown_function(package: &Package, name: &InterfaceName<'_>, found: &Found) -> InspectError {
    let full = format!("{}#{}", found.interface, found.function);
    match name.version {
        Some(version) if version > package.version => {
            InspectError::Newer { name: full, found: version, known: package.version }
        }
        _ => InspectError::UnknownImport { name: full },
    }
}

fn newer(full: &str, fit: Fit) -> Option<InspectError> {
    match fit {
        Fit::Newer { found, known } => {
            Some(InspectError::Newer { name: full.to_owned(), found, known })
        }
        Fit::Known | Fit::NotInIt => None,
    }
}

fn same(
    interface: &str,
    function: &contract::Function,
    signature: &str,
) -> Result<(), InspectError> {
    if signature == function.signature {
        return Ok(());
    }
    Err(InspectError::WrongSignature {
        interface: interface.to_owned(),
        function: function.name,
        found: signature.to_owned(),
        wanted: function.signature,
    })
}
