//! How fast those polls start that have lost their time.
//!
//! A charm is usually polled an interval after its last poll, and so charms stay as far from each other as they were once spread. Whatever
//! keeps polls from that (the process was stopped, its container frozen, the machine suspended; the runtime, a shared upstream or a lock did
//! not answer; all places were taken; a list came late) makes many due at the same moment. Polled at once, they would stay together in all
//! intervals that follow. So what is late, or due at another time than an interval after its last poll, starts a little faster than charms
//! like it do in the long run, and no faster; the one that has waited longest comes first. Nobody needs to notice that something stood
//! still, and where nothing did, nothing waits for this.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::Limit;
use crate::table::{Entry, GroupId, Phase, Slot};

/// What starts later than this after it was due has lost its time.
const IN_TIME: Duration = Duration::from_millis(250);
/// A tenth more than in the long run start at most, …
const TENTHS: u32 = 11;
/// … but one in this time may: few charms with a long interval need not wait for each other that long.
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// What was not used of the last moments may be used now: the loop does not look at every moment.
const CREDIT: Duration = Duration::from_millis(50);

/// Charms are like each other if they are of one group and have the same interval.
type Class = (GroupId, Duration);

/// The paces of all charms, and the charms that wait for theirs.
#[derive(Debug, Default)]
pub(super) struct Paces {
    classes: BTreeMap<Class, Pace>,
    /// The reading of the registrations that charms were counted after.
    counted: Option<u32>,
    /// How many charms were held so far, and how many are still here.
    count: u64,
    held: usize,
}

/// The pace of one class. Times are microseconds since the start of the loop.
#[derive(Debug)]
struct Pace {
    /// From one start to the next.
    gap: i64,
    /// From when on the next may start.
    next: i64,
    /// Charms that wait, and since when they do. Nothing is ever taken out before its turn: see [`Engine::release_held`].
    held: BinaryHeap<Reverse<(i64, u64, Slot)>>,
}

impl Pace {
    fn new(gap: i64) -> Self {
        Self { gap, next: i64::MIN, held: BinaryHeap::new() }
    }

    /// From one start to the next of so many charms.
    fn gap(charms: usize, interval: Duration) -> i64 {
        let charms = u32::try_from(charms).unwrap_or(u32::MAX).max(1);
        micros((interval / charms * 10 / TENTHS).min(LONGEST_GAP)).max(1)
    }

    /// From when on the next may start, with what was not used lately.
    fn open(&self, now: i64) -> i64 {
        self.next.max(now - micros(CREDIT))
    }

    fn started(&mut self, now: i64, interval: Duration) {
        // Those that start in time are not held up, however many: they need not be made up for longer than an interval.
        self.next = (self.open(now) + self.gap).min(now.saturating_add(micros(interval)));
    }
}

impl Paces {
    /// How many charms wait, or a few that do not any more.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// When the next of them may start, if there is one.
    fn next(&self) -> Option<i64> {
        if self.held == 0 {
            return None;
        }
        self.classes.values().filter(|pace| !pace.held.is_empty()).map(|pace| pace.next).min()
    }

    /// A charm of this class starts.
    fn started(&mut self, class: Class, now: i64) {
        if let Some(pace) = self.classes.get_mut(&class) {
            pace.started(now, class.1);
        }
    }

    /// Whether a charm of this class that has lost its time may start.
    fn admits(&self, class: Class, now: i64) -> bool {
        self.classes.get(&class).is_none_or(|pace| pace.next <= now)
    }

    fn hold(&mut self, class: Class, since: i64, slot: Slot) {
        if let Some(pace) = self.classes.get_mut(&class) {
            self.count += 1;
            self.held += 1;
            pace.held.push(Reverse((since, self.count, slot)));
        }
    }

