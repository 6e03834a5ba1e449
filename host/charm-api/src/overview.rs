//! Registrations as their operator looks at them: page by page, with how their polling stands.

use std::fmt;
use std::time::Duration;

use bg_identity::{IntegrationId, SpaceDid};
use bg_poller::{CharmRef, OutcomeKind, Registration, RegistrationState, UnixMillis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which registrations: those for which all that is said holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationFilter {
    /// Only those with this in the charm's name or ID, in the name of the integration, or in the status; ASCII letters match in either case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Only those of this space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceDid>,
    /// Only those of this integration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<IntegrationId>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RegistrationState>,
}

/// Which registrations, and which part of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverviewQuery {
    /// Which ones.
    pub filter: RegistrationFilter,
    /// Where the page begins, or ends; at the first one, if it is not said.
    pub place: Option<Place>,
    /// How many at most.
    pub limit: usize,
}

/// Where a page begins or ends. Registrations are sorted by space and charm ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It begins after this charm.
    After(CharmRef),
    /// It ends before this charm.
    Before(CharmRef),
}

/// A page of registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The registrations, sorted by space and charm ID.
    pub rows: Vec<OverviewRow>,
    /// Whether there are more in the direction in which it was asked.
    pub more: bool,
}

/// A registration and how its polling stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverviewRow {
    /// The registration.
    pub registration: Registration,
    /// The charm's name for people.
    pub name: Option<String>,
    /// How its polling stands.
    pub state: RegistrationState,
    /// Failed polls in a row, as far as they are known here: not if the service that polls runs elsewhere.
    pub failures: u32,
    /// When it is polled next, if it waits for longer than its interval.
    pub put_off_until: Option<UnixMillis>,
    /// Its newest runs, oldest first.
    pub recent: Vec<RecentRun>,
}

/// A run, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentRun {
    /// When it started.
    pub started_at: UnixMillis,
    /// How long it took.
    pub duration: Duration,
    /// What it came to; none if it is a kind that this version does not know.
    pub kind: Option<OutcomeKind>,
}

/// A registration that cannot be read: a column of its row in the database is damaged. Its charm is not polled; the others are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct DamagedRegistration {
    /// Which charm, as far as it can be read: `<space>/<charm ID>`.
    pub charm: String,
    /// For which integration, if that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<IntegrationId>,
    /// The first column that is damaged: `registrations.interval_ms`.
    pub column: String,
    /// What is in it.
    pub problem: String,
    /// What fixes it.
    pub fix: String,
}

impl fmt::Display for DamagedRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; fix: {}", self.found(), self.fix)
    }
}

impl DamagedRegistration {
    /// The same without what fixes it.
    pub fn found(&self) -> String {
        let Self { charm, column, problem, .. } = self;
        format!("damaged registration of {charm}, which is not polled: column {column}: {problem}")
    }
}

/// How many registrations there are in a state, for an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationCount {
    /// Which integration.
    pub integration: IntegrationId,
    /// Which state.
    pub state: RegistrationState,
    /// How many.
    pub count: u64,
}
