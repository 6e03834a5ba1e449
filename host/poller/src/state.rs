//! The state of a registration, in one word.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_for_programs_is_that_of_json() {
        for state in RegistrationState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.slug());
        }
    }
}
