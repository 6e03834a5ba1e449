//! Charms whose polls failed because of a server are due again when that server answers somebody.
//!
//! While a server is away, each charm that needs it is tried ever more rarely. When it works again, they come back
//! together with it, not each by its own backoff: the first poll, or call of a component, that succeeds and that the
//! server has answered makes the others due, at the [pace](super::pace) of polls that have lost their times.
//!
//! Whoever makes a server answer cannot make others be polled faster than that: a charm is due no sooner than an
//! interval after its last poll, or than the server asked for. Where the charm fails again (the server may answer some
//! and fail others), it waits twice as long the next time, and so on, until it succeeds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use tracing::info;

use super::MemorySchedule;
use crate::policy;
use crate::report::one_line;
use crate::servers::Servers;
use crate::slots::{Entry, Phase, Slot};

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
    fn hash(&self, origin: &str) -> u64 {
        self.hasher.hash_one(origin)
    }

    /// A charm waits for a server.
    fn wait(&mut self, slot: Slot, server: u64, not_before: i64) {
        self.end_wait(slot);
        self.by_slot.entry(slot).or_default().waits = Some((server, not_before));
        self.by_server.entry(server).or_default().insert(slot);
    }

    fn end_wait(&mut self, slot: Slot) {
        let Some((server, _)) = self.by_slot.get_mut(&slot).and_then(|outage| outage.waits.take()) else { return };
        if let Some(waiting) = self.by_server.get_mut(&server) {
            waiting.remove(&slot);
            if waiting.is_empty() {
                self.by_server.remove(&server);
            }
        }
    }

    /// A charm has succeeded, or is no longer registered.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.end_wait(slot);
        self.by_slot.remove(&slot);
    }

    /// Takes out those that wait for a server, and from when on each may be polled.
    fn works(&mut self, server: u64) -> Vec<(i64, Slot)> {
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

impl MemorySchedule {
    /// What a poll of this charm says about servers.
    pub(super) fn note_servers(&mut self, slot: Slot, succeeded: bool, servers: &Servers) {
        if succeeded {
            self.outages.forget(slot);
            self.servers_answered(servers);
            return;
        }
        self.outages.end_wait(slot);
        let Some(failed) = servers.failed() else { return };
        let waits = |entry: &&Entry| entry.awaits_fix && entry.phase == Phase::Waiting;
        let Some(entry) = self.slots.get(slot).filter(waits) else { return };
        let in_vain = self.outages.by_slot.get(&slot).map_or(0, |outage| outage.in_vain);
        let wait = policy::delay(self.interval(entry), in_vain.into(), 0.0);
        let wait = wait.max(failed.retry_after.unwrap_or_default());
        let (server, not_before) = (self.outages.hash(&failed.origin), self.now().saturating_add(policy::millis(wait)));
        self.outages.wait(slot, server, not_before);
    }

    /// These servers have answered a poll that succeeded, or a call of a component: the charms that wait for them are
    /// due again.
    pub(crate) fn servers_answered(&mut self, servers: &Servers) {
        if self.outages.by_server.is_empty() {
            return;
        }
        for origin in servers.answered() {
            let again = self.outages.works(self.outages.hash(origin));
            if !again.is_empty() {
                let (origin, charms) = (one_line(origin), again.len());
                info!(target: "poller", charms, "{origin} answers again; the charms that wait for it are polled again: {charms}");
                self.polled_again(again);
            }
        }
    }

    fn polled_again(&mut self, charms: Vec<(i64, Slot)>) {
        let now = self.now();
        for (not_before, slot) in charms {
            let due = not_before.max(now);
            let is_later = |entry: &Entry| entry.phase == Phase::Waiting && entry.due > due;
            if self.slots.get(slot).is_some_and(is_later) {
                self.arm_off_beat(slot, due);
            }
        }
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
