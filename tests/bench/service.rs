//! The program as a service: its memory, and the time from its start to the first poll.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bg_test_support::{Running, TestHost, memory as memory_of};

use crate::charms::{Bench, GMAIL, deploy};
use crate::report::Report;

/// Numbers of spaces with one charm each, and the original's memory for that number.
const SPACES: [(usize, Option<&str>); 4] =
    [(1, Some("453 MiB")), (5, Some("1,212 MiB")), (20, Some("4,230 MiB")), (100, None)];
const POLLS: usize = 1_000;
/// From one poll to the next, if there are enough charms.
const PAUSE: Duration = Duration::from_millis(10);
/// The minimum from one poll of a charm to its next.
const INTERVAL: Duration = Duration::from_millis(100);
const STARTS: usize = 5;
/// How long to wait for something that should happen at once.
const SOON: Duration = Duration::from_mins(1);

pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    // Compiles the components for all later starts.
    start(bench, 1).await?;
    for (spaces, original) in SPACES {
        let mib = memory(bench, spaces).await?;
        report.add(&format!("memory with {spaces} spaces after {POLLS} polls"), "MiB", vec![mib], original);
    }
    for spaces in [1, 100] {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            times.push(start(bench, spaces).await?.as_secs_f64());
        }
        let original = (spaces == 1).then_some("4 s");
        report.add(&format!("start to first success, {spaces} spaces"), "s", times, original);
    }
    Ok(())
}

/// A host with that many spaces, each with a charm.
async fn host(bench: &Bench, spaces: usize) -> anyhow::Result<TestHost> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache");
    let host = TestHost::new(env!("CARGO_BIN_EXE_bg-wasm-host"))?.env("BG_WASM_HOST_CACHE", cache);
    // Creates the data directory.
    host.command(["add-admin-charm"])?.success()?;
    let runtime = bench.runtime(&host.data_dir().join("runtime.db"))?;
    for space in 0..spaces {
        deploy(&runtime, "counter.tsx", &format!("bench-{space}"), GMAIL, 0).await?;
    }
    Ok(host)
}

/// Starts the service; later calls read its log lines.
fn run(bench: &Bench, host: &TestHost, interval: Duration) -> anyhow::Result<Running> {
    let gmail = bench.dist.path(GMAIL)?.to_str().context("a path that is not UTF-8")?;
    host.spawn(["run", "--component", gmail, "--interval", &format!("{}ms", interval.as_millis())])
}

fn wait_for_success(service: &mut Running) -> anyhow::Result<()> {
    service.wait_for_line(|line| line.contains("Successfully executed charm"), SOON).map(drop)
}

/// Resident memory after the polls, in MiB.
async fn memory(bench: &Bench, spaces: usize) -> anyhow::Result<f64> {
    let host = host(bench, spaces).await?;
    let mut service = run(bench, &host, INTERVAL.max(PAUSE * u32::try_from(spaces)?))?;
    for _ in 0..POLLS {
        wait_for_success(&mut service)?;
    }
    let resident = memory_of(service.pid(), "VmRSS")?;
    service.terminate()?.success()?;
    Ok(resident)
}

/// From the start of the process to the first success.
async fn start(bench: &Bench, spaces: usize) -> anyhow::Result<Duration> {
    let host = host(bench, spaces).await?;
    let started = Instant::now();
    let mut service = run(bench, &host, Duration::from_mins(1))?;
    wait_for_success(&mut service)?;
    let took = started.elapsed();
    service.terminate()?.success()?;
    Ok(took)
}
