//! What is measured of the service with many charms.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bg_test_support::{Running, TestHost};
use serde_json::Value;

use crate::charms::{Bench, GMAIL};
use crate::database::Filled;
use crate::process;
use crate::report::Report;

const INTERVAL: Duration = Duration::from_mins(1);
/// How long to wait for what should come in a moment.
const SOON: Duration = Duration::from_mins(2);
/// How often the service tells its totals.
const TOTALS: Duration = Duration::from_secs(5);

/// Starts the service on the host, with what the scene adds to its options; it logs its totals alone, and what goes wrong.
fn start(host: &TestHost, more: &[&str]) -> anyhow::Result<Running> {
    let interval = INTERVAL.as_secs().to_string();
    let totals = TOTALS.as_secs().to_string();
    let options = [
        "--log-format",
        "json",
        "--log",
        "warn,poller::totals=info",
        "--interval",
        &interval,
        "--log-interval",
        &totals,
    ];
    host.spawn(["run"].iter().chain(&options).chain(more))
}

/// The next line of totals.
fn totals(service: &mut Running, within: Duration) -> anyhow::Result<Value> {
    let line = service.wait_for_line(|line| line.contains("\"poller::totals\""), within)?;
    Ok(serde_json::from_str(&line)?)
}

fn number(totals: &Value, name: &str) -> anyhow::Result<f64> {
    totals[name].as_f64().with_context(|| format!("no {name} in {totals}"))
}

/// Polls in the long run: all of them, how late, and with what.
pub(crate) fn steady(
    bench: &Bench,
    filled: &Filled,
    validated: bool,
    steady: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let host = filled.host()?;
    let gmail = bench.dist.path(GMAIL)?;
    let gmail = ["--component", gmail.to_str().context("a path that is no text")?];
    let mut service = start(&host, if validated { &gmail } else { &[] })?;
    let charms = f64::from(filled.size.charms);
    let name = format!("{} charms{}", filled.size.charms, if validated { ", validated" } else { "" });
    // Until each was polled once.
    let mut before = totals(&mut service, SOON)?;
    while number(&before, "polls")? < charms {
        before = totals(&mut service, SOON)?;
    }
    let (processor, began) = (process::processor_time(service.pid())?, Instant::now());
    let mut after = before.clone();
    while began.elapsed() < steady {
        after = totals(&mut service, SOON)?;
    }
    let (took, processor) = (began.elapsed(), process::processor_time(service.pid())? - processor);
    let polls = number(&after, "polls")? - number(&before, "polls")?;
    let due = charms * took.as_secs_f64() / INTERVAL.as_secs_f64();
    report.add(&format!("{name}: polls done"), "", vec![polls], None);
    report.add("  of polls due", "%", vec![polls / due * 100.0], None);
    report.add("  not successful, since the start", "", vec![number(&after, "failed")?], None);
    report.add("  dropped, since the start", "", vec![number(&after, "dropped")?], None);
    for (what, of) in [("median", "late_median_ms"), ("p99", "late_p99_ms"), ("longest", "late_max_ms")] {
        report.add(&format!("  lateness since the start, {what}"), "ms", vec![number(&after, of)?], None);
    }
    report.add("  a poll took", "ms", vec![number(&after, "mean_ms")?], None);
    report.add("  processors used", "", vec![processor.as_secs_f64() / took.as_secs_f64()], None);
    report.add("  processor time a poll", "ms", vec![processor.as_secs_f64() * 1_000.0 / polls], None);
    for line in ["VmRSS", "RssAnon", "VmHWM"] {
        report.add(&format!("  {line}"), "MiB", vec![process::memory(service.pid(), line)?], None);
    }
    service.terminate()?.success()?;
    Ok(())
}

/// From the start of the process with all charms there to its first poll, and how many polls follow in each second.
pub(crate) fn restart(_bench: &Bench, _filled: &Filled, _report: &mut Report) -> anyhow::Result<()> {
    Ok(())
}

/// How late healthy charms are, without and with a slow space and an integration that fails beside them.
pub(crate) fn fairness(
    _bench: &Bench,
    _filled: &Filled,
    _steady: Duration,
    _report: &mut Report,
) -> anyhow::Result<()> {
    Ok(())
}
