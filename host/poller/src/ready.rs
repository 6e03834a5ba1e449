//! Which of the due charms is polled next.

use std::collections::{HashMap, VecDeque};

use bg_identity::SpaceDid;

use crate::table::{GroupId, LaneId, Slot};

type SpaceId = u32;

/// Due charms wait here for their turn. A *lane* holds those of one space in one *group* (an integration); groups take
/// turns, and within a group its lanes do, so that none waits for all of another's charms. Every operation takes constant
/// time per charm (times the number of integrations, which is small).
///
/// One space has at most `per_space` charms polled at once. Of all `max` places, one is kept free for each group that is not
/// using any (half of all places at most), so that long polls of one integration cannot hold up another.
#[derive(Debug)]
pub(crate) struct Ready {
    max: usize,
    per_space: u32,
    running: usize,
    queued: usize,
    groups: Vec<Group>,
    /// Groups with lanes in their ring, next first.
    turn: VecDeque<GroupId>,
    lanes: Slab<Lane>,
    spaces: Slab<Space>,
    space_ids: HashMap<SpaceDid, SpaceId>,
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

#[derive(Debug)]
struct Space {
    did: SpaceDid,
    running: u32,
    /// At most one for each group.
    lanes: Vec<LaneId>,
}

impl Ready {
    pub(crate) fn new(groups: usize, max: usize, per_space: u32) -> Self {
        Self {
            max: max.max(1),
            per_space: per_space.max(1),
            running: 0,
            queued: 0,
            groups: (0..groups).map(|_| Group::default()).collect(),
            turn: VecDeque::new(),
            lanes: Slab::default(),
            spaces: Slab::default(),
            space_ids: HashMap::new(),
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
    pub(crate) fn join(&mut self, group: GroupId, did: &SpaceDid) -> LaneId {
        let space = if let Some(space) = self.space_ids.get(did) {
            *space
        } else {
            let space = self.spaces.insert(Space { did: did.clone(), running: 0, lanes: Vec::new() });
            self.space_ids.insert(did.clone(), space);
            space
        };
        let found = self.spaces[space].lanes.iter().copied().find(|lane| self.lanes[*lane].group == group);
        let lane = found.unwrap_or_else(|| {
            let lane = self.lanes.insert(Lane { group, space, queue: VecDeque::new(), in_ring: false, members: 0 });
            self.spaces[space].lanes.push(lane);
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
        self.spaces[space].lanes.retain(|other| *other != lane);
        if self.spaces[space].lanes.is_empty() {
            let space = self.spaces.remove(space);
            self.space_ids.remove(&space.did);
        }
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
        self.spaces[space].running -= 1;
        // The other lanes of the space come before this one, or it would always be the first to get the place back.
        let lanes = &mut self.spaces[space].lanes;
        if let Some(place) = lanes.iter().position(|other| *other == lane) {
            lanes.rotate_left(place + 1);
        }
        for index in 0..self.spaces[space].lanes.len() {
            self.enlist(self.spaces[space].lanes[index]);
        }
    }

    fn take_from(&mut self, group: GroupId) -> Option<Slot> {
        while let Some(lane) = self.groups[group as usize].ring.pop_front() {
            self.lanes[lane].in_ring = false;
            let space = self.lanes[lane].space;
            if self.spaces[space].running >= self.per_space {
                // Comes back when a poll of its space ends.
                continue;
            }
            let Some(slot) = self.lanes[lane].queue.pop_front() else { continue };
            self.queued -= 1;
            self.running += 1;
            self.groups[group as usize].running += 1;
            self.spaces[space].running += 1;
            self.enlist(lane);
            return Some(slot);
        }
        None
    }

    fn enlist(&mut self, lane: LaneId) {
        let Lane { group, space, ref queue, ref mut in_ring, .. } = self.lanes[lane];
        if *in_ring || queue.is_empty() || self.spaces[space].running >= self.per_space {
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
        if self.groups[group as usize].running == 0 {
            return free > 0;
        }
        let unused = self.groups.iter().filter(|other| other.members > 0 && other.running == 0).count();
        free > unused.min(self.max / 2)
    }
}

/// Values at places that are used again.
#[derive(Debug)]
struct Slab<T> {
    values: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    fn insert(&mut self, value: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.values[place as usize] = Some(value);
            return place;
        }
        self.values.push(Some(value));
        u32::try_from(self.values.len() - 1).expect("four billion spaces do not fit into memory")
    }

    fn remove(&mut self, place: u32) -> T {
        self.free.push(place);
        self.values[place as usize].take().expect("a place is given back once")
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, place: u32) -> &T {
        self.values[place as usize].as_ref().expect("a place is used while it is held")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, place: u32) -> &mut T {
        self.values[place as usize].as_mut().expect("a place is used while it is held")
    }
}

#[cfg(test)]
mod tests;
