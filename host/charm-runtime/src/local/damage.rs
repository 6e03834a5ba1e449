//! What is damaged of the registrations, reported once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bg_charm_api::DamagedRegistration;
use bg_poller::RegistrationChanges;

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

    /// The same where only the registrations in `changes` were read: of the others nothing is known.
    pub(super) fn report_more(&self, some: Vec<DamagedRegistration>, changes: &RegistrationChanges) {
        for one in self.note_more(some, changes) {
            tracing::warn!("{one}");
        }
    }

    /// Notes damage, and returns what was not noted before. What is fixed is forgotten, so that it is reported if it
    /// comes back.
    fn note_more(&self, some: Vec<DamagedRegistration>, changes: &RegistrationChanges) -> Vec<DamagedRegistration> {
        let registered = changes.registrations.iter().map(|registration| &registration.charm);
        let read = registered.chain(changes.removed.iter().flatten()).map(ToString::to_string);
        let read: HashSet<String> = read.collect();
        let mut reported = self.lock();
        reported.retain(|known| !read.contains(&known.charm) || some.contains(known));
        some.into_iter().filter(|one| reported.insert(one.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<DamagedRegistration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};
    use bg_poller::CharmRef;

    use super::*;

    fn charm(name: &str) -> CharmRef {
        CharmRef { space: space_did("my-space"), charm: CharmId::for_content(name.as_bytes()) }
    }

    fn damaged(charm: &CharmRef) -> DamagedRegistration {
        DamagedRegistration {
            charm: charm.to_string(),
            integration: None,
            column: "registrations.interval_ms".to_owned(),
            problem: "-5 is out of range".to_owned(),
            fix: "remove".to_owned(),
        }
    }

    /// Changes in which these charms have no registration that can be read.
    fn without(charms: &[&CharmRef]) -> RegistrationChanges {
        let removed = charms.iter().copied().cloned().collect();
        RegistrationChanges { revision: Some(1), registrations: Vec::new(), removed: Some(removed) }
    }

    #[test]
    fn damage_that_was_fixed_and_comes_back_is_reported_again() {
        let (damage, one, two) = (Damage::default(), charm("1"), charm("2"));
        let both = vec![damaged(&one), damaged(&two)];
        assert_eq!(damage.note_more(both.clone(), &without(&[&one, &two])), both);
        // It is still damaged.
        assert_eq!(damage.note_more(vec![damaged(&one)], &without(&[&one])), []);
        // It is fixed: it was removed, for example.
        assert_eq!(damage.note_more(Vec::new(), &without(&[&one])), []);
        assert_eq!(damage.note_more(both, &without(&[&one, &two])), [damaged(&one)]);
    }
}
