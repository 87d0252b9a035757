//! What an ELF file says about itself, read before any of its code runs.

use crate::error::LoadError;
use crate::identity::Generation;
use crate::kind::{ELF, FileKind};
use crate::warning::Warning;
use elf::ElfBytes;
use elf::abi;
use elf::endian::AnyEndian;
use elf::symbol::Symbol;
use ringbox_abi::published::v02;
use ringbox_abi::{PLUGIN_EXT_V1_SYMBOL, PLUGIN_V1_SYMBOL};
use std::ffi::CStr;
use std::fmt;
use std::path::Path;

type File<'a> = ElfBytes<'a, AnyEndian>;

/// What kind of machine an ELF file is for.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    bits: u8,
    little_endian: bool,
    number: u16,
}

impl Machine {
    /// The one that this process runs on.
    pub const HERE: Self = Self {
        bits: if cfg!(target_pointer_width = "64") { 64 } else { 32 },
        little_endian: cfg!(target_endian = "little"),
        number: if cfg!(target_arch = "x86_64") {
            abi::EM_X86_64
        } else if cfg!(target_arch = "aarch64") {
            abi::EM_AARCH64
        } else if cfg!(target_arch = "riscv64") {
            abi::EM_RISCV
        } else if cfg!(target_arch = "loongarch64") {
            abi::EM_LOONGARCH
        } else if cfg!(target_arch = "powerpc64") {
            abi::EM_PPC64
        } else {
            0
        },
    };

    /// Its number among ELF's machines.
    #[must_use]
    pub fn number(self) -> u16 {
        self.number
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            abi::EM_X86_64 => f.write_str("x86-64")?,
            abi::EM_386 => f.write_str("x86")?,
            abi::EM_AARCH64 => f.write_str("AArch64")?,
            abi::EM_ARM => f.write_str("Arm")?,
            abi::EM_RISCV => f.write_str("RISC-V")?,
            abi::EM_PPC64 => f.write_str("PowerPC64")?,
            abi::EM_S390 => f.write_str("S/390")?,
            abi::EM_LOONGARCH => f.write_str("LoongArch")?,
            number => write!(f, "machine {number}")?,
        }
        write!(
            f,
            ", {} bits, {}-endian",
            self.bits,
            if self.little_endian { "little" } else { "big" }
        )
    }
}

/// What there is to know of a library before it is loaded.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// What it exports of the getters; `None` where its symbols can't be read without loading it.
    pub(crate) exports: Option<Exports>,
    /// How many STB_GNU_UNIQUE symbols it has, and the first of them.
    pub(crate) unique: Option<(usize, String)>,
    /// A library beside it that it needs.
    pub(crate) beside: Option<String>,
    pub(crate) static_tls: bool,
    /// Where its objects are, and how large: from the full symbol table if it was left in.
    objects: Vec<(u64, u64)>,
}

impl Inspection {
    pub(crate) fn warnings(&self) -> impl Iterator<Item = Warning> {
        let unique = self.unique.clone();
        let unique = unique.map(|(count, example)| Warning::UniqueSymbols { count, example });
        unique.into_iter().chain(self.static_tls.then_some(Warning::StaticTls))
    }
}

/// Which getters a library exports, with their addresses in the file's own terms.
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub(crate) struct Exports {
    pub(crate) v1: Option<u64>,
    pub(crate) ext_v1: Option<u64>,
    pub(crate) v02: Option<u64>,
}

impl Exports {
    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<u64>> {
        let is = |symbol: &CStr| name == symbol.to_bytes();
        if is(PLUGIN_V1_SYMBOL) {
            Some(&mut self.v1)
        } else if is(PLUGIN_EXT_V1_SYMBOL) {
            Some(&mut self.ext_v1)
        } else if is(v02::PLUGIN_SYMBOL) {
            Some(&mut self.v02)
        } else {
            None
        }
    }
}

