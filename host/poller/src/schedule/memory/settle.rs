//! What follows from a poll.

use std::time::Duration;

use tokio::time::Instant;

use super::claim::missed;
use super::leases::Held;
use super::slots::{Asked, Entry, Phase, Slot};
use super::state::MemorySchedule;
use crate::Limit;
use crate::policy::{self, Count, Next, RETURN_AFTER};
use crate::schedule::{Kept, Settled, Settlement};

impl MemorySchedule {
    pub(super) fn settle_one(&mut self, settlement: &Settlement) -> Settled {
        let Some(Held { slot, .. }) = self.leases.end(settlement.lease) else { return Settled::Lost };
        let Some(entry) = self.slots.get_mut(slot) else { return Settled::Lost };
        entry.phase = Phase::Idle;
        let (lane, goes_on) = (entry.lane, entry.is_active());
        self.ready.release(lane);
        self.slow_ended(slot, settlement.consequence.map(|_| settlement.duration));
        let kept = if settlement.consequence.is_some() {
            self.note_owed(slot, settlement);
            let (failures, next) = self.count(slot, settlement);
            let missed = self.order_next(slot, settlement, next);
            self.note_servers(slot, settlement.succeeded(), &settlement.servers);
            let disabled = goes_on && next == Next::Disable;
            if let Some(entry) = self.slots.get_mut(slot).filter(|_| disabled) {
                entry.asked = Asked::ToDisable;
            }
            Kept { failures, disabled, missed, next_in: None }
        } else {
            // What it did is not known: the charm is polled again an interval later.
            if let Some(entry) = self.slots.get(slot).filter(|_| goes_on && self.options.limit != Limit::Once) {
                let wait = policy::millis(self.interval(entry));
                self.arm_off_beat(slot, self.now().saturating_add(wait));
            } else if !goes_on {
                self.arm_return(slot);
            }
            Kept::default()
        };
        let due = self.slots.get(slot).filter(|_| goes_on).map(|entry| entry.due);
        let now = self.now();
        let next_in = due.map(|due| Duration::from_millis(u64::try_from(due - now).unwrap_or(0)));
        self.sort_out(slot);
        Settled::Kept(Kept { next_in, ..kept })
    }

    /// After a lease: does what had to wait for its end.
    pub(super) fn sort_out(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get(slot) else { return };
        if entry.removed {
            self.forget(slot);
        } else {
            self.sort_in(slot);
        }
    }

    /// Counts what a poll says of its charm, and of the component that was asked about it. Returns the charm's failed
    /// polls in a row, and what follows. The rule is at [`Health`](crate::health::Health).
    fn count(&mut self, slot: Slot, settlement: &Settlement) -> (u32, Next) {
        let nothing = (0, Next::After(Duration::ZERO));
        let (disable_at, component) = (self.options.failures, settlement.component);
        let (Some(consequence), Some(entry)) = (settlement.consequence, self.slots.get(slot)) else { return nothing };
        let (charm, interval) = (self.slots.charm(entry), self.interval(entry));
        let Some(entry) = self.slots.get_mut(slot) else { return nothing };
        if component.answered {
            entry.failures -= u32::from(std::mem::take(&mut entry.faults));
        }
        let before = entry.failures;
        let jitter = policy::jitter(&charm, before.saturating_add(1));
        let count = Count { failures: before, tries: entry.tries };
        let (Count { failures, tries }, mut next) = policy::decide(consequence, count, interval, disable_at, jitter);
        (entry.failures, entry.tries) = (failures, tries);
        entry.awaits_fix = consequence.awaits_a_fix();
        if matches!(next, Next::Wait(_)) {
            // It is polled again even if the next list does not name it.
            entry.owe();
        }
        let counts_for_component = component.failed && !component.excused;
        let faults = u32::from(entry.faults) + if counts_for_component { failures - before } else { 0 };
        entry.faults = u16::try_from(faults.min(failures)).unwrap_or(u16::MAX);
        // Its last poll started at least this long ago, and was no success.
        let since = policy::delay(interval, before, 1.0);
        let answers_others = component.last_answer.is_some_and(|at| Instant::now() <= at + since);
        let own = entry.own_failures() >= disable_at || (component.failed && answers_others);
        if next == Next::Disable && !own {
            next = Next::After(policy::delay(interval, failures, jitter));
        }
        (failures, next)
    }

