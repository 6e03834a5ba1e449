//! The counts of registrations, as a part of a page.

use std::collections::BTreeMap;

use askama::Template;
use bg_charm_api::{DamagedRegistration, RegistrationCount};
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

/// The ID of the part with damaged registrations.
pub(super) const DAMAGED: &str = "damaged";

/// How many damaged registrations are listed.
const NAMED: usize = 8;

#[derive(Template)]
#[template(path = "damaged.html")]
struct Damaged<'a> {
    named: &'a [DamagedRegistration],
    further: usize,
}

/// The part of the page with damaged registrations.
pub(super) fn damaged_part(all: &[DamagedRegistration]) -> String {
    let named = &all[..all.len().min(NAMED)];
    page::part(&Damaged { named, further: all.len() - named.len() })
}
