//! One walk through a component's bytes: validated, and held against its limits on the way.

use super::contract::{Fit, Package};
use super::error::{Bound, InspectError};
use super::import::{Import, provider};
use super::instances::{Instances, Uncounted};
use super::limits::ComponentLimits;
use super::name::InterfaceName;
use super::read::check_length;
use super::{ASK_SECTION, Found, Identity, Inspection, PLUGIN_SECTION, features, signature};
use crate::grants::Ask;
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{Encoding, FuncValidatorAllocations, Parser, Payload, ValidPayload, Validator};

const MAGIC: &[u8; 4] = b"\0asm";
const CORE: u32 = 0x0000_0001;
const COMPONENT: u32 = 0x0001_000d;

pub(super) fn scan(bytes: &[u8], limits: &ComponentLimits) -> Result<Inspection, InspectError> {
    check_length(bytes.len() as u64, limits)?;
    check_start(bytes)?;
    let mut scan = Scan {
        bytes,
        limits,
        instances: Instances::new(),
        depth: 0,
        levels: Vec::new(),
        functions: 0,
        largest_function: 0,
        modules: 0,
        total_instances: 0,
        imports: Vec::new(),
        exports: Vec::new(),
        ask: None,
        identity: None,
        functions_found: Vec::new(),
    };
    scan.walk()?;
    Ok(scan.finish())
}

/// Tells by the first eight bytes what the others are.
fn check_start(bytes: &[u8]) -> Result<(), InspectError> {
    let Some((start, _)) = bytes.split_first_chunk::<8>() else {
        return Err(if !bytes.is_empty() && MAGIC.starts_with(&bytes[..bytes.len().min(4)]) {
            InspectError::Truncated { len: bytes.len() as u64 }
        } else {
            not_wasm(bytes)
        });
    };
    if !start.starts_with(MAGIC) {
        return Err(not_wasm(bytes));
    }
    match u32::from_le_bytes([start[4], start[5], start[6], start[7]]) {
        COMPONENT => Ok(()),
        CORE => Err(InspectError::CoreModule),
        version => Err(InspectError::UnknownVersion { version }),
    }
}

fn not_wasm(bytes: &[u8]) -> InspectError {
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"(component") || text.starts_with(b"(module") {
        return InspectError::Text;
    }
    InspectError::NotWasm { start: bytes[..bytes.len().min(8)].to_vec() }
}

struct Scan<'a> {
    bytes: &'a [u8],
    limits: &'a ComponentLimits,
    instances: Instances,
    /// How many components are open.
    depth: u32,
    /// What is open, from the outside in.
    levels: Vec<Encoding>,
    functions: u32,
    largest_function: u32,
    modules: u32,
    total_instances: u64,
    imports: Vec<Import>,
    exports: Vec<String>,
    ask: Option<Ask>,
    identity: Option<Identity>,
    functions_found: Vec<Found>,
}

