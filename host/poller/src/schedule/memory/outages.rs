//! Which charm waits for which server, since its last poll failed because of that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use super::slots::Slot;

/// The charms that wait for servers. At most one small entry for each registered charm: of a server, whose name a guest
/// chooses, there is a hash.
#[derive(Debug, Default)]
pub(super) struct Outages {
    hasher: RandomState,
    by_slot: HashMap<Slot, Outage>,
    /// In the order of slots, so that the same events lead to the same polls.
    by_server: BTreeMap<u64, BTreeSet<Slot>>,
}

#[derive(Debug, Default)]
struct Outage {
    /// The server that it waits for, and from when on it may be polled if that works again.
    waits: Option<(u64, i64)>,
    /// How often it was polled for that and failed again.
    in_vain: u8,
}

impl Outages {
    /// What stands for a server that fails, or that refuses requests.
    pub(super) fn hash(&self, origin: &str, refuses: bool) -> u64 {
        self.hasher.hash_one((origin, refuses))
    }

    /// A charm waits for a server.
    pub(super) fn wait(&mut self, slot: Slot, server: u64, not_before: i64) {
        self.end_wait(slot);
        self.by_slot.entry(slot).or_default().waits = Some((server, not_before));
        self.by_server.entry(server).or_default().insert(slot);
    }

    /// A charm waits for no server, until another poll fails.
    pub(super) fn end_wait(&mut self, slot: Slot) {
        let Some((server, _)) = self.by_slot.get_mut(&slot).and_then(|outage| outage.waits.take()) else { return };
        if let Some(waiting) = self.by_server.get_mut(&server) {
            waiting.remove(&slot);
            if waiting.is_empty() {
                self.by_server.remove(&server);
            }
        }
    }

    /// How often a charm was polled since its server answered, and failed again.
    pub(super) fn in_vain(&self, slot: Slot) -> u8 {
        self.by_slot.get(&slot).map_or(0, |outage| outage.in_vain)
    }

    /// Whether no charm waits.
    pub(super) fn is_empty(&self) -> bool {
        self.by_server.is_empty()
    }

    /// A charm has succeeded, or is no longer registered.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.end_wait(slot);
        self.by_slot.remove(&slot);
    }

    /// Takes out those that wait for a server, and from when on each may be polled.
    pub(super) fn works(&mut self, server: u64) -> Vec<(i64, Slot)> {
        let waiting = self.by_server.remove(&server).unwrap_or_default();
        let due = waiting.into_iter().filter_map(|slot| {
            let outage = self.by_slot.get_mut(&slot)?;
            let (_, not_before) = outage.waits.take()?;
            outage.in_vain = outage.in_vain.saturating_add(1);
            Some((not_before, slot))
        });
        due.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charm_waits_for_one_server_and_what_is_kept_of_it_goes_with_it() {
        let mut outages = Outages::default();
        for slot in 0..100 {
            for server in 0..100 {
                outages.wait(slot, server, 7);
            }
        }
        assert_eq!((outages.by_slot.len(), outages.by_server.len()), (100, 1));
        assert_eq!(outages.works(5), []);
        outages.end_wait(0);
        assert_eq!(outages.works(99).len(), 99);
        assert_eq!(outages.works(99), []);
        for slot in 0..100 {
            outages.forget(slot);
        }
        assert!(outages.by_slot.is_empty() && outages.by_server.is_empty());
    }
}
