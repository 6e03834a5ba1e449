//! A registration as a row of the list.

use askama::Template;
use bg_charm_api::RegistrationRow;
use bg_charm_api::wire::{HealthState, IntegrationHealth};
use bg_poller::{RegistrationState, UnixMillis};

use super::{link, page, spark, times};
use crate::pollers::Pollers;

/// A row of the list.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) page: String,
    pub(super) name: String,
    pub(super) charm: String,
    pub(super) short: String,
    pub(super) space: String,
    pub(super) short_space: String,
    pub(super) space_link: String,
    pub(super) integration: String,
    pub(super) integration_link: String,
    pub(super) state: RegistrationState,
    pub(super) enabled: bool,
    pub(super) failures: u32,
    /// Why it is not polled although it is enabled, if so.
    pub(super) held: Option<&'static str>,
    pub(super) status: String,
    /// What to do, if it is disabled or its last poll failed.
    pub(super) fix: Option<String>,
    /// HTML, as the next two.
    pub(super) last_run: String,
    pub(super) next_run: String,
    pub(super) spark: String,
}

impl Row {
    pub(super) fn new(row: &RegistrationRow, pollers: &Pollers, health: &[IntegrationHealth]) -> Self {
        let RegistrationRow { registration, name, state, failures, recent, .. } = row;
        let charm = &registration.charm;
        let integration = registration.integration.to_string();
        let short = bg_identity::short(charm.charm.as_str());
        let held = if registration.is_enabled() { held(row, health) } else { None };
        Self {
            key: link::key(charm),
            page: link::charm(charm),
            name: name.clone().filter(|name| !name.trim().is_empty()).unwrap_or_else(|| short.clone()),
            charm: charm.charm.to_string(),
            short,
            space: charm.space.to_string(),
            short_space: bg_identity::short(charm.space.as_str().trim_start_matches("did:key:")),
            space_link: link::with_query("/admin", &[("space", charm.space.as_str())]),
            integration_link: link::with_query("/admin", &[("integration", &integration)]),
            integration,
            state: *state,
            enabled: registration.is_enabled(),
            failures: *failures,
            held,
            status: registration.status.clone(),
            fix: registration.fix(),
            last_run: times::past(registration.last_run),
            next_run: if held.is_some() { "–".to_owned() } else { next_run(row, pollers, health) },
            spark: spark::svg(recent),
        }
    }

    pub(super) fn html(&self) -> String {
        page::part(&Shown { row: self })
    }
}

/// The problem of its integration that stops its polls.
fn held(row: &RegistrationRow, health: &[IntegrationHealth]) -> Option<&'static str> {
    let of_it = health.iter().find(|health| health.integration == row.registration.integration)?;
    match of_it.state {
        HealthState::Paused => Some("integration paused"),
        _ if !of_it.polls() => Some("integration failing"),
        _ => None,
    }
}

/// When it is polled next, if known.
fn next_run(row: &RegistrationRow, pollers: &Pollers, health: &[IntegrationHealth]) -> String {
    let registration = &row.registration;
    if !registration.is_enabled() || !pollers.are_there() {
        return "–".to_owned();
    }
    if row.state == RegistrationState::Waiting {
        return "once that is fixed".to_owned();
    }
    if let Some(until) = row.put_off_until {
        return times::due(until);
    }
    match pollers.interval_of(registration) {
        _ if registration.last_run < registration.changed_at() => "soon".to_owned(),
        Some(interval) => {
            let due = registration.last_run + interval;
            // A component says which of its charms are polled, once their interval is over.
            let has_component = health.iter().any(|health| health.integration == registration.integration);
            if has_component && due <= UnixMillis::now() { "when named".to_owned() } else { times::due(due) }
        }
        None => "–".to_owned(),
    }
}

#[derive(Template)]
#[template(path = "row.html")]
struct Shown<'a> {
    row: &'a Row,
}
