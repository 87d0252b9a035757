//! The C header says what the Rust types say: every size, offset and constant, in C and in C++.
//!
//! The list of what there is to compare is read from the header too, so that a struct or a field
//! that only one side has fails as well.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::{
    collections::BTreeMap,
    env, fs,
    mem::offset_of,
    path::{Path, PathBuf},
    process::Command,
};

use ringbox_abi::{
    LogLevel, NR_ABI_VERSION, NR_EXT_VERSION, NR_NO_ENTRY, NrBufferLease, NrHostExt, NrOwnedBytes,
    NrPluginExt, NrVec, RawStatus,
    v1::{
        NrBytes, NrHeader, NrHostVTable, NrPluginInfo, NrPluginVTable, NrRequest, NrStatus, NrStr,
    },
};

type Facts = BTreeMap<String, u64>;

/// What the Rust types say. Destructuring makes a forgotten field an error of compilation.
fn facts_of_rust() -> Facts {
    let mut facts = Facts::new();
    macro_rules! describe {
        ($($name:ident { $($field:ident),* })*) => {$(
            facts.insert(format!("sizeof({})", stringify!($name)), size_of::<$name>() as u64);
            facts.insert(format!("alignof({})", stringify!($name)), align_of::<$name>() as u64);
            $(facts.insert(
                format!("offsetof({}, {})", stringify!($name), stringify!($field)),
                offset_of!($name, $field) as u64,
            );)*
            let _all = |value: $name| { let $name { $($field: _),* } = value; };
        )*};
    }
    describe! {
        NrStr { ptr, len }
        NrBytes { ptr, len }
        NrHeader { key, value }
        NrRequest { path, method, query, headers, headers_len, _reserved0, _reserved1 }
        NrHostVTable { send_result }
        NrPluginVTable { init, handle, shutdown }
        NrPluginInfo { abi_version, struct_size, name, version, plugin_ctx, vtable }
        NrVec { ptr, len, cap, owned, _reserved, release }
        NrOwnedBytes { ptr, len, owner_ctx, release }
        NrBufferLease { ptr, cap, token }
        NrHostExt {
            struct_size, version, send_frame, send_owned, acquire_buffer, commit_buffer, host_call,
            wake_after, log, state_set, state_get, release_buffer
        }
        NrPluginExt {
            struct_size, version, attach, resolve_entry, handle_entry, stream_data, stream_close,
            cancel, wake, host_call_done, quiescent
        }
    }
    facts.insert("sizeof(NrStatus)".to_owned(), size_of::<NrStatus>() as u64);
    facts.insert("alignof(NrStatus)".to_owned(), align_of::<NrStatus>() as u64);
    for (name, value) in [
        ("NR_ABI_VERSION", NR_ABI_VERSION),
        ("NR_EXT_VERSION", NR_EXT_VERSION),
        ("NR_NO_ENTRY", NR_NO_ENTRY),
        ("NR_STATUS_OK", RawStatus::OK.0),
        ("NR_STATUS_ERR", RawStatus::ERR.0),
        ("NR_STATUS_INVALID", RawStatus::INVALID.0),
        ("NR_STATUS_UNSUPPORTED", RawStatus::UNSUPPORTED.0),
        ("NR_STATUS_STREAM_END", RawStatus::STREAM_END.0),
        ("NR_STATUS_PANIC", RawStatus::PANIC.0),
        ("NR_STATUS_BACKPRESSURE", RawStatus::BACKPRESSURE.0),
        ("NR_LOG_ERROR", LogLevel::Error.raw()),
        ("NR_LOG_WARN", LogLevel::Warn.raw()),
        ("NR_LOG_INFO", LogLevel::Info.raw()),
        ("NR_LOG_DEBUG", LogLevel::Debug.raw()),
        ("NR_LOG_TRACE", LogLevel::Trace.raw()),
    ] {
        facts.insert(name.to_owned(), u64::from(value));
    }
    facts
}

/// The questions that the header's own text raises.
fn questions_of_header(header: &str) -> Vec<String> {
    let mut questions = vec!["sizeof(NrStatus)".to_owned(), "alignof(NrStatus)".to_owned()];
    for line in header.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["typedef", "struct", name, "{"] => {
                questions.push(format!("sizeof({name})"));
                questions.push(format!("alignof({name})"));
            }
            ["#define", name, value, ..]
                if name.starts_with("NR_") && value.starts_with("UINT32") =>
            {
                questions.push(name.to_owned());
            }
            _ => {}
        }
        if let Some(field) = line.strip_prefix("NR_STATIC_ASSERT(offsetof(") {
            let (field, _) = field.split_once(')').unwrap();
            questions.push(format!("offsetof({field})"));
        }
    }
    questions
}

fn include_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

fn compiler(names: [Option<String>; 2]) -> Option<String> {
    let found = names.into_iter().flatten().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        println!("SKIPPED: no compiler for C or C++ here, so the header was NOT compared");
    }
    found
}

/// Compiles and runs a program that prints the answers to the header's questions.
fn facts_of_c(compiler: &str, standard: &str, suffix: &str) -> Facts {
    let header = fs::read_to_string(include_dir().join("nylon_ring.h")).unwrap();
    let mut source = String::from("#include \"nylon_ring.h\"\n#include <stdio.h>\n");
    if suffix == "c" {
        source.push_str("#include <stdalign.h>\n");
    }
    source.push_str("int main(void) {\n");
    for question in questions_of_header(&header) {
        source += &format!("  printf(\"{question}=%llu\\n\", (unsigned long long)({question}));\n");
    }
    source.push_str("  return 0;\n}\n");

    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = dir.join(format!("facts_{suffix}.{suffix}"));
    let program = dir.join(format!("facts_{suffix}"));
    fs::write(&file, source).unwrap();
    let output = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(include_dir())
        .arg(&file)
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = Command::new(&program).output().unwrap().stdout;
    let answers = String::from_utf8(answers).unwrap();
    let fact = |line: &str| {
        let (name, value) = line.split_once('=').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    answers.lines().map(fact).collect()
}

#[test]
fn the_header_says_in_c_what_the_types_say() {
    if let Some(cc) = compiler([env::var("CC").ok(), Some("cc".to_owned())]) {
        assert_eq!(facts_of_c(&cc, "-std=c11", "c"), facts_of_rust());
    }
}

#[test]
fn the_header_says_in_cpp_what_the_types_say() {
    if let Some(cxx) = compiler([env::var("CXX").ok(), Some("c++".to_owned())]) {
        assert_eq!(facts_of_c(&cxx, "-std=c++17", "cpp"), facts_of_rust());
    }
}
