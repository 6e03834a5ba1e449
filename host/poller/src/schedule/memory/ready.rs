//! Which of the due charms is polled next.

use std::collections::{HashSet, VecDeque};

use super::slab::Slab;
use super::slots::{GroupId, LaneId, Slot, SpaceId};

/// Due charms wait here for their turn. A *lane* holds those of one space in one *group* (an integration); groups take
/// turns, and within a group its lanes do, so that none waits for all of another's charms. Every operation takes
/// constant time per charm (times the number of integrations, which is small).
///
/// One space has at most `per_space` charms polled at once, one group at most `per_group`. Of all `max` places, one is
/// kept free for each group that is not using any (half of all places at most), so that long polls of one integration
/// cannot hold up another.
///
/// Charms may also be [parked](Self::park): they are not due yet, and each is polled early as soon as there is a place
/// that no due charm can take.
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
    /// The charms that are parked.
    parked: HashSet<Slot>,
    /// The group whose parked charms come next.
    next_early: GroupId,
    lanes: Slab<Lane>,
    /// By their numbers.
    spaces: Vec<Space>,
}

#[derive(Debug, Default)]
struct Group {
    ring: VecDeque<LaneId>,
    /// Lanes that have parked charms, and in whose spaces there may be a place.
    early_ring: VecDeque<LaneId>,
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
    parked: VecDeque<Slot>,
    in_early_ring: bool,
    members: usize,
}

impl Lane {
    fn new(group: GroupId, space: SpaceId) -> Self {
        let (queue, parked) = (VecDeque::new(), VecDeque::new());
        Self { group, space, queue, in_ring: false, parked, in_early_ring: false, members: 0 }
    }
}

#[derive(Debug, Default)]
struct Space {
    running: u32,
    /// At most one for each group.
    lanes: Vec<LaneId>,
}

impl Ready {
    /// For this number of groups. At most these numbers of charms are polled at once: in all, of each group, of each
    /// space.
    pub(crate) fn new(groups: usize, max: usize, per_group: usize, per_space: u32) -> Self {
        Self {
            max: max.max(1),
            per_group: per_group.max(1),
            per_space: per_space.max(1),
            running: 0,
            queued: 0,
            groups: (0..groups).map(|_| Group::default()).collect(),
            turn: VecDeque::new(),
            parked: HashSet::new(),
            next_early: 0,
            lanes: Slab::default(),
            spaces: Vec::new(),
        }
    }

    /// Charms being polled.
    #[cfg(test)]
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
            let lane = self.lanes.insert(Lane::new(group, space));
            self.spaces[space as usize].lanes.push(lane);
            lane
        });
        self.lanes[lane].members += 1;
        self.groups[group as usize].members += 1;
        lane
    }

    /// Takes out a member, which must be neither queued nor parked nor running.
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
        if self.lanes[lane].in_early_ring {
            self.groups[group as usize].early_ring.retain(|other| *other != lane);
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

    /// Parks a charm, unless it is parked already.
    pub(crate) fn park(&mut self, lane: LaneId, slot: Slot) {
        if self.parked.insert(slot) {
            self.lanes[lane].parked.push_back(slot);
            self.enlist_early(lane);
        }
    }

    /// Takes out a charm that may be parked. Usually it comes first in its lane.
    pub(crate) fn unpark(&mut self, lane: LaneId, slot: Slot) {
        if self.parked.remove(&slot) {
            let parked = &mut self.lanes[lane].parked;
            if let Some(place) = parked.iter().position(|other| *other == slot) {
                parked.remove(place);
            }
        }
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

    /// The next parked charm, with its lane, if there is a place for it. To be asked once [`take`](Self::take) has
    /// found nothing: then no due charm can have that place. [`release`](Self::release) gives it back.
    pub(crate) fn take_early(&mut self) -> Option<(LaneId, Slot)> {
        if self.parked.is_empty() || self.is_full() {
            return None;
        }
        // As many groups as there are numbers at most.
        let groups = GroupId::try_from(self.groups.len()).unwrap_or(GroupId::MAX);
        for group in (self.next_early..groups).chain(0..self.next_early.min(groups)) {
            if self.groups[group as usize].early_ring.is_empty() || !self.may_start(group) {
                continue;
            }
            if let Some(found) = self.take_early_from(group) {
                self.next_early = group + 1;
                return Some(found);
            }
        }
        None
    }

    fn take_early_from(&mut self, group: GroupId) -> Option<(LaneId, Slot)> {
        while let Some(lane) = self.groups[group as usize].early_ring.pop_front() {
            self.lanes[lane].in_early_ring = false;
            if self.is_busy(lane) || !self.lanes[lane].queue.is_empty() {
                // Comes back when a poll of its space ends.
                continue;
            }
            let Some(slot) = self.lanes[lane].parked.pop_front() else { continue };
            self.parked.remove(&slot);
            self.occupy(lane);
            self.enlist_early(lane);
            return Some((lane, slot));
        }
        None
    }

    /// Whether its space has no place left.
    fn is_busy(&self, lane: LaneId) -> bool {
        self.spaces[self.lanes[lane].space as usize].running >= self.per_space
    }

    fn occupy(&mut self, lane: LaneId) {
        let (group, space) = (self.lanes[lane].group, self.lanes[lane].space);
        self.running += 1;
        self.groups[group as usize].running += 1;
        self.spaces[space as usize].running += 1;
    }

    fn enlist_early(&mut self, lane: LaneId) {
        if self.lanes[lane].in_early_ring || self.lanes[lane].parked.is_empty() || self.is_busy(lane) {
            return;
        }
        self.lanes[lane].in_early_ring = true;
        let group = self.lanes[lane].group;
        self.groups[group as usize].early_ring.push_back(lane);
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
            let lane = self.spaces[space as usize].lanes[index];
            self.enlist(lane);
            self.enlist_early(lane);
        }
    }

    fn take_from(&mut self, group: GroupId) -> Option<Slot> {
        while let Some(lane) = self.groups[group as usize].ring.pop_front() {
            self.lanes[lane].in_ring = false;
            if self.is_busy(lane) {
                // Comes back when a poll of its space ends.
                continue;
            }
            let Some(slot) = self.lanes[lane].queue.pop_front() else { continue };
            self.queued -= 1;
            self.occupy(lane);
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
