//! Refusals for lack of room, until there is room again.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts refusals, and up to which of them the charms were woken.
#[derive(Debug, Default)]
pub struct Shortages {
    /// How often a handler's writes were refused for lack of room.
    refused: AtomicU64,
    /// How many of these the charms were woken for, since there was room again.
    woken_for: AtomicU64,
}

impl Shortages {
    /// The number of the last refusal for lack of room, unless the charms were woken since.
    pub fn last(&self) -> Option<u64> {
        let refused = self.refused.load(Ordering::SeqCst);
        (refused > self.woken_for.load(Ordering::SeqCst)).then_some(refused)
    }

    /// Writes are refused for lack of room.
    pub fn note(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    /// The charms whose writes were refused up to that [`Self::last`] are woken. Later refusals still count.
    pub fn end(&self, shortage: u64) {
        self.woken_for.fetch_max(shortage, Ordering::SeqCst);
    }
}
