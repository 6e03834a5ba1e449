//! Registrations: found at the start, and changed while the loop runs.

use std::time::Duration;

use tracing::{info, warn};

use super::forgotten::Known;
use super::slots::{Asked, Beat, GroupId, Phase, Slot};
use super::state::MemorySchedule;
use crate::policy::{self, RETURN_AFTER};
use crate::schedule::in_a_row;
use crate::{CharmRef, Consequence, Limit, OutcomeKind, PollState, Registration, UnixMillis};

/// The log names up to this many integrations without a component: anybody may register a charm under any name.
const MAX_NAMED: usize = 20;

/// For how long the failures and the length of polls of a charm that is unregistered are remembered.
const KNOWN_MS: i64 = 15 * 60_000;

impl MemorySchedule {
    /// Takes over all registrations as they are now.
    pub fn apply(&mut self, registrations: &[Registration]) {
        self.readings += 1;
        let at_start = self.readings == 1;
        let mut added: Vec<Vec<(i64, Slot)>> = vec![Vec::new(); self.groups.len()];
        let mut skipped = 0;
        for registration in registrations {
            if !self.is_wanted(registration) {
                self.stored.remove(&registration.charm);
                skipped += 1;
                continue;
            }
            if let Some((group, due, slot)) = self.take_over(registration) {
                added[group as usize].push((due, slot));
            }
        }
        let gone: Vec<Slot> = self
            .slots
            .iter()
            .filter(|(_, entry)| entry.seen != self.readings && !entry.removed)
            .map(|(slot, _)| slot)
            .collect();
        for slot in gone {
            self.forget(slot);
        }
        for (group, added) in (0..).zip(added) {
            self.place_added(group, added, at_start);
        }
        self.hurry();
        if at_start {
            self.spread_returning();
            self.begin(skipped);
        }
    }

    /// Takes over what has changed since all registrations were taken over.
    pub(super) fn apply_changes(&mut self, changed: &[Registration], removed: &[CharmRef]) {
        self.readings += 1;
        let mut added: Vec<Vec<(i64, Slot)>> = vec![Vec::new(); self.groups.len()];
        for registration in changed {
            if !self.is_wanted(registration) {
                self.forget_charm(&registration.charm);
            } else if let Some((group, due, slot)) = self.take_over(registration) {
                added[group as usize].push((due, slot));
            }
        }
        for charm in removed {
            if self.slots.slot(charm).is_none() {
                // It came and went before the loop heard of it.
                for group in self.groups.iter_mut().filter(|group| group.has_component) {
                    group.gone.note(charm.clone());
                }
            }
            self.forget_charm(charm);
        }
        for (group, added) in (0..).zip(added) {
            self.place_added(group, added, false);
        }
        self.hurry();
    }

    /// A registration that is new, or may have changed; if it is to be polled soon: its group, and when it is due.
    fn take_over(&mut self, registration: &Registration) -> Option<(GroupId, i64, Slot)> {
        match self.slots.slot(&registration.charm) {
            Some(slot) => self.update(slot, registration),
            None => self.add(registration),
        }
    }

    fn forget_charm(&mut self, charm: &CharmRef) {
        if let Some(slot) = self.slots.slot(charm) {
            self.forget(slot);
        }
    }

    /// Whether it is among those that the loop was started for.
    fn is_wanted(&self, registration: &Registration) -> bool {
        let of_it = self.options.integrations.as_ref().is_none_or(|only| only.contains(&registration.integration));
        of_it && self.only.as_ref().is_none_or(|only| only.contains(&registration.charm))
    }

    fn begin(&mut self, skipped: usize) {
        for (charm, _) in self.stored.drain() {
            // Unregistered while the loop did not run.
            self.notes.forget(charm);
        }
        for charm in self.only.iter().flatten().filter(|charm| self.slots.slot(charm).is_none()) {
            warn!(target: "poller", "Charm {charm} is to be polled, but is not registered; to register it: bg-wasm-host register {charm}");
        }
        for charm in self.only.iter().flatten() {
            let entry = self.slots.slot(charm).and_then(|slot| self.slots.get(slot));
            if entry.is_some_and(|entry| !entry.is_active()) {
                warn!(target: "poller", "Charm {charm} is to be polled, but is disabled, so it is not; to enable it: bg-wasm-host enable {charm}");
            }
        }
        let (registrations, enabled) = (self.slots.len(), self.count_active(None, usize::MAX));
        let interval = self.options.interval;
        info!(
            target: "poller", registrations, skipped,
            "Polling {enabled} enabled charms, each every {interval:?}"
        );
    }

