//! Which implementation each interface of WASI gets in a linker.

use super::hosted::{HasStdio, HasVirtualClock, Table, VirtualClock, is_virtual};
use super::inert::Inert;
use super::lookup::HasLookup;
use super::{HasWasi, known, stand_in};
use crate::grants::Effective;
use crate::inspect::InterfaceName;
use std::collections::HashSet;
use thiserror::Error;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::clocks::WasiClocks;
use wasmtime_wasi::filesystem::WasiFilesystem;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random, sockets, sync};
use wasmtime_wasi::sockets::WasiSockets;

/// Why WASI cannot be linked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// An interface of WASI isn't there.
    #[error(
        "`{interface}` is no interface of WASI 0.2, and no grant brings it: build the plugin \
             for wasm32-wasip2 without it"
    )]
    Unknown {
        /// Its full name.
        interface: String,
    },
    /// An interface is imported with functions or types that it doesn't have.
    #[error("`{interface}` cannot be linked: {source}; build the plugin with other tools")]
    Interface {
        /// Its full name.
        interface: String,
        /// What the engine says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Links what a component imports of WASI, and nothing else, under what its plugin gets.
///
/// The linker is then for stores whose WASI was made from the same `effective`. With
/// [`Effective::needs_runner`], the instance has to be made and called asynchronously.
///
/// # Errors
///
/// [`LinkError`]
pub fn add_to_linker<T: HasWasi>(
    linker: &mut Linker<T>,
    component: &Component,
    effective: &Effective,
) -> Result<(), LinkError> {
    let mut linked = HashSet::new();
    let ty = component.component_type();
    for (full, import) in ty.imports(&component.engine().clone()) {
        if !full.starts_with("wasi:") {
            continue;
        }
        let unknown = || LinkError::Unknown { interface: full.to_owned() };
        let name = InterfaceName::parse(full).ok_or_else(unknown)?;
        known::capability(&name).ok_or_else(unknown)?;
        let ComponentItem::ComponentInstance(instance) = import.ty else { return Err(unknown()) };
        // Two versions of an interface are one to the linker, and it has each name once. A stand-in
        // goes by the import's own name.
        let first = linked.insert((name.package.to_owned(), name.interface.to_owned()));
        let one = One { full, name, instance: &instance, effective, first };
        one.link(linker).map_err(|source| LinkError::Interface {
            interface: full.to_owned(),
            source: source.into(),
        })?;
    }
    Ok(())
}

/// One import.
struct One<'a> {
    full: &'a str,
    name: InterfaceName<'a>,
    instance: &'a ComponentInstance,
    effective: &'a Effective,
    first: bool,
}

