//! Files, sockets and terminals for a plugin that has none. Whatever would need a handle cannot be
//! called, since there is none to call it with; the few functions that need none say no.

use super::HasWasi;
use super::trap::WasiTrap;
use crate::inspect::InterfaceName;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{LinkerInstance, Resource, ResourceType, Val};
use wasmtime::{Engine, Result};

/// The handles that are handed out although there is nothing behind them: std asks for the network
/// before it asks for a socket.
struct Nothing;

/// A function's answer when nothing was granted.
#[derive(Clone, Copy)]
enum Answer {
    /// No directories.
    EmptyList,
    /// No terminal, no further reason.
    NoValue,
    /// A `result` with this error.
    Denied,
    /// A trap.
    Trap,
}

fn answer(name: &InterfaceName<'_>, function: &str) -> Answer {
    match (name.interface, function) {
        ("preopens", "get-directories") => Answer::EmptyList,
        ("terminal-stdin", "get-terminal-stdin")
        | ("terminal-stdout", "get-terminal-stdout")
        | ("terminal-stderr", "get-terminal-stderr")
        | ("types", "filesystem-error-code" | "http-error-code")
        | ("network", "network-error-code") => Answer::NoValue,
        ("tcp-create-socket", "create-tcp-socket")
        | ("udp-create-socket", "create-udp-socket")
        | ("ip-name-lookup", "resolve-addresses") => Answer::Denied,
        _ => Answer::Trap,
    }
}

/// The resources that an interface brings, as opposed to those that it takes from others.
fn own_resources(name: &InterfaceName<'_>) -> &'static [&'static str] {
    match name.interface {
        "types" => &["descriptor", "directory-entry-stream"],
        "network" => &["network"],
        "tcp" => &["tcp-socket"],
        "udp" => &["udp-socket", "incoming-datagram-stream", "outgoing-datagram-stream"],
        "ip-name-lookup" => &["resolve-address-stream"],
        "terminal-input" => &["terminal-input"],
        "terminal-output" => &["terminal-output"],
        _ => &[],
    }
}

/// Which grant makes an interface more than this.
fn grant(name: &InterfaceName<'_>) -> &'static str {
    match name.package {
        "wasi:filesystem" => "`Grants::directory`",
        "wasi:sockets" => "`Grants::network`",
        _ => "none brings it",
    }
}

/// Links an interface as a component imports it.
pub(super) fn link<T: HasWasi>(
    engine: &Engine,
    linker: &mut LinkerInstance<'_, T>,
    name: &InterfaceName<'_>,
    imported: &ComponentInstance,
) -> Result<()> {
    for (item, ty) in imported.exports(engine) {
        match ty.ty {
            ComponentItem::Resource(_) if own_resources(name).contains(&item) => {
                linker.resource(item, ResourceType::host::<Nothing>(), |_, _| Ok(()))?;
            }
            ComponentItem::ComponentFunc(_) if item == "instance-network" => {
                linker.func_wrap(item, |_, ()| Ok((Resource::<Nothing>::new_own(0),)))?;
            }
            ComponentItem::ComponentFunc(_) => function(linker, name, item)?,
            _ => {}
        }
    }
    Ok(())
}

fn function<T: HasWasi>(
    linker: &mut LinkerInstance<'_, T>,
    name: &InterfaceName<'_>,
    item: &str,
) -> Result<()> {
    let answer = answer(name, item);
    let trap = WasiTrap::NotGranted {
        function: format!("{}/{}#{item}", name.package, name.interface),
        grant: grant(name),
    };
    linker.func_new(item, move |_, _, _, results| {
        let value = match answer {
            Answer::EmptyList => Val::List(Vec::new()),
            Answer::NoValue => Val::Option(None),
            Answer::Denied => {
                Val::Result(Err(Some(Box::new(Val::Enum("access-denied".to_owned())))))
            }
            Answer::Trap => return Err(trap.clone().into()),
        };
        if let Some(result) = results.first_mut() {
            *result = value;
        }
        Ok(())
    })
}
