//! What a call of an integration costs: a fresh store and instance, the call, and dropping them. Alternates with bare
//! wasmtime that does the same, in one run. `cargo bench --bench fresh_call` prints a table.

#![allow(clippy::print_stdout, reason = "what it measures is its output")]

use std::collections::BTreeMap;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_manifest::Manifest;
use bg_poller::Integration;
use bg_sandbox::{Allocation, IntegrationComponent, IntegrationSetup, Registrations, Sandbox, SandboxOptions, World};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

#[path = "../src/testing/guests.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
mod guests;
#[path = "../src/testing/runtime.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
mod runtime;

const WARM_UP: usize = 1_000;
const TIMES: usize = 20_000;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        // In a task, as in the service.
        tokio::spawn(measure()).await?
    })
}

async fn measure() -> Result<(), Failure> {
    let component = guests::Guest::default().build();
    let ours = ours(&component).await?;
    let (engine, bare) = bare(&component)?;
    let (mut times_of_ours, mut times_of_bare) = (Vec::new(), Vec::new());
    for time in 0..WARM_UP + TIMES {
        let started = Instant::now();
        ours.initialize().await?;
        let our_time = started.elapsed();
        let started = Instant::now();
        call(&engine, &bare).await?;
        let bare_time = started.elapsed();
        if time >= WARM_UP {
            times_of_ours.push(our_time);
            times_of_bare.push(bare_time);
        }
        if time % 100 == 0 {
            // The service has other tasks, and each component has a share of the threads.
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
    }
    let ours = report("a call of an integration", &mut times_of_ours);
    let bare = report("bare wasmtime, the same", &mut times_of_bare);
    println!("ratio of the medians         {:>8.3}", ours / bare);
    Ok(())
}

async fn ours(component: &[u8]) -> Result<IntegrationComponent, Failure> {
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    assert_eq!(sandbox.allocation(), Allocation::Pool, "no address space for a pool");
    let loaded = sandbox.load(component.to_owned(), World::Integration).await?;
    let runtime = runtime::runtime_with(&[]);
    let setup = IntegrationSetup {
        manifest: Manifest::parse("[integration]\nid = \"bench\"\nname = \"Bench\"\nversion = \"0.1.0\"\n")?,
        config: BTreeMap::new(),
        registrations: Registrations::new("bench".parse()?, runtime.clone()),
        state: runtime,
        http: Gate::new(GateOptions::default()).client(ClientOptions::new(Owner::Integration("bench".parse()?)))?,
    };
    Ok(IntegrationComponent::new(&sandbox, &loaded, setup)?)
}

/// The same engine with wasmtime alone: pooled, interrupted by epochs, without concurrency.
fn bare(component: &[u8]) -> Result<(Engine, InstancePre<()>), Failure> {
    let mut pool = PoolingAllocationConfig::default();
    pool.max_memory_size(4 << 30).table_elements(40_000).max_core_instances_per_component(200);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, component)?;
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&component)?;
    let ticker = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = ticker.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(Duration::from_millis(10));
        }
    });
    Ok((engine, linker.instantiate_pre(&component)?))
}

async fn call(engine: &Engine, pre: &InstancePre<()>) -> Result<(), Failure> {
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let instance = pre.instantiate_async(&mut store).await?;
    let function = instance.get_func(&mut store, "initialize").ok_or("no such export")?;
    let mut results = [wasmtime::component::Val::Bool(false)];
    function.call_async(&mut store, &[], &mut results).await?;
    Ok(())
}

/// Prints the times of one kind, and returns their median in microseconds.
fn report(what: &str, times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
    println!("{what:<28} {:>8.1} µs median, {:.1} µs at best, {:.1} µs p99, of {}", at(50), at(0), at(99), times.len());
    at(50)
}