impl One<'_> {
    fn link<T: HasWasi>(&self, linker: &mut Linker<T>) -> wasmtime::Result<()> {
        if self.is_stand_in() {
            let engine = linker.engine().clone();
            let mut instance = linker.instance(self.full)?;
            return stand_in::link(&engine, &mut instance, &self.name, self.instance);
        }
        if !self.first {
            return Ok(());
        }
        if self.link_plain(linker)? {
            return Ok(());
        }
        if self.effective.needs_runner() {
            self.link_hosted(linker)
        } else {
            self.link_inert(linker)
        }
    }

    fn is_stand_in(&self) -> bool {
        match self.name.package {
            "wasi:filesystem" => self.effective.directories.is_empty(),
            "wasi:sockets" => self.effective.network.rules.is_empty(),
            "wasi:cli" => self.name.interface.starts_with("terminal-"),
            "wasi:clocks" => self.name.interface == "timezone",
            _ => false,
        }
    }

    /// What neither waits nor deals in handles is the same for all.
    fn link_plain<T: HasWasi>(&self, l: &mut Linker<T>) -> wasmtime::Result<bool> {
        match (self.name.package, self.name.interface) {
            ("wasi:cli", "environment") => cli::environment::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:cli", "exit") => cli::exit::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:random", "random") => random::random::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:random", "insecure") => random::insecure::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:random", "insecure-seed") => {
                random::insecure_seed::add_to_linker::<T, Inert>(l, T::wasi)
            }
            ("wasi:clocks", "wall-clock") => {
                clocks::wall_clock::add_to_linker::<T, Inert>(l, T::wasi)
            }
            _ => return Ok(false),
        }
        .map(|()| true)
    }

    fn link_inert<T: HasWasi>(&self, l: &mut Linker<T>) -> wasmtime::Result<()> {
        match (self.name.package, self.name.interface) {
            ("wasi:cli", "stdin") => cli::stdin::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:cli", "stdout") => cli::stdout::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:cli", "stderr") => cli::stderr::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:io", "error") => io::error::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:io", "poll") => sync::io::poll::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:io", "streams") => sync::io::streams::add_to_linker::<T, Inert>(l, T::wasi),
            ("wasi:clocks", "monotonic-clock") => {
                clocks::monotonic_clock::add_to_linker::<T, Inert>(l, T::wasi)
            }
            _ => Ok(()),
        }
    }

    fn link_hosted<T: HasWasi>(&self, l: &mut Linker<T>) -> wasmtime::Result<()> {
        match (self.name.package, self.name.interface) {
            ("wasi:cli", "stdin") => {
                cli::stdin::add_to_linker::<T, HasStdio>(l, |t| t.wasi().stdio())
            }
            ("wasi:cli", "stdout") => {
                cli::stdout::add_to_linker::<T, HasStdio>(l, |t| t.wasi().stdio())
            }
            ("wasi:cli", "stderr") => {
                cli::stderr::add_to_linker::<T, HasStdio>(l, |t| t.wasi().stdio())
            }
            ("wasi:io", "error") => io::error::add_to_linker::<T, Table>(l, |t| t.wasi().table()),
            ("wasi:io", "poll") => io::poll::add_to_linker::<T, Table>(l, |t| t.wasi().table()),
            ("wasi:io", "streams") => {
                io::streams::add_to_linker::<T, Table>(l, |t| t.wasi().table())
            }
            ("wasi:clocks", "monotonic-clock") if is_virtual(self.effective) => {
                clocks::monotonic_clock::add_to_linker::<T, HasVirtualClock>(l, |t| {
                    VirtualClock(t.wasi())
                })
            }
            ("wasi:clocks", "monotonic-clock") => {
                clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(l, |t| t.wasi().clocks())
            }
            ("wasi:filesystem", "types") => {
                filesystem::types::add_to_linker::<T, WasiFilesystem>(l, |t| t.wasi().files())
            }
            ("wasi:filesystem", "preopens") => {
                filesystem::preopens::add_to_linker::<T, WasiFilesystem>(l, |t| t.wasi().files())
            }
            ("wasi:sockets", interface) => link_sockets(interface, l),
            _ => Ok(()),
        }
    }
}

fn link_sockets<T: HasWasi>(interface: &str, l: &mut Linker<T>) -> wasmtime::Result<()> {
    use sockets::{instance_network, ip_name_lookup, network, tcp, udp};
    use sockets::{tcp_create_socket, udp_create_socket};
    match interface {
        "network" => {
            let options = network::LinkOptions::default();
            network::add_to_linker::<T, WasiSockets>(l, &options, |t| t.wasi().sockets())
        }
        "instance-network" => {
            instance_network::add_to_linker::<T, WasiSockets>(l, |t| t.wasi().sockets())
        }
        "tcp" => tcp::add_to_linker::<T, WasiSockets>(l, |t| t.wasi().sockets()),
        "tcp-create-socket" => {
            tcp_create_socket::add_to_linker::<T, WasiSockets>(l, |t| t.wasi().sockets())
        }
        "udp" => udp::add_to_linker::<T, WasiSockets>(l, |t| t.wasi().sockets()),
        "udp-create-socket" => {
            udp_create_socket::add_to_linker::<T, WasiSockets>(l, |t| t.wasi().sockets())
        }
        "ip-name-lookup" => ip_name_lookup::add_to_linker::<T, HasLookup>(l, |t| t.wasi().lookup()),
        _ => Ok(()),
    }
}
