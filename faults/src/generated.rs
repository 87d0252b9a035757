//! Components by the dice: they import and export what a plugin does, and misbehave.
//!
//! ```text
//! inside   the frame is right, its main module is whatever wasm-smith makes of the seed
//! shaped   the frame is right, its code is put together from a plugin's worst habits
//! edited   the frame itself is wrong: what it imports, exports, and how
//! whole    a component that wasm-smith makes, which knows nothing of plugins
//! ```
//!
//! The frame is the small component of the sandbox's own tests.

use crate::dice::Dice;
use crate::shape::Shape;
use arbitrary::Unstructured;
use std::fmt::Write as _;
use std::sync::LazyLock;
use wasm_smith::{Component, Config, Module};

/// The section of a component that a core module is.
const CORE_MODULE: u8 = 1;

/// What each component begins with.
const HEAD: usize = 8;

/// A component of this seed.
#[must_use]
pub fn generated(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    match dice.roll(16) {
        0..6 => inside(&mut dice),
        6..11 => shaped(&mut dice),
        11..14 => edited(&mut dice),
        _ => whole(&mut dice),
    }
}

/// The frame, and where its main module is.
static FRAME: LazyLock<(Vec<u8>, Section)> = LazyLock::new(|| {
    let frame = Shape::default().bytes();
    let mut modules = sections(&frame).into_iter().filter(|section| section.id == CORE_MODULE);
    let main = modules.nth(1).expect("the frame has two modules");
    (frame, main)
});

/// Code that nobody wrote: it traps, spins, grows, calls the host with nonsense.
fn inside(dice: &mut Dice) -> Vec<u8> {
    let (frame, main) = &*FRAME;
    let config = Config {
        module_shape: Some(frame[main.body.clone()].to_vec()),
        max_memories: 1,
        max_tables: 2,
        // Most are small, since each is compiled.
        max_funcs: *dice.pick(&[10, 12, 40]),
        max_instructions: *dice.pick(&[10, 30, 30, 100]),
        ..config()
    };
    let module = Module::new(config, &mut Unstructured::new(&bytes(dice))).expect("a module");
    let module = module.to_bytes();
    let mut component = frame[..main.begins].to_vec();
    component.push(CORE_MODULE);
    leb(module.len(), &mut component);
    component.extend(module);
    component.extend(&frame[main.body.end..]);
    component
}

/// What wasm-smith makes alone.
fn whole(dice: &mut Dice) -> Vec<u8> {
    let component = Component::new(config(), &mut Unstructured::new(&bytes(dice)));
    component.map_or_else(|_| Vec::new(), |component| component.to_bytes())
}

fn bytes(dice: &mut Dice) -> Vec<u8> {
    let len = *dice.pick(&[256, 1024, 4096]);
    (0..len).map(|_| dice.roll(256) as u8).collect()
}

/// What the sandbox's engine is built with, and no more.
fn config() -> Config {
    Config {
        gc_enabled: false,
        exceptions_enabled: false,
        memory64_enabled: false,
        threads_enabled: false,
        tail_call_enabled: false,
        relaxed_simd_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        shared_everything_threads_enabled: false,
        ..Config::default()
    }
}

