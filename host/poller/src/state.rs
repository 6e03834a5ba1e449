//! How the polling of a registered charm stands, in one word.

use std::fmt;

use crate::{OutcomeKind, Registration};

/// In the reason for which the loop disables a registration, which is kept in its status.
pub(crate) const IN_A_ROW: &str = "failures in a row";

/// How the polling of a registered charm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegistrationState {
    /// Its last poll succeeded, or it waits for its first one since it was registered or enabled.
    Running,
    /// Its last polls failed; it waits longer than its interval for the next one.
    BackingOff,
    /// Its last poll failed, and nothing is known of a longer wait.
    Failing,
    /// Somebody has disabled it.
    DisabledByHand,
    /// The loop has disabled it for its failures. It comes back after 24 hours.
    DisabledByFailures,
}

impl RegistrationState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Running, Self::BackingOff, Self::Failing, Self::DisabledByHand, Self::DisabledByFailures];

    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::BackingOff => "backing off",
            Self::Failing => "failing",
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
    /// How its polling stands. `failures`: how many polls failed in a row, as the loop remembers it; 0 if that is not known.
    pub fn state(&self, failures: u32) -> RegistrationState {
        if !self.is_enabled() {
            return if self.is_disabled_by_failures() {
                RegistrationState::DisabledByFailures
            } else {
                RegistrationState::DisabledByHand
            };
        }
        let waits_for_its_first = self.last_run < self.updated_at;
        match self.last_outcome {
            None | Some(OutcomeKind::Success) => RegistrationState::Running,
            Some(_) if waits_for_its_first => RegistrationState::Running,
            Some(_) if failures > 0 => RegistrationState::BackingOff,
            Some(_) => RegistrationState::Failing,
        }
    }

    /// Whether it was the loop that disabled it.
    pub(crate) fn is_disabled_by_failures(&self) -> bool {
        let reason = self.status.strip_prefix("Disabled: ").unwrap_or_default();
        let after_the_number = reason.trim_start_matches(|character: char| character.is_ascii_digit());
        let rest = after_the_number.strip_prefix(' ').and_then(|text| text.strip_prefix(IN_A_ROW));
        !self.is_enabled()
            && reason != after_the_number
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

    use super::*;
    use crate::{CharmRef, UnixMillis};

    #[test]
    fn a_state_is_told_by_the_registration_and_the_failures_that_the_loop_remembers() {
        use OutcomeKind::{HandlerFailed, Success, Unavailable};
        use RegistrationState::{BackingOff, DisabledByFailures, DisabledByHand, Failing, Running};
        let cases = [
            (0, "Initializing", None, 5, 0, 0, Running),
            (0, "Success", Some(Success), 5, 9, 0, Running),
            (0, "HandlerFailed: x", Some(HandlerFailed), 5, 9, 2, BackingOff),
            (0, "HandlerFailed: x", Some(HandlerFailed), 5, 9, 0, Failing),
            (0, "Unavailable: x", Some(Unavailable), 5, 9, 0, Failing),
            // Enabled again since.
            (0, "Re-initializing", Some(HandlerFailed), 10, 9, 0, Running),
            (7, "Disabled: by hand", Some(HandlerFailed), 5, 9, 2, DisabledByHand),
            (7, "Disabled: failures in a row", None, 5, 9, 2, DisabledByHand),
            (7, "Disabled: 5 failures in a rowing boat", None, 5, 9, 2, DisabledByHand),
            (7, "Disabled: 5 failures in a row", Some(HandlerFailed), 5, 9, 5, DisabledByFailures),
            (7, "Disabled: 5 failures in a row: NoStream: x", Some(HandlerFailed), 5, 9, 0, DisabledByFailures),
        ];
        for (disabled_at, status, last_outcome, updated_at, last_run, failures, expected) in cases {
            let registration = Registration {
                charm: CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") },
                integration: "mail".parse().unwrap(),
                created_at: UnixMillis(1),
                updated_at: UnixMillis(updated_at),
                last_run: UnixMillis(last_run),
                disabled_at: UnixMillis(disabled_at),
                interval: None,
                status: status.to_owned(),
                last_success: UnixMillis::NEVER,
                last_outcome,
            };
            assert_eq!(registration.state(failures), expected, "{status}");
        }
    }
}
