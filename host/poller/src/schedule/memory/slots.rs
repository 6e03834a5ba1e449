//! The registered charms in memory.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bg_identity::{CharmId, IntegrationId, SpaceDid};
use hashbrown::HashTable;

use super::interner::Interner;
use super::slab::Slab;
use crate::{CharmRef, Registration, UnixMillis};

/// The number of a registered charm.
pub(crate) type Slot = u32;
/// An integration with a component, or all that have none (0). There are no 65,536 components of some megabytes each.
pub(crate) type GroupId = u16;
/// The charms of one space in one group.
pub(crate) type LaneId = u32;
/// A space that has registered charms.
pub(crate) type SpaceId = u32;

/// Where a charm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not to be polled: disabled by hand, or done with.
    Idle,
    /// Due at a time in the queue.
    Waiting,
    /// Due, and in the queue.
    Ready,
    /// Due, but others come first: it waits for its turn among those that have lost their times, or among slow ones.
    Held,
    /// Being polled.
    Running,
    /// Its time came while the integration did not name it; it waits to be named.
    LeftOut,
    /// Disabled by the loop, until a time in the queue.
    Disabled,
}

/// What the loop has asked the runtime to do with a registration, and has no answer to yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    ToDisable,
    ToEnable,
}

/// How the time of a charm's next poll came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Beat {
    /// It is an interval after its last poll, or is as somebody wants it.
    #[default]
    Regular,
    /// It is another time, or comes after those of the others that it was spread with: it waits for its turn.
    Off,
    /// It was spread with those of others: if it is lost, the charm waits for its turn, even if somebody wants it
    /// polled.
    Spread,
}

/// A charm's ID without an allocation of its own: the usual one is a digest.
#[derive(Debug, PartialEq, Eq, Hash)]
enum CompactId {
    Digest([u8; 32]),
    Text(CharmId),
}

impl CompactId {
    fn new(id: &CharmId) -> Self {
        id.digest().map_or_else(|| Self::Text(id.clone()), Self::Digest)
    }

    fn id(&self) -> CharmId {
        match self {
            Self::Digest(digest) => CharmId::from_digest(*digest),
            Self::Text(id) => id.clone(),
        }
    }
}

/// A charm of which it is not known how long its polls take.
pub(crate) const UNTIMED: u8 = u8::MAX;

/// What is known of a charm: 112 bytes, since there may be a million of them. Its names are [`Slots::charm`] and
/// [`Slots::integration`].
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "none of them follows from another")]
pub(crate) struct Entry {
    id: CompactId,
    space: SpaceId,
    integration: u32,
    pub(crate) lane: LaneId,
    pub(crate) group: GroupId,
    pub(crate) phase: Phase,
    pub(crate) asked: Asked,
    /// Whether its registration is enabled.
    pub(crate) enabled: bool,
    /// Unregistered while it was being polled; goes when the poll ends.
    pub(crate) removed: bool,
    /// Whether what is written of it is no more than its registration says as well: no failures, not disabled by the
    /// loop.
    pub(crate) plain: bool,
    /// Whether it is to be polled at once, since it was registered or enabled after its last poll.
    pub(crate) wanted: bool,
    pub(crate) beat: Beat,
    /// After how many more quick polls in a row it is no longer slow; 0 if it is not, and [`UNTIMED`] if it was
    /// registered later than the start and no poll of it has ended, so that it is not known.
    pub(crate) slow: u8,
    /// Whether it is owed a poll: its integration has named it, and no poll has succeeded since.
    pub(crate) owed: bool,
    /// Whether that is what is written of it.
    pub(crate) owed_stored: bool,
    /// Whether the cause of its last outcome is elsewhere, and may be fixed there.
    pub(crate) awaits_fix: bool,
    /// Polls in a row that failed for reasons elsewhere.
    pub(crate) tries: u8,
    /// Failed polls in a row.
    pub(crate) failures: u32,
    /// How many of them are failures of its integration's component, as far as this number goes. They are not
    /// remembered across restarts.
    pub(crate) faults: u16,
    /// The interval that its registration asks for, milliseconds; 0 if it asks for none.
    asks_ms: u32,
    /// Milliseconds from the start of the loop.
    pub(crate) due: i64,
    /// The number of the last `fetch-charms` that names it, or might if it had been registered in time.
    pub(crate) named: u32,
    /// The number of the `fetch-charms` that its last poll went by: each names it for one poll.
    pub(crate) served: u32,
    /// The reading of the registrations that it was last found in.
    pub(crate) seen: u32,
    /// When its registration last changed in any way.
    pub(crate) changed_at: UnixMillis,
    /// When the loop disabled it.
    pub(crate) disabled_at: UnixMillis,
}

