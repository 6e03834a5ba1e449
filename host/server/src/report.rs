//! The reports of this process's poll loop, for its pages and for other servers.

use std::sync::PoisonError;

use bg_charm_api::wire::{IntegrationReport, IntegrationView};
use bg_egress::Owner;
use bg_identity::IntegrationId;
use bg_poller::Standing;

use crate::activity::Activity;
use crate::polling::Polling;

impl Polling {
    /// All integrations with a component, by ID, with their activity.
    pub fn report(&self, activity: &Activity) -> Vec<IntegrationReport> {
        let standings = self.gauges.integrations();
        let views = self.integrations.read().unwrap_or_else(PoisonError::into_inner);
        // The standing before the loop has reached it.
        let at_first = Standing { interval: self.interval, ..Standing::default() };
        let report = |(id, view): (&IntegrationId, &IntegrationView)| {
            let owner = Owner::Integration(id.clone());
            IntegrationReport {
                view: view.clone(),
                standing: standings.get(id).unwrap_or(&at_first).clone(),
                calls: activity.calls_of(&owner),
                egress: activity.egress_of(&owner),
                log: activity.failed_log_of(&owner),
            }
        };
        views.iter().map(report).collect()
    }
}
