//! Charms whose cause may have been fixed are polled before their turn.
//!
//! They waited for a grant, a sign-in or another configuration, and somebody now looks whether they go on. They are many if they waited for the
//! same thing, so each has a turn of its own, spread over the interval as at a start; places that nobody else wants are theirs until then. The
//! poll after that comes an interval after the turn: however fast they went on, they do not stay together.

use super::Engine;
use crate::Limit;
use crate::table::{Entry, Phase, Slot};

impl Engine {
    /// Those that were found to go on have their turns: from now on they may be polled before.
    pub(super) fn hurry(&mut self) {
        let (now, hurried) = (self.elapsed(), std::mem::take(&mut self.hurried));
        if self.options.limit == Limit::Once {
            return;
        }
        let turn = |slot| self.table.get(slot).filter(|entry| entry.phase == Phase::Waiting && entry.due > now);
        let mut early: Vec<(Slot, i64)> =
            hurried.into_iter().filter_map(|slot| Some((slot, turn(slot)?.due))).collect();
        // Those of all integrations by turns.
        early.sort_unstable_by_key(|(_, due)| *due);
        self.early.extend(early);
    }

    /// Queues such charms for the places that are free; answers whether there were any.
    pub(super) fn bring_forward(&mut self) -> bool {
        let taken = self.ready.running() + self.ready.queued();
        let mut free = self.options.max_concurrent.max(1).saturating_sub(taken);
        let before = free;
        while free > 0
            && let Some((slot, due)) = self.early.pop_front()
        {
            // Its turn has come, or somebody has changed something again.
            let still = |entry: &&Entry| entry.phase == Phase::Waiting && entry.due == due && self.may_poll(entry);
            let Some(lane) = self.table.get(slot).filter(still).map(|entry| entry.lane) else { continue };
            self.set_phase(slot, Phase::Ready);
            self.ready.push(lane, slot);
            free -= 1;
        }
        free < before
    }
}