impl Entry {
    /// Whether it is to be polled at all.
    pub(crate) fn is_active(&self) -> bool {
        self.enabled && self.disabled_at.is_never() && !self.removed
    }

    /// Whether its polls take long.
    pub(crate) fn is_slow(&self) -> bool {
        self.slow > 0 && self.slow != UNTIMED
    }

    /// Whether it may be polled only where that leaves places to others: its polls take long, or may do so.
    pub(crate) fn leaves_places(&self) -> bool {
        self.slow > 0
    }

    /// Failed polls in a row that are not its component's.
    pub(crate) fn own_failures(&self) -> u32 {
        self.failures.saturating_sub(self.faults.into())
    }

    /// Its integration has named it.
    pub(crate) fn owe(&mut self) {
        if !self.owed {
            // What is written is of an earlier time that it was named, and settled by the runtime's note of a success.
            (self.owed, self.owed_stored) = (true, false);
        }
    }

    /// Whether it is written that it is owed a poll that begins from now on.
    pub(crate) fn is_owed_durably(&self) -> bool {
        self.owed && self.owed_stored && self.phase != Phase::Running
    }

    /// A poll of it has succeeded: that was what it was owed, unless it was named meanwhile.
    pub(crate) fn settle_owed(&mut self) {
        self.owed &= self.named > self.served;
    }

    pub(crate) fn space(&self) -> SpaceId {
        self.space
    }

    /// The interval that its registration asks for.
    pub(crate) fn asks(&self) -> Option<Duration> {
        (self.asks_ms > 0).then(|| Duration::from_millis(self.asks_ms.into()))
    }

    /// Takes over the interval of a registration; answers whether it is another.
    pub(crate) fn set_asks(&mut self, interval: Option<Duration>) -> bool {
        let asks_ms = interval.map_or(0, |interval| u32::try_from(interval.as_millis()).unwrap_or(u32::MAX).max(1));
        std::mem::replace(&mut self.asks_ms, asks_ms) != asks_ms
    }
}

/// Entries by slot and by charm. A slot is used again once its entry is gone.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    entries: Slab<Entry>,
    by_charm: HashTable<Slot>,
    hasher: RandomState,
    spaces: Interner<SpaceDid>,
    integrations: Interner<IntegrationId>,
}

