//! What failures of charms and of components lead to.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::standing::cause_of_validity;
use super::underway::UnderWay;
use super::{Engine, GroupId, Link};
use crate::health::{Function, PAUSE_AFTER, Paused};
use crate::poll::{Turn, Validity};
use crate::report::{self, one_line};
use crate::schedule::{ComponentAnswer, Settlement};
use crate::{Cause, Consequence, OutcomeKind, policy};

impl Engine {
    /// What a turn means for the schedule. The rule is at [`Health`](crate::health::Health).
    pub(super) fn settlement(&mut self, poll: &UnderWay, turn: &Turn) -> Settlement {
        // What a component that was replaced since has to do with it counts neither for nor against anybody.
        let is_replaced = turn.component != self.groups[poll.group].replaced;
        let answered = turn.validity == Validity::Answered && !is_replaced;
        let group = &mut self.groups[poll.group];
        if answered {
            group.health.charm_answered(Instant::now());
        }
        let consequence = turn.outcome.consequence();
        let failed = matches!(turn.validity, Validity::Failed(_)) && consequence == Consequence::CountsForIntegration;
        // Nobody loses anything by a component that is paused already, or by a runtime that is away.
        let excused = failed && (is_replaced || group.health.is_paused() || self.link != Link::Up);
        Settlement {
            lease: poll.lease,
            started_at: turn.started_at,
            start: turn.start,
            duration: turn.duration,
            consequence: Some(if excused { Consequence::AsksTheRuntime } else { consequence }),
            outcome_awaits_a_fix: consequence.awaits_a_fix(),
            noted: turn.noted,
            servers: turn.outcome.servers.clone(),
            component: ComponentAnswer { answered, failed, excused, last_answer: group.health.last_answer() },
        }
    }

    /// Counts a failed validation against its component, which may be paused for it.
    pub(super) async fn blame_component(&mut self, poll: &UnderWay, turn: &Turn, answer: ComponentAnswer) {
        let Validity::Failed(kind) = turn.validity else { return };
        let schedule = &self.schedule;
        let group = &mut self.groups[poll.group];
        let (Some(component), true) = (&group.component, answer.failed && !answer.excused) else { return };
        let jitter = |pauses| policy::jitter(component.id(), pauses);
        let charms = || schedule.active(Some(component.id()), PAUSE_AFTER);
        let paused = group.health.charm_failed(&poll.charm, charms, kind, Instant::now(), group.interval, jitter);
        if let Some(paused) = paused {
            self.paused(poll.group, paused, (kind, cause_of_validity(kind, turn)), &turn.outcome.to_string()).await;
        }
    }

    /// An integration is paused, or stays so after its probe.
    pub(super) async fn paused(&mut self, id: GroupId, paused: Paused, of: (OutcomeKind, Cause), reason: &str) {
        let now = Instant::now();
        let Paused { function, charms, wait, failing_since, again } = paused;
        self.groups[id].next_fetch = now + wait;
        let Some(component) = &self.groups[id].component else { return };
        self.schedule.pause(component.id(), true).await;
        let (integration, reason) = (component.id(), one_line(reason));
        self.show_pause(integration, &paused);
        let what = match function {
            _ if again => "fetch-charms still fails".to_owned(),
            Function::FetchCharms => format!("fetch-charms failed {PAUSE_AFTER} times in a row or more"),
            Function::IsValidCharm if charms < PAUSE_AFTER => {
                format!("is-valid-charm failed for all of its charms ({charms}) and answered for none")
            }
            Function::IsValidCharm => format!("is-valid-charm failed for {PAUSE_AFTER} charms and answered for none"),
        };
        let text = format!(
            "The integration {integration} is paused for {} s: {what}, the first time {} s ago; its charms are not \
             polled, and no failures are counted: {reason}",
            wait.as_secs(),
            now.duration_since(failing_since).as_secs(),
        );
        report::component(integration, of, Some(wait), &text);
    }

    /// The probe has ended a pause.
    pub(super) fn resumed(&self, id: GroupId, pause: Duration, named: usize) {
        if let Some(component) = &self.groups[id].component {
            let integration = component.id();
            info!(
                target: "poller", %integration, named,
                "The integration {integration} works again after a pause of {} s; its charms are polled again",
                pause.as_secs()
            );
        }
    }
}
