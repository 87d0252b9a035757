//! What a file is: its first bytes say it, never its name.

use std::fmt;

/// What a file that is no shared library is.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// Nothing is in it.
    Empty,
    /// A WebAssembly component.
    WasmComponent,
    /// A WebAssembly core module.
    WasmModule,
    /// Text, or a script.
    Text,
    /// An `ar` archive, such as a static library.
    Archive,
    /// Something compressed, or a package.
    Compressed,
    /// A Windows library or program.
    Windows,
    /// A library or program for Apple's systems.
    Apple,
    /// An ELF file that is to be linked first.
    ElfObject,
    /// An ELF program.
    ElfProgram,
    /// An ELF memory image of a process that crashed.
    ElfCore,
    /// None of the above.
    Unknown,
}

/// The first bytes of an ELF file.
pub(crate) const ELF: &[u8] = b"\x7fELF";

impl FileKind {
    /// What begins like this; `None` for an ELF file.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        Some(match bytes {
            [] => Self::Empty,
            [0x7f, b'E', b'L', b'F', ..] => return None,
            [0, b'a', b's', b'm', _, _, 1, 0, ..] => Self::WasmComponent,
            [0, b'a', b's', b'm', ..] => Self::WasmModule,
            [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => Self::Archive,
            [0x1f, 0x8b, ..]
            | [b'P', b'K', 3, 4, ..]
            | [0xfd, b'7', b'z', b'X', b'Z', ..]
            | [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Compressed,
            [b'M', b'Z', ..] => Self::Windows,
            [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => Self::Apple,
            _ if is_text(&bytes[..bytes.len().min(512)]) => Self::Text,
            _ => Self::Unknown,
        })
    }

    /// What to do about it.
    fn advice(self) -> &'static str {
        match self {
            Self::Empty => "build the plugin again, or wait until it is written",
            Self::WasmComponent => "load it as a component, which needs no trust",
            Self::WasmModule => "make a component of it, and load it as one",
            Self::Archive | Self::ElfObject => "link it with `-shared` (a crate: as a `cdylib`)",
            Self::ElfProgram => "build it as a shared library (a crate: as a `cdylib`)",
            Self::Compressed => "unpack it first",
            Self::Windows | Self::Apple => "build it for this system",
            Self::Text | Self::ElfCore | Self::Unknown => "check the path",
        }
    }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..))
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Empty => "an empty file",
            Self::WasmComponent => "a WebAssembly component",
            Self::WasmModule => "a WebAssembly core module",
            Self::Text => "text",
            Self::Archive => "an archive",
            Self::Compressed => "compressed",
            Self::Windows => "for Windows",
            Self::Apple => "for Apple's systems",
            Self::ElfObject => "an object file that is not linked",
            Self::ElfProgram => "a program",
            Self::ElfCore => "the memory image of a crash",
            Self::Unknown => "of no known kind",
        };
        write!(f, "{name}: {}", self.advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        let kinds: [(&[u8], Option<FileKind>); 9] = [
            (b"", Some(FileKind::Empty)),
            (b"\x7fELF\x02", None),
            (b"\0asm\x0d\0\x01\0", Some(FileKind::WasmComponent)),
            (b"\0asm\x01\0\0\0", Some(FileKind::WasmModule)),
            (b"#!/bin/sh\n", Some(FileKind::Text)),
            (b"!<arch>\n", Some(FileKind::Archive)),
            (b"PK\x03\x04", Some(FileKind::Compressed)),
            (b"MZ\x90", Some(FileKind::Windows)),
            (b"\x01\x02\x03", Some(FileKind::Unknown)),
        ];
        for (bytes, kind) in kinds {
            assert_eq!(FileKind::of(bytes), kind, "{bytes:?}");
        }
    }
}
