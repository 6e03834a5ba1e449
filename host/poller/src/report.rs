//! What is logged of polls.

use std::fmt::Write as _;
use std::time::Duration;

use bg_identity::IntegrationId;
use tracing::{error, info, warn};

pub(crate) use crate::message::one_line;
use crate::{Blame, Cause, Consequence, IntegrationError, OutcomeKind, PollEvent, Summary, cause};

/// Logs one ended poll: one line with all of it. The space and the charm's ID are fields for programs; people find them
/// in the message.
pub(crate) fn poll(event: &PollEvent, next_in: Option<Duration>) {
    let PollEvent { charm, integration, outcome, failures, .. } = event;
    let (ms, late_ms) = (whole_millis(event.duration), whole_millis(event.late));
    if outcome.is_success() {
        info!(
            target: "poller", space = %charm.space, charm_id = %charm.charm, %integration, stream = event.stream, ms, late_ms,
            outcome = %outcome.kind,
            "Successfully executed charm {charm}"
        );
        return;
    }
    let (blame, cause) = (outcome.blame().map(Blame::as_str), outcome.cause.map(Cause::as_str));
    let waits = match outcome.consequence() {
        Consequence::Waits => "; it waits until that is fixed, which counts against nobody",
        _ => "",
    };
    let next_in = next_in.map(|next| format!("{} s", next.as_secs_f64().round()));
    warn!(
        target: "poller", space = %charm.space, charm_id = %charm.charm, %integration, stream = event.stream, ms, late_ms,
        outcome = %outcome.kind, stack = outcome.stack.as_deref().map(one_line), failures, next_in,
        blame, cause, fix = outcome.advice().map(|advice| cause::for_charm(advice, charm, integration)),
        "Charm {charm} failed: {}{waits}", one_line(&outcome.to_string())
    );
    if event.disabled {
        warn!(
            target: "poller", %integration, failures, blame, cause,
            fix = cause::for_disabled(outcome.advice(), charm, integration),
            "Charm {charm} is disabled after {failures} failed polls in a row, for 24 hours; to enable it again: \
             bg-wasm-host enable {charm}"
        );
    }
}

/// Logs that a component fails, with what it leads to, and with the advice that is shown of its integration as well.
/// `paused` is for how long it is not called.
pub(crate) fn component(
    integration: &IntegrationId,
    (kind, cause): (OutcomeKind, Cause),
    paused: Option<Duration>,
    message: &str,
) {
    warn!(
        target: "poller", %integration, outcome = %kind, paused_s = paused.map(|wait| wait.as_secs()),
        blame = cause.blame().as_str(), cause = cause.as_str(), fix = cause.fix_of_component(integration),
        "{message}"
    );
}

/// Logs that a component could not be initialized.
pub(crate) fn uninitialized(integration: &IntegrationId, error: &IntegrationError) {
    error!(
        target: "poller", %integration, outcome = %error.kind,
        blame = error.blame().as_str(), cause = error.cause.as_str(), fix = error.cause.fix_of_component(integration),
        "The integration {integration} could not be initialized: {}", one_line(&error.to_string())
    );
}

/// Logs the totals, under their own target: an operator with thousands of polls a second may want these alone.
pub(crate) fn totals(summary: &Summary, running: usize, queued: usize) {
    let mut kinds = String::new();
    for kind in OutcomeKind::ALL.into_iter().filter(|kind| *kind != OutcomeKind::Success) {
        if summary.count(kind) > 0 {
            let _ = write!(kinds, ", {} {kind}", summary.count(kind));
        }
    }
    info!(
        target: "poller::totals",
        polls = summary.polls,
        failed = summary.failed(),
        unavailable = summary.count(OutcomeKind::Unavailable),
        registrations = summary.registrations,
        enabled = summary.enabled,
        left_out = summary.left_out,
        paused = summary.paused,
        running,
        queued,
        mean_ms = whole_millis(summary.mean()),
        min_ms = whole_millis(summary.shortest.unwrap_or_default()),
        max_ms = whole_millis(summary.longest),
        last_ms = whole_millis(summary.last),
        late_median_ms = whole_millis(summary.lateness.quantile(0.5)),
        late_p99_ms = whole_millis(summary.lateness.quantile(0.99)),
        late_max_ms = whole_millis(summary.lateness.longest()),
        dropped = summary.dropped,
        "{} polls in {} s: {} succeeded{kinds}",
        summary.polls,
        summary.uptime.as_secs(),
        summary.count(OutcomeKind::Success),
    );
}

pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
