//! Each fuzz target takes its corpus, and as much again that the dice make of it.

#![cfg(target_os = "linux")]

use ringbox_faults::Dice;
use ringbox_faults::fuzz::TARGETS;
use std::fs;
use std::path::{Path, PathBuf};

/// Of each file so many variants; fewer where each is compiled.
const VARIANTS: usize = 50;
const COMPILED: usize = 1;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// Some bytes are others, and some are gone.
fn changed(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.roll(4) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.roll(bytes.len() as u64) as usize;
        match dice.roll(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, dice.roll(256) as u8),
            _ => bytes[at] = dice.roll(256) as u8,
        }
    }
    bytes
}

fn takes_its_corpus(name: &str) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    let files = corpus(name);
    assert!(files.len() >= 2, "`{name}` has a corpus");
    let variants = if matches!(name, "cache" | "options") { COMPILED } else { VARIANTS };
    let mut dice = Dice::new(1);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        target(&bytes);
        for _ in 0..variants {
            target(&changed(&bytes, &mut dice));
        }
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            takes_its_corpus(stringify!($name));
        })*

        #[test]
        fn every_target_is_tested_and_fuzzed() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), tested);
            let manifest = include_str!("../../fuzz/Cargo.toml");
            for name in tested {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "`{name}` is fuzzed");
            }
        }
    };
}

targets! { views library component lowering cache options }
