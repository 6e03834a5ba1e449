//! The engine: what wasmtime is allowed to do, how it allocates, and the thread that ticks its epochs.

use std::num::NonZeroUsize;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::Limits;
use crate::error::SandboxError;
use crate::features::UNUSED;

/// How often a running guest is interrupted to look at the clock, and to let others run.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Stack of a guest. Wasmtime's own default; enough for the deep recursion of a JavaScript or Python interpreter.
const WASM_STACK: usize = 512 * 1024;
/// Stack of the host's functions on top of it. Only what is touched takes memory.
const HOST_STACK: usize = 1024 * 1024;
/// What the address space of a memory is reserved for, so that no load or store needs a bounds check: all 4 GiB that 32 bits
/// reach. How much of it a guest may use is [`crate::StoreLimits`]' to say.
const RESERVED_PER_MEMORY: usize = 4 << 30;
/// How much of what a call has written stays in memory and is put back as it was at first, so that the next call there need not
/// ask the system for it, page by page. What is over it is given back to the system. Each slot of the pool that was ever in use
/// may keep as much.
const KEPT_OF_MEMORY: usize = 3 << 20;
/// The same of a table: all of those that first-party components have.
const KEPT_OF_TABLE: usize = 64 << 10;
/// Calls that end at the same time: each on a thread of its own, of which there are two for each processor, the service's and the slow
/// lane's. Twice as many.
const ENDING_PER_PROCESSOR: usize = 4;
/// Frames in a stack trace.
const FRAMES: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not zero");

/// Where the memories, tables and stacks of calls come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// From a pool that is reserved at start; on demand where the address space does not allow that.
    #[default]
    Pool,
    /// From the system, for each call. A little slower.
    OnDemand,
}

/// Makes the engine; says how it really allocates.
pub(crate) fn engine(limits: &Limits, wanted: Allocation) -> Result<(Engine, Allocation), SandboxError> {
    if wanted == Allocation::Pool {
        let mut config = config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        match Engine::new(&config) {
            Ok(engine) => return Ok((engine, Allocation::Pool)),
            Err(error) => {
                tracing::warn!(%error, "no address space for a pool of memories; allocating on demand, a little slower");
            }
        }
    }
    let engine = Engine::new(&on_demand()).map_err(|error| SandboxError::Engine(format!("{error:#}")))?;
    Ok((engine, Allocation::OnDemand))
}

/// An engine that only compiles, for one of [`engine`]'s that allocates so. It reserves no pool: what a pool has no room for is
/// found when the code is loaded.
pub(crate) fn for_compiling(allocation: Allocation) -> Result<Engine, String> {
    let config = match allocation {
        Allocation::Pool => config(),
        Allocation::OnDemand => on_demand(),
    };
    Engine::new(&config).map_err(|error| format!("{error:#}"))
}

/// Whoever could not reserve a pool can't reserve 4 GiB for each memory either: memories move when they grow.
fn on_demand() -> Config {
    let mut config = config();
    config.memory_reservation(0).memory_guard_size(64 << 10).memory_reservation_for_growth(1 << 20);
    config
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Only WASI 0.3 needs it, and it makes each call of a component two to four times as slow.
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + HOST_STACK)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(Some(FRAMES))
        // For debuggers and profilers of the host only.
        .native_unwind_info(false);
    for feature in UNUSED {
        config.wasm_features(feature, false);
    }
    config
}

/// A pool with room for [`Limits::calls`] calls, each with as much as its limits allow, and for some that are just ending: a store drops
/// its data, and with it the call's place, before it gives back what it has of the pool.
fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let ending = ENDING_PER_PROCESSOR * thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let calls = limits.calls.saturating_add(ending);
    let count = |each: usize| u32::try_from(calls.saturating_mul(each)).unwrap_or(u32::MAX);
    let each = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(count(1))
        .total_core_instances(count(limits.instances))
        .total_memories(count(limits.memories))
        .total_tables(count(limits.tables))
        .total_stacks(count(1))
        .max_core_instances_per_component(each(limits.instances))
        .max_memories_per_component(each(limits.memories))
        .max_memories_per_module(each(limits.memories))
        .max_tables_per_component(each(limits.tables))
        .max_tables_per_module(each(limits.tables))
        .table_elements(limits.table_elements)
        .max_memory_size(RESERVED_PER_MEMORY);
    // Only where the kernel tells which pages were written; else all of it would have to be put back, written or not.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEPT_OF_MEMORY).table_keep_resident(KEPT_OF_TABLE);
    }
    pool
}

/// Ticks an engine's epochs from a thread of its own, until it is dropped.
pub(crate) struct Ticker {
    /// Never sent to: the thread ends when this is dropped.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Self, SandboxError> {
        let (stop, stopped) = mpsc::channel::<()>();
        let engine = engine.weak();
        let thread = thread::Builder::new()
            .name("epoch-ticker".into())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => break,
                    }
                }
            })
            .map_err(|error| {
                SandboxError::Engine(format!("the thread that ends endless loops cannot start: {error}"))
            })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it would have been printed already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_room_for_a_pool_memories_are_allocated_on_demand() {
        let (_, allocation) = engine(&Limits { calls: 1 << 24, ..Limits::default() }, Allocation::Pool).unwrap();
        assert_eq!(allocation, Allocation::OnDemand);
    }

    #[test]
    fn what_is_validated_is_what_is_enabled() {
        for allocation in [Allocation::Pool, Allocation::OnDemand] {
            let (engine, _) = engine(&Limits::default(), allocation).unwrap();
            assert_eq!(engine.get_wasm_features(), crate::features::features());
        }
    }

    #[test]
    fn code_compiled_elsewhere_is_for_the_engine_that_runs_it() {
        let hash = |engine: &Engine| {
            let mut hasher = std::hash::DefaultHasher::new();
            std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hasher);
            std::hash::Hasher::finish(&hasher)
        };
        for wanted in [Allocation::Pool, Allocation::OnDemand] {
            let (running, allocation) = engine(&Limits::default(), wanted).unwrap();
            assert_eq!(hash(&running), hash(&for_compiling(allocation).unwrap()), "{wanted:?}");
        }
    }

    #[test]
    fn the_ticker_ends_when_it_is_dropped() {
        let (engine, _) = engine(&Limits::default(), Allocation::OnDemand).unwrap();
        let ticker = Ticker::start(&engine).unwrap();
        // Joins the thread, or hangs.
        drop(ticker);
    }
}
