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
//! Charms of one integration and interval are a *class*, and each class keeps to 1.2 times its own long-term rate as
//! well. Charms with long intervals still wait when the others are in time again: with one rate for all, these few would
//! get all that is left of it, and would come together again and again. Those whose interval few others have are a class
//! with those that have about the same interval.
//!
//! Those that wait come in the order of their [stamps](super::stamps). So no class is squeezed into a part of its
//! interval, and each charm has its turn within its interval: all charms of a class together need five sixths of one.
//! Polls in time can be so frequent for a while that they leave less to the late ones. Those that have waited for too
//! long, as their stamps say, are *urgent*, and start while all charms are polled at no more than 1.4 times the
//! long-term rate.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use super::slots::{GroupId, Slot};
use super::stamps::{Kind, LONGEST_GAP, PACE, Stamp, Stamps, micros};

/// The rate of all polls up to which urgent ones start.
const URGENT_PACE: f64 = 1.4;
/// The smallest part of the rate of all that is left to a class. A few charms among many need not wait for each other
/// either: however close they come, the others hardly notice.
const SMALLEST_PART: f64 = 0.01;
/// With fewer charms of one interval than this, it does not matter how close they come.
const MANY: u32 = 10;
/// Late polls make up for this part of an interval of polls in time, at most.
const MOST_DEBT: i64 = 20;
/// Turns that were not used in the last moments may be used now: the loop does not look at every moment.
const CREDIT: Duration = Duration::from_millis(50);

/// Charms that keep to a rate of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ClassKey {
    /// Those of one kind, if there are enough of them to disturb others when they come close. Others of about the same
    /// interval would only hide how close they are: the next time, these come at another moment.
    Kind(Kind),
    /// Those of small kinds of one integration whose intervals differ by less than an eighth.
    Band { group: GroupId, band: u64 },
}

impl ClassKey {
    fn band(Kind { group, interval }: Kind) -> Self {
        // The four highest bits of the interval, and how many more it has.
        let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        let more = (u64::BITS - ms.leading_zeros()).saturating_sub(4);
        Self::Band { group, band: u64::from(more) * 16 + (ms >> more) }
    }
}

/// The pace of all charms, and those that wait for their turns. Times are microseconds since the start of the loop.
#[derive(Debug, Default)]
pub(super) struct Paces {
    all: Pace,
    /// The same for those that have waited for too long.
    urgent: Pace,
    classes: BTreeMap<ClassKey, Class>,
    /// The kinds that are classes of their own.
    large: BTreeSet<Kind>,
    /// The reading of the registrations after which charms were counted.
    counted: Option<u32>,
    /// How many charms wait in all classes, or a few that do not any more.
    held: usize,
    stamps: Stamps,
}

/// A rate that late charms keep to.
#[derive(Debug)]
struct Pace {
    /// From one start to the next.
    gap: i64,
    /// From when on the next may start.
    next: i64,
    /// From when on the next may be released. One that was released and finds no place does not start, and still uses
    /// its turn: otherwise the loop would release the others at once, one step after the other.
    release_at: i64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { gap: 1, next: i64::MIN, release_at: i64::MIN }
    }
}

impl Pace {
    fn is_open(&self, now: i64) -> bool {
        self.next <= now
    }

    /// A charm starts. Those that start in time never wait, however many they are. Late ones need not make up for more
    /// than a twentieth of an interval of them: they are to have their turns within an interval.
    fn started(&mut self, interval: i64, now: i64) {
        let most = now.saturating_add(interval / MOST_DEBT).max(self.next);
        self.next = (self.next.max(now - micros(CREDIT)) + self.gap).min(most);
    }

    /// A charm with this interval begins to wait.
    fn held(&mut self, interval: i64, now: i64) {
        self.next = self.next.min(now.saturating_add(interval / MOST_DEBT));
    }

    /// When the next one is released.
    fn next_release(&self) -> i64 {
        self.next.max(self.release_at)
    }