    fn place_added(&mut self, group: GroupId, added: Vec<(i64, Slot)>, at_start: bool) {
        if at_start && self.groups[group as usize].has_component {
            // They get their times when the first list is there; their due times are kept for that. Those that are owed
            // a poll wait for none.
            let is_owed = |slot: Slot| self.slots.get(slot).is_some_and(|entry| entry.owed);
            let (owed, others): (Vec<_>, Vec<_>) = added.into_iter().partition(|(_, slot)| is_owed(*slot));
            self.place(group, owed);
            for (due, slot) in others {
                if let Some(entry) = self.slots.get_mut(slot) {
                    entry.phase = Phase::LeftOut;
                    entry.due = due;
                }
            }
            return;
        }
        if at_start {
            self.place(group, added);
        } else {
            self.place_soon(group, added);
        }
    }

    /// A registration not seen before; if it is to be polled: its group, and when it is due.
    fn add(&mut self, registration: &Registration) -> Option<(GroupId, i64, Slot)> {
        let stored = self.stored.remove(&registration.charm);
        let group = self.group_of(registration);
        let slot = self.slots.insert(registration, group, |space| self.ready.join(group, space));
        let stored = stored.or_else(|| self.comes_back(slot, registration));
        let due = self.now();
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.due = due;
            entry.named = self.groups[group as usize].list.begun();
            entry.seen = self.readings;
            // At a start nobody is known: all would wait for each other.
            if self.readings == 1 {
                entry.slow = 0;
            }
            let shares_clock = self.shares_clock;
            // One whose cause may have been fixed is polled at the start, even if the first list does not name it.
            entry.owed = may_be_fixed(stored.as_ref(), registration)
                || stored.as_ref().is_some_and(|stored| is_owed(stored, registration, shares_clock));
            entry.owed_stored = stored.as_ref().is_some_and(|stored| !stored.owed_since.is_never());
            entry.plain = stored.as_ref().is_none_or(|stored| stored.failures == 0 && stored.disabled_at.is_never());
        }
        self.latest_start = self.latest_start.max(registration.last_run);
        if let Some(stored) = &stored {
            let written = &mut self.groups[group as usize].owed_written;
            *written = stored.owed_since.max(*written);
        }
        let by_loop = registration.is_disabled_by_failures();
        let stored_as = stored.as_ref().map_or(UnixMillis::NEVER, |stored| stored.disabled_at);
        // The note may have been lost with the process. Where it is there, it says when the charm failed: the registration may have been marked
        // minutes later, after a restart.
        let is_noted = !stored_as.is_never() && is_known(stored.as_ref(), registration);
        let disabled_at = if by_loop && !is_noted { stored_as.max(registration.disabled_at) } else { stored_as };
        if !disabled_at.is_never() {
            // What an earlier version of this program has written does not say of which change it is.
            let is_before = stored.as_ref().is_some_and(|stored| stored.updated_at.is_never())
                && registration.updated_at <= disabled_at;
            if by_loop || is_before || is_known(stored.as_ref(), registration) {
                self.stay_disabled(slot, disabled_at, registration.is_enabled());
                return None;
            }
            // Somebody has enabled it since, or disabled it by hand.
            self.save(slot);
        }
        if !registration.is_enabled() {
            return None;
        }
        let stored = stored.filter(|stored| disabled_at.is_never() && !is_outdated(stored, registration));
        let due = self.due_at_start(slot, stored, registration);
        let is_early = self.readings > 1 && due <= self.now();
        Some((group, if is_early { self.allow_early(slot) } else { due }, slot))
    }

    /// When a charm may be polled for a change.
    fn allow_early(&mut self, slot: Slot) -> i64 {
        let now = self.now();
        let Some(interval) = self.slots.get(slot).map(|entry| self.interval(entry)) else { return now };
        self.wakes.allow(slot, now, interval)
    }

    fn due_at_start(&mut self, slot: Slot, stored: Option<PollState>, registration: &Registration) -> i64 {
        let now = self.now();
        let last_run = registration.last_run;
        if awaited_fix(registration) {
            self.hurried.push(slot);
        }
        if registration.updated_at > last_run && !is_known(stored.as_ref(), registration) {
            // Registered or enabled since its last poll.
            if let Some(entry) = self.slots.get_mut(slot) {
                entry.wanted = true;
            }
            return now;
        }
        let (may_be_fixed, consequence) = (may_be_fixed(stored.as_ref(), registration), registration.consequence());
        if may_be_fixed || consequence == Some(Consequence::CountsForIntegration) {
            // Its cause may have been fixed since: a grant is added, and another component taken, by a restart.
            if let Some(entry) = self.slots.get_mut(slot) {
                entry.awaits_fix = may_be_fixed;
                // As when it is woken: one that could not be polled early waits for no pace.
                entry.wanted = may_be_fixed;
                entry.failures = stored.map_or(0, |stored| stored.failures);
            }
            return now;
        }
        let stored = stored.map(|stored| (stored.next_due, stored.failures));
        let interval = self.options.interval_for(&registration.integration, registration.interval);
        if let (Some(entry), Some((_, failures))) = (self.slots.get_mut(slot), stored) {
            entry.failures = failures;
        }
        now.saturating_add(policy::first_due(stored, last_run, interval, self.options.clock.now()))
    }

    /// The loop had disabled it before the start.
    fn stay_disabled(&mut self, slot: Slot, disabled_at: UnixMillis, still_marked_enabled: bool) {
        let left = RETURN_AFTER.saturating_sub(self.options.clock.now().since(disabled_at));
        let due = self.now().saturating_add(policy::millis(left));
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.disabled_at = disabled_at;
            entry.failures = self.options.failures;
            entry.due = due;
        }
        if still_marked_enabled {
            let failures = self.options.failures;
            self.ask(slot, Asked::ToDisable, Some(in_a_row(failures, None)));
        }
        if self.options.limit != Limit::Once {
            self.arm(slot, Phase::Disabled, due);
        }
    }

    /// A registration seen before; if it is to be polled soon for a change: its group, and when it is due.
    fn update(&mut self, slot: Slot, registration: &Registration) -> Option<(GroupId, i64, Slot)> {
        let (readings, is_seen) = (self.readings, self.has_seen_fix(registration));
        let before = self.long_run_interval(self.slots.get(slot)?);
        let entry = self.slots.get_mut(slot)?;
        entry.seen = readings;
        let interval_changed = entry.set_asks(registration.interval);
        let moved = self.slots.set_integration(slot, &registration.integration);
        if interval_changed && !moved {
            self.another_interval(slot, before);
        }
        let entry = self.slots.get_mut(slot)?;
        let touched = registration.updated_at > entry.changed_at || entry.removed || moved;
        let woken = registration.woken_at > entry.changed_at && !is_seen;
        entry.removed = false;
        entry.changed_at = entry.changed_at.max(registration.changed_at());
        let was_enabled = std::mem::replace(&mut entry.enabled, registration.is_enabled());
        let by_loop = !entry.disabled_at.is_never();
        let asked = entry.asked;
        if moved {
            self.sort_in(slot);
        }
        match (registration.is_enabled(), by_loop) {
            (true, _) if touched => return self.forgive(slot, false),
            (true, false) if !was_enabled => return self.forgive(slot, false),
            (true, false) if woken => return self.end_wait(slot),
            (false, true) if touched && asked != Asked::ToDisable => self.disabled_by_hand(slot),
            (false, false) if was_enabled => self.disabled_by_hand(slot),
            _ => {}
        }
        None
    }

    /// Whether the charm's last poll started after the change that it was woken for: the loop may hear of that only
    /// now. Where the times are those of another clock, or the clock was set back since, nobody knows.
    fn has_seen_fix(&self, registration: &Registration) -> bool {
        let Registration { last_run, woken_at, .. } = registration;
        self.shares_clock && last_run > woken_at && *last_run <= self.options.clock.now()
    }

    /// A charm that waits for its next poll waits as long from the last one as it would have with its present interval;
    /// `before` is the one until now, [in the long run](Self::long_run_interval). One that failed goes on waiting; the
    /// new interval counts from then on.
    fn another_interval(&mut self, slot: Slot, before: Duration) {
        let (now, Some(entry)) = (self.now(), self.slots.get(slot)) else { return };
        let (phase, interval, pause) = (entry.phase, self.long_run_interval(entry), self.interval(entry));
        let waits = matches!(phase, Phase::Waiting | Phase::Ready | Phase::Held | Phase::LeftOut);
        if interval == before || entry.failures > 0 || !waits {
            return;
        }
        if entry.wanted {
            // Its pause is no longer than an interval.
            let latest = now.saturating_add(policy::millis(pause));
            if phase == Phase::Waiting && entry.due > latest {
                self.arm(slot, phase, latest);
            }
            return;
        }
        let last = entry.due.saturating_sub(policy::millis(before));
        let due = last.saturating_add(policy::millis(interval));
        self.unqueue(slot);
        if phase != Phase::LeftOut && due < now {
            self.arm_off_beat(slot, now);
        } else if phase != Phase::LeftOut {
            self.arm(slot, Phase::Waiting, due);
        } else if let Some(entry) = self.slots.get_mut(slot) {
            entry.due = due.max(now);
        }
    }

    /// The component of an integration was replaced: what the one before did to its charms counts no more, and those
    /// that wait for that are polled soon. `before` is the integration's interval until now.
    pub(super) fn another_component(&mut self, group: GroupId, before: Duration) {
        let now = self.now();
        let slots: Vec<Slot> =
            self.slots.iter().filter(|(_, entry)| entry.group == group).map(|(slot, _)| slot).collect();
        let mut soon = Vec::new();
        for slot in slots {
            let Some(entry) = self.slots.get_mut(slot) else { continue };
            let (phase, asks) = (entry.phase, entry.asks());
            let faults = std::mem::take(&mut entry.faults);
            entry.failures -= u32::from(faults);
            // A pause has left out also those that are owed a poll.
            let is_left_out = phase == Phase::LeftOut && entry.owed;
            if entry.awaits_fix {
                self.hurried.push(slot);
            }
            if is_left_out || (phase == Phase::Waiting && (faults > 0 || entry.awaits_fix)) {
                soon.push((if is_left_out { entry.due } else { now }, slot));
            } else {
                let before =
                    asks.map_or(before, |asks| asks.max(self.options.min_interval.unwrap_or(before)).max(before));
                self.another_interval(slot, before);
            }
        }
        self.place_soon(group, soon);
        self.hurry();
    }

    /// Forgets a charm's failures and polls it soon, at its pace: nobody has asked for it.
    pub(super) fn begin_again(&mut self, slot: Slot, enabled: bool) {
        if let Some((_, due, slot)) = self.forgive(slot, enabled) {
            self.arm_off_beat(slot, due);
        }
    }

    /// Forgets a charm's failures. Its group, and when it is due: as a rule, now. None if it is being polled, or about
    /// to be.
    fn forgive(&mut self, slot: Slot, enabled: bool) -> Option<(GroupId, i64, Slot)> {
        let entry = self.slots.get_mut(slot)?;
        entry.failures = 0;
        entry.faults = 0;
        entry.disabled_at = UnixMillis::NEVER;
        entry.asked = Asked::Nothing;
        entry.enabled |= enabled;
        self.end_wait(slot)
    }

    /// Ends a charm's wait for a change, and keeps its failures: those are its own. Returns as
    /// [`forgive`](Self::forgive) does. Changes that follow each other are limited by [`Wakes`](super::wakes::Wakes).
    fn end_wait(&mut self, slot: Slot) -> Option<(GroupId, i64, Slot)> {
        let (now, entry) = (self.now(), self.slots.get(slot)?);
        let (group, phase, interval) = (entry.group, entry.phase, self.interval(entry));
        // One that is being polled, or about to be, is no sooner polled for this.
        let is_coming = entry.wanted && entry.due <= now && matches!(phase, Phase::Waiting | Phase::Held);
        let is_free = !(is_coming || matches!(phase, Phase::Running | Phase::Ready));
        let before = if phase == Phase::Waiting { entry.due } else { i64::MAX };
        let due = if is_free { self.wakes.allow(slot, now, interval).min(before) } else { entry.due };
        let entry = self.slots.get_mut(slot)?;
        entry.tries = 0;
        let awaited_fix = std::mem::take(&mut entry.awaits_fix);
        (entry.wanted, entry.beat) = (true, Beat::Regular);
        entry.named = self.groups[group as usize].list.begun();
        entry.served = 0;
        if is_free {
            (entry.phase, entry.due) = (Phase::Waiting, due);
        }
        if awaited_fix && due <= now {
            self.hurried.push(slot);
        }
        self.save(slot);
        is_free.then_some((group, due, slot))
    }

    /// Makes a charm due now, with the failures that it has; false if it is not to be polled at all. One that is being
    /// polled, or about to be, is no sooner polled for this.
    pub(super) fn want(&mut self, charm: &CharmRef) -> bool {
        let now = self.now();
        let Some(slot) = self.slots.slot(charm) else { return false };
        let Some(entry) = self.slots.get_mut(slot).filter(|entry| entry.is_active()) else { return false };
        (entry.wanted, entry.beat) = (true, Beat::Regular);
        entry.named = self.groups[entry.group as usize].list.begun();
        entry.served = 0;
        if !matches!(entry.phase, Phase::Running | Phase::Ready) {
            self.arm(slot, Phase::Waiting, now);
        }
        true
    }

    fn disabled_by_hand(&mut self, slot: Slot) {
        self.unqueue(slot);
        let Some(entry) = self.slots.get_mut(slot) else { return };
        entry.disabled_at = UnixMillis::NEVER;
        entry.asked = Asked::Nothing;
        if entry.phase != Phase::Running {
            entry.phase = Phase::Idle;
        }
        self.save(slot);
    }

    /// Moves a charm to the group of its integration, unless it is being polled: then that is done at the end.
    pub(super) fn sort_in(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get(slot) else { return };
        let group = self.group(self.slots.integration(entry));
        if group == entry.group || entry.phase == Phase::Running {
            return;
        }
        self.unqueue(slot);
        self.no_longer_early(slot);
        self.note_gone(slot);
        let Some(entry) = self.slots.get_mut(slot) else { return };
        self.ready.leave(entry.lane);
        entry.lane = self.ready.join(group, entry.space());
        entry.group = group;
        entry.named = self.groups[group as usize].list.begun();
        entry.served = 0;
    }

    /// Takes a charm out of everything, at once or when its poll ends.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.unqueue(slot);
        self.no_longer_early(slot);
        self.outages.forget(slot);
        self.paces.forget(slot);
        let Some(entry) = self.slots.get_mut(slot) else { return };
        if entry.phase == Phase::Running {
            entry.removed = true;
            return;
        }
        self.note_gone(slot);
        self.note_forgotten(slot);
        if let Some((charm, lane)) = self.slots.remove(slot) {
            self.ready.leave(lane);
            self.notes.forget(charm);
        }
    }

    /// A charm leaves its group.
    fn note_gone(&mut self, slot: Slot) {
        if let Some(entry) = self.slots.get(slot)
            && let Some(group) = self.groups.get_mut(entry.group as usize).filter(|group| group.has_component)
        {
            group.gone.note(self.slots.charm(entry));
        }
    }

    /// What is known of a charm that goes, and says something if it comes back.
    fn note_forgotten(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get(slot) else { return };
        let (now, interval, wake) = (self.now(), self.interval(entry), self.wakes.take(slot));
        let of_wake = wake.map_or(i64::MIN, |wake| wake.counts_until(interval));
        let of_rest = if entry.is_slow() || entry.failures > 0 { now.saturating_add(KNOWN_MS) } else { i64::MIN };
        let until = of_wake.max(of_rest);
        if until > now {
            let (failures, next_due) = (entry.own_failures(), self.wall_time(entry.due));
            let (gone_at, updated_at) = (now, entry.changed_at);
            let known = Known { until, wake, gone_at, slow: entry.slow, failures, next_due, updated_at };
            self.forgotten.note(&self.slots.charm(entry), known, now);
        }
    }

    /// A charm is registered while the loop runs. What is known of it if it was registered before, and a state of it if
    /// that is of this registration.
    fn comes_back(&mut self, slot: Slot, registration: &Registration) -> Option<PollState> {
        let now = self.now();
        let known = self.forgotten.take(&registration.charm, now)?;
        if let Some(wake) = known.wake {
            self.wakes.put_back(slot, wake, known.gone_at, now);
        }
        self.slots.get_mut(slot)?.slow = known.slow;
        let Known { failures, next_due, updated_at, .. } = known;
        let (disabled_at, owed_since) = (UnixMillis::NEVER, UnixMillis::NEVER);
        let charm = registration.charm.clone();
        (failures > 0).then_some(PollState { charm, next_due, failures, disabled_at, updated_at, owed_since })
    }

    fn group_of(&mut self, registration: &Registration) -> GroupId {
        let integration = &registration.integration;
        if let Some(group) = self.group_ids.get(integration) {
            return *group;
        }
        if self.groups.len() > 1
            && self.without_component.len() < MAX_NAMED
            && self.without_component.insert(integration.clone())
        {
            info!(target: "poller", "There is no component for the integration {integration}; its charms are polled without one");
        }
        0
    }
}

