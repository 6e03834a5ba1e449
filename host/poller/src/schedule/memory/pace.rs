//! How fast late polls start.
//!
//! A charm is usually polled an interval after its last poll, and so charms stay as far from each other as they were
//! once spread. Many things make polls due at the same moment: the process was stopped, its container frozen, the
//! machine suspended; the runtime, a shared upstream or a lock did not answer; all places were taken; a list came late.
//! Polled at once, they would stay together in all intervals that follow. So polls that are late, or due at another
//! time than an interval after the last one, start only while all charms are polled at no more than 1.2 times the
//! long-term rate: the sum of 1/interval, for any mix of intervals. Polls that are in time count towards that rate,
//! and never wait. Where nothing stood still, nothing waits.
//!
//! Those that wait come in the order of stamps, as packets do in fair queueing. Charms of one integration and interval
//! are a class. It gives stamps that are as far apart as its charms are in the long run, so all stamps lie within an
//! interval. In their order, every class is spread as evenly as before, none is squeezed into a part of its interval,
//! and each charm has its turn within its interval.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::MemorySchedule;
use crate::slots::{Entry, GroupId, Phase, Slot};
use crate::{Limit, policy};

/// A poll that starts later than this after it was due is late.
const IN_TIME: Duration = Duration::from_millis(250);
/// The rate of all polls up to which late ones start, as a part of the long-term rate.
const PACE: f64 = 1.2;
/// One poll in this time may always start: few charms with a long interval need not wait for each other that long.
pub(super) const LONGEST_GAP: Duration = Duration::from_secs(1);
/// Turns that were not used in the last moments may be used now: the loop does not look at every moment.
const CREDIT: Duration = Duration::from_millis(50);

/// The charms of one integration that have the same interval.
type ClassKey = (GroupId, Duration);

/// The pace of all charms, and those that wait for their turns. Times are microseconds since the start of the loop.
#[derive(Debug)]
pub(super) struct Paces {
    /// From one start to the next.
    gap: i64,
    /// From when on the next may start.
    next: i64,
    /// From when on the next may be released. One that was released and finds no place does not start, and still uses
    /// its turn: otherwise the loop would release the others at once, one step after the other.
    release_at: i64,
    classes: BTreeMap<ClassKey, Class>,
    /// The reading of the registrations after which charms were counted.
    counted: Option<u32>,
    /// Charms that wait: the earliest stamp first, then the earliest due. None is taken out before its turn: see
    /// [`MemorySchedule::release_held`].
    held: BinaryHeap<Reverse<Held>>,
    /// The stamps of charms that had to wait, and have not started since.
    stamps: HashMap<Slot, Stamp>,
    /// When the loop last looked: charms that it then finds late have lost their times together.
    looked_at: i64,
}

#[derive(Debug, Default)]
struct Class {
    /// From one stamp to the next.
    gap: i64,
    /// How long after a stall the first stamp is: elsewhere in each class, since each may have a single charm.
    offset: i64,
    next_stamp: i64,
}

#[derive(Clone, Copy, Debug)]
struct Stamp {
    /// The due time that it belongs to.
    due: i64,
    at: i64,
    /// Whether the charm has had its turn, and waits for something else.
    passed: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    stamp: i64,
    due: i64,
    slot: Slot,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            gap: 1,
            next: i64::MIN,
            release_at: i64::MIN,
            classes: BTreeMap::new(),
            counted: None,
            held: BinaryHeap::new(),
            stamps: HashMap::new(),
            looked_at: 0,
        }
    }
}

impl Paces {
    /// How many charms wait, or a few that do not any more.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// From when on the next may start, with the turns that were not used lately.
    fn open(&self, now: i64) -> i64 {
        self.next.max(now - micros(CREDIT))
    }

    /// When the next of those that wait is released, if one waits.
    fn next_release(&self) -> Option<i64> {
        (!self.held.is_empty()).then(|| self.next.max(self.release_at))
    }

    /// A charm starts.
    fn started(&mut self, slot: Slot, interval: Duration, now: i64) {
        self.forget(slot);
        // Those that start in time never wait, however many they are. Late ones need not make up for more than an
        // interval of them.
        let most = now.saturating_add(micros(interval)).max(self.next);
        self.next = (self.open(now) + self.gap).min(most);
    }

    /// The position of a late charm among those that wait.
    fn stamp(&mut self, slot: Slot, due: i64, class: ClassKey, now: i64) -> Stamp {
        if let Some(stamp) = self.stamps.get(&slot).filter(|stamp| stamp.due == due) {
            return *stamp;
        }
        let lost_at = self.looked_at.max(now - micros(LONGEST_GAP));
        let entry = self.classes.entry(class).or_default();
        let at = entry.next_stamp.max(lost_at + entry.offset).min(lost_at.saturating_add(micros(class.1)));
        entry.next_stamp = at + entry.gap;
        let stamp = Stamp { due, at, passed: false };
        self.stamps.insert(slot, stamp);
        stamp
    }