    fn released(&mut self, now: i64) {
        self.release_at = self.next_release().max(now - micros(CREDIT)) + self.gap;
    }
}

#[derive(Debug, Default)]
struct Class {
    pace: Pace,
    /// Charms that wait: the earliest stamp first, then the earliest due. None is taken out before its turn: see
    /// [`Paces::release`].
    held: BinaryHeap<Reverse<Held>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    stamp: i64,
    due: i64,
    slot: Slot,
    urgent_at: i64,
}

impl Paces {
    /// How many charms wait, or a few that do not any more.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// The loop looks for what is due.
    pub(super) fn look(&mut self, now: i64) {
        self.stamps.look(now);
    }

    /// When the next of those that wait is released, if one waits.
    pub(super) fn next_release(&self) -> Option<i64> {
        if self.held == 0 {
            return None;
        }
        self.classes.values().filter_map(|class| self.next_of(class)).min()
    }

    /// When the first of a class is released.
    fn next_of(&self, class: &Class) -> Option<i64> {
        let Reverse(Held { urgent_at, .. }) = class.held.peek()?;
        let of_all = self.all.next_release().min(self.urgent.next_release().max(*urgent_at));
        Some(class.pace.next_release().max(of_all))
    }

    /// A charm starts.
    pub(super) fn started(&mut self, slot: Slot, kind: Kind, now: i64) {
        self.stamps.forget(slot);
        let interval = micros(kind.interval);
        for pace in [&mut self.all, &mut self.urgent] {
            pace.started(interval, now);
        }
        let class = self.class(kind);
        if let Some(class) = self.classes.get_mut(&class) {
            class.pace.started(interval, now);
        }
    }

    fn class(&self, kind: Kind) -> ClassKey {
        if self.large.contains(&kind) { ClassKey::Kind(kind) } else { ClassKey::band(kind) }
    }

    /// Whether a late charm may start; if not, it waits for its turn.
    pub(super) fn admits(&mut self, slot: Slot, due: i64, kind: Kind, now: i64) -> bool {
        let key = self.class(kind);
        let is_open = self.classes.get(&key).is_none_or(|class| class.pace.is_open(now));
        if is_open && self.all.is_open(now) && self.held == 0 {
            return true;
        }
        let Stamp { at: stamp, urgent_at, passed, .. } = self.stamps.stamp(slot, due, kind, now);
        let is_open = is_open && (self.all.is_open(now) || (urgent_at <= now && self.urgent.is_open(now)));
        let held = Held { stamp, due, slot, urgent_at };
        if passed || (is_open && self.first(now).is_none_or(|(_, first)| held <= first)) {
            return true;
        }
        let interval = micros(kind.interval);
        self.held += 1;
        for pace in [&mut self.all, &mut self.urgent] {
            pace.held(interval, now);
        }
        let class = self.classes.entry(key).or_default();
        class.pace.held(interval, now);
        class.held.push(Reverse(held));
        false
    }

    /// The first charm of those that wait and whose class may release one now, and its class.
    fn first(&self, now: i64) -> Option<(ClassKey, Held)> {
        let first = |(key, class): (&ClassKey, &Class)| {
            self.next_of(class).filter(|at| *at <= now)?;
            class.held.peek().map(|Reverse(held)| (*key, *held))
        };
        self.classes.iter().filter_map(first).min_by_key(|(_, held)| *held)
    }

    /// A charm has had its turn, and waits for something else.
    pub(super) fn pass(&mut self, slot: Slot, due: i64) {
        self.stamps.pass(slot, due);
    }