/// What a plugin's code may do to its host, in any order, with any numbers.
fn habits(dice: &mut Dice, sid: &str) -> String {
    let mut code = String::new();
    for _ in 0..dice.roll(5) {
        let number = |dice: &mut Dice| {
            let edges = [0, 1, 2, 64, 0xffff, 0x1_0000, 0x4000_0000, 0x7fff_ffff, 0xffff_fffe];
            if dice.roll(2) == 0 { *dice.pick(&edges) } else { dice.roll(1 << 32) }
        };
        let (a, b, status) = (number(dice), number(dice), dice.roll(9));
        let _ = match dice.roll(20) {
            0..3 => write!(
                code,
                "(call $send {sid} (i32.const {status}) (i32.const {a}) (i32.const {b}))"
            ),
            3..6 => {
                write!(code, "(call $send {sid} (i32.const {status}) (i32.const 64) (i32.const 4))")
            }
            6 => write!(
                code,
                "(call $send (i64.const {a}) (i32.const {status}) (i32.const 64) (i32.const 4))"
            ),
            7 => write!(code, "(drop (call $wake-after {sid} (i64.const {a})))"),
            8 => write!(code, "(drop (call $wake-after (i64.const {a}) (i64.const 0)))"),
            9 => write!(code, "(call $write (i32.const {status}) (i32.const {a}) (i32.const {b}))"),
            10 => write!(code, "(call $write (i32.const 2) (i32.const 64) (i32.const {status}))"),
            11 => write!(code, "(drop (memory.grow (i32.const {a})))"),
            12 => write!(code, "(drop (call $new-thing (i32.const {a})))"),
            // Whoever hands bytes in is given this address for them.
            13 => write!(code, "(global.set $next (i32.const {a}))"),
            14 => write!(code, "(i32.store (i32.const {a}) (i32.const {b}))"),
            15 => write!(code, "(memory.fill (i32.const 64) (i32.const {status}) (i32.const {b}))"),
            16 => write!(code, "(global.set $calls (i32.const {b}))"),
            17 => write!(code, "(if (i32.eqz (global.get $calls)) (then unreachable))"),
            18 => write!(code, "(drop (i32.div_u (i32.const 1) (i32.const {status})))"),
            _ => match dice.roll(4) {
                0 => write!(code, "(call $spin)"),
                1 => write!(code, "(drop (call $recurse (i32.const {a})))"),
                _ => write!(code, "(if (i32.eqz (global.get $calls)) (then (call $spin)))"),
            },
        };
    }
    code
}

fn shape(dice: &mut Dice) -> String {
    let own = "(local.get $sid)";
    let (handle, wake) = (habits(dice, own), habits(dice, "(local.get $token)"));
    let (init, shutdown) = match dice.roll(4) {
        0 => (habits(dice, "(i64.const 7)"), String::new()),
        1 => (String::new(), habits(dice, "(i64.const 7)")),
        _ => Default::default(),
    };
    Shape {
        init: &init,
        handle: &handle,
        shutdown: &shutdown,
        wake: &wake,
        pages: *dice.pick(&[1, 1, 1, 2, 16, 17, 65_536]),
        table: *dice.pick(&[1, 1, 1, 100, 100_001]),
        ..Shape::default()
    }
    .text()
}

fn shaped(dice: &mut Dice) -> Vec<u8> {
    wat::parse_str(shape(dice)).expect("the habits are WebAssembly")
}