impl Scan<'_> {
    fn walk(&mut self) -> Result<(), InspectError> {
        let mut validator = Validator::new_with_features(features());
        let mut parser = Parser::new(0);
        parser.set_features(features());
        let mut allocations = FuncValidatorAllocations::default();
        for payload in parser.parse_all(self.bytes) {
            let payload = payload.map_err(|error| self.invalid(&error))?;
            self.before(&payload)?;
            match validator.payload(&payload).map_err(|error| self.invalid(&error))? {
                ValidPayload::Func(function, body) => {
                    let mut function = function.into_validator(allocations);
                    function.validate(&body).map_err(|error| self.invalid(&error))?;
                    allocations = function.into_allocations();
                }
                ValidPayload::End(types) if self.levels.len() == 1 => self.names(types.as_ref()),
                ValidPayload::End(_) | ValidPayload::Ok | ValidPayload::Parser(_) => {}
            }
            self.after(&payload)?;
        }
        Ok(())
    }

    /// What has to be held before more time is spent on it.
    fn before(&mut self, payload: &Payload<'_>) -> Result<(), InspectError> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.levels.push(*encoding);
                match encoding {
                    Encoding::Component => {
                        self.depth += 1;
                        self.instances.enter();
                        within(Bound::Nesting, self.depth.into(), self.limits.nesting.into())?;
                    }
                    Encoding::Module => {
                        self.modules += 1;
                        within(Bound::Modules, self.modules.into(), self.limits.modules.into())?;
                    }
                }
            }
            Payload::CodeSectionStart { count, .. } => {
                self.functions = self.functions.saturating_add(*count);
                within(Bound::Functions, self.functions.into(), self.limits.functions.into())?;
            }
            Payload::CodeSectionEntry(body) => {
                let len = u32::try_from(body.range().len()).unwrap_or(u32::MAX);
                self.largest_function = self.largest_function.max(len);
                within(Bound::FunctionBytes, len.into(), self.limits.function_bytes.into())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What makes sense once it is known to be valid.
    fn after(&mut self, payload: &Payload<'_>) -> Result<(), InspectError> {
        if self.levels.last() == Some(&Encoding::Component) {
            self.instances.payload(payload).map_err(|uncounted| match uncounted {
                Uncounted::Value(offset) => InspectError::ComponentValue { offset: offset as u64 },
                Uncounted::Invalid => self.invalid_at(0, "an index leads nowhere"),
            })?;
            within(Bound::Instances, self.instances.so_far(), self.limits.instances.into())?;
        }
        match payload {
            Payload::ComponentImportSection(section) if self.levels.len() == 1 => {
                for import in section.clone() {
                    let name = import.map_err(|error| self.invalid(&error))?.name.name;
                    self.imports.push(Import { name: name.to_owned(), provider: provider(name) });
                }
            }
            Payload::ComponentExportSection(section) if self.levels.len() == 1 => {
                for export in section.clone() {
                    let name = export.map_err(|error| self.invalid(&error))?.name.name;
                    self.exports.push(name.to_owned());
                }
            }
            Payload::CustomSection(section) if self.speaks_for_all() => match section.name() {
                ASK_SECTION if self.counts(self.ask.is_some()) => {
                    self.ask = Some(Ask::parse(section.data())?);
                }
                PLUGIN_SECTION if self.counts(self.identity.is_some()) => {
                    self.identity = Some(Identity::parse(section.data())?);
                }
                _ => {}
            },
            Payload::End(_) => self.end(),
            _ => {}
        }
        Ok(())
    }

    /// Whether what is said here is said of the whole: by the component, or by a module of its own,
    /// where compilers and linkers put it.
    fn speaks_for_all(&self) -> bool {
        matches!(self.levels[..], [_] | [_, Encoding::Module])
    }

    /// Whether it counts, where something was said before: the component overrules its modules.
    fn counts(&self, said: bool) -> bool {
        self.levels.len() == 1 || !said
    }

    /// A module or a component ends.
    fn end(&mut self) {
        if self.levels.pop() == Some(Encoding::Component) {
            self.depth -= 1;
            self.total_instances = self.instances.leave().unwrap_or(self.total_instances);
        }
    }

    /// Takes down the contract's functions with their types, while the types are at hand.
    fn names(&mut self, types: TypesRef<'_>) {
        let imports = self.imports.iter().map(|import| (import.name.as_str(), true));
        let exports = self.exports.iter().map(|export| (export.as_str(), false));
        for (full, imported) in imports.chain(exports) {
            let Some(name) = InterfaceName::parse(full) else { continue };
            let Some(package) = Package::of(&name) else { continue };
            let (fit, interface) =
                if imported { package.import(&name) } else { package.export(&name) };
            let (Fit::Known, Some(interface)) = (fit, interface) else { continue };
            let item = if imported {
                types.component_item_for_import(full)
            } else {
                types.component_item_for_export(full)
            };
            let Some(ComponentEntityType::Instance(instance)) = item.map(|item| item.ty) else {
                continue;
            };
            for (function, item) in &types[instance].exports {
                let ComponentEntityType::Func(ty) = item.ty else { continue };
                let known = interface.functions.iter().any(|one| one.name == function);
                if known || imported {
                    self.functions_found.push(Found {
                        interface: full.to_owned(),
                        function: function.clone(),
                        imported,
                        signature: if known { signature::of(types, ty) } else { String::new() },
                    });
                }
                // A plugin may export more than is asked of it. One import too many is enough.
                if imported && !known {
                    break;
                }
            }
        }
    }

    fn invalid(&self, error: &wasmparser::Error) -> InspectError {
        let message = error.message();
        // The parser knows that it wants more bytes, and says so only in words.
        if message.contains("unexpected end") || error.offset() >= self.bytes.len() {
            return InspectError::Truncated { len: self.bytes.len() as u64 };
        }
        self.invalid_at(error.offset(), message)
    }

    fn invalid_at(&self, offset: usize, message: &str) -> InspectError {
        InspectError::Invalid { offset: offset as u64, message: message.to_owned() }
    }

    fn finish(self) -> Inspection {
        let ask = self.ask.unwrap_or_default().imported(&self.imports);
        Inspection {
            bytes: self.bytes.len() as u64,
            functions: self.functions,
            largest_function: self.largest_function,
            modules: self.modules,
            instances: self.total_instances,
            imports: self.imports,
            exports: self.exports,
            ask,
            identity: self.identity.unwrap_or_default(),
            functions_found: self.functions_found,
        }
    }
}

/// Holds a number against its bound.
fn within(bound: Bound, found: u64, most: u64) -> Result<(), InspectError> {
    if found > most {
        return Err(InspectError::TooLarge { bound, found, most });
    }
    Ok(())
}
