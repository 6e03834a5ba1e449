//! Who holds which charm.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::MemorySchedule;
use crate::schedule::Lease;
use crate::slots::{Phase, Slot};

/// The leases that are held. In one process they last until they are settled or released: a claimer that dies takes the
/// schedule with it.
#[derive(Debug, Default)]
pub(super) struct Leases {
    time: Option<Duration>,
    given: u64,
    held: HashMap<Lease, Held>,
}

#[derive(Debug)]
struct Held {
    slot: Slot,
    until: Option<Instant>,
}

impl Leases {
    /// Leases that end after this time if they are not renewed.
    pub(super) fn lasting(time: Duration) -> Self {
        Self { time: Some(time), ..Self::default() }
    }

    pub(super) fn time(&self) -> Option<Duration> {
        self.time
    }

    pub(super) fn give(&mut self, slot: Slot) -> Lease {
        self.given += 1;
        let lease = Lease(self.given);
        self.held.insert(lease, Held { slot, until: self.until() });
        lease
    }

    /// The lease ends; the slot that it was for, if it was held.
    pub(super) fn end(&mut self, lease: Lease) -> Option<Slot> {
        self.held.remove(&lease).map(|held| held.slot)
    }

    /// Extends a lease; false if it has ended.
    pub(super) fn renew(&mut self, lease: Lease) -> bool {
        let until = self.until();
        self.held.get_mut(&lease).map(|held| held.until = until).is_some()
    }

    /// When the next one ends by itself.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.time?;
        self.held.values().filter_map(|held| held.until).min()
    }

    fn until(&self) -> Option<Instant> {
        self.time.map(|time| Instant::now() + time)
    }

    /// Takes out those whose time is over.
    fn over(&mut self) -> Vec<Slot> {
        if self.time.is_none() {
            return Vec::new();
        }
        let now = Instant::now();
        let mut over: Vec<(Lease, Slot)> = self
            .held
            .extract_if(|_, held| held.until.is_some_and(|until| until <= now))
            .map(|(lease, held)| (lease, held.slot))
            .collect();
        over.sort_unstable();
        over.into_iter().map(|(_, slot)| slot).collect()
    }
}

impl MemorySchedule {
    /// Makes the charms of leases that have ended by themselves due again.
    pub(super) fn end_leases(&mut self) {
        for slot in self.leases.over() {
            self.give_back(slot);
        }
    }

    /// Makes a charm due as it was before its lease: nothing of a poll counts.
    pub(super) fn give_back(&mut self, slot: Slot) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        entry.phase = Phase::Idle;
        // Its list still gives it a poll.
        entry.served = 0;
        let (lane, due, is_active) = (entry.lane, entry.due, entry.is_active());
        self.ready.release(lane);
        self.slow_ended(slot, None);
        if is_active {
            self.arm(slot, Phase::Waiting, due);
        }
        self.sort_out(slot);
    }
}
