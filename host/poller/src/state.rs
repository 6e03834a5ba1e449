//! The state of a registration, in one word.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DisabledBy, OutcomeKind, Registration};

/// The state of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationState {
    /// Its last poll succeeded, or it waits for its first one since it was registered or enabled.
    Running,
    /// Its last polls failed; the next one comes later than an interval.
    BackingOff,
    /// Its last poll failed, and no longer wait is known.
    Failing,
    /// It waits until somebody signs in, or the operator allows what it needs: its last outcome says what. That costs
    /// nothing.
    Waiting,
    /// Somebody has disabled it.
    DisabledByHand,
    /// The loop has disabled it for its failures, for 24 hours.
    DisabledByFailures,
}

impl RegistrationState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::BackingOff, Self::Failing, Self::Waiting, Self::DisabledByHand, Self::DisabledByFailures];

    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::BackingOff => "backing off",
            Self::Failing => "failing",
            Self::Waiting => "waiting",
            Self::DisabledByHand => "disabled by hand",
            Self::DisabledByFailures => "disabled by failures",
        }
    }

    /// The name for programs: in URLs, and as the value of a label.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::BackingOff => "backing-off",
            Self::Failing => "failing",
            Self::Waiting => "waiting",
            Self::DisabledByHand => "disabled-by-hand",
            Self::DisabledByFailures => "disabled-by-failures",
        }
    }
}

impl fmt::Display for RegistrationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Registration {
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
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

    use super::*;
    use crate::{Blame, CharmRef, UnixMillis};

    #[test]
    fn the_name_for_programs_is_that_of_json() {
        for state in RegistrationState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.slug());
        }
    }

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
