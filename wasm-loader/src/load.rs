//! The order of loading.

use crate::backend::Places;
use crate::clock;
use crate::engine;
use crate::error::LoadError;
use crate::guest::Guest;
use crate::host;
use crate::inspect::{self, inspect};
use crate::live::NoStart;
use crate::loaded::{About, Loaded};
use crate::log::LogRate;
use crate::options::{Mode, Policy, WasmOptions};
use crate::per_call::{Pen, PerCall};
use crate::place::Place;
use crate::plugin::Plugin;
use crate::runner;
use crate::stack;
use crate::wasi::{self, Printed, Wasi};
use ringbox_ring::Opening;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use wasmtime::component::Linker;

/// Loads a plugin from a component's file, and links it under `name`.
///
/// # Errors
/// [`LoadError`] says what is wrong with the component, and what to do about it.
///
/// # Threads
/// Any thread may load at any time. It blocks while the component is compiled and the plugin
/// starts.
pub fn load(path: &Path, name: &str, options: &WasmOptions) -> Result<Loaded, LoadError> {
    let bytes = inspect::read(path, &options.component)?;
    load_bytes(&bytes, name, options)
}

/// The same from a component's bytes.
///
/// # Errors
/// As [`load`].
pub fn load_bytes(bytes: &[u8], name: &str, options: &WasmOptions) -> Result<Loaded, LoadError> {
    let limits = options.wasm_limits;
    limits.check()?;
    let (count, pool) = match options.policy {
        Policy::Single => (1, None),
        Policy::Pool(count) | Policy::PerCall(count) => (count.max(1), Some(count.max(1))),
    };
    let inspection = inspect(bytes, &options.component)?;
    inspection.check_with(|import| options.functions.iter().any(|one| one.is_of(import)))?;
    let effective = options.grants.cut(&inspection.ask);
    for refused in effective.refused() {
        tracing::warn!(target: "ringbox::sandbox", plugin = name, "asked for and not granted: {refused}");
    }
    let printed = Printed::new(&effective);
    // Whether what is granted is there at all shows before anything is started.
    Wasi::new(&effective, &printed)?;
    let chosen = engine::choose(&limits, pool)?;
    let component = options.cache.compile(&chosen.engine, bytes)?;
    let mut linker = Linker::new(&chosen.engine);
    host::add_to_linker(&mut linker).map_err(|error| LoadError::Imports(error.into()))?;
    wasi::add_to_linker(&mut linker, &component, &effective)?;
    for function in &options.functions {
        function.add_to_linker(&mut linker).map_err(|error| LoadError::Imports(error.into()))?;
    }
    let pre =
        linker.instantiate_pre(&component).map_err(|error| LoadError::Imports(error.into()))?;
    let guest = Guest::find(&component, &pre)?;
    clock::start().map_err(LoadError::NoThread)?;
    runner::start(limits.wasm_stack).map_err(LoadError::NoThread)?;
    let inline = options.mode == Mode::Inline && !effective.needs_runner();
    let budget = if inline { limits.budget } else { limits.long_budget };
    let plugin = Arc::new(Plugin {
        engine: chosen.engine,
        pre,
        guest,
        limits,
        budget: nanos(budget),
        start_budget: nanos(limits.start_budget),
        log: LogRate::new(limits.log_bytes),
        attached: AtomicBool::new(false),
        inline,
        tokio: effective.needs_runner(),
        effective,
        printed,
    });
    let opening = Opening::new(name, options.limits)?;
    let pen = matches!(options.policy, Policy::PerCall(_)).then(|| Arc::new(Pen::new(&limits)));
    let place = |_| Place::new(&plugin, opening.port(), pen.as_ref());
    let places: Box<[_]> = (0..count).map(place).collect::<Result<_, _>>()?;
    start(&plugin, &places, pen.is_some())?;
    let attached = match &pen {
        None => opening.attach(Places::new(plugin.clone(), places.clone())),
        Some(pen) => opening.attach(PerCall::new(plugin.clone(), places.clone(), pen.clone())),
    };
    plugin.attached.store(true, Relaxed);
    for place in &places {
        match &pen {
            None => place.open(),
            Some(pen) => pen.give_back(place),
        }
    }
    let about = About { policy: options.policy, pooled: chosen.pooled, inline };
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Loaded::new(attached, about, plugin, &places, pen, inspection.identity, sha256))
}

/// Starts an instance in each place; or, where each call will have its own, one to see that it does.
fn start(plugin: &Plugin, places: &[Arc<Place>], per_call: bool) -> Result<(), LoadError> {
    places.iter().for_each(clock::add);
    let started = stack::with_room(plugin.limits.wasm_stack, || {
        if per_call {
            places[0].start().map(|()| places[0].discard())
        } else {
            places.iter().try_for_each(|place| place.start())
        }
    });
    let error = match started {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(NoStart::Init(status))) => LoadError::Init { status: status.meaning() },
        Ok(Err(NoStart::Trapped(how))) => LoadError::Trapped(how),
        Err(error) => LoadError::NoThread(error),
    };
    // It didn't start, so it isn't shut down; but it may have asked for wakes.
    for place in places {
        clock::forget(place);
        clock::remove(place);
    }
    Err(error)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
