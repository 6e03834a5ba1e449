//! What is polled: charms and their registrations.

use std::time::{Duration, SystemTime};

use bg_identity::IntegrationId;
pub use bg_identity::{CharmRef, ParseCharmRefError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Blame, Cause, Consequence, OutcomeKind, RegistrationState, cause};

/// A moment as milliseconds since the Unix epoch, the unit of every stored and transmitted time here. Zero is "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("maximum" = i64::MAX))]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// "Never".
    pub const NEVER: Self = Self(0);

    /// The system's wall clock; "never" if it is set before 1970.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Whether this stands for "never".
    pub fn is_never(self) -> bool {
        self.0 == 0
    }

    /// The time from `earlier` to this; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for UnixMillis {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Who disabled a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DisabledBy {
    /// Somebody. It stays so until somebody enables it.
    Hand,
    /// The poll loop, for the charm's failures. It comes back after 24 hours.
    Failures,
}

impl DisabledBy {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Hand, Self::Failures];

    /// The name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Failures => "failures",
        }
    }

    /// The one of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == name)
    }
}

/// One charm to be polled, for one integration, as the charm runtime keeps it. There is one at most for each charm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Which charm.
    #[serde(flatten)]
    pub charm: CharmRef,
    /// For which integration.
    pub integration: IntegrationId,
    /// When it was first registered.
    pub created_at: UnixMillis,
    /// When it was last registered, enabled or disabled. Polls (last run, status) do not change it: a later time means that
    /// somebody wants the charm to start again.
    pub updated_at: UnixMillis,
    /// When it was last polled; never, if it was not.
    pub last_run: UnixMillis,
    /// Since when it is disabled; never, if it is enabled.
    #[serde(default)]
    pub disabled_at: UnixMillis,
    /// Who disabled it; none if it is enabled, or if an earlier version of this program did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_by: Option<DisabledBy>,
    /// From the start of one poll to the start of the next, if it asks for another interval than its integration's; in JSON
    /// `intervalMs`, milliseconds. The service's operator may set how short it can be.
    #[serde(default, rename = "intervalMs", skip_serializing_if = "Option::is_none", with = "crate::millis::option")]
    #[schemars(with = "Option<u64>")]
    pub interval: Option<Duration>,
    /// For people: `Initializing`, `Re-initializing`, `Success`, an error text, `Disabled: …`.
    pub status: String,
    /// When its last poll started that succeeded; never, if none did.
    #[serde(default)]
    pub last_success: UnixMillis,
    /// When something last changed that its last poll lacked (a sign-in, a grant, access); never, if nothing has. If it is later than the last
    /// poll, the charm waits no longer. Unlike a later `updatedAt`, this clears none of the charm's failures.
    #[serde(default)]
    pub woken_at: UnixMillis,
    /// What its newest run came to, for programs; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<OutcomeKind>,
    /// Who was to blame for that; none if it was a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_blame: Option<Blame>,
    /// What exactly was the cause of that, where it is known.
    #[serde(default, deserialize_with = "cause::known", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_cause: Option<Cause>,
}

impl Registration {
    /// Whether it is to be polled.
    pub fn is_enabled(&self) -> bool {
        self.disabled_at.is_never()
    }

    /// When it last changed in any way: no two changes have the same time.
    pub fn changed_at(&self) -> UnixMillis {
        self.updated_at.max(self.woken_at)
    }

    /// What followed from its last poll; none if there was none since it was registered, enabled or woken, or if it is disabled.
    pub fn consequence(&self) -> Option<Consequence> {
        let counts = self.is_enabled() && self.last_run >= self.changed_at();
        self.last_outcome.filter(|_| counts).map(|kind| Consequence::of(kind, self.last_blame))
    }

    /// What to do, if it is disabled or its last poll failed; its status says what is wrong.
    pub fn fix(&self) -> Option<String> {
        let Self { charm, integration, last_outcome, last_blame, last_cause, .. } = self;
        let advice = match self.state(0) {
            RegistrationState::Running => return None,
            RegistrationState::DisabledByHand => "bg-wasm-host enable CHARM",
            RegistrationState::DisabledByFailures => {
                let after = last_outcome.and_then(|kind| cause::advice(kind, *last_blame, *last_cause));
                let enable = "bg-wasm-host enable CHARM, or wait: it is enabled again after 24 hours";
                let Some(first) = after else { return Some(cause::for_charm(enable, charm, integration)) };
                return Some(cause::for_charm(&format!("{enable}. First, {first}"), charm, integration));
            }
            RegistrationState::BackingOff | RegistrationState::Failing | RegistrationState::Waiting => {
                cause::advice((*last_outcome)?, *last_blame, *last_cause)?
            }
        };
        Some(cause::for_charm(advice, charm, integration))
    }

    /// Whether it waits until the cause of its last outcome is fixed: somebody must sign in, or the operator must allow something.
    pub fn waits(&self) -> bool {
        self.consequence() == Some(Consequence::Waits)
    }
}

/// The names under which a charm may offer the stream that a poll is sent to, in order of preference. These are the original's.
pub const UPDATER_STREAMS: [&str; 8] = [
    "bgUpdater",
    "integrationUpdater",
    "updater",
    "googleUpdater",
    "githubUpdater",
    "notionUpdater",
    "calendarUpdater",
    "discordUpdater",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Guests know no crate of the host, so each language has its own list.
    #[test]
    fn guests_look_for_the_same_updater_streams() {
        for file in [
            "integrations/sdk/src/charms.rs",
            "examples/integrations/javascript/integration.js",
            "examples/integrations/python/integration.py",
        ] {
            let path = format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"));
            let source = std::fs::read_to_string(path).unwrap();
            let (_, list) = source.split_once("UPDATER_STREAMS").unwrap();
            let (_, list) = list.split_once("= [").unwrap();
            let (list, _) = list.split_once(']').unwrap();
            let names: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
            assert_eq!(names, UPDATER_STREAMS, "{file}");
        }
    }
}
