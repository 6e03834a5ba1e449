//! Which charms have gone while a list was made.

use std::collections::HashSet;

use crate::CharmRef;

/// The most charms that are known to have gone, for one list.
const MOST: usize = 10_000;

/// The charms that were unregistered, or registered for another integration, since a call of `fetch-charms` started: it
/// may name them rightly.
#[derive(Debug, Default)]
pub(super) struct Gone {
    charms: HashSet<CharmRef>,
}

impl Gone {
    /// A call starts.
    pub(super) fn begin(&mut self) {
        self.charms.clear();
    }

    /// A charm has gone.
    pub(super) fn note(&mut self, charm: CharmRef) {
        if self.charms.len() < MOST {
            self.charms.insert(charm);
        }
    }

    pub(super) fn contains(&self, charm: &CharmRef) -> bool {
        self.charms.contains(charm)
    }
}
