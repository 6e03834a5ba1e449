//! The times of charms, and where they wait for them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::slots::{Beat, Entry, GroupId, Phase, Slot};
use super::stamps::{LONGEST_GAP, PACE};
use super::state::MemorySchedule;
use crate::schedule::Settlement;
use crate::{Limit, PollState, UnixMillis, policy};

/// Charms that are registered, or named again, while the loop runs are polled at once; if there are more than this many
/// at a time, the others are spread over the interval as at the start.
const AT_ONCE: usize = 100;
/// The latest time that can be kept.
const LATEST: u64 = i64::MAX.unsigned_abs();

impl MemorySchedule {
    /// Gives charms of one group their times, spread over the interval. They must be neither queued nor running.
    pub(super) fn place(&mut self, group: GroupId, due: Vec<(i64, Slot)>) {
        let mut active: HashMap<Duration, usize> = HashMap::new();
        for (_, entry) in self.slots.iter().filter(|(_, entry)| entry.group == group && entry.is_active()) {
            *active.entry(self.window(entry)).or_default() += 1;
        }
        self.spread(due, &active);
    }

    /// Gives charms their times: those of one interval are spread over it, as densely as if there were `of` of that
    /// interval. One that the loop has disabled stays so until then; all others wait for a poll.
    pub(super) fn spread(&mut self, mut due: Vec<(i64, Slot)>, of: &HashMap<Duration, usize>) {
        let (now, once) = (self.now(), self.options.limit == Limit::Once);
        if once && self.options.patient {
            self.leave_out_what_backs_off(&mut due, now);
        }
        let mut classes: BTreeMap<Duration, Vec<(i64, Slot)>> = BTreeMap::new();
        for (at, slot) in due {
            let Some(entry) = self.slots.get(slot) else { continue };
            classes.entry(self.window(entry)).or_default().push((at, slot));
        }
        // Charms with their own intervals would all be first in their classes: the first of each comes at another
        // part of its window. Where that makes for less than one poll in a second, they need not wait that long.
        let in_all =
            |window: &Duration, class: &Vec<_>| of.get(window).copied().unwrap_or_default().max(class.len()).max(1);
        let in_a_second = |(window, class): (&Duration, &Vec<_>)| {
            f64::from(u32::try_from(in_all(window, class)).unwrap_or(u32::MAX)) / window.as_secs_f64()
        };
        let rate: f64 = classes.iter().map(in_a_second).sum();
        let density = (rate * LONGEST_GAP.as_secs_f64()).min(1.0);
        // Those whose last polls were made together keep the pace of all that is late.
        let of_all: f64 = self.active_intervals().map(|interval| interval.as_secs_f64().recip()).sum();
        let closest = (of_all * LONGEST_GAP.as_secs_f64()).min(PACE.recip());
        for (number, (window, mut class)) in classes.into_iter().enumerate() {
            if once {
                for (at, _) in &mut class {
                    *at = now;
                }
            } else {
                let count = in_all(&window, &class);
                let gap = window / u32::try_from(count).unwrap_or(u32::MAX);
                let first = gap.mul_f64(density * policy::part(number));
                policy::smear(&mut class, now, window, count, first, gap.mul_f64(closest));
            }
            for (at, slot) in class {
                let is_disabled = self.slots.get(slot).is_some_and(|entry| entry.phase == Phase::Disabled);
                self.arm(slot, if is_disabled { Phase::Disabled } else { Phase::Waiting }, at);
                if let Some(entry) = self.slots.get_mut(slot) {
                    entry.beat = Beat::Spread;
                }
            }
        }
    }

    fn active_intervals(&self) -> impl Iterator<Item = Duration> {
        self.slots.iter().filter(|(_, entry)| entry.is_active()).map(|(_, entry)| self.long_run_interval(entry))
    }

    /// At the start: charms whose time to be enabled again passed while the loop did not run.
    pub(super) fn spread_returning(&mut self) {
        let now = self.now();
        let returns = |entry: &Entry| entry.phase == Phase::Disabled && entry.due <= now;
        let due =
            self.slots.iter().filter(|(_, entry)| returns(entry)).map(|(slot, entry)| (entry.due, slot)).collect();
        self.spread(due, &HashMap::new());
    }

