//! The times of charms, and where they wait for them.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::Engine;
use crate::poll::Turn;
use crate::table::{Entry, GroupId, Phase, Slot};
use crate::{Limit, PollState, UnixMillis, policy};

/// Charms that are registered, or named again, while the loop runs are polled at once; if there are more than this many at a
/// time, the others are spread over the interval as at the start.
const AT_ONCE: usize = 100;

impl Engine {
    /// Gives charms of one group their times, spread over the interval. They must be neither queued nor running.
    pub(super) fn place(&mut self, group: GroupId, mut due: Vec<(i64, Slot)>) {
        let now = self.now();
        if self.options.limit == Limit::Once {
            let backs_off = |slot| self.table.get(slot).is_some_and(|entry| entry.failures > 0);
            let all = due.len();
            due.retain(|(at, slot)| !(self.options.patient && *at > now && backs_off(*slot)));
            for (at, _) in &mut due {
                *at = now;
            }
            if due.len() < all {
                let left = all - due.len();
                info!(target: "poller", "Charms that back off after failures are not polled before their time: {left}");
            }
        } else {
            let active = self.table.iter().filter(|(_, entry)| entry.group == group && entry.is_active()).count();
            policy::smear(&mut due, now, self.groups[group as usize].interval, active);
        }
        for (at, slot) in due {
            self.arm(slot, Phase::Waiting, at);
        }
    }

    /// The same for charms that come one by one: they get their poll at once, unless they are many.
    pub(super) fn place_soon(&mut self, group: GroupId, mut due: Vec<(i64, Slot)>) {
        let now = self.now();
        for (at, slot) in due.drain(..due.len().min(AT_ONCE)) {
            self.arm(slot, Phase::Waiting, at.max(now));
        }
        if !due.is_empty() {
            self.place(group, due);
        }
    }

    /// Gives every charm that waits a new time: after a pause, all at once would be too much for a runtime that is just back.
    pub(super) fn spread_all(&mut self) {
        for group in 0..self.groups.len() {
            let group = GroupId::try_from(group).expect("integrations are few");
            let waiting = |entry: &Entry| entry.group == group && matches!(entry.phase, Phase::Waiting | Phase::Ready);
            let due: Vec<(i64, Slot)> =
                self.table.iter().filter(|(_, entry)| waiting(entry)).map(|(slot, entry)| (entry.due, slot)).collect();
            for (_, slot) in &due {
                self.unqueue(*slot);
            }
            self.place(group, due);
        }
    }

    /// Takes a charm out of the queue, if it is in it.
    pub(super) fn unqueue(&mut self, slot: Slot) {
        let Some(entry) = self.table.get_mut(slot) else { return };
        if entry.phase == Phase::Ready {
            entry.phase = Phase::Idle;
            let lane = entry.lane;
            self.ready.withdraw(lane, slot);
        }
    }

    /// Puts a charm into the wheel.
    pub(super) fn arm(&mut self, slot: Slot, phase: Phase, due: i64) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.phase = phase;
            entry.due = due;
            self.wheel.arm(due, slot);
        }
    }

    pub(super) fn set_phase(&mut self, slot: Slot, phase: Phase) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.phase = phase;
        }
    }

    /// Writes down what is known of a charm. A component's failures are not the charm's: a new start begins without them.
    pub(super) fn save(&mut self, slot: Slot) {
        let Some(entry) = self.table.get(slot) else { return };
        let failures = entry.failures - entry.faults;
        let (charm, disabled_at, updated_at) = (self.table.charm(entry), entry.disabled_at, entry.updated_at);
        self.outbox.save(PollState { charm, next_due: self.wall_time(entry.due), failures, disabled_at, updated_at });
        if let Some(entry) = self.table.get_mut(slot) {
            entry.plain = failures == 0 && disabled_at.is_never();
        }
    }

    /// The same after a poll, unless the registration's last run says as much.
    pub(super) fn save_news(&mut self, slot: Slot, turn: &Turn) {
        let says_nothing = |entry: &Entry| {
            let unharmed = entry.failures == entry.faults && entry.disabled_at.is_never();
            // By a clock that was set back, a poll may be older than the registration.
            entry.plain && unharmed && entry.updated_at <= turn.started_at
        };
        if !(turn.noted && self.runtime.shares_clock() && self.table.get(slot).is_some_and(says_nothing)) {
            self.save(slot);
        }
    }

    /// From the start of one poll of a charm to the start of the next, if it does not fail.
    pub(super) fn interval(&self, entry: &Entry) -> Duration {
        self.options.interval_for(self.table.integration(entry), entry.asks())
    }

    /// Whole milliseconds since the start, for what has come.
    pub(super) fn elapsed(&self) -> i64 {
        policy::millis(self.start.elapsed())
    }

    /// Milliseconds since the start, for what is to come: the next whole one, so that nothing is early.
    pub(super) fn now(&self) -> i64 {
        self.ms(Instant::now())
    }

    pub(super) fn ms(&self, at: Instant) -> i64 {
        policy::millis(at.saturating_duration_since(self.start) + Duration::from_micros(999))
    }

    pub(super) fn wall_time(&self, due: i64) -> UnixMillis {
        UnixMillis(self.options.clock.now().0.saturating_add_signed(due - self.now()))
    }
}