impl Slots {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn slot(&self, charm: &CharmRef) -> Option<Slot> {
        let (space, id) = (self.spaces.number(&charm.space)?, CompactId::new(&charm.charm));
        let is_it = |slot: &Slot| self.get(*slot).is_some_and(|entry| entry.space == space && entry.id == id);
        self.by_charm.find(self.hash(space, &id), is_it).copied()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot)
    }

    /// The charm of an entry.
    pub(crate) fn charm(&self, entry: &Entry) -> CharmRef {
        CharmRef { space: self.spaces.name(entry.space).clone(), charm: entry.id.id() }
    }

    /// The integration of an entry.
    pub(crate) fn integration(&self, entry: &Entry) -> &IntegrationId {
        self.integrations.name(entry.integration)
    }

    /// Gives an entry the integration of its registration; answers whether it is another.
    pub(crate) fn set_integration(&mut self, slot: Slot, integration: &IntegrationId) -> bool {
        let Some(entry) = self.entries.get_mut(slot) else { return false };
        if self.integrations.name(entry.integration) == integration {
            return false;
        }
        self.integrations.give_back(entry.integration);
        entry.integration = self.integrations.take(integration);
        true
    }

    /// Puts a charm in, which must not have a slot yet. `join` gives it a lane for its space.
    pub(crate) fn insert(
        &mut self,
        registration: &Registration,
        group: GroupId,
        join: impl FnOnce(SpaceId) -> LaneId,
    ) -> Slot {
        let Registration { charm, integration, interval, .. } = registration;
        let space = self.spaces.take(&charm.space);
        let mut entry = Entry {
            id: CompactId::new(&charm.charm),
            space,
            integration: self.integrations.take(integration),
            lane: join(space),
            group,
            phase: Phase::Idle,
            asked: Asked::Nothing,
            enabled: registration.is_enabled(),
            removed: false,
            plain: true,
            wanted: false,
            beat: Beat::Regular,
            slow: UNTIMED,
            owed: false,
            owed_stored: false,
            awaits_fix: false,
            tries: 0,
            failures: 0,
            faults: 0,
            asks_ms: 0,
            due: 0,
            named: 0,
            served: 0,
            seen: 0,
            changed_at: registration.changed_at(),
            disabled_at: UnixMillis::NEVER,
        };
        entry.set_asks(*interval);
        let hash = self.hash(space, &entry.id);
        let slot = self.entries.insert(entry);
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_charm.insert_unique(hash, slot, |slot| {
            let entry = &entries[*slot];
            hasher.hash_one((entry.space, &entry.id))
        });
        slot
    }

    /// Takes a charm out; answers its name and its lane.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<(CharmRef, LaneId)> {
        let entry = self.entries.remove(slot)?;
        let charm = self.charm(&entry);
        if let Ok(found) = self.by_charm.find_entry(self.hash(entry.space, &entry.id), |other| *other == slot) {
            found.remove();
        }
        self.spaces.give_back(entry.space);
        self.integrations.give_back(entry.integration);
        Some((charm, entry.lane))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        self.entries.iter()
    }

    fn hash(&self, space: SpaceId, id: &CompactId) -> u64 {
        self.hasher.hash_one((space, id))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;

    use bg_identity::space_did;
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Option<Entry>>() <= 112, "{}", size_of::<Option<Entry>>());
    }

    pub(crate) fn registration(space: u8, charm: u8, integration: u8) -> Registration {
        let id = if charm.is_multiple_of(2) {
            CharmId::for_content(&[charm])
        } else {
            format!("fid1:{charm}").parse().unwrap()
        };
        let charm = CharmRef { space: space_did(&format!("space {space}")), charm: id };
        testing::registration(charm, format!("integration-{integration}").parse().unwrap())
    }

    proptest! {
        /// Whatever is put in, taken out and moved: the slots know as much as a map would.
        #[test]
        fn entries_are_found_by_charm_and_keep_their_names(steps in proptest::collection::vec((0_u8..3, 0_u8..4, 0_u8..6, 0_u8..3), 1..200)) {
            let mut slots = Slots::default();
            let mut model: HashMap<CharmRef, IntegrationId> = HashMap::new();
            for (step, space, charm, integration) in steps {
                let registration = registration(space, charm, integration);
                let (charm, integration) = (registration.charm.clone(), registration.integration.clone());
                match (step, slots.slot(&charm)) {
                    (0, None) => {
                        slots.insert(&registration, 0, |_| 7);
                        model.insert(charm, integration);
                    }
                    (1, Some(slot)) => {
                        prop_assert_eq!(slots.remove(slot), Some((charm.clone(), 7)));
                        model.remove(&charm);
                    }
                    (2, Some(slot)) => {
                        let before = model.insert(charm, integration.clone());
                        prop_assert_eq!(slots.set_integration(slot, &integration), before != Some(integration));
                    }
                    _ => {}
                }
                prop_assert_eq!(slots.len(), model.len());
                for (charm, integration) in &model {
                    let entry = slots.slot(charm).and_then(|slot| slots.get(slot)).unwrap();
                    prop_assert_eq!(&slots.charm(entry), charm);
                    prop_assert_eq!(slots.integration(entry), integration);
                }
            }
        }
    }
}
