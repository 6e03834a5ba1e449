//! The data to show: all of it is computed from one list of the registrations, however long.

use std::collections::BTreeMap;
use std::time::Duration;

use bg_charm_api::DamagedRegistration;
use bg_charm_api::wire::{HealthState, IntegrationHealth};
use bg_identity::IntegrationId;
use bg_poller::{CharmRef, OutcomeKind, Registration, RegistrationState, UnixMillis};
use serde::Serialize;

use crate::args::Common;
use crate::connect::{self, Endpoint};
use crate::health::Known;
use crate::services::{self, Services};
use crate::states::{States, named};
use crate::{damaged, health};

/// How many charms and integrations are named: as many as fit on a screen.
const NAMED: usize = 8;

/// The time spans for which polls are counted, in minutes.
const MINUTES: [u64; 3] = [1, 5, 15];

/// The state of the service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// When it was queried.
    pub(super) at: UnixMillis,
    /// Where the charm runtime is.
    pub(super) runtime: String,
    /// The services of this data directory.
    pub(super) services: Services,
    /// The number of registrations.
    pub(super) registrations: usize,
    /// How many of them are in each state.
    pub(super) states: Vec<InState>,
    /// How many charms were polled recently.
    pub(super) polled: Vec<Polled>,
    /// The unreadable registrations; they are not counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) damaged: Vec<DamagedRegistration>,
    /// The charms whose newest poll failed, the most recent first.
    pub(super) failures: Vec<Named>,
    /// The disabled charms, the most recent first.
    pub(super) disabled: Vec<Named>,
    /// The integrations with the most registrations.
    pub(super) integrations: Vec<OfIntegration>,
}

/// The number of charms in a state.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct InState {
    #[serde(serialize_with = "named")]
    pub(super) state: RegistrationState,
    pub(super) registrations: usize,
}

/// How many charms had their newest poll recently.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Polled {
    /// In this many minutes.
    pub(super) minutes: u64,
    pub(super) charms: usize,
    /// How many of these polls were not successful.
    pub(super) failed: usize,
}

/// A charm, and its state.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Named {
    #[serde(flatten)]
    pub(super) charm: CharmRef,
    pub(super) integration: IntegrationId,
    #[serde(serialize_with = "named")]
    pub(super) state: RegistrationState,
    /// When it was polled, or disabled.
    pub(super) at: UnixMillis,
    /// The reason.
    pub(super) status: String,
    /// The fix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

/// An integration, and the states of its charms.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfIntegration {
    pub(super) integration: IntegrationId,
    pub(super) registrations: usize,
    /// How many of them are in another state than running.
    pub(super) troubled: usize,
    /// The health of its component, if it has one and its health is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health: Option<IntegrationHealth>,
    /// The fix, if it does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
    /// When its health was recorded, if no service polls it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_as_of: Option<UnixMillis>,
    /// How many are in each state.
    #[serde(skip)]
    pub(super) states: Vec<InState>,
}

impl Status {
    pub(super) async fn look(common: &Common) -> anyhow::Result<Self> {
        let runtime = match connect::endpoint(common).await? {
            Endpoint::Remote { url, .. } => format!("at {url}"),
            Endpoint::Local(data_dir) => format!("the local one in {}", data_dir.path().display()),
        };
        let services = services::find(common).await?;
        let runtime_client = connect::client(common).await?;
        let registrations = runtime_client.registrations().await?;
        let damaged = damaged::read(&*runtime_client).await;
        let states = States::read(common).await;
        let health = health::read(common).await;
        Ok(Self { damaged, ..Self::of(UnixMillis::now(), runtime, services, &registrations, &states, &health) })
    }

    fn of(
        at: UnixMillis,
        runtime: String,
        services: Services,
        all: &[Registration],
        states: &States,
        known: &Known,
    ) -> Self {
        let mut counted: BTreeMap<RegistrationState, usize> = BTreeMap::new();
        let mut integrations: BTreeMap<&IntegrationId, BTreeMap<RegistrationState, usize>> = BTreeMap::new();
        let (mut failures, mut disabled) = (Vec::new(), Vec::new());
        for entry in all {
            let state = states.of(entry);
            *counted.entry(state).or_default() += 1;
            *integrations.entry(&entry.integration).or_default().entry(state).or_default() += 1;
            match state {
                RegistrationState::Running => {}
                RegistrationState::BackingOff | RegistrationState::Failing | RegistrationState::Waiting => {
                    failures.push((entry.last_run, state, entry));
                }
                RegistrationState::DisabledByHand | RegistrationState::DisabledByFailures => {
                    disabled.push((entry.disabled_at, state, entry));
                }
            }
        }
        // A failing integration may have no charms.
        for health in known.iter() {
            integrations.entry(&health.integration).or_default();
        }
        let mut integrations: Vec<OfIntegration> = integrations
            .into_iter()
            .map(|(integration, counted)| {
                let registrations = counted.values().sum();
                let running = counted.get(&RegistrationState::Running).copied().unwrap_or_default();
                let troubled = registrations - running;
                let health = known.of_integration(integration).cloned();
                let health_as_of = health.as_ref().and_then(|health| known.as_of(&health.integration));
                let states = in_states(&counted);
                OfIntegration {
                    integration: integration.clone(),
                    registrations,
                    troubled,
                    fix: health.as_ref().and_then(IntegrationHealth::remedy),
                    health,
                    health_as_of,
                    states,
                }
            })
            .collect();
        // Integrations that do not work come first, then those with the most registrations.
        let state = |one: &OfIntegration| one.health.as_ref().map_or(HealthState::Works, |health| health.state);
        integrations.sort_by_key(|one| std::cmp::Reverse((state(one), one.registrations)));
        integrations.truncate(NAMED);
        Self {
            at,
            runtime,
            services,
            registrations: all.len(),
            states: in_states(&counted),
            polled: MINUTES.map(|minutes| polled(at, minutes, all)).into(),
            damaged: Vec::new(),
            failures: newest(failures),
            disabled: newest(disabled),
            integrations,
        }
    }
}

