//! What failures of charms and of components lead to.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Engine, Link};
use crate::health::{Cause, PAUSE_AFTER, Paused};
use crate::policy::{self, Count, Next};
use crate::poll::{Turn, Validity};
use crate::report::one_line;
use crate::table::{Entry, GroupId, Slot};
use crate::{Consequence, OutcomeKind};

impl Engine {
    /// Counts what a turn says of its charm, and of the component that was asked about it. Answers the charm's failed
    /// polls in a row, and what follows. The rule is at [`Health`](crate::health::Health).
    pub(super) fn apply_outcome(&mut self, slot: Slot, turn: &Turn) -> (u32, Next) {
        let (now, disable_at) = (Instant::now(), self.options.failures);
        let Some((charm, interval)) = self.table.get(slot).map(|entry| (self.table.charm(entry), self.interval(entry)))
        else {
            return (0, Next::After(Duration::ZERO));
        };
        let Some(entry) = self.table.get_mut(slot) else { return (0, Next::After(Duration::ZERO)) };
        let id = entry.group;
        let group = &mut self.groups[id as usize];
        // What a component that was replaced since has to do with it counts neither for nor against anybody.
        let is_replaced = turn.component != group.replaced;
        if turn.validity == Validity::Answered && !is_replaced {
            group.health.charm_answered(now);
            entry.failures -= u32::from(std::mem::take(&mut entry.faults));
        }
        let consequence = turn.outcome.consequence();
        let fault = match turn.validity {
            Validity::Failed(kind) if consequence == Consequence::CountsForIntegration => Some(kind),
            _ => None,
        };
        // Nobody loses anything by a component that is paused already, or by a runtime that is away.
        let excused = fault.is_some() && (is_replaced || group.health.is_paused() || self.link != Link::Up);
        let consequence = if excused { Consequence::AsksTheRuntime } else { consequence };
        let before = entry.failures;
        let jitter = policy::jitter(&charm, before.saturating_add(1));
        let count = Count { failures: before, tries: entry.tries };
        let (Count { failures, tries }, mut next) = policy::decide(consequence, count, interval, disable_at, jitter);
        (entry.failures, entry.tries) = (failures, tries);
        entry.awaits_fix = consequence.awaits_a_fix();
        if matches!(next, Next::Wait(_)) {
            // It is looked at again whatever the next list says.
            entry.owe();
        }
        let faults = u32::from(entry.faults) + if fault.is_some() && !excused { failures - before } else { 0 };
        entry.faults = u16::try_from(faults.min(failures)).unwrap_or(u16::MAX);
        // Its last poll started at least this long ago, and was no success.
        let since = policy::delay(interval, before, 1.0);
        let own = entry.own_failures() >= disable_at || (fault.is_some() && group.health.answered_since(since, now));
        if next == Next::Disable && !own {
            next = Next::After(policy::delay(interval, failures, jitter));
        }
        if let (Some(kind), Some(component), false) = (fault, &group.component, excused) {
            let jitter = |pauses| policy::jitter(component.id(), pauses);
            let table = &self.table;
            let is_its = |(_, entry): &(Slot, &Entry)| entry.group == id && entry.is_active();
            let charms = || table.iter().filter(is_its).take(PAUSE_AFTER).count();
            let paused = group.health.charm_failed(&charm, charms, kind, now, group.interval, jitter);
            if let Some(paused) = paused {
                self.paused(id, paused, kind, &turn.outcome.to_string());
            }
        }
        (failures, next)
    }

    /// An integration is paused, or stays so after its probe.
    pub(super) fn paused(&mut self, id: GroupId, paused: Paused, outcome: OutcomeKind, reason: &str) {
        let now = Instant::now();
        let Paused { cause, charms, wait, failing_since, again } = paused;
        self.groups[id as usize].next_fetch = now + wait;
        let Some(component) = &self.groups[id as usize].component else { return };
        let (integration, reason) = (component.id(), one_line(reason));
        self.show_pause(integration, &paused);
        let what = match cause {
            _ if again => "fetch-charms still fails".to_owned(),
            Cause::FetchCharms => format!("fetch-charms failed {PAUSE_AFTER} times in a row or more"),
            Cause::IsValidCharm if charms < PAUSE_AFTER => {
                format!("is-valid-charm failed for all of its charms ({charms}) and answered for none")
            }
            Cause::IsValidCharm => format!("is-valid-charm failed for {PAUSE_AFTER} charms and answered for none"),
        };
        warn!(
            target: "poller", %integration, %outcome, paused_s = wait.as_secs(),
            "The integration {integration} is paused for {} s: {what}, the first time {} s ago; its charms are not polled, and no \
             failures are counted: {reason}",
            wait.as_secs(),
            now.duration_since(failing_since).as_secs(),
        );
    }

    /// The probe has ended a pause.
    pub(super) fn resumed(&self, id: GroupId, pause: Duration, named: usize) {
        if let Some(component) = &self.groups[id as usize].component {
            let integration = component.id();
            info!(
                target: "poller", %integration, named,
                "The integration {integration} works again after a pause of {} s; its charms are polled again", pause.as_secs()
            );
        }
    }
}