/// Reads a library. `path` is where it came from, to look for what it needs beside it.
pub(crate) fn inspect(bytes: &[u8], path: &Path) -> Result<Inspection, LoadError> {
    if let Some(kind) = FileKind::of(bytes) {
        return Err(LoadError::NotALibrary { kind });
    }
    check_header(bytes)?;
    let file = File::minimal_parse(bytes).map_err(|error| unreadable(bytes, error))?;
    check_extent(&file, bytes.len() as u64)?;
    read(&file, path).map_err(|error| unreadable(bytes, error))?
}

/// Class, endianness, machine and type, which every ELF file has at the same place.
fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    let &[class, data, ..] = &bytes[ELF.len()..] else { return Err(truncated(bytes, 64)) };
    let Some(&[t0, t1, m0, m1]) = bytes.get(16..20) else { return Err(truncated(bytes, 64)) };
    let little_endian = data == abi::ELFDATA2LSB;
    let half =
        |bytes| if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
    let found = Machine {
        bits: if class == abi::ELFCLASS64 { 64 } else { 32 },
        little_endian,
        number: half([m0, m1]),
    };
    if found != Machine::HERE {
        return Err(LoadError::WrongArchitecture { found, wanted: Machine::HERE });
    }
    let kind = match half([t0, t1]) {
        abi::ET_DYN => return Ok(()),
        abi::ET_REL => FileKind::ElfObject,
        abi::ET_EXEC => FileKind::ElfProgram,
        abi::ET_CORE => FileKind::ElfCore,
        _ => FileKind::Unknown,
    };
    Err(LoadError::NotALibrary { kind })
}

/// Mapping a file that ends too early would end in a bus error, later.
fn check_extent(file: &File<'_>, len: u64) -> Result<(), LoadError> {
    let segments = file.segments().into_iter().flat_map(|segments| segments.iter());
    let ends = segments
        .filter(|segment| segment.p_type == abi::PT_LOAD)
        .map(|segment| segment.p_offset.saturating_add(segment.p_filesz));
    match ends.max() {
        Some(needed) if needed > len => Err(LoadError::Truncated { len, needed }),
        _ => Ok(()),
    }
}

fn read(file: &File<'_>, path: &Path) -> Result<Result<Inspection, LoadError>, elf::ParseError> {
    let mut inspection = Inspection::default();
    let mut runpaths = Vec::new();
    let mut needed = Vec::new();
    if let Some(dynamic) = file.dynamic()? {
        let strings = file.dynamic_symbol_table()?.map(|(_, strings)| strings);
        for entry in dynamic.iter() {
            let text = || {
                let strings = strings.as_ref()?;
                strings.get(usize::try_from(entry.d_val()).ok()?).ok()
            };
            match entry.d_tag {
                abi::DT_RPATH | abi::DT_RUNPATH => runpaths.extend(text()),
                abi::DT_NEEDED => needed.extend(text()),
                abi::DT_FLAGS => {
                    inspection.static_tls = entry.d_val() & abi::DF_STATIC_TLS as u64 != 0;
                }
                abi::DT_FLAGS_1 if entry.d_val() & abi::DF_1_PIE as u64 != 0 => {
                    return Ok(Err(LoadError::NotALibrary { kind: FileKind::ElfProgram }));
                }
                _ => {}
            }
        }
    }
    inspection.beside = beside(path, &runpaths, &needed);
    if let Some((symbols, strings)) = file.dynamic_symbol_table()? {
        let mut exports = Exports::default();
        for symbol in symbols.iter().filter(|symbol| !symbol.is_undefined()) {
            let Ok(name) = strings.get_raw(symbol.st_name as usize) else { continue };
            if is_exported(&symbol)
                && let Some(slot) = exports.slot(name)
            {
                *slot = Some(symbol.st_value);
            }
            if symbol.st_bind() == abi::STB_GNU_UNIQUE {
                let name = || String::from_utf8_lossy(name).into_owned();
                inspection.unique.get_or_insert_with(|| (0, name())).0 += 1;
            }
            inspection.objects.extend(object(&symbol));
        }
        inspection.exports = Some(exports);
    }
    if let Some((symbols, _)) = file.symbol_table()? {
        let defined = symbols.iter().filter(|symbol| !symbol.is_undefined());
        inspection.objects.extend(defined.filter_map(|symbol| object(&symbol)));
    }
    Ok(Ok(inspection))
}

