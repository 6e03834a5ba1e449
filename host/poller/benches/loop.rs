//! What the loop itself costs: polls by a runtime that does nothing, on one core, at a steady rate and at full speed,
//! with a thousand to a million registrations. `cargo bench --bench loop` prints a table, and with `-- --json` JSON.
//! BENCHMARKS.md says what limits each figure.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it measures is its output")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bg_identity::{CharmId, IntegrationId, SpaceDid, space_did};
use bg_poller::testing::{Idle, Nowhere, registration};
use bg_poller::{CharmRef, Poller, PollerOptions, Registration, UnixMillis};
use bg_test_support::machine;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How many registrations, in how many spaces.
const SIZES: [(u32, u32); 5] =
    [(1_000, 1_000), (10_000, 1_000), (100_000, 1_000), (1_000_000, 1_000), (1_000_000, 1_000_000)];
/// Polls a second where the rate is the same for all sizes: 60 s with a million.
const RATE: u32 = 20_000;
/// How long each is measured, once all charms were polled once.
const TIME: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let as_json = std::env::args().any(|argument| argument == "--json");
    pin_to_one_core()?;
    if !as_json {
        println!("{}", machine());
        println!(
            "{:>13} {:>9} {:>10} {:>12} {:>14} {:>16} {:>12}",
            "registrations", "spaces", "polls", "µs each", "at most/s", "bytes each", "µs at start"
        );
    }
    let mut rows = Vec::new();
    for (registrations, spaces) in SIZES {
        let steady = measure(registrations, spaces, Duration::from_secs(1) * registrations / RATE)?;
        // All are always due: as often as the loop gets to each.
        let flat_out = measure(registrations, spaces, Duration::from_millis(10))?;
        let (each, rate) = (steady.processor / steady.polls, flat_out.polls / flat_out.processor);
        if as_json {
            rows.push(json!({
                "registrations": registrations, "spaces": spaces, "polls": steady.polls, "microseconds_each": each * 1e6,
                "polls_a_second_at_most": rate, "bytes_each": steady.bytes_each, "start_microseconds_each": steady.start_each * 1e6,
            }));
        } else {
            println!(
                "{registrations:>13} {spaces:>9} {:>10} {:>12.2} {rate:>14.0} {:>16.0} {:>12.2}",
                steady.polls,
                each * 1e6,
                steady.bytes_each,
                steady.start_each * 1e6
            );
        }
    }
    if as_json {
        println!("{}", json!({"machine": machine(), "figures": rows}));
    }
    Ok(())
}

struct Measured {
    polls: f64,
    /// Processor time of these polls, seconds.
    processor: f64,
    /// What the loop keeps of each registration.
    bytes_each: f64,
    /// Processor time from the start until all registrations are in the loop, for each of them, seconds.
    start_each: f64,
}

fn measure(registrations: u32, spaces: u32, interval: Duration) -> Result<Measured, Failure> {
    // One thread for everything, as it is one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dids: Vec<SpaceDid> = (0..spaces).map(|space| space_did(&space.to_string())).collect();
    let integration: IntegrationId = "test".parse()?;
    let polled_before = move |number: u32| {
        let space = dids[number as usize % dids.len()].clone();
        let charm = CharmRef { space, charm: CharmId::for_content(&number.to_be_bytes()) };
        Registration { last_run: UnixMillis(2), ..registration(charm, integration.clone()) }
    };
    let charms =
        Arc::new(Idle::new(move || (0..registrations).map(&polled_before).collect::<Vec<_>>(), Duration::ZERO));
    let options =
        PollerOptions { interval, max_concurrent: 64, log_interval: Duration::ZERO, ..PollerOptions::default() };
    let poller = Poller::new(charms.clone(), Arc::new(Nowhere), Vec::new(), options);
    let shutdown = CancellationToken::new();
    let (allocated, began) = (ALLOCATED.load(Ordering::Relaxed), processor_time()?);
    runtime.block_on(async {
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { poller.run(shutdown).await }
        });
        while charms.polls() == 0 {
            tokio::task::yield_now().await;
        }
        let start_each = (processor_time()? - began) / f64::from(registrations);
        while charms.polls() < registrations as usize {
            sleep(Duration::from_millis(10)).await;
        }
        let (processor, polls) = (processor_time()?, charms.polls());
        sleep(TIME).await;
        let (processor, done) = (processor_time()? - processor, charms.polls() - polls);
        let bytes = ALLOCATED.load(Ordering::Relaxed).saturating_sub(allocated);
        shutdown.cancel();
        task.await??;
        #[expect(clippy::cast_precision_loss, reason = "far below 2⁵³")]
        let (polls, bytes_each) = (done as f64, bytes as f64 / f64::from(registrations));
        Ok(Measured { polls, processor, bytes_each, start_each })
    })
}

/// Runs this again by `taskset` (util-linux), pinned to one core. Without it there is one thread all the same, which
/// may be moved.
fn pin_to_one_core() -> Result<(), Failure> {
    const PINNED: &str = "BENCH_IS_PINNED";
    if std::env::var_os(PINNED).is_some() {
        return Ok(());
    }
    let mut again = Command::new("taskset");
    again.args(["-c", "0"]).arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(PINNED, "1");
    match again.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => eprintln!("not pinned to a core: taskset: {error}"),
    }
    Ok(())
}

/// Processor time of the one thread so far, seconds; see proc(5), `schedstat`.
fn processor_time() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos: u64 = text.split(' ').next().ok_or("an empty schedstat")?.parse()?;
    Ok(Duration::from_nanos(nanos).as_secs_f64())
}

/// Counts what is allocated and not freed.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator can't be written otherwise; this one hands everything to the system's")]
// SAFETY: the system's allocator does what is required, and counting changes nothing about it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}