/// Whether what a charm's last poll lacked may be there by now. That it was woken is no news if that was remembered:
/// the clock may have been set back, so that every poll seems to be older.
fn may_be_fixed(stored: Option<&PollState>, registration: &Registration) -> bool {
    let Registration { woken_at, last_run, .. } = registration;
    let woken = woken_at > last_run && stored.is_none_or(|stored| stored.updated_at < *woken_at);
    woken || awaited_fix(registration)
}

/// Whether the cause of its last outcome is elsewhere, and may be fixed there. Also if the registration has changed
/// since: that may have been the fix. By a clock that was set back, every change is later than the last poll.
fn awaited_fix(registration: &Registration) -> bool {
    let last = registration.last_outcome.map(|kind| Consequence::of(kind, registration.last_blame));
    registration.is_enabled() && last.is_some_and(Consequence::awaits_a_fix)
}

/// Whether what was remembered of a charm is from after the last time that somebody registered, enabled or disabled it.
/// That it was woken since does not count: all changes of a registration have times that rise.
fn is_known(stored: Option<&PollState>, registration: &Registration) -> bool {
    let Registration { updated_at, woken_at, .. } = registration;
    stored.is_some_and(|stored| {
        stored.updated_at == *updated_at || (stored.updated_at > *updated_at && stored.updated_at <= *woken_at)
    })
}

/// Whether it was owed a poll, and has had none since that succeeded. What a runtime with its own clock has noted
/// cannot be compared; there the loop writes itself that a poll has settled it.
fn is_owed(stored: &PollState, registration: &Registration, shares_clock: bool) -> bool {
    let has_succeeded = registration.last_outcome == Some(OutcomeKind::Success);
    let settled = shares_clock && has_succeeded && registration.last_run >= stored.owed_since;
    !stored.owed_since.is_never() && !settled
}

/// Whether what came after it was not written before the process ended, so that its failures count no more: the
/// registration has changed, or its newest run, which the runtime noted, was a success. A state that was written by an
/// earlier version of this program does not say of which change it is.
fn is_outdated(stored: &PollState, registration: &Registration) -> bool {
    let is_older = !stored.updated_at.is_never() && !is_known(Some(stored), registration);
    is_older || (stored.failures > 0 && registration.last_outcome == Some(OutcomeKind::Success))
}
