//! In which order those come that have lost their times.
//!
//! As packets do in fair queueing, each gets a stamp. Charms of one integration and interval are a *kind*. It gives
//! turns that are as far apart as its charms are at the pace of late polls, so all turns lie within an interval. In the
//! order of the stamps, every kind is spread as evenly as before, and those with short intervals do not wait for those
//! that have more time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::slots::{GroupId, Slot};
use crate::policy;

/// The rate of all polls, or of a class, up to which late ones start, as a part of the long-term rate.
pub(super) const PACE: f64 = 1.2;
/// One poll in this time may always start: few charms with a long interval need not wait for each other that long.
pub(super) const LONGEST_GAP: Duration = Duration::from_secs(1);

/// The stamps of a kind lie this part of its interval later than its turns: of charms that wait, those with shorter
/// intervals come first. They have less time.
const TIME_LEFT: i64 = 2;
/// A charm that has waited longer than at the pace of its kind alone, by this part of its interval, is urgent.
const PATIENCE: i64 = 16;

/// The charms of one integration that have the same interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) group: GroupId,
    pub(super) interval: Duration,
}

/// The stamps of charms that had to wait, and have not started since. Times are microseconds since the start of the
/// loop.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    by_slot: HashMap<Slot, Stamp>,
    kinds: BTreeMap<Kind, Series>,
    /// When the loop last looked: charms that it then finds late have lost their times together.
    looked_at: i64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// The due time that it belongs to.
    due: i64,
    pub(super) at: i64,
    /// From when on it is urgent.
    pub(super) urgent_at: i64,
    /// Whether the charm has had its turn, and waits for something else.
    pub(super) passed: bool,
}

/// The stamps of one kind.
#[derive(Debug, Default)]
struct Series {
    /// From one turn to the next.
    gap: i64,
    /// How long after a stall the first one is: elsewhere in each kind, since each may have a single charm.
    offset: i64,
    next: i64,
}

impl Stamps {
    /// The loop looks for what is due.
    pub(super) fn look(&mut self, now: i64) {
        self.looked_at = now;
    }

    /// The stamp of a late charm.
    pub(super) fn stamp(&mut self, slot: Slot, due: i64, kind: Kind, now: i64) -> Stamp {
        if let Some(stamp) = self.by_slot.get(&slot).filter(|stamp| stamp.due == due) {
            return *stamp;
        }
        let lost_at = self.looked_at.max(now - micros(LONGEST_GAP));
        let (series, interval) = (self.kinds.entry(kind).or_default(), micros(kind.interval));
        let turn = series.next.max(lost_at + series.offset).min(lost_at.saturating_add(interval));
        series.next = turn + series.gap;
        let [at, urgent_at] = [TIME_LEFT, PATIENCE].map(|part| turn.saturating_add(interval / part));
        let stamp = Stamp { due, at, urgent_at, passed: false };
        self.by_slot.insert(slot, stamp);
        stamp
    }

    /// A charm has had its turn, and waits for something else.
    pub(super) fn pass(&mut self, slot: Slot, due: i64) {
        self.by_slot.insert(slot, Stamp { due, at: i64::MIN, urgent_at: i64::MIN, passed: true });
    }

    /// A charm has started, or is no longer registered.
    pub(super) fn forget(&mut self, slot: Slot) {
        if !self.by_slot.is_empty() {
            self.by_slot.remove(&slot);
        }
    }

    /// Charms were counted: how many of each kind there are.
    pub(super) fn recount(&mut self, counts: &BTreeMap<Kind, u32>) {
        self.kinds.retain(|kind, _| counts.contains_key(kind));
        for (number, (kind, count)) in counts.iter().enumerate() {
            let gap = (kind.interval / (*count).max(1)).div_f64(PACE);
            let part = policy::part(number);
            let series = self.kinds.entry(*kind).or_default();
            (series.gap, series.offset) = (micros(gap).max(1), micros(gap.mul_f64(part)));
        }
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
