//! What state a registration is in, for people.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{OutcomeKind, Registration};

/// In the reason for which the loop disables a registration, which is kept in its status.
pub(crate) const IN_A_ROW: &str = "failures in a row";

/// What state a registration is in, under one name everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegistrationState {
    /// It is polled, and its newest poll was a success, or is still to come.
    Running,
    /// Its newest polls failed, so that its next one waits longer than its interval.
    BackingOff,
    /// Its newest poll was no success. Either that counts against nobody, or it is not known how many failed in a row.
    Failing,
    /// Somebody has disabled it.
    DisabledByHand,
    /// The loop has disabled it, after too many failed polls in a row. It comes back by itself.
    DisabledByFailures,
}

impl RegistrationState {
    /// Every state, those that need nobody's attention first.
    pub const ALL: [Self; 5] =
        [Self::Running, Self::BackingOff, Self::Failing, Self::DisabledByHand, Self::DisabledByFailures];

    /// The state of a registration; `failures` is how many polls failed in a row, where that is known
    /// ([`PollState::failures`](crate::PollState::failures)).
    pub fn of(registration: &Registration, failures: Option<u32>) -> Self {
        if !registration.is_enabled() {
            return if says_failures(registration) { Self::DisabledByFailures } else { Self::DisabledByHand };
        }
        match (registration.last_outcome, failures) {
            (None | Some(OutcomeKind::Success), _) => Self::Running,
            (Some(_), Some(1..)) => Self::BackingOff,
            (Some(_), _) => Self::Failing,
        }
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::BackingOff => "backing off",
            Self::Failing => "failing",
            Self::DisabledByHand => "disabled by hand",
            Self::DisabledByFailures => "disabled by failures",
        }
    }
}

impl fmt::Display for RegistrationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As its name.
impl Serialize for RegistrationState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Whether it was the loop that disabled a registration: the process may have ended before it wrote that its wish was fulfilled.
pub(crate) fn says_failures(registration: &Registration) -> bool {
    let reason = registration.status.strip_prefix("Disabled: ").unwrap_or_default();
    let after_the_number = reason.trim_start_matches(|character: char| character.is_ascii_digit());
    let rest = after_the_number.strip_prefix(' ').and_then(|text| text.strip_prefix(IN_A_ROW));
    !registration.is_enabled()
        && reason != after_the_number
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

    use super::*;
    use crate::{CharmRef, UnixMillis};

    fn registration(disabled_at: u64, status: &str, last_outcome: Option<OutcomeKind>) -> Registration {
        Registration {
            charm: CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"charm") },
            integration: "gmail".parse().unwrap(),
            created_at: UnixMillis(1),
            updated_at: UnixMillis(1),
            last_run: UnixMillis(1),
            disabled_at: UnixMillis(disabled_at),
            interval: None,
            status: status.to_owned(),
            last_outcome,
        }
    }

    #[test]
    fn the_state_follows_from_the_registration_and_from_the_failures_where_they_are_known() {
        use RegistrationState::{BackingOff, DisabledByFailures, DisabledByHand, Failing, Running};
        let (failed, trapped) = (Some(OutcomeKind::HandlerFailed), Some(OutcomeKind::Trapped));
        let cases = [
            (0, "Initializing", None, None, Running),
            (0, "Success", Some(OutcomeKind::Success), Some(0), Running),
            (0, "HandlerFailed: x", failed, None, Failing),
            (0, "HandlerFailed: x", failed, Some(0), Failing),
            (0, "HandlerFailed: x", failed, Some(2), BackingOff),
            (0, "Unavailable: x", Some(OutcomeKind::Unavailable), Some(0), Failing),
            (5, "Disabled: by hand", failed, Some(2), DisabledByHand),
            (5, "Disabled: 5 failures in a row", failed, None, DisabledByFailures),
            (5, "Disabled: 5 failures in a row: Trapped: x", trapped, Some(5), DisabledByFailures),
            (5, "Disabled: too many failures in a row", None, None, DisabledByHand),
            (5, "Disabled: 5 failures in a rowing boat", None, None, DisabledByHand),
            // What a status says of one that is enabled again is out of date.
            (0, "Disabled: 5 failures in a row", failed, None, Failing),
        ];
        for (disabled_at, status, outcome, failures, state) in cases {
            let found = RegistrationState::of(&registration(disabled_at, status, outcome), failures);
            assert_eq!(found, state, "{status}, {outcome:?}, {failures:?}");
        }
    }

    #[test]
    fn each_state_has_a_name_of_its_own_which_is_also_that_in_json() {
        let names = RegistrationState::ALL.map(RegistrationState::as_str);
        assert_eq!(names, ["running", "backing off", "failing", "disabled by hand", "disabled by failures"]);
        assert_eq!(serde_json::to_string(&RegistrationState::BackingOff).unwrap(), "\"backing off\"");
    }
}
