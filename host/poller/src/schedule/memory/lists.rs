//! What lists of integrations do to their charms.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::slots::{Entry, GroupId, Phase, Slot};
use super::state::MemorySchedule;
use crate::CharmRef;
use crate::schedule::{ListChange, Named, Owed};

impl MemorySchedule {
    /// A call of `fetch-charms` has named these charms. `resumes`: it has ended a pause.
    pub(super) fn named(&mut self, id: GroupId, charms: &[CharmRef], resumes: bool) -> Named {
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
                _ if self.groups[id as usize].gone.contains(charm) => {}
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
    pub(super) fn list_failed(&mut self, id: GroupId) -> Option<ListChange> {
        let change = self.groups[id as usize].list.fail(Instant::now());
        if change == Some(ListChange::Fails) {
            self.wake_served(id);
        }
        change
    }

    /// Charms that wait for a list newer than their last poll need not do so once there is none to come.
    fn wake_served(&mut self, id: GroupId) {
        let waits = |entry: &Entry| entry.group == id && entry.phase == Phase::LeftOut && self.may_poll(entry);
        let due = self.slots.iter().filter(|(_, entry)| waits(entry)).map(|(slot, entry)| (entry.due, slot)).collect();
        self.place_off_beat(due);
    }

    /// Writes that charms which a list has named are owed a poll.
    pub(super) fn write_owed(&mut self, id: GroupId, charms: &[CharmRef]) -> Owed {
        let mut unknown = HashSet::new();
        for charm in charms {
            let slot = self.slots.slot(charm);
            match slot.filter(|slot| self.slots.get(*slot).is_some_and(|entry| entry.group == id)) {
                // Written already, and a poll that settles it has not begun.
                Some(slot) if self.slots.get(slot).is_some_and(Entry::is_owed_durably) => {}
                Some(slot) => self.save(slot),
                // Nothing is owed to one that has gone.
                None if self.groups[id as usize].gone.contains(charm) => {}
                None => {
                    unknown.insert(charm.clone());
                }
            }
        }
        let notes = Arc::clone(&self.notes);
        Owed { unknown, written: Box::pin(async move { notes.flushed().await }) }
    }
}