    /// A charm has started, or is no longer registered.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.stamps.forget(slot);
    }

    /// Takes out those whose turn it is. One that another change has moved since (`is_held` tells) uses no turn.
    pub(super) fn release(&mut self, now: i64, is_held: impl Fn(i64, Slot) -> bool) -> Vec<Slot> {
        let mut released = Vec::new();
        while self.held > 0
            && let Some((class, _)) = self.first(now)
            && let Some(class) = self.classes.get_mut(&class)
            && let Some(Reverse(Held { due, slot, .. })) = class.held.pop()
        {
            self.held -= 1;
            if is_held(due, slot) {
                released.push(slot);
                class.pace.released(now);
                for pace in [&mut self.all, &mut self.urgent] {
                    pace.released(now);
                }
            }
        }
        released
    }

    /// Whether charms were counted after this reading of the registrations.
    pub(super) fn are_counted(&self, reading: u32) -> bool {
        self.counted == Some(reading)
    }

    /// Charms were counted: how many of each kind there are.
    pub(super) fn recount(&mut self, counts: &BTreeMap<Kind, u32>, reading: u32) {
        self.counted = Some(reading);
        self.stamps.recount(counts);
        let rate = |(kind, count): (&Kind, &u32)| f64::from(*count) / kind.interval.as_secs_f64();
        let all: f64 = counts.iter().map(rate).sum();
        let is_large = |count: &(&Kind, &u32)| *count.1 >= MANY && rate(*count) >= SMALLEST_PART * all;
        self.large = counts.iter().filter(is_large).map(|(kind, _)| *kind).collect();
        let mut rates: BTreeMap<ClassKey, f64> = BTreeMap::new();
        for count in counts {
            *rates.entry(self.class(*count.0)).or_default() += rate(count);
        }
        self.classes.retain(|class, waiting| rates.contains_key(class) || !waiting.held.is_empty());
        let gap = |pace: f64| Duration::try_from_secs_f64((pace * all).recip()).unwrap_or(LONGEST_GAP).min(LONGEST_GAP);
        for (pace, most) in [(&mut self.all, PACE), (&mut self.urgent, URGENT_PACE)] {
            pace.gap = micros(gap(most)).max(1);
        }
        for (class, rate) in rates {
            let class = self.classes.entry(class).or_default();
            class.pace.gap = micros(gap(PACE).div_f64((rate / all).max(SMALLEST_PART))).max(1);
        }
    }

    /// Charms have other intervals now.
    pub(super) fn are_outdated(&mut self) {
        self.counted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Released at the pace of both, they would come together with the others in one of the next intervals.
    #[test]
    fn charms_of_one_interval_keep_their_own_pace_beside_many_with_about_the_same() {
        let kind = |seconds| Kind { group: 0, interval: Duration::from_secs(seconds) };
        let mut paces = Paces::default();
        paces.recount(&BTreeMap::from([(kind(200), 400), (kind(205), 4_100)]), 1);
        for slot in 0..100 {
            assert_eq!(paces.admits(slot, 0, kind(200), 0), slot == 0, "{slot}");
            if slot == 0 {
                paces.started(slot, kind(200), 0);
            }
        }
        // Two in a second in the long run.
        let releases = (0..60).map(|second| paces.release(second * 1_000_000, |_, _| true).len());
        let most = releases.max().unwrap();
        assert!(most <= 3, "{most} within a second");
    }

    /// As after another stall: those with a long interval come back as closely as they were released.
    #[test]
    fn polls_in_time_leave_late_ones_their_turns_within_an_interval() {
        let kind = |seconds| Kind { group: 0, interval: Duration::from_secs(seconds) };
        let mut paces = Paces::default();
        // Ten in a second, and one.
        paces.recount(&BTreeMap::from([(kind(600), 6_000), (kind(60), 60)]), 1);
        paces.started(100, kind(600), 0);
        for slot in 0..60 {
            assert!(!paces.admits(slot, 0, kind(60), 0));
        }
        let mut late = 0;
        for ms in 0..60_000 {
            let now = ms * 1_000;
            // Thirteen in a second.
            if ms % 77 == 0 {
                paces.started(100, kind(600), now);
            }
            for slot in paces.release(now, |_, _| true) {
                paces.started(slot, kind(60), now);
                late += 1;
            }
        }
        assert_eq!(late, 60);
    }
}