    /// With `--once`, and `patient`: charms that failed wait for their time.
    fn leave_out_what_backs_off(&self, due: &mut Vec<(i64, Slot)>, now: i64) {
        let backs_off = |slot| self.slots.get(slot).is_some_and(|entry| entry.failures > 0);
        let all = due.len();
        due.retain(|(at, slot)| *at <= now || !backs_off(*slot));
        let left = all - due.len();
        if left > 0 {
            info!(target: "poller", "Charms that back off after failures are not polled before their time: {left}");
        }
    }

    /// Over how much time charms like this one are spread: its interval. One that somebody has just registered or
    /// enabled waits no longer for its first poll than others of its integration.
    fn window(&self, entry: &Entry) -> Duration {
        let interval = self.long_run_interval(entry);
        if entry.wanted { interval.min(self.groups[entry.group as usize].interval) } else { interval }
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

    /// Takes a charm out of the queue, if it is in it.
    pub(super) fn unqueue(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        match entry.phase {
            Phase::Ready => {
                entry.phase = Phase::Idle;
                let lane = entry.lane;
                self.ready.withdraw(lane, slot);
            }
            Phase::Held => entry.phase = Phase::Idle,
            Phase::Idle | Phase::Waiting | Phase::Running | Phase::LeftOut | Phase::Disabled => {}
        }
    }

    /// Has a charm wait for a time.
    pub(super) fn arm(&mut self, slot: Slot, phase: Phase, due: i64) {
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.phase = phase;
            entry.due = due;
            entry.beat = Beat::Regular;
            self.due.arm(due, slot);
        }
    }

    pub(super) fn set_phase(&mut self, slot: Slot, phase: Phase) {
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.phase = phase;
        }
    }

    /// Writes down what is known of a charm. A component's failures are not the charm's: a new start begins without
    /// them.
    pub(super) fn save(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get(slot) else { return };
        let failures = entry.own_failures();
        let (charm, disabled_at, updated_at) = (self.slots.charm(entry), entry.disabled_at, entry.changed_at);
        // A success that begins later settles it, by the clock that noted the newest poll; one that is under way does
        // not.
        let earliest = self.options.clock.now().0 + u64::from(entry.phase == Phase::Running);
        let owed_since = if entry.owed {
            UnixMillis(earliest.max(self.latest_start.0.saturating_add(1)).min(LATEST))
        } else {
            UnixMillis::NEVER
        };
        let next_due = self.wall_time(entry.due);
        self.notes.save(PollState { charm, next_due, failures, disabled_at, updated_at, owed_since });
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.plain = failures == 0 && disabled_at.is_never();
            entry.owed_stored = entry.owed;
            let written = &mut self.groups[entry.group as usize].owed_written;
            *written = owed_since.max(*written);
        }
    }

    /// The same after a poll, unless the registration's last run says as much.
    pub(super) fn save_news(&mut self, slot: Slot, settlement: &Settlement) {
        let says_nothing = |entry: &Entry| {
            let unharmed = entry.own_failures() == 0 && entry.disabled_at.is_never();
            // That it is owed a poll is settled by one that began since it was written.
            let settled = !entry.owed && settlement.started_at >= self.groups[entry.group as usize].owed_written;
            // By a clock that was set back, a poll may be older than the registration.
            entry.plain && unharmed && entry.changed_at <= settlement.started_at && (settled || !entry.owed_stored)
        };
        if !(settlement.noted && self.shares_clock && self.slots.get(slot).is_some_and(says_nothing)) {
            self.save(slot);
        }
    }

    /// A poll has ended, with a success or not.
    pub(super) fn note_owed(&mut self, slot: Slot, settlement: &Settlement) {
        self.latest_start = self.latest_start.max(settlement.started_at);
        if let Some(entry) = self.slots.get_mut(slot).filter(|_| settlement.succeeded()) {
            entry.settle_owed();
        }
    }

    /// From the start of one poll of a charm to the start of the next, if it does not fail.
    pub(super) fn interval(&self, entry: &Entry) -> Duration {
        self.options.interval_for(self.slots.integration(entry), entry.asks())
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
