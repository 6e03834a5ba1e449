//! Why registered charms are not polled, or not successfully.

use std::collections::BTreeMap;
use std::time::Duration;

use bg_charm_api::wire::{HealthState, IntegrationHealth};
use bg_identity::IntegrationId;
use bg_poller::{Blame, Cause, Consequence, OutcomeKind, Registration, RegistrationState, UnixMillis};

use super::row::Row;
use crate::args::Common;
use crate::health::Known;
use crate::services::Services;

/// A service that polls anything usually has done so within this time.
const RECENT: Duration = Duration::from_mins(5);

/// Whether a service polls, and whether the charms that it polls exist.
pub(super) fn polled(common: &Common, services: &Services, registrations: &[Registration]) -> Vec<Row> {
    const WHAT: &str = "service";
    let polls = services.polls.iter().map(|polls| Row::ok(WHAT, format!("{polls} polls")));
    let elsewhere = services.elsewhere.iter().map(|one| match one.problem {
        Some(_) => Row::wrong(WHAT, one.to_string()).fixed_by(one.fix()),
        None if services.polls.is_some() => Row::ok(WHAT, one.to_string()),
        None => Row::weak(WHAT, one.to_string()).fixed_by(format!("bg-wasm-host --api-url {} doctor", one.url)),
    });
    let rows: Vec<Row> = polls.chain(elsewhere).collect();
    if !rows.is_empty() {
        return rows;
    }
    let newest = registrations.iter().map(|entry| entry.last_run).max().filter(|last| !last.is_never());
    let since = newest.map(|last| UnixMillis::now().since(last));
    if common.api_url.is_some() && since.is_some_and(|since| since < RECENT) {
        return vec![Row::ok(WHAT, "none of this data directory, but another one polls the charm runtime")];
    }
    vec![Row::weak(WHAT, "none polls, so registered charms are not run").fixed_by("bg-wasm-host run")]
}

/// The health of the polled integrations, if it is known.
pub(super) fn health(known: &Known) -> Vec<Row> {
    let now = UnixMillis::now();
    let row = |one: &IntegrationHealth| {
        let (what, found) = (format!("integration {}", one.integration), known.line(one, now));
        if one.state == HealthState::Works {
            return Row::ok(what, found);
        }
        let row = Row::weak(what, found);
        match one.remedy() {
            Some(fix) => row.fixed_by(fix),
            None => row,
        }
    };
    known.iter().map(row).collect()
}

/// Charms of integrations without a component, which are polled without being named.
pub(super) fn without_component(registrations: &[Registration], components: &[IntegrationId]) -> Row {
    const WHAT: &str = "integrations";
    let mut counted: BTreeMap<&IntegrationId, usize> = BTreeMap::new();
    for entry in registrations {
        *counted.entry(&entry.integration).or_default() += 1;
    }
    if components.is_empty() {
        return Row::ok(
            WHAT,
            format!("charms of {} are registered; without a component, all are polled", counted.len()),
        );
    }
    let bare: Vec<String> = counted
        .iter()
        .filter(|(id, _)| !components.contains(id))
        .map(|(id, count)| format!("{id} ({count})"))
        .collect();
    match bare.as_slice() {
        [] => Row::ok(WHAT, "every charm's integration has a component"),
        bare => Row::weak(WHAT, format!("no component for {}: these charms are polled without one", bare.join(", ")))
            .fixed_by("bg-wasm-host run --component FILE"),
    }
}

/// What keeps charms from being polled successfully, grouped by who is to blame and by the cause, each with one charm as
/// an example. A charm that fails by its own fault and is not disabled yet is not a problem of the installation.
pub(super) fn troubles(registrations: &[Registration]) -> Vec<Row> {
    let disabled = |entry: &&Registration| entry.state(0) == RegistrationState::DisabledByFailures;
    let unfit = |entry: &&Registration| {
        entry.is_enabled() && matches!(entry.last_outcome, Some(OutcomeKind::NoStream | OutcomeKind::NotFound))
    };
    let blames = |entry: &&Registration, all: &[Blame]| {
        entry.consequence().is_some_and(Consequence::awaits_a_fix)
            && entry.last_blame.is_some_and(|blame| all.contains(&blame))
    };
    let by_hand = registrations.iter().filter(|entry| entry.state(0) == RegistrationState::DisabledByHand);
    let healthy = match by_hand.count() {
        0 => "none".to_owned(),
        count => format!("none by failures; {count} by hand; `bg-wasm-host enable CHARM` enables one again"),
    };
    let of = |all: &'static [Blame]| registrations.iter().filter(move |entry| blames(entry, all));
    let elsewhere = [Blame::Upstream, Blame::Runtime, Blame::Service, Blame::Charm].as_slice();
    [
        rows("disabled charms", registrations.iter().filter(disabled), &healthy),
        rows("waiting charms", of(&[Blame::Configuration]), "none waits for a grant or for access"),
        rows("updater streams", registrations.iter().filter(unfit), "none was missed"),
        rows("OAuth tokens", of(&[Blame::Credential]), "none waits for a sign-in"),
        rows("other services", of(elsewhere), "none keeps a charm from being polled"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A row for each cause.
fn rows<'a>(what: &str, found: impl Iterator<Item = &'a Registration>, healthy: &str) -> Vec<Row> {
    let mut by_cause: BTreeMap<Option<Cause>, Vec<&Registration>> = BTreeMap::new();
    for entry in found {
        by_cause.entry(entry.last_cause).or_default().push(entry);
    }
    if by_cause.is_empty() {
        return vec![Row::ok(what, healthy)];
    }
    by_cause.values().map(|found| row(what, found)).collect()
}

fn row(what: &str, found: &[&Registration]) -> Row {
    let newest = found.iter().max_by_key(|entry| entry.last_run);
    let Some(newest) = newest else { return Row::ok(what, "none") };
    let count = if found.len() == 1 { "one".to_owned() } else { found.len().to_string() };
    let row = Row::weak(what, format!("{count}, such as {} ({})", newest.charm, newest.status));
    match newest.fix() {
        Some(fix) => row.fixed_by(fix),
        None => row,
    }
}
