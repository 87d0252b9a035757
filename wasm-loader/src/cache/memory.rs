//! Compiled code in memory: what was used last, up to so many bytes.

use super::code::Code;
use super::key::Key;
use std::collections::HashMap;

/// A shelf with so much room.
///
/// It holds code rather than components: a component keeps its engine, and with it the memory that
/// a pool reserves.
#[derive(Default)]
pub(super) struct Memory {
    shelf: HashMap<Key, Kept>,
    bytes: usize,
    most: usize,
    /// Counts uses: the least is the oldest.
    clock: u64,
}

struct Kept {
    code: Code,
    used: u64,
}

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<Code> {
        self.clock += 1;
        let kept = self.shelf.get_mut(key)?;
        kept.used = self.clock;
        Some(kept.code.clone())
    }

    /// Keeps code, and lets go of the oldest for it.
    pub(super) fn put(&mut self, key: Key, code: Code) {
        let bytes = code.bytes().len();
        if bytes > self.most {
            return;
        }
        self.clock += 1;
        self.bytes += bytes;
        if let Some(before) = self.shelf.insert(key, Kept { code, used: self.clock }) {
            self.bytes -= before.code.bytes().len();
        }
        while self.bytes > self.most {
            // There are few, and compiling takes a thousand times longer than looking at all.
            let oldest = self.shelf.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key);
            let Some(gone) = oldest.and_then(|key| self.shelf.remove(&key)) else { return };
            self.bytes -= gone.code.bytes().len();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.shelf.len()
    }
}
