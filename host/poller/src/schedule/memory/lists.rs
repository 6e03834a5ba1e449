//! What lists of integrations do to their charms.

use std::collections::HashSet;

use tokio::time::Instant;

use super::MemorySchedule;
use crate::CharmRef;
use crate::charm_list::Change;
use crate::slots::{Entry, GroupId, Phase, Slot};

/// What a list has changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    /// What it says of `fetch-charms`, if that is news.
    pub(crate) change: Option<Change>,
    /// How many named charms are not registered for the integration.
    pub(crate) unregistered: u64,
    /// How many enabled charms of the integration it does not name.
    pub(crate) left_out: u64,
}

impl MemorySchedule {
    /// A call of `fetch-charms` starts.
    pub(crate) fn list_begins(&mut self, id: GroupId) {
        self.groups[id as usize].list.begin();
    }

    /// A call of `fetch-charms` has named these charms. `resumes`: it has ended a pause.
    pub(crate) fn named(&mut self, id: GroupId, charms: &[CharmRef], resumes: bool) -> Named {
        let now = Instant::now();
        let list = &mut self.groups[id as usize].list;
        let had_list = list.is_usable(now) && !resumes;
        let before = list.in_force();
        let change = list.succeed(now);
        let call = list.begun();
        let mut due: Vec<(i64, Slot)> = Vec::new();
        // Named before, too: their times came while this list was waited for.
        let mut waiting: Vec<(i64, Slot)> = Vec::new();
        let mut unregistered = 0_u64;
        for charm in charms {
            let entry = self.slots.slot(charm).and_then(|slot| Some((slot, self.slots.get_mut(slot)?)));
            match entry {
                Some((slot, entry)) if entry.group == id => {
                    let was_named = had_list && entry.named >= before;
                    entry.named = call;
                    entry.owe();
                    if entry.phase == Phase::LeftOut {
                        entry.phase = Phase::Waiting;
                        if was_named { &mut waiting } else { &mut due }.push((entry.due, slot));
                    }
                }
                // With --charms or --integration, others may well be registered.
                _ if self.only.is_some() || self.options.integrations.is_some() => {}
                _ => unregistered += 1,
            }
        }
        let list = &self.groups[id as usize].list;
        let mut left_out = 0;
        for (slot, entry) in self.slots.iter().filter(|(_, entry)| entry.group == id && entry.is_active()) {
            if !(entry.owed || list.names(entry.named)) {
                left_out += 1;
            } else if !had_list && matches!(entry.phase, Phase::Waiting | Phase::LeftOut) {
                // The first list in a while brings many charms back: all are spread again.
                due.push((entry.due, slot));
            }
        }
        due.sort_unstable_by_key(|(_, slot)| *slot);
        due.dedup_by_key(|(_, slot)| *slot);
        self.place_off_beat(waiting);
        if had_list {
            self.place_soon(id, due);
        } else {
            self.place(id, due);
        }
        Named { change, unregistered, left_out }
    }

    /// A call of `fetch-charms` has failed. Returns what that changes, if it is news.
    pub(crate) fn list_failed(&mut self, id: GroupId) -> Option<Change> {
        self.groups[id as usize].list.fail(Instant::now())
    }

    /// Whether an integration has a list to go by.
    pub(crate) fn has_list(&self, id: GroupId) -> bool {
        self.groups[id as usize].list.is_usable(Instant::now())
    }

    /// Whether each integration with a component has answered, or failed to.
    pub(crate) fn all_lists_have_answered(&self) -> bool {
        self.groups.iter().all(|group| !group.has_component || group.list.has_answered())
    }

    /// Charms that wait for a list newer than their last poll need not do so once there is none to come.
    pub(crate) fn wake_served(&mut self, id: GroupId) {
        let waits = |entry: &Entry| entry.group == id && entry.phase == Phase::LeftOut && self.may_poll(entry);
        let due = self.slots.iter().filter(|(_, entry)| waits(entry)).map(|(slot, entry)| (entry.due, slot)).collect();
        self.place_off_beat(due);
    }

    /// Of charms that a list has named: those that the store does not know yet to be owed a poll, and those that are
    /// not known to be registered for the integration.
    pub(crate) fn unwritten(&self, id: GroupId, charms: &[CharmRef]) -> (Vec<Slot>, HashSet<CharmRef>) {
        let (mut known, mut unknown) = (Vec::new(), HashSet::new());
        for charm in charms {
            let slot = self.slots.slot(charm);
            match slot.filter(|slot| self.slots.get(*slot).is_some_and(|entry| entry.group == id)) {
                // Written already, and a poll that settles it has not begun.
                Some(slot) if self.slots.get(slot).is_some_and(Entry::is_owed_durably) => {}
                Some(slot) => known.push(slot),
                None => {
                    unknown.insert(charm.clone());
                }
            }
        }
        (known, unknown)
    }
}
