//! Components by the dice: they import and export what a plugin does, and in between is code that
//! nobody wrote.
//!
//! The frame is the small component of the sandbox's own tests, so its linking is right. Its main
//! module is replaced by one that has the same imports and exports, and otherwise whatever
//! `wasm-smith` makes of the seed: it traps, spins, grows, calls the host with nonsense.

use crate::dice::Dice;
use crate::shape::Shape;
use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

/// The section of a component that a core module is.
const CORE_MODULE: u8 = 1;

/// What each component begins with.
const HEAD: usize = 8;

/// A component of this seed.
#[must_use]
pub fn generated(seed: u64) -> Vec<u8> {
    let frame = Shape::default().bytes();
    let main = sections(&frame).into_iter().filter(|section| section.id == CORE_MODULE).nth(1);
    let main = main.expect("the frame has two modules");
    let mut dice = Dice::new(seed);
    let bytes: Vec<u8> = (0..4096).map(|_| dice.roll(256) as u8).collect();
    let config = Config {
        module_shape: Some(frame[main.body.clone()].to_vec()),
        max_memories: 1,
        max_tables: 2,
        max_funcs: 40,
        // What the sandbox's engine is built with, and no more.
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
    };
    let module = Module::new(config, &mut Unstructured::new(&bytes)).expect("a module");
    let module = module.to_bytes();
    let mut component = frame[..main.begins].to_vec();
    component.push(CORE_MODULE);
    leb(module.len(), &mut component);
    component.extend(module);
    component.extend(&frame[main.body.end..]);
    component
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