/// A part of the frame, and what is in its place.
const EDITS: &[(&str, &str)] = &[
    ("(export \"init\" (func $init))", ""),
    ("(export \"handle\" (func $handle))", ""),
    ("(export \"shutdown\" (func $shutdown))", ""),
    ("(export \"init\" (func $init))", "(export \"init\" (func $shutdown))"),
    ("(export \"shutdown\" (func $shutdown))", "(export \"shutdown\" (func $init))"),
    ("(export \"wake\" (func $wake))", "(export \"wake\" (func $init))"),
    ("(export \"cancel\" (func $cancel))", ""),
    ("(export \"stream-data\" (func $stream-data))", ""),
    ("ring/guest@1.0.0", "ring/guest@1.1.0"),
    ("ring/guest@1.0.0", "ring/guest@0.9.0"),
    ("ring/guest@1.0.0", "ring/guest@2.0.0"),
    ("ring/guest@1.0.0", "ring/ghost@1.0.0"),
    ("ring/host@1.0.0", "ring/host@1.0.9"),
    ("ring/host@1.0.0", "ring/host@3.0.0"),
    ("ring-ext/timers@0.1.0", "ring-ext/timers@0.2.0"),
    ("ring-ext/wakeable@0.1.0", "ring-ext/wakeable@0.9.0"),
    ("ring-ext/log@0.1.0", "acme:text/case@1.0.0"),
    ("\"panic\" \"backpressure\"", "\"panic\""),
    ("\"panic\" \"backpressure\"", "\"panic\" \"backpressure\" \"more\""),
    ("\"ok\" \"err\"", "\"err\" \"ok\""),
    ("(param \"sid\" u64) (param \"status\"", "(param \"sid\" u32) (param \"status\""),
    ("(param \"message\" string)", "(param \"message\" (list u8))"),
    ("(list $header)", "(list string)"),
    ("(result $status)", "(result u32)"),
    ("(realloc (core func $libc \"realloc\"))", ""),
    ("(export \"handle\")", "(export \"hand\")"),
    ("(export \"realloc\")", "(export \"alloc\")"),
    ("(export \"memory\")", "(export \"mem\")"),
    // Code that runs before anybody asks for it.
    ("(func $spin (loop $l (br $l)))", "(func $spin (loop $l (br $l))) (start $spin)"),
    ("(global $kept", "(start $begin) (func $begin unreachable) (global $kept"),
    // What is not granted.
    (
        "(core module $libc",
        "(import \"wasi:random/random@0.2.0\" (instance (export \"get-random-u64\" (func (result u64))))) (core module $libc",
    ),
    (
        "(core module $libc",
        "(import \"wasi:cli/environment@0.2.0\" (instance (export \"get-arguments\" (func (result (list string)))))) (core module $libc",
    ),
    (
        "(core module $libc",
        "(import \"wasi:sockets/network@0.2.0\" (instance (export \"network\" (type (sub resource))))) (core module $libc",
    ),
    ("(core module $libc", "(import \"wasi:random/random@0.2.0\" (func)) (core module $libc"),
    // More of everything.
    ("(core module $libc", "(core module (memory 65536) (memory 65536)) (core module $libc"),
    (
        "(core module $libc",
        "(component (component (component (component (component (component (component (component (component)))))))) ) (core module $libc",
    ),
    (
        "(core instance $libc (instantiate $libc))",
        "(core instance $libc (instantiate $libc)) (core instance (instantiate $libc)) (core instance (instantiate $libc))",
    ),
    (
        "(export \"nylon:ring-ext/cancellation@0.1.0\" (instance $cancellation))",
        "(export \"nylon:ring-ext/cancellation@0.1.0\" (instance $guest))",
    ),
];

/// The frame with one or two of its promises broken; sometimes a byte on top.
fn edited(dice: &mut Dice) -> Vec<u8> {
    let mut text = shape(dice);
    for _ in 0..=dice.roll(2) {
        let (part, instead) = *dice.pick(EDITS);
        text = text.replacen(part, instead, 1 + dice.roll(2) as usize);
    }
    let mut bytes = wat::parse_str(&text).unwrap_or_else(|_| text.into_bytes());
    if dice.roll(3) == 0 {
        let bit = dice.roll(bytes.len() as u64 * 8) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    bytes
}

/// One section of a component.
struct Section {
    id: u8,
    begins: usize,
    body: std::ops::Range<usize>,
}
fn sections(component: &[u8]) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut at = HEAD;
    while at < component.len() {
        let begins = at;
        let id = component[at];
        at += 1;
        let (mut len, mut shift) = (0, 0);
        loop {
            let byte = component[at];
            at += 1;
            len |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        sections.push(Section { id, begins, body: at..at + len });
        at += len;
    }
    sections
}

fn leb(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edit_is_of_the_frame_as_it_is() {
        let text = Shape::default().text();
        for (part, instead) in EDITS {
            assert!(text.contains(part), "{part}");
            assert!(wat::parse_str(text.replacen(part, instead, 1)).is_ok(), "{part} > {instead}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_component_each_time() {
        for seed in 0..200 {
            assert_eq!(generated(seed), generated(seed));
        }
    }
}
