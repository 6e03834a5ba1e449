//! What a running loop shows of itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bg_identity::IntegrationId;

use crate::Standing;

/// What a running loop shows of itself, at any time and to anybody: it writes, others read. The handle is given to it
/// with [`PollerOptions::gauges`](crate::PollerOptions::gauges).
#[derive(Debug, Default)]
pub struct Gauges {
    running: AtomicU64,
    queued: AtomicU64,
    registrations: AtomicU64,
    integrations: Mutex<BTreeMap<IntegrationId, Standing>>,
}

impl Gauges {
    /// Polls that are under way.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Charms that are due and wait for a place.
    pub fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    /// Registrations that the loop knows of, enabled or not.
    pub fn registrations(&self) -> u64 {
        self.registrations.load(Ordering::Relaxed)
    }

    /// The integrations that have a component.
    pub fn integrations(&self) -> BTreeMap<IntegrationId, Standing> {
        self.integrations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, running: usize, queued: usize, registrations: usize) {
        self.running.store(running as u64, Ordering::Relaxed);
        self.queued.store(queued as u64, Ordering::Relaxed);
        self.registrations.store(registrations as u64, Ordering::Relaxed);
    }

    pub(crate) fn change(&self, integration: &IntegrationId, change: impl FnOnce(&mut Standing)) {
        let mut integrations = self.integrations.lock().unwrap_or_else(PoisonError::into_inner);
        change(integrations.entry(integration.clone()).or_default());
    }
}
