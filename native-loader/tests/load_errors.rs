//! Every way in which loading can fail, each with a real file.

#![cfg(target_os = "linux")]

mod support;

use ringbox_abi::{ExtError, Status, ViewError};
use ringbox_native::{FileKind, LoadError, NativeAbi, Options};
use ringbox_ring::{Limits, LinkError};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use support::{EXT, c_library_in, loaded, refused, scratch, told, try_load};

fn file(bytes: &[u8]) -> PathBuf {
    let path = scratch("file").join("libplugin.so");
    fs::write(&path, bytes).unwrap();
    path
}

macro_rules! assert_refused {
    ($path:expr, $pattern:pat $(if $guard:expr)?) => {
        match refused(&$path) {
            $pattern $(if $guard)? => {}
            other => panic!("{other:?}"),
        }
    };
}

#[test]
fn no_file() {
    assert_refused!(Path::new("/nonexistent/lib.so"), LoadError::Open(_));
}

#[test]
fn no_right_to_read() {
    let path = file(b"\x7fELF");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    // The super-user may read everything.
    if fs::read(&path).is_err() {
        assert_refused!(path, LoadError::Open(_));
    }
}

#[test]
fn a_folder() {
    assert_refused!(scratch("folder"), LoadError::NotAFile);
}

#[test]
fn a_pipe_that_nobody_writes_to() {
    let path = scratch("pipe").join("libpipe.so");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if made.is_ok_and(|status| status.success()) {
        assert_refused!(path, LoadError::NotAFile);
    }
}

/// The library without its table of sections.
fn without_sections(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    bytes[0x28..0x30].fill(0);
    bytes[0x3c..0x40].fill(0);
    bytes
}

#[test]
fn a_library_whose_segments_end_too_early() {
    let bytes = without_sections(&c_plugin!());
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    // The program headers follow the file's own, which is how linkers lay them out.
    let headers = (0..usize::from(bytes[0x38])).map(|n| 64 + n * 56);
    let loads = headers.filter(|at| bytes[*at..*at + 4] == [1, 0, 0, 0]);
    let end = loads.map(|at| word(at + 8) + word(at + 32)).max().unwrap();
    // Without its last byte the system would map it, and reading there would crash.
    for len in [end / 4, end / 2, end - 1] {
        assert_refused!(file(&bytes[..len]), LoadError::Truncated { .. });
    }
    drop(loaded(&file(&bytes[..end])));
}

#[test]
fn a_library_without_sections_is_loaded_by_what_the_system_finds() {
    let without = |path: &Path| file(&without_sections(path));
    let plugin = loaded(&without(&c_plugin!(EXT)));
    assert_eq!(plugin.generation(), ringbox_native::Generation::V1Extended);
    assert_eq!(told(plugin.link(), "echo", b"x"), b"x");
    let plugin = loaded(&without(&c_plugin!()));
    assert!(plugin.warnings().contains(&ringbox_native::Warning::AssumedVersion1));
    assert_refused!(without(&c_plugin!("-DNO_SYMBOL")), LoadError::NoSymbol { .. });
}

#[test]
fn a_file_that_is_too_large() {
    let error = try_load(&c_plugin!(), &Options::new().file_bytes(100)).unwrap_err();
    assert!(matches!(error, LoadError::TooLarge { limit: 100, .. }), "{error:?}");
}

#[test]
fn no_library_whatever_its_name() {
    let files: [(&[u8], FileKind); 6] = [
        (b"", FileKind::Empty),
        (b"\0asm\x0d\0\x01\0", FileKind::WasmComponent),
        (b"\0asm\x01\0\0\0", FileKind::WasmModule),
        (b"#!/bin/sh\necho\n", FileKind::Text),
        (b"!<arch>\n", FileKind::Archive),
        (b"\x01\x02\x03", FileKind::Unknown),
    ];
    for (bytes, expected) in files {
        assert_refused!(file(bytes), LoadError::NotALibrary { kind } if kind == expected);
    }
    let program = std::env::current_exe().unwrap();
    assert_refused!(program, LoadError::NotALibrary { kind: FileKind::ElfProgram });
    let object = c_plugin!("-c");
    assert_refused!(object, LoadError::NotALibrary { kind: FileKind::ElfObject });
}

