//! Which polls are late, and wait for their turns by the [paces](super::paces).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::slots::{Beat, Entry, Phase, Slot};
use super::stamps::{Kind, micros};
use super::state::MemorySchedule;
use crate::Limit;

/// A poll that starts later than this after it was due is late.
const IN_TIME: Duration = Duration::from_millis(250);

impl MemorySchedule {
    /// Whether a charm that is about to be polled, so late, may be. Otherwise it waits for its turn.
    pub(super) fn keeps_pace(&mut self, slot: Slot, late: Duration) -> bool {
        let Some(entry) = self.slots.get(slot) else { return true };
        if !self.is_paced(entry) || !(entry.beat == Beat::Off || late > IN_TIME) {
            return true;
        }
        let (kind, due, now) = (self.kind(entry), entry.due, self.now_micros());
        self.count_kinds();
        self.paces.admits(slot, due, kind, now)
    }

    /// A charm is polled now.
    pub(super) fn pace_started(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get(slot) else { return };
        if self.is_paced(entry) {
            let (kind, now) = (self.kind(entry), self.now_micros());
            self.paces.started(slot, kind, now);
        } else {
            self.paces.forget(slot);
        }
    }

    /// A charm that somebody waits for does not wait for others, nor do they for it, however often somebody asks; unless
    /// it was spread together with many others. One that is polled early has a place that nobody else wants. Neither
    /// takes another charm's turn.
    fn is_paced(&self, entry: &Entry) -> bool {
        self.options.limit != Limit::Once && (!entry.wanted || entry.beat == Beat::Spread) && entry.due <= self.now()
    }

    /// Queues those held charms whose turn it is. One that is not started then, since its space has no place for it,
    /// waits in the queue, and the next one is released a gap later.
    pub(super) fn release_held(&mut self) {
        let now = self.now_micros();
        self.paces.look(now);
        let slots = &self.slots;
        if self.ready.is_full() {
            return;
        }
        let is_held =
            |due: i64, slot: Slot| slots.get(slot).is_some_and(|entry| entry.phase == Phase::Held && entry.due == due);
        for slot in self.paces.release(now, is_held) {
            let Some(lane) = self.slots.get(slot).map(|entry| entry.lane) else { continue };
            self.set_phase(slot, Phase::Ready);
            self.ready.push(lane, slot);
        }
    }

    /// When a held charm's turn comes, if one is held and there are places.
    pub(super) fn next_held(&self) -> Option<Instant> {
        let next = self.paces.next_release().filter(|_| !self.ready.is_full())?;
        Some(self.start + Duration::from_micros(next.max(0).unsigned_abs()))
    }

    /// Gives a charm that waits a time that is not an interval after its last poll.
    pub(super) fn arm_off_beat(&mut self, slot: Slot, due: i64) {
        self.arm(slot, Phase::Waiting, due);
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.beat = Beat::Off;
        }
    }

    /// Gives charms whose polls had to wait their times: now, those that have waited longest first.
    pub(super) fn place_off_beat(&mut self, mut due: Vec<(i64, Slot)>) {
        let now = self.now();
        due.sort_unstable();
        for (at, slot) in due {
            self.arm_off_beat(slot, at.max(now));
        }
    }

    fn count_kinds(&mut self) {
        if self.paces.are_counted(self.readings) {
            return;
        }
        let mut counts = BTreeMap::new();
        for (_, entry) in self.slots.iter().filter(|(_, entry)| entry.is_active()) {
            *counts.entry(self.kind(entry)).or_default() += 1;
        }
        self.paces.recount(&counts, self.readings);
    }

    fn kind(&self, entry: &Entry) -> Kind {
        Kind { group: entry.group, interval: self.long_run_interval(entry) }
    }

    /// Where a component decides, a charm is polled at most once for each of its lists.
    pub(super) fn long_run_interval(&self, entry: &Entry) -> Duration {
        let group = &self.groups[entry.group as usize];
        let lists = if group.has_component { group.interval } else { Duration::ZERO };
        self.interval(entry).max(lists)
    }

    fn now_micros(&self) -> i64 {
        micros(self.start.elapsed())
    }
}
