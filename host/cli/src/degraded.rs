//! The log lines about integrations whose requests are denied or fail, while their components work. What a component
//! itself does wrong is logged by the poll loop.

use std::collections::BTreeSet;

use bg_charm_api::wire::{HealthState, IntegrationHealth};
use bg_identity::IntegrationId;

use crate::output;

/// The integrations that were logged as degraded.
#[derive(Debug, Default)]
pub(crate) struct Degraded(BTreeSet<IntegrationId>);

/// What there is to log of an integration.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Begins,
    Ends,
}

impl Degraded {
    /// Logs what has changed since the last call, each change once.
    pub(crate) fn log(&mut self, all: &[IntegrationHealth]) {
        for health in all {
            let integration = &health.integration;
            match self.change(health) {
                Some(Change::Begins) => tracing::warn!(
                    target: "poller", %integration, fix = health.remedy(),
                    "The integration {integration} is degraded: {}", output::printable(&health.reason)
                ),
                Some(Change::Ends) => tracing::info!(
                    target: "poller", %integration, "The integration {integration} is no longer degraded"
                ),
                None => {}
            }
        }
    }

    /// One that fails or is paused may still be degraded: its requests count again when its component works.
    fn change(&mut self, health: &IntegrationHealth) -> Option<Change> {
        match health.state {
            HealthState::Degraded => self.0.insert(health.integration.clone()).then_some(Change::Begins),
            HealthState::Works => self.0.remove(&health.integration).then_some(Change::Ends),
            HealthState::Failing | HealthState::Paused => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_logged_once() {
        use HealthState::{Degraded as Denied, Failing, Paused, Works};
        let mut degraded = Degraded::default();
        let works = IntegrationHealth::working("mail".parse().unwrap());
        for (state, change) in [
            (Works, None),
            (Denied, Some(Change::Begins)),
            (Denied, None),
            (Failing, None),
            (Paused, None),
            (Denied, None),
            (Works, Some(Change::Ends)),
            (Works, None),
            (Denied, Some(Change::Begins)),
        ] {
            assert_eq!(degraded.change(&IntegrationHealth { state, ..works.clone() }), change, "{state}");
        }
    }
}
