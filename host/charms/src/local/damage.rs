//! What is damaged of the registrations, reported once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::DamagedRegistration;

/// What was reported. Registrations are read again and again, and what is damaged stays so until somebody fixes it.
#[derive(Debug, Default)]
pub(super) struct Damage(Mutex<HashSet<DamagedRegistration>>);

impl Damage {
    /// Logs what was not damaged when the registrations were read before.
    pub(super) fn report(&self, all: &[DamagedRegistration]) {
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in all.iter().filter(|one| !reported.contains(*one)) {
            tracing::warn!("{one}");
        }
        *reported = all.iter().cloned().collect();
    }
}