fn in_states(counted: &BTreeMap<RegistrationState, usize>) -> Vec<InState> {
    let count = |state| counted.get(&state).copied().unwrap_or_default();
    RegistrationState::ALL.map(|state| InState { state, registrations: count(state) }).into()
}

fn polled(at: UnixMillis, minutes: u64, all: &[Registration]) -> Polled {
    let lately =
        |entry: &&Registration| !entry.last_run.is_never() && at.since(entry.last_run) <= Duration::from_mins(minutes);
    let (mut charms, mut failed) = (0, 0);
    for entry in all.iter().filter(lately) {
        charms += 1;
        failed += usize::from(entry.last_outcome != Some(OutcomeKind::Success));
    }
    Polled { minutes, charms, failed }
}

/// The most recent ones, newest first.
fn newest(mut found: Vec<(UnixMillis, RegistrationState, &Registration)>) -> Vec<Named> {
    found.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let named = found.into_iter().take(NAMED).map(|(at, state, entry)| Named {
        charm: entry.charm.clone(),
        integration: entry.integration.clone(),
        state,
        at,
        status: entry.status.clone(),
        fix: entry.fix(),
    });
    named.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use bg_identity::{CharmId, space_did};
    use bg_poller::DisabledBy;

    use super::*;

    /// One registration of each kind, and a hundred that run.
    pub(in super::super) fn status() -> Status {
        let now = UnixMillis(10_000_000);
        let entry = |number: u64, integration: &str, last_run: u64, disabled_at: u64, status: &str, outcome| {
            let charm = CharmRef { space: space_did("my-space"), charm: CharmId::for_content(&number.to_le_bytes()) };
            Registration {
                charm,
                integration: integration.parse().unwrap(),
                created_at: UnixMillis(1),
                updated_at: UnixMillis(1),
                last_run: UnixMillis(last_run),
                disabled_at: UnixMillis(disabled_at),
                interval: None,
                status: status.to_owned(),
                last_success: UnixMillis::NEVER,
                woken_at: UnixMillis::NEVER,
                disabled_by: (disabled_at > 0).then_some(match status {
                    "Disabled: by hand" => DisabledBy::Hand,
                    _ => DisabledBy::Failures,
                }),
                last_outcome: outcome,
                last_blame: None,
                last_cause: None,
            }
        };
        let ok = Some(OutcomeKind::Success);
        let mut all: Vec<Registration> = (0..100)
            .map(|number| {
                entry(number, if number < 60 { "gmail" } else { "gcal" }, 10_000_000 - 59_000, 0, "Success", ok)
            })
            .collect();
        let failed = Some(OutcomeKind::HandlerFailed);
        all.push(entry(200, "feed", 9_800_000, 0, "HandlerFailed: older", failed));
        all.push(entry(201, "feed", 9_900_000, 0, "HandlerFailed: newer\u{1b}[31m", failed));
        all.push(entry(202, "feed", 1_000, 9_000_000, "Disabled: 5 failures in a row: Trapped: x", failed));
        all.push(entry(203, "feed", 0, 9_500_000, "Disabled: by hand", None));
        let failing = IntegrationHealth {
            state: HealthState::Failing,
            reason: "fetch-charms failed: Trapped: on\u{1b}[31m purpose".to_owned(),
            ..IntegrationHealth::working("feed".parse().unwrap())
        };
        let health = Known::now(vec![IntegrationHealth::working("gmail".parse().unwrap()), failing]);
        Status::of(now, "the local one".to_owned(), Services::default(), &all, &States::default(), &health)
    }

    #[test]
    fn everything_is_counted_and_the_most_recent_are_named_first() {
        let status = status();
        assert_eq!(status.registrations, 104);
        let counts: Vec<usize> = status.states.iter().map(|one| one.registrations).collect();
        assert_eq!(counts, [100, 0, 2, 0, 1, 1]);
        let polled: Vec<_> = status.polled.iter().map(|one| (one.minutes, one.charms, one.failed)).collect();
        assert_eq!(polled, [(1, 100, 0), (5, 102, 2), (15, 102, 2)]);
        let named = |named: &[Named]| named.iter().map(|one| one.status.clone()).collect::<Vec<_>>();
        assert_eq!(named(&status.failures), ["HandlerFailed: newer\u{1b}[31m", "HandlerFailed: older"]);
        assert_eq!(named(&status.disabled), ["Disabled: by hand", "Disabled: 5 failures in a row: Trapped: x"]);
        let integrations: Vec<_> =
            status.integrations.iter().map(|one| (one.integration.as_str(), one.registrations, one.troubled)).collect();
        assert_eq!(integrations, [("feed", 4, 4), ("gmail", 60, 0), ("gcal", 40, 0)], "what fails comes first");
    }
}