    /// Whether a late charm may start; if not, it waits for its turn.
    fn admits(&mut self, slot: Slot, due: i64, class: ClassKey, now: i64) -> bool {
        if self.held.is_empty() && self.next <= now {
            return true;
        }
        let Stamp { at: stamp, passed, .. } = self.stamp(slot, due, class, now);
        let is_first = self.held.peek().is_none_or(|Reverse(first)| (stamp, due) <= (first.stamp, first.due));
        if passed || (is_first && self.next <= now) {
            return true;
        }
        self.held.push(Reverse(Held { stamp, due, slot }));
        self.next = self.next.min(now.saturating_add(micros(class.1)));
        false
    }

    /// A charm has had its turn, and waits for something else.
    pub(super) fn pass(&mut self, slot: Slot, due: i64) {
        self.stamps.insert(slot, Stamp { due, at: i64::MIN, passed: true });
    }

    /// A charm has started, or is no longer registered.
    pub(super) fn forget(&mut self, slot: Slot) {
        if !self.stamps.is_empty() {
            self.stamps.remove(&slot);
        }
    }

    /// Takes out those whose turn it is. One that another change has moved since (`is_held` tells) uses no turn.
    fn release(&mut self, now: i64, is_held: impl Fn(i64, Slot) -> bool) -> Vec<Slot> {
        let mut released = Vec::new();
        let mut next = self.open(now).max(self.release_at);
        while next <= now
            && let Some(Reverse(Held { due, slot, .. })) = self.held.pop()
        {
            if is_held(due, slot) {
                released.push(slot);
                next += self.gap;
                self.release_at = next;
            }
        }
        released
    }

    /// Charms were counted: how many each class has.
    fn recount(&mut self, counts: &BTreeMap<ClassKey, u32>, reading: u32) {
        self.counted = Some(reading);
        self.classes.retain(|class, _| counts.contains_key(class));
        let mut rate = 0.0;
        for (number, (class, count)) in counts.iter().enumerate() {
            rate += f64::from(*count) / class.1.as_secs_f64();
            let (gap, part) = (class.1 / (*count).max(1), policy::part(number));
            let class = self.classes.entry(*class).or_default();
            (class.gap, class.offset) = (micros(gap).max(1), micros(gap.mul_f64(part)));
        }
        let gap = Duration::try_from_secs_f64((PACE * rate).recip()).unwrap_or(LONGEST_GAP);
        self.gap = micros(gap.min(LONGEST_GAP)).max(1);
    }

    /// Charms have other intervals now.
    pub(super) fn are_outdated(&mut self) {
        self.counted = None;
    }
}

impl MemorySchedule {
    /// Whether a charm that is about to be polled, so late, may be. Otherwise it waits for its turn.
    pub(super) fn keeps_pace(&mut self, slot: Slot, late: Duration) -> bool {
        let Some(entry) = self.slots.get(slot) else { return true };
        if !self.is_paced(entry) || !(entry.off_beat || late > IN_TIME) {
            return true;
        }
        let (class, due, now) = (self.class(entry), entry.due, self.now_micros());
        self.count_classes();
        self.paces.admits(slot, due, class, now)
    }

    /// A charm is polled now.
    pub(super) fn pace_started(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get(slot) else { return };
        if self.is_paced(entry) {
            let (interval, now) = (self.class(entry).1, self.now_micros());
            self.paces.started(slot, interval, now);
        } else {
            self.paces.forget(slot);
        }
    }

    /// One that somebody waits for does not wait for others, nor do they for it, however often somebody asks. One that
    /// is polled early has a place that nobody else wants. Neither takes another charm's turn.
    fn is_paced(&self, entry: &Entry) -> bool {
        self.options.limit != Limit::Once && !entry.wanted && entry.due <= self.now()
    }

    /// Queues those held charms whose turn it is. One that is not started then, since its space has no place for it,
    /// waits in the queue, and the next one is released a gap later.
    pub(super) fn release_held(&mut self) {
        let now = self.now_micros();
        self.paces.looked_at = now;
        let slots = &self.slots;
        if self.ready.is_full() || self.paces.next_release().is_none_or(|next| next > now) {
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
        let mut counts = BTreeMap::new();
        for (_, entry) in self.slots.iter().filter(|(_, entry)| entry.is_active()) {
            *counts.entry(self.class(entry)).or_default() += 1;
        }
        self.paces.recount(&counts, self.readings);
    }

    /// Where a component decides, a charm is polled at most once for each of its lists.
    fn class(&self, entry: &Entry) -> ClassKey {
        let group = &self.groups[entry.group as usize];
        let lists = if group.has_component { group.interval } else { Duration::ZERO };
        (entry.group, self.interval(entry).max(lists))
    }

    fn now_micros(&self) -> i64 {
        micros(self.start.elapsed())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
