//! Charms whose polls take long, and new ones of which that is not known yet, leave places to those that are quick.

use std::time::Duration;

use tokio::time::Instant;

use super::slots::{Entry, GroupId, Phase, Slot, UNTIMED};
use super::state::{Group, MemorySchedule};
use crate::Limit;

/// A charm is slow if a poll of it took longer than this, until it has had quick ones again: this many for each such
/// time that the poll took. So a charm that is not slow takes a quarter of this time for a poll at most, on average,
/// however its long polls are timed.
const SLOW: Duration = Duration::from_secs(10);
const QUICK_AGAIN: u64 = 4;

/// After how many quick polls a charm is no longer slow, if it was so much before, and has had a poll of this length.
fn quick_in(before: u8, took: Duration) -> u8 {
    if took <= SLOW {
        return before.saturating_sub(1);
    }
    let polls = u64::try_from(took.as_millis() / SLOW.as_millis()).unwrap_or(u64::MAX).saturating_mul(QUICK_AGAIN);
    before.max(u8::try_from(polls).unwrap_or(u8::MAX).min(UNTIMED - 1))
}

/// How many slow charms are polled at once where quick ones are polled as well: three quarters of all places.
fn slow_places(of: usize) -> usize {
    of.saturating_sub((of / 4).max(1)).max(1)
}

/// The same with those of integrations that would have none polled otherwise: they may take half of the places that are
/// left to quick ones.
fn all_slow_places(of: usize) -> usize {
    let slow = slow_places(of);
    slow + (of - slow.min(of)) / 2
}

/// The same with charms that are new. Where only one place is left to quick ones, they may take that: somebody waits for
/// them.
fn places_with_new(of: usize) -> usize {
    if of - slow_places(of).min(of) > 1 { all_slow_places(of) } else { of }
}

impl MemorySchedule {
    /// A charm is about to be polled: whether it is. A slow one, or one that may be slow, waits for another such one to
    /// end if quick ones would find no place otherwise.
    pub(super) fn leaves_places(&mut self, slot: Slot) -> bool {
        let Some(entry) = self.slots.get(slot).filter(|entry| entry.leaves_places()) else { return true };
        let (id, due, max, is_slow) = (entry.group, entry.due, self.options.max_concurrent, entry.is_slow());
        let window = self.interval(entry);
        let no_quick = self.quick_at.is_none_or(|at| at.elapsed() > window);
        if self.options.limit == Limit::Once || no_quick {
            return true;
        }
        let all: usize = self.groups.iter().map(|group| group.slow.running).sum();
        let group = &self.groups[id as usize].slow;
        let places = if is_slow { slow_places } else { places_with_new };
        let has_room = group.running < places(self.options.per_integration.min(max));
        // An integration that has none polled comes before others.
        let limit = if group.running == 0 { places(max).max(all_slow_places(max)) } else { places(max) };
        if has_room && all < limit {
            return true;
        }
        self.groups[id as usize].slow.aside.insert((due, slot));
        self.paces.pass(slot, due);
        false
    }

    pub(super) fn slow_started(&mut self, slot: Slot) {
        if let Some(entry) = self.slots.get(slot).filter(|entry| entry.leaves_places()) {
            self.groups[entry.group as usize].slow.running += 1;
        }
    }

    /// A poll has ended after this time; none if that is not known: then the charm is as slow as before. It stays in its
    /// group while it is polled.
    pub(super) fn slow_ended(&mut self, slot: Slot, took: Option<Duration>) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        let (group, had_place) = (entry.group, entry.leaves_places());
        if let Some(took) = took {
            let before = if entry.is_slow() { entry.slow } else { 0 };
            entry.slow = quick_in(before, took);
        }
        if took.is_some() && !entry.is_slow() {
            self.quick_at = Some(Instant::now());
        }
        if !had_place {
            return;
        }
        self.groups[group as usize].slow.running -= 1;
        let is_last = self.groups.iter().all(|group| group.slow.running == 0);
        // The integration whose charm waits longest comes first.
        let first = |(id, group): (GroupId, &Group)| Some((group.slow.aside.first()?.0, id));
        let mut waiting: Vec<(i64, GroupId)> = (0..).zip(&self.groups).filter_map(first).collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            // The one that is taken out may not be polled after all; after the last poll nothing would take out
            // another.
            while self.release_aside(id) && is_last {}
        }
    }

    /// Queues the slow charm of a group that waits longest. Whether there was one.
    fn release_aside(&mut self, id: GroupId) -> bool {
        while let Some((since, slot)) = self.groups[id as usize].slow.aside.pop_first() {
            let waits = |entry: &&Entry| entry.phase == Phase::Held && entry.group == id && entry.due == since;
            let Some(lane) = self.slots.get(slot).filter(waits).map(|entry| entry.lane) else { continue };
            self.set_phase(slot, Phase::Ready);
            self.ready.push(lane, slot);
            return true;
        }
        false
    }

    /// How many slow charms wait, with a few that do not any more.
    pub(super) fn aside(&self) -> usize {
        self.groups.iter().map(|group| group.slow.aside.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_a_poll_the_more_quick_ones_make_up_for_it() {
        let slow = |before, seconds| quick_in(before, Duration::from_secs(seconds));
        assert_eq!(
            [slow(0, 10), slow(0, 11), slow(0, 45), slow(0, 180), slow(0, 1_000_000)],
            [0, 4, 16, 72, UNTIMED - 1]
        );
        assert_eq!([slow(16, 11), slow(16, 1), slow(1, 0), slow(0, 0)], [16, 15, 0, 0]);
    }
}
