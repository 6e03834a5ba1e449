//! `charm trigger`, also called `trigger`: sends one event, and prints the outcome.

use anyhow::{Context as _, bail};
use bg_charm_api::{LogQuery, Runtime};
use bg_poller::{CharmRef, LogLevel, LogLine, Outcome, RuntimeError, UPDATER_STREAMS};
use serde_json::Value;

use crate::args::{Common, EventArgs, TriggerArgs};
use crate::connect::{self, Runner};
use crate::output;

/// More lines than a call may log.
pub(super) const PAGE: usize = 1_000;

/// Sends one event to a charm and prints the outcome; fails if it is not a success.
pub(crate) async fn run(common: &Common, args: &TriggerArgs) -> anyhow::Result<()> {
    let event = event(&args.event)?;
    let runner = connect::with_handlers(common, &args.handlers).await?;
    let stream = stream(&*runner.runtime, &args.charm, &args.event).await?;
    let outcome = send(&runner, &args.charm, &stream, &event).await?;
    print_outcome("", &outcome)?;
    if !outcome.is_success() {
        bail!("the handler of {stream} failed; its writes were discarded");
    }
    Ok(())
}

/// The event to send.
pub(super) fn event(args: &EventArgs) -> anyhow::Result<Value> {
    serde_json::from_str(&args.event).context("--event is not JSON")
}

/// The named stream, or the one for polls.
pub(super) async fn stream(runtime: &dyn Runtime, charm: &CharmRef, args: &EventArgs) -> anyhow::Result<String> {
    if let Some(stream) = &args.stream {
        return Ok(stream.clone());
    }
    let view = runtime.open(charm).await?;
    for name in UPDATER_STREAMS {
        if view.has_stream(name).await? {
            return Ok(name.to_owned());
        }
    }
    bail!("{charm} has no updater stream such as `bgUpdater`; name a stream with --stream NAME")
}

/// Sends an event, and makes the charm's log lines appear in this process's log. Charms that run here log there
/// themselves, line by line. For others, the new lines are logged afterwards, including those of concurrent polls.
pub(super) async fn send(
    runner: &Runner,
    charm: &CharmRef,
    stream: &str,
    event: &Value,
) -> Result<Outcome, RuntimeError> {
    let runtime = &runner.runtime;
    if !runner.elsewhere {
        return runtime.trigger(charm, stream, event).await;
    }
    let newest = runtime.logs(charm, LogQuery { after: None, limit: 1, wait: false }).await?;
    let after = Some(newest.last().map_or(0, |entry| entry.cursor));
    let outcome = runtime.trigger(charm, stream, event).await?;
    for entry in runtime.logs(charm, LogQuery { after, limit: PAGE, wait: false }).await? {
        relay(charm, &entry.line);
    }
    Ok(outcome)
}

/// Logs a line like the sandbox does.
fn relay(charm: &CharmRef, line: &LogLine) {
    let text = output::printable(&line.text);
    match line.level {
        LogLevel::Trace => tracing::trace!(target: "guest", %charm, "{text}"),
        LogLevel::Debug => tracing::debug!(target: "guest", %charm, "{text}"),
        LogLevel::Info => tracing::info!(target: "guest", %charm, "{text}"),
        LogLevel::Warn => tracing::warn!(target: "guest", %charm, "{text}"),
        LogLevel::Error => tracing::error!(target: "guest", %charm, "{text}"),
    }
}

/// Prints an outcome with its stack trace, after a prefix.
pub(super) fn print_outcome(before: &str, outcome: &Outcome) -> std::io::Result<()> {
    outcome_lines(before, outcome).iter().try_for_each(|line| output::line(output::printable(line)))
}

/// An outcome with its stack trace, line by line.
pub(super) fn outcome_lines(before: &str, outcome: &Outcome) -> Vec<String> {
    let frames = outcome.stack.iter().flat_map(|stack| stack.lines()).map(|frame| format!("    {frame}"));
    std::iter::once(format!("{before}{outcome}")).chain(frames).collect()
}
