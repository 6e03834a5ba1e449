//! What one poll costs: the counter charm, in a fresh sandbox each time, with its durable commit, beside a bare SQLite commit
//! on the same disk in the same run. `cargo bench --bench poll` prints a table.

#![allow(clippy::print_stdout, reason = "what it measures is its output")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bg_charms::{Actor, DeployRequest, Handlers, LocalOptions, LocalRuntime, Spaces as _};
use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_poller::CharmRuntime as _;
use bg_sandbox::{CharmComponent, Sandbox, SandboxOptions, World};
use serde_json::json;

const WARM_UP: usize = 20;
const TIMES: usize = 500;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let guests = bg_build::ensure_guests()?;
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let started = Instant::now();
    let loaded = sandbox.load(std::fs::read(guests.path("script")?)?, World::Charm).await?;
    println!("compile script.wasm        {:>9.1} ms", millis(started.elapsed()));
    let handlers = Handlers {
        component: Arc::new(CharmComponent::new(&sandbox, &loaded)?),
        api_url: None,
        http: Gate::new(GateOptions::default()).client(ClientOptions::new(Owner::Charms))?,
    };
    let options = LocalOptions { handlers: Some(handlers), ..LocalOptions::new(dir.path().join("runtime.db")) };
    let runtime = Arc::new(LocalRuntime::open(options)?).as_actor(Actor::Operator);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/counter.tsx");
    let request = DeployRequest {
        file_name: "counter.tsx".into(),
        source: std::fs::read_to_string(source)?,
        files: std::collections::BTreeMap::new(),
        inputs: serde_json::Map::new(),
        charm: None,
    };
    let charm = runtime.deploy(&bg_identity::space_did("bench"), &request).await?.charm;

    let floor = rusqlite::Connection::open(dir.path().join("floor.db"))?;
    floor.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (0)",
    )?;
    let (mut polls, mut commits) = (Vec::new(), Vec::new());
    for time in 0..WARM_UP + TIMES {
        let started = Instant::now();
        let outcome = runtime.trigger(&charm, "bgUpdater", &json!({})).await?;
        let poll = started.elapsed();
        anyhow::ensure!(outcome.is_success(), "{outcome}");
        let started = Instant::now();
        floor.execute("UPDATE t SET n = n + 1", [])?;
        let commit = started.elapsed();
        if time >= WARM_UP {
            polls.push(poll);
            commits.push(commit);
        }
    }
    let count = runtime.show(&charm).await?.cells.remove("count").context("no count")?;
    anyhow::ensure!(count == json!(WARM_UP + TIMES), "every poll has counted: {count}");
    report("poll of the counter charm", &mut polls);
    report("bare SQLite commit", &mut commits);
    Ok(())
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: usize| millis(times[(times.len() - 1) * share / 100]);
    println!("{what:<26} {:>9.3} ms median, {:.3} ms p99, of {}", at(50), at(99), times.len());
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
