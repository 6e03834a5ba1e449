//! How many registrations there are, as a part of a page.

use std::collections::BTreeMap;

use askama::Template;
use bg_charm_api::RegistrationCount;
use bg_identity::IntegrationId;
use bg_poller::RegistrationState;

use super::page;
use crate::counts::by_state;

/// Sums by integration.
pub(super) fn by_integration(counts: &[RegistrationCount]) -> BTreeMap<IntegrationId, u64> {
    let mut sums = BTreeMap::new();
    for one in counts {
        *sums.entry(one.integration.clone()).or_default() += one.count;
    }
    sums
}

#[derive(Template)]
#[template(path = "counts.html")]
struct Shown {
    total: u64,
    states: Vec<(RegistrationState, u64)>,
}

/// The part of the page that shows them.
pub(super) fn part(counts: &[RegistrationCount]) -> String {
    page::part(&Shown { total: counts.iter().map(|one| one.count).sum(), states: by_state(counts) })
}
