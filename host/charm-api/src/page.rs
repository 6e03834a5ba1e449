//! Registrations as an operator sees them: in pages, with their polling states.

use std::fmt;
use std::time::Duration;

use bg_identity::{IntegrationId, SpaceDid};
use bg_poller::{CharmRef, OutcomeKind, Registration, RegistrationState, UnixMillis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Selects registrations; all given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationFilter {
    /// Only those whose charm's name or ID, integration, or status contains this text, regardless of the case of ASCII
    /// letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Only charms of this space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceDid>,
    /// Only this integration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<IntegrationId>,
    /// Only this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RegistrationState>,
}

/// Selects a page of registrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrationQuery {
    /// The conditions.
    pub filter: RegistrationFilter,
    /// Where the page begins or ends; at the first registration if `None`.
    pub cursor: Option<Cursor>,
    /// The limit.
    pub limit: usize,
}

/// Where a page begins or ends. Registrations are sorted by space and charm ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// It begins after this charm.
    After(CharmRef),
    /// It ends before this charm.
    Before(CharmRef),
}

/// A page of registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationPage {
    /// The registrations, sorted by space and charm ID.
    pub rows: Vec<RegistrationRow>,
    /// Whether there are more in the direction in which it was asked.
    pub more: bool,
}

/// A registration with its polling state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationRow {
    /// The registration.
    pub registration: Registration,
    /// The charm's name for people.
    pub name: Option<String>,
    /// Its polling state.
    pub state: RegistrationState,
    /// Failed polls in a row; 0 if another process polls.
    pub failures: u32,
    /// When it is polled next, if it backs off.
    pub put_off_until: Option<UnixMillis>,
    /// Its newest runs, oldest first.
    pub recent: Vec<RecentRun>,
}

/// A run, summarized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentRun {
    /// When it started.
    pub started_at: UnixMillis,
    /// How long it took.
    pub duration: Duration,
    /// Its outcome; `None` if this version does not know the kind.
    pub kind: Option<OutcomeKind>,
}

/// A registration that cannot be read: a column of its row in the database is damaged. Its charm is not polled; the
/// others are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct DamagedRegistration {
    /// Which charm, as far as it can be read: `<space>/<charm ID>`.
    pub charm: String,
    /// For which integration, if that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<IntegrationId>,
    /// The first column that is damaged: `registrations.interval_ms`.
    pub column: String,
    /// The value in it.
    pub problem: String,
    /// How to fix it.
    pub fix: String,
}

impl fmt::Display for DamagedRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; fix: {}", self.found(), self.fix)
    }
}

impl DamagedRegistration {
    /// The problem without the fix.
    pub fn found(&self) -> String {
        let Self { charm, column, problem, .. } = self;
        format!("damaged registration of {charm}, which is not polled: column {column}: {problem}")
    }
}

/// The number of an integration's registrations in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationCount {
    /// Which integration.
    pub integration: IntegrationId,
    /// Which state.
    pub state: RegistrationState,
    /// How many.
    pub count: u64,
}
