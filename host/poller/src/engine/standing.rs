//! What the loop shows of how integrations stand.

use bg_identity::IntegrationId;
use tokio::time::Instant;
use tracing::info;

use super::{Engine, GroupId, Link};
use crate::health::{Function, Paused};
use crate::poll::{Turn, Validity};
use crate::report::{self, one_line};
use crate::{Cause, ComponentFailure, IntegrationError, OutcomeKind, Standing};

impl Engine {
    /// Changes what is shown of an integration that has a component.
    fn show(&self, id: GroupId, change: impl FnOnce(&mut Standing)) {
        let group = &self.groups[id];
        let Some(component) = &group.component else { return };
        let failing = group.health.is_failing(Instant::now(), group.interval);
        self.options.gauges.change(component.id(), |standing| {
            standing.failing = failing;
            change(standing);
        });
    }

    /// A list has come: nothing keeps the charms that it names from being polled.
    pub(super) fn show_list(&mut self, id: GroupId, named: u64, left_out: u64) {
        self.groups[id].health.answers(Function::FetchCharms);
        self.show(id, |standing| {
            (standing.paused, standing.paused_until) = (false, crate::UnixMillis::NEVER);
            standing.without_list = false;
            (standing.named, standing.left_out) = (named, left_out);
        });
    }

    /// `fetch-charms` has failed. A failure of another kind than the one before is logged, once for each change of kind,
    /// if nothing else says so: `is_logged`.
    pub(super) fn show_failed_list(&mut self, id: GroupId, error: &IntegrationError, is_logged: bool) {
        // While the runtime is away, nothing is the component's fault.
        if self.link != Link::Up {
            return;
        }
        let reason = one_line(&error.message);
        let before = self.show_failure(id, Function::FetchCharms, (error.kind, error.cause), &reason);
        let is_usable = self.groups[id].component.as_ref().is_some_and(|it| self.schedule.has_list(it.id()));
        self.show(id, |standing| standing.without_list = !is_usable);
        let group = &mut self.groups[id];
        let now = Instant::now();
        if let Some(before) = before.filter(|_| !is_logged)
            && group.health.should_log_change(before, error.kind, now)
            && let Some(component) = &group.component
        {
            let (integration, kind) = (component.id(), error.kind);
            let text = format!(
                "fetch-charms of the integration {integration} still fails, with {kind} instead of {before}: {reason}"
            );
            report::component(integration, (kind, error.cause), None, &text);
        }
    }

    /// A component's call has ended: charms that wait for a server that answered it are due again.
    pub(super) async fn component_answered(&mut self, id: GroupId) {
        let Some(component) = &self.groups[id].component else { return };
        let servers = component.take_servers();
        if !servers.is_empty() {
            self.schedule.servers_answered(&servers).await;
        }
    }

    /// What a turn says of `is-valid-charm`. A runtime that is away says nothing of it.
    pub(super) fn show_validity(&mut self, id: GroupId, turn: &Turn) {
        let group = &mut self.groups[id];
        if turn.component != group.replaced {
            return;
        }
        match turn.validity {
            Validity::NotAsked => {}
            Validity::Answered => {
                if group.health.answers(Function::IsValidCharm) {
                    if group.health.take_logged()
                        && let Some(component) = &group.component
                    {
                        let integration = component.id();
                        info!(
                            target: "poller", %integration,
                            "is-valid-charm of the integration {integration} works again"
                        );
                    }
                    self.show(id, |_| {});
                }
            }
            Validity::Failed(_) if self.link != Link::Up || turn.runtime_failed() => {}
            Validity::Failed(kind) => {
                let message = turn.outcome.message.as_deref().unwrap_or_default();
                let reason = message.split_once(": ").map_or(message, |(_, reason)| reason);
                let reason = one_line(reason);
                let cause = cause_of_validity(kind, turn);
                self.show_failure(id, Function::IsValidCharm, (kind, cause), &reason);
                self.log_failing_validity(id, (kind, cause), &reason);
            }
        }
    }

    /// Logs that `is-valid-charm` fails, once for each kind; not if it fails for single charms and answers for others.
    fn log_failing_validity(&mut self, id: GroupId, (kind, cause): (OutcomeKind, Cause), reason: &str) {
        let group = &mut self.groups[id];
        let before = group.health.logged();
        if !group.health.should_log(kind, Instant::now(), group.interval) {
            return;
        }
        let Some(component) = &group.component else { return };
        let integration = component.id();
        let fails = match before {
            None => "fails".to_owned(),
            Some(before) => format!("still fails, with {kind} instead of {before}"),
        };
        let text = format!(
            "is-valid-charm of the integration {integration} {fails}, and has answered for no charm lately: {reason}"
        );
        report::component(integration, (kind, cause), None, &text);
    }

    /// Answers the kind of the failure before, if the function has not answered in between.
    fn show_failure(
        &mut self,
        id: GroupId,
        function: Function,
        (kind, cause): (OutcomeKind, Cause),
        reason: &str,
    ) -> Option<OutcomeKind> {
        let at = self.options.clock.now();
        let (in_a_row, before) = self.groups[id].health.fails(function, kind);
        let (function, reason) = (function.name().to_owned(), reason.to_owned());
        let (blame, cause) = (Some(cause.blame()), Some(cause));
        let failure = ComponentFailure { at, function, kind, blame, cause, reason, in_a_row };
        self.show(id, |standing| standing.failure = Some(failure));
        before
    }

    /// An integration is paused from now on.
    pub(super) fn show_pause(&self, integration: &IntegrationId, paused: &Paused) {
        let until = self.options.clock.now() + paused.wait;
        self.options.gauges.change(integration, |standing| (standing.paused, standing.paused_until) = (true, until));
    }

    /// How busy the loop is, which changes in an outage of the runtime as well.
    pub(super) fn show_load(&self) {
        self.options.gauges.set(self.polls.len(), self.schedule.queued(), self.schedule.registrations());
    }
}

/// The cause of a turn in which `is-valid-charm` failed with this kind.
pub(super) fn cause_of_validity(kind: OutcomeKind, turn: &Turn) -> Cause {
    turn.outcome.cause.unwrap_or_else(|| Cause::of_component(kind))
}
