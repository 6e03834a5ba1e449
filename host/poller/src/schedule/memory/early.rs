//! Charms whose cause may have been fixed are polled before their turn.
//!
//! They waited for a grant, a sign-in or another configuration, and somebody now looks whether they go on. They are
//! many if they waited for the same thing, so each has its own turn, spread over the interval as at a start; until
//! then they get places that no due charm can take. The poll after that comes an interval after the turn: however fast
//! they went on, they do not stay together.

use super::slots::{Beat, Entry, Phase, Slot};
use super::state::MemorySchedule;
use crate::Limit;

impl MemorySchedule {
    /// Those that were found to go on have their turns: from now on they may be polled before, also if they are given
    /// other turns.
    pub(super) fn hurry(&mut self) {
        let (now, hurried) = (self.elapsed(), std::mem::take(&mut self.hurried));
        if self.options.limit == Limit::Once {
            return;
        }
        let turn = |slot| self.slots.get(slot).filter(|entry| entry.phase == Phase::Waiting && entry.due > now);
        let mut early: Vec<(i64, Slot)> =
            hurried.into_iter().filter_map(|slot| Some((turn(slot)?.due, slot))).collect();
        early.sort_unstable();
        for (_, slot) in early {
            if let Some(entry) = self.slots.get_mut(slot) {
                // If no place was free until its turn, it waits for nothing else.
                entry.beat = Beat::Regular;
                self.ready.park(entry.lane, slot);
            }
        }
    }

    /// Such a charm that has a place now.
    pub(super) fn take_early(&mut self) -> Option<Slot> {
        loop {
            let (lane, slot) = self.ready.take_early()?;
            // Somebody may have disabled it, or its integration is paused.
            let still = |entry: &Entry| entry.phase == Phase::Waiting && self.may_poll(entry);
            if self.slots.get(slot).is_some_and(still) {
                self.set_phase(slot, Phase::Ready);
                return Some(slot);
            }
            self.ready.release(lane);
        }
    }

    /// Its turn has come, or it is about to leave its lane.
    pub(super) fn no_longer_early(&mut self, slot: Slot) {
        if let Some(entry) = self.slots.get(slot) {
            self.ready.unpark(entry.lane, slot);
        }
    }
}
