//! `charm test`: runs a charm in a temporary runtime.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use bg_charm_api::{LogQuery, Runtime};
use bg_poller::{CharmRef, LogLine, Outcome};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::diff::{Change, diff};
use super::source::Source;
use super::steps::{self, Step};
use super::{source, temporary, trigger};
use crate::args::{Common, TestArgs};
use crate::{connect, layout, output};

/// How many log lines, and how many changes, of each poll are printed for people.
const PRINTED: usize = 100;
/// How much of a log line, in characters.
const LINE: usize = 1_000;

/// The results, for programs.
#[derive(Serialize)]
struct Report {
    /// The log of `setup`.
    log: Vec<LogLine>,
    polls: Vec<Poll>,
    /// Whether every poll succeeded.
    success: bool,
}

/// One poll.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Poll {
    log: Vec<LogLine>,
    outcome: Outcome,
    duration_ms: u64,
    changes: Vec<Change>,
}

/// Deploys, polls and reports. Status 1 if a poll failed.
pub(super) async fn run(common: &Common, args: &TestArgs, shutdown: CancellationToken) -> anyhow::Result<ExitCode> {
    let success = temporary::with_data_dir(common, "test", shutdown, async |common| perform(common, args).await);
    Ok(if success.await? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn perform(common: &Common, args: &TestArgs) -> anyhow::Result<bool> {
    let (source, inputs) = (source::read(&args.source)?, source::inputs(args.inputs.as_deref())?);
    if steps::is_test(&source.file_name) {
        return replay(common, args, source, &inputs).await;
    }
    let event = trigger::event(&args.event)?;
    let runtime = connect::with_handlers(common, &args.handlers).await?.runtime;
    let charm = runtime.deploy(&temporary::space(), &source.request(&inputs, None)).await?.charm;
    let stream = trigger::stream(&*runtime, &charm, &args.event).await?;
    let mut seen = 0;
    let mut report = Report { log: new_lines(&*runtime, &charm, &mut seen).await?, polls: Vec::new(), success: true };
    if !args.json.json {
        print_log(&report.log)?;
    }
    let mut before = cells(&*runtime, &charm).await?;
    for number in 1..=args.polls {
        let clock = Instant::now();
        let outcome = runtime.trigger(&charm, &stream, &event).await?;
        let duration = clock.elapsed();
        let after = cells(&*runtime, &charm).await?;
        report.success &= outcome.is_success();
        let poll = Poll {
            log: new_lines(&*runtime, &charm, &mut seen).await?,
            outcome,
            duration_ms: millis(duration),
            changes: diff(&before, &after),
        };
        if args.json.json {
            report.polls.push(poll);
        } else {
            print(number, &poll)?;
        }
        before = after;
    }
    if args.json.json {
        output::json(&report)?;
    }
    Ok(report.success)
}

/// The results of a test with steps, for programs.
#[derive(Serialize)]
struct Replay {
    /// The log of `setup`.
    log: Vec<LogLine>,
    steps: Vec<Step>,
    /// Whether no step failed.
    success: bool,
}

/// Takes the steps of a test in the original's form.
async fn replay(common: &Common, args: &TestArgs, test: Source, inputs: &Map<String, Value>) -> anyhow::Result<bool> {
    if !inputs.is_empty() || args.event.stream.is_some() {
        bail!("a test with steps takes no inputs and no stream; leave out --inputs and --stream");
    }
    let runtime = connect::with_handlers(common, &args.handlers).await?.runtime;
    let request = steps::around(test)?.request(inputs, None);
    let charm = runtime.deploy(&temporary::space(), &request).await?.charm;
    let mut seen = 0;
    let mut replay = Replay { log: new_lines(&*runtime, &charm, &mut seen).await?, steps: Vec::new(), success: true };
    let people = !args.json.json;
    if people {
        print_log(&replay.log)?;
    }
    steps::take(&*runtime, &charm, async |number, mut step: Step| {
        step.log = new_lines(&*runtime, &charm, &mut seen).await?;
        replay.success &= !step.has_failed();
        if people {
            print_log(&step.log)?;
            match &step.outcome {
                Some(outcome) if step.has_failed() => {
                    trigger::print_outcome(&format!("step {number}, action: "), outcome)?;
                }
                _ => output::line(output::printable(&format!("step {number}, {step}")))?,
            }
        }
        replay.steps.push(step);
        Ok(())
    })
    .await?;
    if people {
        let failed = replay.steps.iter().filter(|step| step.has_failed()).count();
        output::line(format_args!("{} steps, {failed} failed", replay.steps.len()))?;
    } else {
        output::json(&replay)?;
    }
    Ok(replay.success)
}

/// The charm's cells, secrets masked.
async fn cells(runtime: &dyn Runtime, charm: &CharmRef) -> anyhow::Result<Value> {
    Ok(json!(runtime.show(charm).await?.cells))
}

/// New log lines since the last call.
async fn new_lines(runtime: &dyn Runtime, charm: &CharmRef, seen: &mut u64) -> anyhow::Result<Vec<LogLine>> {
    let entries = runtime.logs(charm, LogQuery { after: Some(*seen), limit: trigger::PAGE, wait: false }).await?;
    *seen = entries.last().map_or(*seen, |entry| entry.cursor);
    Ok(entries.into_iter().map(|entry| entry.line).collect())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn print_log(lines: &[LogLine]) -> std::io::Result<()> {
    print_first(lines, "", "log lines", |line| {
        format!("{:<5}  {}", line.level, layout::cut(&output::printable(&line.text), LINE))
    })
}

/// Prints the first ones, and where to find the rest.
fn print_first<T>(all: &[T], indent: &str, what: &str, shown: impl Fn(&T) -> String) -> std::io::Result<()> {
    for one in all.iter().take(PRINTED) {
        output::line(format_args!("{indent}{}", shown(one)))?;
    }
    match all.len().saturating_sub(PRINTED) {
        0 => Ok(()),
        more => output::line(format_args!("{indent}… and {more} more {what}; `charm test --json` prints all of them")),
    }
}

fn print(number: u32, poll: &Poll) -> std::io::Result<()> {
    print_log(&poll.log)?;
    trigger::print_outcome(&format!("poll {number}, {} ms: ", poll.duration_ms), &poll.outcome)?;
    print_first(&poll.changes, "    ", "changes", ToString::to_string)?;
    if poll.changes.is_empty() {
        output::line("    no cell has changed")?;
    }
    Ok(())
}
