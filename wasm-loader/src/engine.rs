//! The engines: one a process for each configuration.

#![expect(unsafe_code, reason = "how much is inlined has no safe setter")]

use crate::error::LoadError;
use crate::limits::WasmLimits;
use std::sync::{Mutex, PoisonError};
use wasmtime::{
    Config, Engine, EngineWeak, Inlining, InstanceAllocationStrategy, PoolingAllocationConfig,
    Strategy,
};

/// An engine, and how its instances come by their memory.
pub(crate) struct Chosen {
    pub(crate) engine: Engine,
    /// Whether there is a pool for them.
    pub(crate) pooled: bool,
}

/// What engines differ in.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
struct Key {
    wasm_stack: usize,
    memory_bytes: usize,
    pool: Option<Pool>,
}

/// What a pool has room for.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
struct Pool {
    count: u32,
    table_elements: usize,
    core_instances: usize,
    memories: usize,
    tables: usize,
}

/// Functions are inlined until the two together have so many instructions. Calls take a tenth less
/// time than without, and compiling four tenths more. With 2,000, wasmtime's own number, compiling
/// takes three times as long.
const INLINED: &str = "300";

static ENGINES: Mutex<Vec<(Key, EngineWeak)>> = Mutex::new(Vec::new());

/// The engine for instances with these limits, with a pool for so many of them if there are to be
/// any.
pub(crate) fn choose(limits: &WasmLimits, pool: Option<u32>) -> Result<Chosen, LoadError> {
    let key = |count: Option<u32>| Key {
        wasm_stack: limits.wasm_stack,
        memory_bytes: limits.memory_bytes,
        pool: count.map(|count| Pool {
            count,
            table_elements: limits.table_elements,
            core_instances: limits.core_instances,
            memories: limits.memories,
            tables: limits.tables,
        }),
    };
    if let Some(count) = pool {
        match engine(key(Some(count))) {
            Ok(engine) => return Ok(Chosen { engine, pooled: true }),
            Err(error) => tracing::warn!(
                target: "ringbox::sandbox",
                "no pool for {count} instances of {} bytes, so they are made on demand: {error:#}",
                limits.memory_bytes,
            ),
        }
    }
    let engine = engine(key(None)).map_err(|error| LoadError::Engine(error.into()))?;
    Ok(Chosen { engine, pooled: false })
}

/// The process' engine of that kind, or one with a pool of its own: a pool's places are one
/// plugin's, who could else take another's.
fn engine(key: Key) -> wasmtime::Result<Engine> {
    if key.pool.is_some() {
        return Engine::new(&config(&key));
    }
    let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
    engines.retain(|(_, engine)| engine.upgrade().is_some());
    let known = engines.iter().find(|(other, _)| *other == key);
    if let Some(engine) = known.and_then(|(_, engine)| engine.upgrade()) {
        return Ok(engine);
    }
    let engine = Engine::new(&config(&key))?;
    engines.push((key, engine.weak()));
    Ok(engine)
}

fn config(key: &Key) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .wasm_component_model(true)
        .wasm_memory64(false)
        // With it a call costs three times as much.
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(key.wasm_stack)
        .async_stack_size(key.wasm_stack + (512 << 10))
        // Handlers of signals are the process', and a native plugin may replace them.
        .signals_based_traps(false)
        .memory_reservation(key.memory_bytes as u64)
        .memory_guard_size(0)
        .compiler_inlining(Inlining::Yes)
        .wasm_backtrace_max_frames(None);
    // SAFETY: flags are unsafe since some have the compiler rely on what the host has to keep. This one
    // bounds a heuristic: which calls become a copy of the function they call.
    unsafe { config.cranelift_flag_set("wasmtime_inlining_sum_size_threshold", INLINED) };
    if let Some(pool) = key.pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool_of(key, &pool)));
    }
    config
}

fn pool_of(key: &Key, pool: &Pool) -> PoolingAllocationConfig {
    // One more than there are places: a lost instance goes when its replacement is made.
    let count = pool.count.saturating_add(1);
    let of_each = |each: usize| count.saturating_mul(u32::try_from(each).unwrap_or(u32::MAX));
    let mut config = PoolingAllocationConfig::new();
    config
        .total_component_instances(count)
        .total_core_instances(of_each(pool.core_instances))
        .total_memories(of_each(pool.memories))
        .total_tables(of_each(pool.tables))
        .total_stacks(count)
        .max_core_instances_per_component(u32::try_from(pool.core_instances).unwrap_or(u32::MAX))
        .max_memories_per_component(u32::try_from(pool.memories).unwrap_or(u32::MAX))
        .max_tables_per_component(u32::try_from(pool.tables).unwrap_or(u32::MAX))
        .table_elements(pool.table_elements)
        .max_memory_size(key.memory_bytes)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(16 << 10)
        .max_unused_warm_slots(count);
    config
}
