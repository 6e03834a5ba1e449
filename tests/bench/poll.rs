//! A warm poll like the loop's: the charm is opened, validated by an integration's component, its handler runs in a
//! fresh sandbox, and everything is committed durably. Alternates with a bare SQLite commit on the same disk.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bg_charm_api::{Actor, Spaces as _};
use bg_poller::{CharmRuntime as _, Fitness, Integration, Limit, Poller, PollerOptions};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::charms::{Bench, GMAIL, deploy};
use crate::report::Report;

const WARM_UP: usize = 20;
const TIMES: usize = 500;
/// From one poll to the next, in a busy service.
const BUSY: Duration = Duration::from_millis(2);
/// The same in an idle service: meanwhile, other work of the machine has replaced the contents of the caches.
const IDLE: Duration = Duration::from_millis(25);

const ORIGINAL: &str = "94 to 122 ms";

pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let mut commits = bare_commits()?;
    report.times("poll of the counter, validated, in a row", &one_after_another(bench).await?, Some(ORIGINAL));
    for (what, file, counts, integration, interval) in [
        ("poll in the loop, every 2 ms", "counter.tsx", "count", "my-test", BUSY),
        ("the same, validated by gmail.wasm", "counter.tsx", "count", GMAIL, BUSY),
        ("the same, every 25 ms", "counter.tsx", "count", GMAIL, IDLE),
        ("poll of mailbox.tsx, validated, 2 ms", "mailbox.tsx", "polls", GMAIL, BUSY),
        ("the same, every 25 ms", "mailbox.tsx", "polls", GMAIL, IDLE),
    ] {
        report.times(what, &polls(bench, file, counts, integration, interval).await?, Some(ORIGINAL));
    }
    commits.extend(bare_commits()?);
    report.times("bare SQLite commit", &commits, None);
    Ok(())
}

/// The folder of databases: on a disk, which a temporary folder may not be.
fn folder() -> anyhow::Result<tempfile::TempDir> {
    Ok(tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR")))?)
}

async fn polls(
    bench: &Bench,
    file: &str,
    counts: &str,
    integration: &str,
    interval: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let folder = folder()?;
    let runtime = bench.runtime(&folder.path().join("runtime.db"))?;
    let charm = deploy(&runtime, file, "bench", integration, 0).await?;
    let mut integrations: Vec<Arc<dyn Integration>> = Vec::new();
    if integration == GMAIL {
        integrations.push(Arc::new(bench.gmail(&runtime)?));
    }
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = times.clone();
    let options = PollerOptions {
        interval,
        limit: Limit::Polls((WARM_UP + TIMES) as u64),
        on_poll: Some(Arc::new(move |poll| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push((poll.duration, poll.outcome.clone()));
        })),
        ..PollerOptions::default()
    };
    let handle = runtime.as_actor(Actor::Operator);
    let poller = Poller::new(Arc::new(handle.clone()), Arc::new(runtime.poll_store()), integrations, options);
    // In a task, as in the service.
    tokio::spawn(async move { poller.run(CancellationToken::new()).await }).await??;
    let count = handle.show(&charm).await?.cells.remove(counts).context("no count")?;
    anyhow::ensure!(count == json!(WARM_UP + TIMES), "every poll has counted: {count}");
    let times = times.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, failed)) = times.iter().find(|(_, outcome)| !outcome.is_success()) {
        anyhow::bail!("{file}: {failed}");
    }
    Ok(times.iter().skip(WARM_UP).map(|(time, _)| *time).collect())
}

/// The steps of a poll without the loop: the next one begins as soon as one has ended.
async fn one_after_another(bench: &Bench) -> anyhow::Result<Vec<Duration>> {
    let folder = folder()?;
    let runtime = bench.runtime(&folder.path().join("runtime.db"))?;
    let charm = deploy(&runtime, "counter.tsx", "bench", GMAIL, 0).await?;
    let (handle, gmail) = (runtime.as_actor(Actor::Operator), bench.gmail(&runtime)?);
    let mut times = Vec::new();
    for time in 0..WARM_UP + TIMES {
        let started = Instant::now();
        let opened = handle.open(&charm).await?;
        anyhow::ensure!(gmail.is_valid_charm(opened.clone()).await? == Fitness::Fit, "it is fit");
        let outcome = handle.trigger(&charm, "bgUpdater", &json!({})).await?;
        anyhow::ensure!(outcome.is_success(), "{outcome}");
        if time >= WARM_UP {
            times.push(started.elapsed());
        }
    }
    Ok(times)
}

/// Half before the polls and half after them, at the same pace.
fn bare_commits() -> anyhow::Result<Vec<Duration>> {
    let folder = folder()?;
    let floor = rusqlite::Connection::open(folder.path().join("floor.db"))?;
    floor.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (0)",
    )?;
    let mut commits = Vec::new();
    for time in 0..WARM_UP + TIMES / 2 {
        let started = Instant::now();
        floor.execute("UPDATE t SET n = n + 1", [])?;
        if time >= WARM_UP {
            commits.push(started.elapsed());
        }
        std::thread::sleep(BUSY.saturating_sub(started.elapsed()));
    }
    Ok(commits)
}