    /// When the charm is polled next, if it is. After a success it waits from the start of the poll, or every poll
    /// would shift its times; a success that took longer than the wait is followed at once. Else it waits from the end,
    /// or one that took long would be followed at once as well. Returns how many polls the charm has missed meanwhile.
    fn order_next(&mut self, slot: Slot, settlement: &Settlement, next: Next) -> u64 {
        let (started, now, wall) = (self.ms(settlement.start), self.now(), self.options.clock.now());
        let once = self.options.limit == Limit::Once;
        let Some(entry) = self.slots.get(slot).filter(|entry| !entry.removed) else { return 0 };
        let (interval, long_run) = (self.interval(entry), self.long_run_interval(entry));
        let succeeded = settlement.succeeded();
        // One that was polled before its turn keeps that for the next poll.
        let from = if succeeded { started.max(entry.due) } else { now };
        let mut off_beat = !succeeded && !entry.wanted;
        let mut missed_polls = 0;
        let (phase, due) = match next {
            // Its cause was fixed while it was being polled.
            _ if entry.wanted && settlement.outcome_awaits_a_fix => {
                (Phase::Waiting, self.wakes.allow(slot, now, interval))
            }
            Next::After(wait) => {
                // Its list names it for one poll: an interval of its own that is shorter than the list's only makes all
                // such charms wait together for the next list.
                let wait = if succeeded { wait.max(long_run) } else { wait };
                let wait = if entry.failures == 0 { self.jittered(entry, wait, settlement) } else { wait };
                let due = from.saturating_add(policy::millis(wait));
                missed_polls = missed(Duration::from_millis(u64::try_from(now - due).unwrap_or(0)), wait);
                off_beat |= due < now;
                (Phase::Waiting, due.max(now))
            }
            Next::Wait(wait) => (Phase::Waiting, from.saturating_add(policy::millis(wait))),
            Next::Disable => (Phase::Disabled, now.saturating_add(policy::millis(RETURN_AFTER))),
        };
        let Some(entry) = self.slots.get_mut(slot) else { return missed_polls };
        entry.due = due;
        // One that somebody wanted polled while it was being polled has that poll.
        entry.wanted &= !succeeded;
        if entry.is_active() {
            if next == Next::Disable {
                entry.disabled_at = wall;
            }
            if once {
                self.set_phase(slot, Phase::Idle);
            } else if off_beat && phase == Phase::Waiting {
                self.arm_off_beat(slot, due);
            } else {
                self.arm(slot, phase, due);
            }
        } else {
            self.arm_return(slot);
        }
        self.save_news(slot, settlement);
        missed_polls
    }

    /// Has a charm wait for its return if the loop has disabled it: the runtime's answer may have come while it was
    /// being polled.
    pub(super) fn arm_return(&mut self, slot: Slot) {
        let returns = |entry: &Entry| !entry.disabled_at.is_never() && !entry.removed;
        if self.options.limit != Limit::Once && self.slots.get(slot).is_some_and(returns) {
            self.arm(slot, Phase::Disabled, self.now().saturating_add(policy::millis(RETURN_AFTER)));
        }
    }

    /// A wait that is longer by the jitter that the operator has set.
    fn jittered(&self, entry: &Entry, wait: Duration, settlement: &Settlement) -> Duration {
        let most = self.options.jitter.clamp(0.0, 1.0);
        if most.is_nan() || most == 0.0 {
            return wait;
        }
        wait.mul_f64(1.0 + most * policy::jitter(&(self.slots.charm(entry), settlement.started_at), 0))
    }
}
