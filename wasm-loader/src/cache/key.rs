//! What compiled code is filed under.

use sha2::{Digest, Sha256};
use std::fmt;
use std::hash::{Hash, Hasher};
use wasmtime::Engine;

/// A component and everything that its code depends on: the engine's version, its settings, and the
/// machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

/// The compiler whose code this is. The engine's own check of what it loads stops at the major
/// version; a test compares this with the version that is locked.
pub(crate) const WASMTIME: &str = "48.0.8";

impl Key {
    pub(crate) fn new(engine: &Engine, wasm: &[u8]) -> Self {
        let mut state = Digester(Sha256::new());
        // Of a fixed length, so that nothing that follows can be taken for part of it.
        state.0.update(Sha256::digest(wasm));
        WASMTIME.hash(&mut state);
        std::env::consts::ARCH.hash(&mut state);
        std::env::consts::OS.hash(&mut state);
        engine.precompile_compatibility_hash().hash(&mut state);
        Self(state.0.finalize().into())
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Takes what the engine hashes, in full: a hash of 64 bits is not enough to tell code apart by.
struct Digester(Sha256);

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // What is wanted is the whole digest; the trait wants this too.
        let digest: [u8; 32] = self.0.clone().finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Config;

    #[test]
    fn a_key_tells_apart_what_compiles_to_other_code() {
        let engine = Engine::default();
        let key = Key::new(&engine, b"one");
        assert!(key == Key::new(&Engine::default(), b"one"));
        assert!(key != Key::new(&engine, b"two"));
        let mut config = Config::new();
        config.epoch_interruption(true);
        assert!(key != Key::new(&Engine::new(&config).unwrap(), b"one"));
    }

    #[test]
    fn the_version_is_the_one_that_is_locked() {
        let lock = include_str!("../../../Cargo.lock");
        let version = format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n");
        assert!(lock.contains(&version), "set `WASMTIME` to the version in Cargo.lock");
    }
}
