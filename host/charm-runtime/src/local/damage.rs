//! What is damaged of the registrations, reported once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bg_charm_api::DamagedRegistration;

/// What was reported. Registrations are read again and again, and what is damaged stays so until somebody fixes it.
#[derive(Debug, Default)]
pub(super) struct Damage(Mutex<HashSet<DamagedRegistration>>);

impl Damage {
    /// Logs what was not damaged when the registrations were read before.
    pub(super) fn report(&self, all: &[DamagedRegistration]) {
        let mut reported = self.lock();
        for one in all.iter().filter(|one| !reported.contains(*one)) {
            tracing::warn!("{one}");
        }
        *reported = all.iter().cloned().collect();
    }

    /// The same where only some registrations were read: of the others nothing is known.
    pub(super) fn report_more(&self, some: Vec<DamagedRegistration>) {
        let mut reported = self.lock();
        for one in some {
            if !reported.contains(&one) {
                tracing::warn!("{one}");
                reported.insert(one);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<DamagedRegistration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
