//! Which of the due charms is polled next.

use std::collections::VecDeque;

use crate::slab::Slab;
use crate::table::{GroupId, LaneId, Slot, SpaceId};

/// Due charms wait here for their turn. A *lane* holds those of one space in one *group* (an integration); groups take
/// turns, and within a group its lanes do, so that none waits for all of another's charms. Every operation takes constant
/// time per charm (times the number of integrations, which is small).
///
/// One space has at most `per_space` charms polled at once, one group at most `per_group`. Of all `max` places, one is kept free
/// for each group that is not using any (half of all places at most), so that long polls of one integration cannot hold up another.
#[derive(Debug)]
pub(crate) struct Ready {
    max: usize,
    per_group: usize,
    per_space: u32,
    running: usize,
    queued: usize,
    groups: Vec<Group>,
    /// Groups with lanes in their ring, next first.
    turn: VecDeque<GroupId>,
    lanes: Slab<Lane>,
    /// By their numbers.
    spaces: Vec<Space>,
}

#[derive(Debug, Default)]
struct Group {
    ring: VecDeque<LaneId>,
    in_turn: bool,
    running: usize,
    members: usize,
}

#[derive(Debug)]
struct Lane {
    group: GroupId,
    space: SpaceId,
    queue: VecDeque<Slot>,
    in_ring: bool,
    members: usize,
}

#[derive(Debug, Default)]
struct Space {
    running: u32,
    /// At most one for each group.
    lanes: Vec<LaneId>,
}

impl Ready {
    /// For so many groups, and with so many charms polled at once: in all, of each group, of each space.
    pub(crate) fn new(groups: usize, max: usize, per_group: usize, per_space: u32) -> Self {
        Self {
            max: max.max(1),
            per_group: per_group.max(1),
            per_space: per_space.max(1),
            running: 0,
            queued: 0,
            groups: (0..groups).map(|_| Group::default()).collect(),
            turn: VecDeque::new(),
            lanes: Slab::default(),
            spaces: Vec::new(),
        }
    }

    /// Charms being polled.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// Charms waiting for their turn.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Adds a member to the lane of a space in a group.
    pub(crate) fn join(&mut self, group: GroupId, space: SpaceId) -> LaneId {
        if self.spaces.len() <= space as usize {
            self.spaces.resize_with(space as usize + 1, Space::default);
        }
        let found = self.spaces[space as usize].lanes.iter().copied().find(|lane| self.lanes[*lane].group == group);
        let lane = found.unwrap_or_else(|| {
            let lane = self.lanes.insert(Lane { group, space, queue: VecDeque::new(), in_ring: false, members: 0 });
            self.spaces[space as usize].lanes.push(lane);
            lane
        });
        self.lanes[lane].members += 1;
        self.groups[group as usize].members += 1;
        lane
    }

    /// Takes out a member, which must be neither queued nor running.
    pub(crate) fn leave(&mut self, lane: LaneId) {
        let (group, space) = (self.lanes[lane].group, self.lanes[lane].space);
        self.groups[group as usize].members -= 1;
        self.lanes[lane].members -= 1;
        if self.lanes[lane].members > 0 {
            return;
        }
        if self.lanes[lane].in_ring {
            self.groups[group as usize].ring.retain(|other| *other != lane);
        }
        self.lanes.remove(lane);
        self.spaces[space as usize].lanes.retain(|other| *other != lane);
    }

    /// Queues a charm, which must not be queued yet.
    pub(crate) fn push(&mut self, lane: LaneId, slot: Slot) {
        self.lanes[lane].queue.push_back(slot);
        self.queued += 1;
        self.enlist(lane);
    }

    /// Takes a charm out of its queue.
    pub(crate) fn withdraw(&mut self, lane: LaneId, slot: Slot) {
        let queue = &mut self.lanes[lane].queue;
        let before = queue.len();
        queue.retain(|other| *other != slot);
        self.queued -= before - queue.len();
    }

    /// Whether all places are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.running >= self.max
    }

    /// The next charm to poll, if there is one and a place for it. [`release`](Self::release) gives the place back.
    pub(crate) fn take(&mut self) -> Option<Slot> {
        if self.running >= self.max {
            return None;
        }
        for _ in 0..self.turn.len() {
            let group = self.turn.pop_front()?;
            if !self.may_start(group) {
                self.turn.push_back(group);
                continue;
            }
            let slot = self.take_from(group);
            self.groups[group as usize].in_turn = !self.groups[group as usize].ring.is_empty();
            if self.groups[group as usize].in_turn {
                self.turn.push_back(group);
            }
            if slot.is_some() {
                return slot;
            }
        }
        None
    }

    /// Gives back the place of a charm of this lane.
    pub(crate) fn release(&mut self, lane: LaneId) {
        let (group, space) = (self.lanes[lane].group, self.lanes[lane].space);
        self.running -= 1;
        self.groups[group as usize].running -= 1;
        self.spaces[space as usize].running -= 1;
        // The other lanes of the space come before this one, or it would always be the first to get the place back.
        let lanes = &mut self.spaces[space as usize].lanes;
        if let Some(place) = lanes.iter().position(|other| *other == lane) {
            lanes.rotate_left(place + 1);
        }
        for index in 0..self.spaces[space as usize].lanes.len() {
            self.enlist(self.spaces[space as usize].lanes[index]);
        }
    }

    fn take_from(&mut self, group: GroupId) -> Option<Slot> {
        while let Some(lane) = self.groups[group as usize].ring.pop_front() {
            self.lanes[lane].in_ring = false;
            let space = self.lanes[lane].space;
            if self.spaces[space as usize].running >= self.per_space {
                // Comes back when a poll of its space ends.
                continue;
            }
            let Some(slot) = self.lanes[lane].queue.pop_front() else { continue };
            self.queued -= 1;
            self.running += 1;
            self.groups[group as usize].running += 1;
            self.spaces[space as usize].running += 1;
            self.enlist(lane);
            return Some(slot);
        }
        None
    }

    fn enlist(&mut self, lane: LaneId) {
        let Lane { group, space, ref queue, ref mut in_ring, .. } = self.lanes[lane];
        if *in_ring || queue.is_empty() || self.spaces[space as usize].running >= self.per_space {
            return;
        }
        *in_ring = true;
        let entry = &mut self.groups[group as usize];
        entry.ring.push_back(lane);
        if !entry.in_turn {
            entry.in_turn = true;
            self.turn.push_back(group);
        }
    }

    fn may_start(&self, group: GroupId) -> bool {
        let free = self.max - self.running;
        if self.groups[group as usize].running >= self.per_group {
            return false;
        }
        if self.groups[group as usize].running == 0 {
            return free > 0;
        }
        let unused = self.groups.iter().filter(|other| other.members > 0 && other.running == 0).count();
        free > unused.min(self.max / 2)
    }
}

#[cfg(test)]
mod tests;
