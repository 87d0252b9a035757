//! Compiled components in memory: the ones that were used last, up to so many bytes of code.

use super::key::Key;
use std::collections::HashMap;
use wasmtime::Engine;
use wasmtime::component::Component;

/// A shelf with so much room.
#[derive(Default)]
pub(super) struct Memory {
    shelf: HashMap<Key, Kept>,
    bytes: usize,
    most: usize,
    /// Counts uses: the least is the oldest.
    clock: u64,
}

struct Kept {
    component: Component,
    bytes: usize,
    used: u64,
}

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// A component, if it is there for this very engine: it can't be used with another, however
    /// alike.
    pub(super) fn get(&mut self, key: &Key, engine: &Engine) -> Option<Component> {
        self.clock += 1;
        let kept = self.shelf.get_mut(key)?;
        if !Engine::same(kept.component.engine(), engine) {
            return None;
        }
        kept.used = self.clock;
        Some(kept.component.clone())
    }

    /// Keeps a component, and lets go of the oldest ones for it.
    pub(super) fn put(&mut self, key: Key, component: Component) {
        let bytes = code_bytes(&component);
        if bytes > self.most {
            return;
        }
        self.clock += 1;
        let kept = Kept { component, bytes, used: self.clock };
        self.bytes += bytes;
        if let Some(before) = self.shelf.insert(key, kept) {
            self.bytes -= before.bytes;
        }
        while self.bytes > self.most {
            // There are few, and compiling takes a thousand times longer than looking at all.
            let oldest = self.shelf.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key);
            let Some(gone) = oldest.and_then(|key| self.shelf.remove(&key)) else { return };
            self.bytes -= gone.bytes;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.shelf.len()
    }
}

/// The size of what a component keeps mapped.
pub(super) fn code_bytes(component: &Component) -> usize {
    let image = component.image_range();
    (image.end as usize).saturating_sub(image.start as usize)
}