fn is_exported(symbol: &Symbol) -> bool {
    matches!(symbol.st_bind(), abi::STB_GLOBAL | abi::STB_WEAK | abi::STB_GNU_UNIQUE)
        && matches!(symbol.st_vis(), abi::STV_DEFAULT | abi::STV_PROTECTED)
}

fn object(symbol: &Symbol) -> Option<(u64, u64)> {
    let sized = symbol.st_symtype() == abi::STT_OBJECT && symbol.st_size > 0;
    sized.then_some((symbol.st_value, symbol.st_size))
}

/// The first needed library that is found beside the file: a copy elsewhere would not find it.
fn beside(path: &Path, runpaths: &[&str], needed: &[&str]) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_str()?;
    let at_origin = |text: &str| {
        let with = text.replace("${ORIGIN}", folder).replace("$ORIGIN", folder);
        (with != text).then_some(with)
    };
    let places: Vec<_> =
        runpaths.iter().flat_map(|list| list.split(':')).filter_map(at_origin).collect();
    let is_beside = |name: &&&str| {
        at_origin(name).is_some() || places.iter().any(|place| Path::new(place).join(name).exists())
    };
    needed.iter().find(is_beside).map(|name| (*name).to_owned())
}

impl Inspection {
    /// The size of the object at this address of the file's own, if a symbol says it.
    pub(crate) fn object_size(&self, address: u64) -> Option<u64> {
        self.objects.iter().find(|(at, _)| *at == address).map(|(_, size)| *size)
    }

    /// Refuses a vtable whose size is another generation's.
    pub(crate) fn check_vtable(
        &self,
        generation: Generation,
        address: u64,
    ) -> Result<VTableProof, LoadError> {
        let expected = generation.vtable_bytes();
        match self.object_size(address) {
            Some(found) if found == expected => Ok(VTableProof::Proved),
            Some(found @ (24 | 40 | 56)) => {
                Err(LoadError::WrongGeneration { loaded_as: generation, expected, found })
            }
            // No symbol, or one of something larger that the vtable is a part of.
            _ => Ok(VTableProof::Unknown),
        }
    }
}

/// Whether a symbol has shown that the vtable is the generation's.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum VTableProof {
    Proved,
    Unknown,
}

fn truncated(bytes: &[u8], needed: u64) -> LoadError {
    LoadError::Truncated { len: bytes.len() as u64, needed }
}

fn unreadable(bytes: &[u8], error: elf::ParseError) -> LoadError {
    match error {
        elf::ParseError::SliceReadError((_, end)) if end > bytes.len() => {
            truncated(bytes, end as u64)
        }
        error => LoadError::Malformed(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_binary() -> (std::path::PathBuf, Vec<u8>) {
        let path = std::env::current_exe().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    }

    #[test]
    fn a_program_is_not_a_library() {
        let (path, bytes) = own_binary();
        let error = inspect(&bytes, &path).unwrap_err();
        assert!(
            matches!(error, LoadError::NotALibrary { kind: FileKind::ElfProgram }),
            "{error:?}"
        );
    }

    #[test]
    fn no_prefix_and_no_flipped_byte_of_a_header_panics() {
        let (path, bytes) = own_binary();
        for len in (0..512).chain((0..bytes.len()).step_by(bytes.len() / 64)) {
            assert!(inspect(&bytes[..len], &path).is_err());
        }
        let mut broken = bytes[..4096].to_vec();
        for at in 4..1024 {
            broken[at] ^= 0xff;
            let _ = inspect(&broken, &path);
            broken[at] ^= 0xff;
        }
    }
}
