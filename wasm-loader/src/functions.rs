//! Functions of whoever embeds the host, for plugins that are granted them.

use crate::state::State;
use std::fmt;
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

type Body = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// A function of `interface`, whose type is `func(list<u8>) -> list<u8>`.
#[derive(Clone)]
pub(crate) struct HostFunction {
    interface: Box<str>,
    name: Box<str>,
    body: Body,
}

impl HostFunction {
    pub(crate) fn new(
        interface: &str,
        name: &str,
        body: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self { interface: interface.into(), name: name.into(), body: Arc::new(body) }
    }

    /// Whether it is one of this interface's.
    pub(crate) fn is_of(&self, interface: &str) -> bool {
        *self.interface == *interface
    }

    /// Links it to components.
    ///
    /// # Errors
    /// There is such a function already.
    pub(crate) fn add_to_linker(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        let body = self.body.clone();
        linker.instance(&self.interface)?.func_wrap(
            &self.name,
            move |store: StoreContextMut<'_, State>, (bytes,): (WasmList<u8>,)| {
                let bytes = bytes.as_le_slice(&store);
                // What it takes is not the guest's to answer for.
                Ok((store.data().meter.excuse(|| body(bytes)),))
            },
        )
    }
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.interface, self.name)
    }
}
