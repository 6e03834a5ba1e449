//! Registrations: which charms are polled, for which integration.

use std::time::Duration;

use bg_identity::{CharmRef, IntegrationId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Blame, Cause, Consequence, OutcomeKind, RegistrationState, UnixMillis, cause};

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

    /// Its state. `failures`: how many polls failed in a row, as the loop remembers it; 0 if that is not known.
    pub fn state(&self, failures: u32) -> RegistrationState {
        if !self.is_enabled() {
            return if self.is_disabled_by_failures() {
                RegistrationState::DisabledByFailures
            } else {
                RegistrationState::DisabledByHand
            };
        }
        let waits_for_its_first = self.last_run < self.changed_at();
        match self.last_outcome {
            None | Some(OutcomeKind::Success) => RegistrationState::Running,
            Some(_) if waits_for_its_first => RegistrationState::Running,
            Some(_) if self.waits() => RegistrationState::Waiting,
            Some(_) if failures > 0 => RegistrationState::BackingOff,
            Some(_) => RegistrationState::Failing,
        }
    }

    /// Whether the loop has disabled it.
    pub(crate) fn is_disabled_by_failures(&self) -> bool {
        !self.is_enabled() && self.disabled_by == Some(DisabledBy::Failures)
    }

    /// What to do, if it is disabled or its last poll failed; its status says what is wrong.
    pub fn fix(&self) -> Option<String> {
        let Self { charm, integration, last_outcome, last_blame, last_cause, .. } = self;
        let advice = match self.state(0) {
            RegistrationState::Running => return None,
            RegistrationState::DisabledByHand => "bg-wasm-host enable CHARM",
            RegistrationState::DisabledByFailures => {
                let after = last_outcome.and_then(|kind| cause::advice(kind, *last_blame, *last_cause));
                return Some(cause::for_disabled(after, charm, integration));
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

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

    use super::*;

    #[test]
    fn the_state_follows_from_the_registration_and_the_failures_that_the_loop_remembers() {
        use DisabledBy::{Failures, Hand};
        use OutcomeKind::{Denied, HandlerFailed, Success, Unavailable};
        use RegistrationState::{BackingOff, DisabledByFailures, DisabledByHand, Failing, Running, Waiting};
        let cases = [
            (None, None, None, 5, 0, 0, Running),
            (None, Some(Success), None, 5, 9, 0, Running),
            (None, Some(HandlerFailed), None, 5, 9, 2, BackingOff),
            (None, Some(HandlerFailed), Some(Blame::Charm), 5, 9, 0, Failing),
            (None, Some(Unavailable), Some(Blame::Upstream), 5, 9, 0, Failing),
            (None, Some(Denied), Some(Blame::Configuration), 5, 9, 0, Waiting),
            (None, Some(Denied), Some(Blame::Credential), 5, 9, 2, Waiting),
            (None, Some(Denied), None, 5, 9, 0, Waiting),
            (None, Some(Denied), Some(Blame::Charm), 5, 9, 2, BackingOff),
            // Enabled again since, or its cause was fixed.
            (None, Some(HandlerFailed), None, 10, 9, 0, Running),
            (None, Some(Denied), Some(Blame::Credential), 10, 9, 0, Running),
            (Some(Hand), Some(HandlerFailed), None, 5, 9, 2, DisabledByHand),
            (Some(Hand), Some(Denied), Some(Blame::Credential), 5, 9, 2, DisabledByHand),
            (Some(Failures), Some(HandlerFailed), None, 5, 9, 5, DisabledByFailures),
            (Some(Failures), None, None, 5, 9, 0, DisabledByFailures),
        ];
        for (disabled_by, last_outcome, last_blame, updated_at, last_run, failures, expected) in cases {
            let registration = Registration {
                charm: CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") },
                integration: "mail".parse().unwrap(),
                created_at: UnixMillis(1),
                updated_at: UnixMillis(updated_at),
                last_run: UnixMillis(last_run),
                disabled_at: UnixMillis(disabled_by.map_or(0, |_| 7)),
                disabled_by,
                interval: None,
                last_success: UnixMillis::NEVER,
                woken_at: UnixMillis::NEVER,
                status: "Disabled: 5 failures in a row".to_owned(),
                last_outcome,
                last_blame,
                last_cause: None,
            };
            assert_eq!(registration.state(failures), expected, "{registration:?}");
        }
    }
}