    /// Takes out those whose turn it is: since when each waits.
    fn release(&mut self, now: i64) -> Vec<(i64, Slot)> {
        let mut released = Vec::new();
        for pace in self.classes.values_mut() {
            let mut next = pace.open(now);
            while next <= now
                && let Some(Reverse((since, _, slot))) = pace.held.pop()
            {
                released.push((since, slot));
                next += pace.gap;
            }
        }
        self.held -= released.len();
        released
    }

    fn recount(&mut self, charms: &BTreeMap<Class, usize>, reading: u32) {
        self.counted = Some(reading);
        self.classes.retain(|class, pace| charms.contains_key(class) || !pace.held.is_empty());
        for (class, charms) in charms {
            let gap = Pace::gap(*charms, class.1);
            self.classes.entry(*class).or_insert_with(|| Pace::new(gap)).gap = gap;
        }
    }

    /// Charms have other intervals now.
    pub(super) fn are_outdated(&mut self) {
        self.counted = None;
    }
}

impl Engine {
    /// A charm is about to be polled, so late: whether it is. Otherwise it waits for its turn among those that have lost their times.
    pub(super) fn keeps_pace(&mut self, slot: Slot, late: Duration) -> bool {
        let Some(entry) = self.table.get(slot).filter(|_| self.options.limit != Limit::Once) else { return true };
        // One that somebody waits for does not wait for others.
        let waits = entry.off_beat || (late > IN_TIME && !entry.wanted);
        if !waits && self.paces.classes.is_empty() {
            return true;
        }
        if entry.due > self.now() {
            // Polled early, in a place that nobody else wants: it takes no other charm's turn.
            return true;
        }
        let (class, due, now) = (self.class(entry), entry.due, self.now_micros());
        if waits {
            self.count_classes();
            if !self.paces.admits(class, now) {
                self.paces.hold(class, due, slot);
                return false;
            }
        }
        self.paces.started(class, now);
        true
    }

    /// Queues those held charms whose turn it is. One that is not started then, since its space has no place for it, leaves its turn to
    /// others.
    pub(super) fn release_held(&mut self) {
        if self.ready.is_full() || self.paces.next().is_none_or(|next| next > self.now_micros()) {
            return;
        }
        for (since, slot) in self.paces.release(self.now_micros()) {
            let is_held = |entry: &&Entry| entry.phase == Phase::Held && entry.due == since;
            // Another change has put it elsewhere, or it is gone.
            let Some(lane) = self.table.get(slot).filter(is_held).map(|entry| entry.lane) else { continue };
            self.set_phase(slot, Phase::Ready);
            self.ready.push(lane, slot);
        }
    }

    /// When a held charm's turn comes, if one is held and there are places.
    pub(super) fn next_held(&self) -> Option<Instant> {
        let next = self.paces.next().filter(|_| !self.ready.is_full())?;
        Some(self.start + Duration::from_micros(next.max(0).unsigned_abs()))
    }

    /// Gives a charm that waits a time that is not an interval after its last poll.
    pub(super) fn arm_off_beat(&mut self, slot: Slot, due: i64) {
        self.arm(slot, Phase::Waiting, due);
        if let Some(entry) = self.table.get_mut(slot) {
            entry.off_beat = true;
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

    fn count_classes(&mut self) {
        if self.paces.counted == Some(self.readings) {
            return;
        }
        let mut charms = BTreeMap::new();
        for (_, entry) in self.table.iter().filter(|(_, entry)| entry.is_active()) {
            *charms.entry(self.class(entry)).or_default() += 1;
        }
        self.paces.recount(&charms, self.readings);
    }

    /// Where a component decides, a charm is polled once for a list at most.
    fn class(&self, entry: &Entry) -> Class {
        let group = &self.groups[entry.group as usize];
        let lists = group.component.as_ref().map_or(Duration::ZERO, |_| group.interval);
        (entry.group, self.interval(entry).max(lists))
    }

    fn now_micros(&self) -> i64 {
        micros(self.start.elapsed())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
