//! How an integration's component stands, for people and for monitoring.

use std::time::Duration;

use bg_identity::IntegrationId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Blame, Cause, OutcomeKind, UnixMillis, cause};

/// How an integration with a component stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Whether it is paused, since its component keeps failing.
    pub paused: bool,
    /// Until when it is paused; never, if it is not.
    #[serde(default)]
    pub paused_until: UnixMillis,
    /// Whether a function of its component fails: it has not answered since its last failure.
    #[serde(default)]
    pub failing: bool,
    /// Whether its charms wait, since there is no list that names them.
    #[serde(default)]
    pub without_list: bool,
    /// The last failure of its component, also if that works again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ComponentFailure>,
    /// How many of its charms its last list named.
    pub named: u64,
    /// How many of its enabled charms that list left out.
    pub left_out: u64,
    /// Its interval; in JSON, milliseconds.
    #[serde(rename = "intervalMs", with = "crate::millis")]
    #[schemars(with = "u64")]
    pub interval: Duration,
}

/// A failed call of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentFailure {
    /// When it ended.
    pub at: UnixMillis,
    /// The function, as the contract names it.
    pub function: String,
    /// Its kind.
    pub kind: OutcomeKind,
    /// Who is to blame; none if an earlier version of this program did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// What exactly was the cause, where it is known.
    #[serde(default, deserialize_with = "cause::known", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub cause: Option<Cause>,
    /// What happened, for people, in one line.
    pub reason: String,
    /// How often the function failed since its last answer.
    pub in_a_row: u64,
}

impl ComponentFailure {
    /// What to do about it.
    pub fn fix(&self, integration: &IntegrationId) -> String {
        let blame = self.blame.unwrap_or_else(|| Cause::of_component(self.kind).blame());
        let advice = cause::advice(self.kind, Some(blame), self.cause);
        cause::for_integration(advice.unwrap_or_default(), integration)
    }
}

impl Standing {
    /// As before its first call.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, ..Self::default() }
    }
}