#[test]
fn another_architecture() {
    let library = fs::read(c_plugin!()).unwrap();
    for (at, value) in [(4, 1), (5, 2), (18, 0xf3)] {
        let mut other = library.clone();
        other[at] ^= value;
        assert_refused!(file(&other), LoadError::WrongArchitecture { found, wanted } if found != wanted);
    }
}

#[test]
fn a_library_that_ends_too_early() {
    let library = fs::read(c_plugin!()).unwrap();
    for len in [5, 40, 64, 2000, library.len() / 2, library.len() - 1] {
        let error = refused(&file(&library[..len]));
        let expected = len as u64;
        assert!(
            matches!(error, LoadError::Truncated { len, needed } if len == expected && needed > len),
            "{len}: {error:?}"
        );
    }
}

#[test]
fn a_library_that_makes_no_sense() {
    let mut library = fs::read(c_plugin!()).unwrap();
    library[0x3a] = 3; // the size of a section header
    assert_refused!(file(&library), LoadError::Malformed(_));
}

#[test]
fn no_symbol() {
    let symbol = "nylon_ring_get_plugin_v1";
    assert_refused!(c_plugin!("-DNO_SYMBOL"), LoadError::NoSymbol { symbol: s } if s == symbol);
    // The extension alone is no plugin.
    assert_refused!(c_plugin!("-DNO_SYMBOL", EXT), LoadError::NoSymbol { .. });
    // A symbol that isn't exported is none.
    let script = scratch("script").join("version");
    fs::write(&script, "{ local: *; };").unwrap();
    let hidden = c_plugin!(&format!("-Wl,--version-script={}", script.display()));
    assert_refused!(hidden, LoadError::NoSymbol { .. });
}

#[test]
fn no_symbol_of_the_generation_that_was_asked_for() {
    let path = c_plugin!();
    let error = try_load(&path, &Options::new().abi(NativeAbi::NylonRing02)).unwrap_err();
    let LoadError::NoSymbol { symbol } = error else { panic!("{error:?}") };
    assert_eq!(symbol, "nylon_ring_get_plugin");
}

#[test]
fn a_library_that_needs_another_beside_it() {
    let folder = scratch("beside");
    let Some(helper) = c_library_in(&folder, &["-Wl,-soname,libhelper.so"]) else { return };
    fs::rename(helper, folder.join("libhelper.so")).unwrap();
    let link = format!("-L{}", folder.display());
    let needs =
        ["-Wl,--no-as-needed", &link, "-lhelper", "-Wl,-rpath,$ORIGIN", "-DMARK=\"in place\""];
    let Some(path) = c_library_in(&folder, &needs) else { return };
    assert_refused!(path, LoadError::NeedsInPlace { library } if library == "libhelper.so");
    let plugin = try_load(&path, &Options::new().in_place()).unwrap();
    assert_eq!(told(plugin.link(), "mark", b""), b"in place");
    // In place there is but one of it.
    let error = try_load(&path, &Options::new().in_place()).unwrap_err();
    assert!(matches!(error, LoadError::AlreadyInPlace), "{error:?}");
}

#[test]
fn a_library_that_needs_another_that_is_missing() {
    let folder = scratch("missing");
    let Some(helper) = c_library_in(&folder, &["-Wl,-soname,libmissing.so"]) else { return };
    fs::rename(helper, folder.join("libmissing.so")).unwrap();
    let link = format!("-L{}", folder.display());
    let path = c_plugin!("-Wl,--no-as-needed", &link, "-lmissing");
    let error = refused(&path);
    assert!(matches!(error, LoadError::System(_)), "{error:?}");
    assert!(error.to_string().contains("libmissing.so"), "{error}");
}

#[test]
fn no_folder_for_copies() {
    let options = Options::new().copies_in(Path::new("/nonexistent"));
    let error = try_load(&c_plugin!(), &options).unwrap_err();
    assert!(matches!(&error, LoadError::Copy(copy) if copy.folder == Path::new("/nonexistent")));
    assert!(error.to_string().contains("copies_in"), "{error}");
}

#[test]
fn a_limit_that_cannot_be_held() {
    let options = Options::new().limits(Limits::default().stream_frames(0));
    let error = try_load(&c_plugin!(), &options).unwrap_err();
    assert!(matches!(error, LoadError::Link(LinkError::BadLimit { .. })), "{error:?}");
}

