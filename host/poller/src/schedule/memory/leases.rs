//! The leases that are held.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::slots::{Beat, Entry, Slot};
use crate::schedule::Lease;

/// The leases that are held. In one process they last until they are settled or released: a claimer that dies takes the
/// schedule with it.
#[derive(Debug, Default)]
pub(super) struct Leases {
    time: Option<Duration>,
    given: u64,
    held: HashMap<Lease, Held>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) slot: Slot,
    until: Option<Instant>,
    /// What its charm was before, and is again if nothing of the poll counts.
    pub(super) was: Urgency,
}

/// How urgent a due charm is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Urgency {
    wanted: bool,
    beat: Beat,
}

impl Urgency {
    pub(super) fn take(entry: &mut Entry) -> Self {
        Self { wanted: std::mem::take(&mut entry.wanted), beat: std::mem::take(&mut entry.beat) }
    }

    /// Somebody may have asked for a poll of the charm since.
    pub(super) fn give_back(self, entry: &mut Entry) {
        entry.beat = if entry.wanted { Beat::Regular } else { self.beat };
        entry.wanted |= self.wanted;
    }
}

impl Leases {
    /// Leases that end after this time if they are not renewed.
    pub(super) fn lasting(time: Duration) -> Self {
        Self { time: Some(time), ..Self::default() }
    }

    pub(super) fn time(&self) -> Option<Duration> {
        self.time
    }

    pub(super) fn give(&mut self, slot: Slot, was: Urgency) -> Lease {
        self.given += 1;
        let lease = Lease(self.given);
        self.held.insert(lease, Held { slot, until: self.until(), was });
        lease
    }

    /// The lease ends; what was held by it, if it was.
    pub(super) fn end(&mut self, lease: Lease) -> Option<Held> {
        self.held.remove(&lease)
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
    pub(super) fn over(&mut self) -> Vec<Held> {
        if self.time.is_none() {
            return Vec::new();
        }
        let now = Instant::now();
        let mut over: Vec<(Lease, Held)> =
            self.held.extract_if(|_, held| held.until.is_some_and(|until| until <= now)).collect();
        over.sort_unstable_by_key(|(lease, _)| *lease);
        over.into_iter().map(|(_, held)| held).collect()
    }
}
