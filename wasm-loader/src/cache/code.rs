//! Compiled code that is known to be ours.
#![expect(unsafe_code, reason = "compiled code that was kept is run again")]

use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::Component;

/// What `Component::serialize` gave, unchanged. Clones are the same bytes.
#[derive(Clone)]
pub(super) struct Code {
    /// The code begins here; what is before it is a file's head.
    start: usize,
    bytes: Arc<[u8]>,
}

impl Code {
    /// A component's code.
    pub(super) fn of(component: &Component) -> wasmtime::Result<Self> {
        Ok(Self { start: 0, bytes: component.serialize()?.into() })
    }

    /// Code from the file that it was written to, whose MAC was found right.
    ///
    /// This is the only way into this type from outside of this process; its one caller is
    /// `Directory`, after the check.
    pub(super) fn authentic(file: Vec<u8>, start: usize) -> Self {
        Self { start, bytes: file.into() }
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Makes a component of it again. `engine` is one of those for which it is filed.
    pub(super) fn revive(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes have to be what `Component::serialize` gave, unchanged. There are two
        // ways to make a `Code`, and its fields are private to this file. `Code::of` takes those
        // bytes from there. `Code::authentic` is called in one place, `Directory::authentic`, with a
        // file whose MAC was right under the directory's key: 32 random bytes in a file of mode
        // 0600, in a directory of mode 0700, both of this user. A MAC under it is made in one place,
        // `Directory::put`, over the bytes of a `Code`. It covers the key that the code is filed
        // under (the component's hash, the engine's full version and settings, the machine), which
        // is compared with the one that is wanted. The bytes are our own copy, read before the MAC
        // was checked, behind an `Arc` that nobody writes through.
        unsafe { Component::deserialize(engine, self.bytes()) }
    }
}