#[test]
fn null_info() {
    assert_refused!(c_plugin!("-DNULL_INFO"), LoadError::NullInfo);
}

#[test]
fn misaligned_info() {
    assert_refused!(c_plugin!("-DMISALIGNED"), LoadError::Misaligned { .. });
}

#[test]
fn another_version() {
    let path = c_plugin!("-DABI_VERSION=7");
    assert_refused!(path, LoadError::Version { found: 7, wanted: 1 });
}

#[test]
fn a_small_info() {
    let path = c_plugin!("-DSTRUCT_SIZE=48");
    assert_refused!(path, LoadError::InfoSize { found: 48, wanted: 56 });
}

#[test]
fn no_vtable() {
    assert_refused!(c_plugin!("-DNULL_VTABLE"), LoadError::NullVTable);
}

#[test]
fn no_handle() {
    assert_refused!(c_plugin!("-DNO_HANDLE"), LoadError::NoHandle);
}

#[test]
fn a_broken_name_or_version() {
    let null = c_plugin!("-DNAME={NULL, 3}");
    let source = ViewError::NullPointer { len: 3 };
    assert_refused!(null, LoadError::BadText { what: "name", source: s } if s == source);
    let text = c_plugin!("-DVERSION=TEXT(\"1.\\xff\")");
    let source = ViewError::InvalidUtf8 { valid_up_to: 2 };
    assert_refused!(text, LoadError::BadText { what: "version", source: s } if s == source);
    let long = c_plugin!("-DNAME={(const uint8_t *)\"x\", UINT32_MAX}");
    let source = ViewError::TooLong { len: u64::from(u32::MAX), limit: 4096 };
    assert_refused!(long, LoadError::BadText { what: "name", source: s } if s == source);
}

#[test]
fn a_broken_extension() {
    let source = ExtError::TooSmall { found: 4 };
    assert_refused!(c_plugin!("-DEXT=4"), LoadError::Extension(s) if s == source);
}

#[test]
fn a_short_extension_is_no_error() {
    // `attach` and `resolve_entry`, and then it ends.
    let plugin = loaded(&c_plugin!("-DEXT=24"));
    assert!(plugin.link().resolve("echo").is_err());
    assert_eq!(told(plugin.link(), "echo", b"x"), b"x");
}

#[test]
fn attach_fails() {
    let path = c_plugin!(EXT, "-DATTACH_STATUS=3");
    assert_refused!(path, LoadError::Attach { status: Status::Unsupported });
}

#[test]
fn init_fails_or_panics_and_shutdown_is_not_called() {
    use std::io::{Read as _, pipe};
    use std::os::fd::AsRawFd as _;
    for (status, expected) in [(1, Status::Err), (5, Status::Panic), (99, Status::Unknown(99))] {
        let (mut said, say) = pipe().unwrap();
        let note = format!("-DNOTE_SHUTDOWN={}", say.as_raw_fd());
        let path = c_plugin!(&format!("-DINIT_STATUS={status}"), &note);
        assert_refused!(path, LoadError::Init { status: s } if s == expected);
        // And where it works, it is.
        drop(loaded(&c_plugin!(&note)));
        drop(say);
        let mut notes = Vec::new();
        said.read_to_end(&mut notes).unwrap();
        assert_eq!(notes, b"!");
    }
}

#[test]
fn a_vtable_of_another_generation() {
    let error = refused(&c_plugin!("-DWIDE_VTABLE"));
    assert!(
        matches!(error, LoadError::WrongGeneration { expected: 24, found: 40, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("NativeAbi::NylonRing01"), "{error}");
    // And the other way round, where somebody asks for what it is not.
    let as_01 = Options::new().abi(NativeAbi::NylonRing01);
    for path in [c_plugin!(), c_plugin!(EXT, "-s")] {
        let error = try_load(&path, &as_01).unwrap_err();
        assert!(matches!(error, LoadError::WrongGeneration { expected: 40, found: 24, .. }));
        assert!(error.to_string().contains("NativeAbi::V1"), "{error}");
    }
}

#[test]
fn every_error_says_what_to_do() {
    for path in [file(b"text"), file(b""), c_plugin!("-DNULL_INFO"), c_plugin!("-DNO_SYMBOL")] {
        let text = refused(&path).to_string();
        assert!(text.contains(": "), "{text}");
    }
}
