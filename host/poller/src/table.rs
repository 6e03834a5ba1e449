//! The registered charms in memory.

use std::collections::HashMap;

use bg_identity::IntegrationId;

use crate::{CharmRef, UnixMillis};

/// A place in the table.
pub(crate) type Slot = u32;
/// An integration with a component, or all that have none (0).
pub(crate) type GroupId = u32;
/// The charms of one space in one group.
pub(crate) type LaneId = u32;

/// Where a charm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not to be polled: disabled by hand, or done with.
    Idle,
    /// Due at a time in the wheel.
    Waiting,
    /// Due, and in the queue.
    Ready,
    /// Being polled.
    Running,
    /// Its time came while the integration did not name it; it waits to be named.
    LeftOut,
    /// Disabled by the loop, until a time in the wheel.
    Disabled,
}

/// What the loop has asked the runtime to do with a registration, and has no answer to yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    ToDisable,
    ToEnable,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) charm: CharmRef,
    pub(crate) integration: IntegrationId,
    pub(crate) lane: LaneId,
    pub(crate) group: GroupId,
    pub(crate) phase: Phase,
    pub(crate) asked: Asked,
    /// Whether its registration is enabled.
    pub(crate) enabled: bool,
    /// Unregistered while it was being polled; goes when the poll ends.
    pub(crate) removed: bool,
    /// Failed polls in a row.
    pub(crate) failures: u32,
    /// How many of them are failures of its integration's component. They are not remembered across restarts.
    pub(crate) faults: u32,
    /// Milliseconds from the start of the loop.
    pub(crate) due: i64,
    /// The number of the last `fetch-charms` that names it, or might if it had been registered in time.
    pub(crate) named: u32,
    /// The number of the `fetch-charms` that its last poll went by: each names it for one poll.
    pub(crate) served: u32,
    /// The reading of the registrations that it was last found in.
    pub(crate) seen: u32,
    /// When its registration last changed.
    pub(crate) updated_at: UnixMillis,
    /// When the loop disabled it.
    pub(crate) disabled_at: UnixMillis,
}

impl Entry {
    /// Whether it is to be polled at all.
    pub(crate) fn is_active(&self) -> bool {
        self.enabled && self.disabled_at.is_never() && !self.removed
    }
}

/// Entries by slot and by charm. A slot is used again once its entry is gone.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    slots: HashMap<CharmRef, Slot>,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn slot(&self, charm: &CharmRef) -> Option<Slot> {
        self.slots.get(charm).copied()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// The charm must not be in the table yet.
    pub(crate) fn insert(&mut self, entry: Entry) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Slot::try_from(self.entries.len() - 1).expect("four billion registrations do not fit into memory")
        });
        self.slots.insert(entry.charm.clone(), slot);
        self.entries[slot as usize] = Some(entry);
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.entries.get_mut(slot as usize)?.take()?;
        self.slots.remove(&entry.charm);
        self.free.push(slot);
        Some(entry)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        (0..).zip(&self.entries).filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }
}
