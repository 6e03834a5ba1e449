//! Measurements of the service with many charms.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bg_test_support::{Running, TestHost, memory, processor_time};
use serde_json::Value;

use crate::charms::{Bench, GMAIL, SLOW, deploy};
use crate::database::Filled;
use crate::report::Report;

const INTERVAL: Duration = Duration::from_mins(1);
/// How long to wait for something that should happen soon.
const SOON: Duration = Duration::from_mins(2);
/// How often the service logs its totals.
const TOTALS: Duration = Duration::from_secs(5);

/// From the service's log: only its totals, and errors.
const TOTALS_ALONE: &str = "error,poller::totals=info";
/// Also every poll.
const EVERY_POLL: &str = "error,poller=info";

/// Starts the service on the host, with the scene's additional options.
pub(crate) fn start(host: &TestHost, log: &str, more: &[&str]) -> anyhow::Result<Running> {
    let (interval, totals) = (INTERVAL.as_secs().to_string(), TOTALS.as_secs().to_string());
    let options = ["--log-format", "json", "--log", log, "--interval", &interval, "--log-interval", &totals];
    host.spawn(["run"].iter().chain(&options).chain(more))
}

/// The next line of totals.
pub(crate) fn totals(service: &mut Running, within: Duration) -> anyhow::Result<Value> {
    let line = service.wait_for_line(|line| line.contains("\"poller::totals\""), within)?;
    Ok(serde_json::from_str(&line)?)
}

pub(crate) fn number(totals: &Value, name: &str) -> anyhow::Result<f64> {
    totals[name].as_f64().with_context(|| format!("no {name} in {totals}"))
}

/// Polls in steady state: how many, how late, and at what cost.
pub(crate) fn steady(
    bench: &Bench,
    filled: &Filled,
    validated: bool,
    steady: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let host = filled.host()?;
    let gmail = bench.dist.path(GMAIL)?;
    let gmail = ["--component", gmail.to_str().context("a path that is not UTF-8")?];
    let mut service = start(&host, TOTALS_ALONE, if validated { &gmail } else { &[] })?;
    let charms = f64::from(filled.size.charms);
    let name = format!("{} charms{}", filled.size.charms, if validated { ", validated" } else { "" });
    // Until each was polled once.
    let mut before = totals(&mut service, SOON)?;
    while number(&before, "polls")? < charms {
        before = totals(&mut service, SOON)?;
    }
    let (before_it, began) = (processor_time(service.pid())?, Instant::now());
    let mut after = before.clone();
    while began.elapsed() < steady {
        after = totals(&mut service, SOON)?;
    }
    let took = began.elapsed();
    let processor = processor_time(service.pid())?.saturating_sub(before_it);
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
        report.add(&format!("  {line}"), "MiB", vec![memory(service.pid(), line)?], None);
    }
    service.terminate()?.success()?;
    Ok(())
}

/// How long polls are counted after a restart: one interval, in which each charm has its turn.
const AFTER: Duration = INTERVAL;
/// The window in which polls are counted to detect bursts.
const WINDOW: Duration = Duration::from_secs(5);

/// A poll that the service logged.
struct Poll {
    /// Since the start of the process.
    at: Duration,
    late_ms: f64,
}

/// The polls that a service logs until that long after its start, if `counts` accepts them.
fn polls(
    service: &mut Running,
    started: Instant,
    until: Duration,
    counts: impl Fn(&Value) -> bool,
) -> anyhow::Result<Vec<Poll>> {
    let mut polls = Vec::new();
    while let Some(left) = until.checked_sub(started.elapsed()) {
        let Some(line) = service.next_line(left) else { break };
        let at = started.elapsed();
        let line: Value = serde_json::from_str(&line.text)?;
        if line["target"] == "poller" && line["late_ms"].is_number() && counts(&line) {
            polls.push(Poll { at, late_ms: number(&line, "late_ms")? });
        }
    }
    Ok(polls)
}

/// From the start of the process with all charms to its first poll, and the highest rate of polls afterwards: after
/// `kill -9` while polling, and after a pause in which all charms became due.
pub(crate) fn restart(filled: &Filled, report: &mut Report) -> anyhow::Result<()> {
    let host = filled.host()?;
    let charms = f64::from(filled.size.charms);
    let mut service = start(&host, TOTALS_ALONE, &[])?;
    while number(&totals(&mut service, SOON)?, "polls")? < charms * 1.3 {}
    service.kill()?;
    for (what, rest) in [("after kill -9", Duration::ZERO), ("after a rest of 2 minutes", INTERVAL * 2)] {
        std::thread::sleep(rest);
        let started = Instant::now();
        let mut service = start(&host, EVERY_POLL, &[])?;
        let polls = polls(&mut service, started, AFTER, |_| true)?;
        service.kill()?;
        let first = polls.first().context("no poll")?.at;
        let steady = charms * WINDOW.as_secs_f64() / INTERVAL.as_secs_f64();
        let most = polls
            .iter()
            .enumerate()
            .map(|(place, poll)| polls[place..].iter().take_while(|other| other.at < poll.at + WINDOW).count());
        let name = format!("{} charms, restart {what}", filled.size.charms);
        report.add(&format!("{name}: first poll after"), "s", vec![first.as_secs_f64()], None);
        report.add("  polls in the first minute", "", vec![f64::from(u32::try_from(polls.len())?)], None);
        let most = f64::from(u32::try_from(most.max().unwrap_or_default())?);
        report.add("  most in 5 s, of the steady rate", "%", vec![most / steady * 100.0], None);
    }
    Ok(())
}

/// Charms of the slow space, and of the failing integration.
const SLOW_CHARMS: u32 = 20;
const FAILING_CHARMS: u32 = 100;
const FAILING: &str = "failing";

/// How late healthy charms are, without and with a slow space and a failing integration next to them.
pub(crate) async fn fairness(
    bench: &Bench,
    filled: &Filled,
    steady: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let host = filled.host()?;
    let healthy = |line: &Value| line["integration"] == GMAIL;
    let name = format!("{} healthy charms in {} spaces", filled.size.charms, filled.size.spaces);
    measure_lateness(&host, &[], steady, healthy, &format!("{name}, alone"), report)?;

    let runtime = bench.runtime(&host.data_dir().join("runtime.db"))?;
    let mut failing = Vec::new();
    for number in 0..SLOW_CHARMS {
        deploy(&runtime, SLOW, "bench-slow", "slow", number).await?;
    }
    for number in 0..FAILING_CHARMS {
        let space = format!("bench-failing-{number}");
        failing.push(deploy(&runtime, "counter.tsx", &space, FAILING, number).await?.to_string());
    }
    drop(runtime);
    let failing: Vec<&str> = failing.iter().map(String::as_str).collect();
    let endless = "(loop $forever (br $forever)) (i32.const 0)";
    let component = crate::guest::guest(&host, FAILING, &failing, None, endless);
    let more = ["--component", &component];
    measure_lateness(&host, &more, steady, healthy, &format!("{name}, beside them"), report)
}

fn measure_lateness(
    host: &TestHost,
    more: &[&str],
    steady: Duration,
    counts: impl Fn(&Value) -> bool,
    name: &str,
    report: &mut Report,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut service = start(host, EVERY_POLL, more)?;
    let polls = polls(&mut service, started, steady, counts)?;
    service.kill()?;
    report.add(&format!("{name}: lateness"), "ms", polls.iter().map(|poll| poll.late_ms).collect(), None);
    let most = polls.iter().map(|poll| poll.late_ms).fold(0.0, f64::max);
    report.add("  longest", "ms", vec![most], None);
    Ok(())
}
