//! Registrations that the loop disables after failures, and enables again.

use tracing::{info, warn};

use super::slots::{Asked, Entry, Phase, Slot};
use super::state::MemorySchedule;
use crate::report::one_line;
use crate::schedule::StatusChange;
use crate::{CharmRef, Limit, Registration, RuntimeError, UnixMillis};

/// When to try again to enable a charm whose time has come.
const ENABLE_RETRY_MS: i64 = 60_000;

impl MemorySchedule {
    /// Has the runtime disable (for a reason) or enable a registration.
    pub(super) fn ask(&mut self, slot: Slot, what: Asked, disable: Option<String>) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        entry.asked = what;
        if what == Asked::ToEnable {
            entry.phase = Phase::Idle;
        }
        if let Some(charm) = self.slots.get(slot).map(|entry| self.slots.charm(entry)) {
            self.status_changes.push(StatusChange { charm, disable });
        }
    }

    /// The runtime has answered.
    pub(super) fn note_status(&mut self, charm: &CharmRef, answer: Result<Registration, RuntimeError>) {
        let Some(slot) = self.slots.slot(charm) else { return };
        let Some(entry) = self.slots.get_mut(slot) else { return };
        let asked = std::mem::replace(&mut entry.asked, Asked::Nothing);
        match answer {
            // Somebody has registered, enabled or disabled the charm since.
            Ok(registration) if registration.updated_at < entry.changed_at => {}
            Ok(registration) if registration.is_enabled() => {
                entry.changed_at = registration.updated_at;
                if asked == Asked::ToEnable {
                    info!(target: "poller", "Charm {charm} is polled again after 24 hours");
                    self.begin_again(slot, true);
                }
            }
            Ok(registration) => self.disabled_by_loop(slot, &registration),
            Err(RuntimeError::NotFound(_)) => {}
            Err(error) if asked == Asked::ToEnable => {
                warn!(target: "poller", "Charm {charm} cannot be enabled yet: {}", one_line(&error.to_string()));
                let again = self.now() + ENABLE_RETRY_MS;
                self.arm(slot, Phase::Disabled, again);
            }
            // It stays disabled here all the same.
            Err(error) => {
                warn!(target: "poller", "Charm {charm} cannot be marked as disabled: {}", one_line(&error.to_string()));
            }
        }
    }

    /// The registration says now that the charm is disabled, and it was the loop that did it.
    fn disabled_by_loop(&mut self, slot: Slot, registration: &Registration) {
        let wall: UnixMillis = self.options.clock.now();
        let Some(entry) = self.slots.get_mut(slot) else { return };
        let Entry { phase, disabled_at, .. } = entry;
        entry.changed_at = registration.updated_at;
        entry.enabled = false;
        // Its 24 hours began when it failed, also if it was marked only after a restart.
        if disabled_at.is_never() {
            *disabled_at = wall;
        }
        if *phase != Phase::Disabled && *phase != Phase::Running && self.options.limit != Limit::Once {
            self.unqueue(slot);
            self.arm_return(slot);
        }
        self.save(slot);
    }
}
