//! How a poll ended.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Blame, Cause, Consequence, OutcomeKind, Servers, cause};

/// How one poll ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The kind.
    pub kind: OutcomeKind,
    /// Who is to blame; none for a success. Outcomes of earlier versions of this program have the usual blame of their
    /// kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// What exactly was the cause, where that is known; none for a success.
    #[serde(default, deserialize_with = "cause::known", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub cause: Option<Cause>,
    /// What happened, for people; none for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where in the charm's source, one frame a line, innermost first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// What it says about the servers that the poll sent requests to. Not kept.
    #[serde(default, skip_serializing_if = "Servers::is_empty")]
    pub servers: Servers,
}

impl Outcome {
    /// A success.
    pub fn success() -> Self {
        Self {
            kind: OutcomeKind::Success,
            blame: None,
            cause: None,
            message: None,
            stack: None,
            servers: Servers::default(),
        }
    }

    /// Anything else, with what happened. It gets the usual blame of its kind.
    pub fn failure(kind: OutcomeKind, message: impl Into<String>) -> Self {
        Self { kind, blame: kind.usual_blame(), message: Some(message.into()), ..Self::success() }
    }

    /// The same, with who is to blame, where the cause is not known.
    #[must_use]
    pub fn blaming(mut self, blame: Blame) -> Self {
        (self.blame, self.cause) = (Some(blame), None);
        self
    }

    /// The same, with its cause, which says who is to blame.
    #[must_use]
    pub fn caused_by(mut self, cause: Cause) -> Self {
        (self.blame, self.cause) = (Some(cause.blame()), Some(cause));
        self
    }

    /// The same, with where in the source.
    #[must_use]
    pub fn with_stack(mut self, stack: Option<String>) -> Self {
        self.stack = stack;
        self
    }

    /// The same, with what it says about servers.
    #[must_use]
    pub fn with_servers(mut self, servers: Servers) -> Self {
        self.servers = servers;
        self
    }

    /// Who is to blame; none for a success.
    pub fn blame(&self) -> Option<Blame> {
        if self.is_success() { None } else { self.blame.or_else(|| self.kind.usual_blame()) }
    }

    /// What to do about it, with `CHARM` and `INTEGRATION` in place of their names; none for a success.
    pub fn advice(&self) -> Option<&'static str> {
        cause::advice(self.kind, self.blame, self.cause)
    }

    /// What follows from it.
    pub fn consequence(&self) -> Consequence {
        Consequence::of(self.kind, self.blame())
    }

    /// Whether the poll succeeded.
    pub fn is_success(&self) -> bool {
        self.kind == OutcomeKind::Success
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.kind),
            None => write!(f, "{}", self.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_of_a_later_version_is_none() {
        let outcome =
            serde_json::json!({"kind": "Denied", "blame": "configuration", "cause": "sunspots", "message": "no"});
        let outcome: Outcome = serde_json::from_value(outcome).unwrap();
        assert_eq!((outcome.cause, outcome.blame), (None, Some(Blame::Configuration)));
        assert!(outcome.advice().is_some());
    }
}
