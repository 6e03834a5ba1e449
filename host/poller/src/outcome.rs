//! How a poll ended.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Blame, Cause, Consequence, Servers, cause};

/// The kinds of outcome, by the names that logs, the API and the run history use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OutcomeKind {
    /// The handler and everything that it started are done, and their writes are kept.
    Success,
    /// The integration finds the charm unfit.
    Invalid,
    /// The charm has no stream that a poll could be sent to.
    NoStream,
    /// The charm does not exist.
    NotFound,
    /// The handler threw, or one of its promises was rejected.
    HandlerFailed,
    /// It took too long.
    Timeout,
    /// It exceeded its memory.
    OutOfMemory,
    /// It exceeded another limit.
    LimitExceeded,
    /// Its component trapped.
    Trapped,
    /// It tried something that is not allowed: access to a space, HTTP without a grant, an authorization that is
    /// missing or has ended.
    Denied,
    /// Something that it needs did not answer: the charm runtime, a token service, a server, the charm itself. Counts
    /// against no charm.
    Unavailable,
}

impl OutcomeKind {
    /// Every kind, for tables and metrics.
    pub const ALL: [Self; 11] = [
        Self::Success,
        Self::Invalid,
        Self::NoStream,
        Self::NotFound,
        Self::HandlerFailed,
        Self::Timeout,
        Self::OutOfMemory,
        Self::LimitExceeded,
        Self::Trapped,
        Self::Denied,
        Self::Unavailable,
    ];

    /// The name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Invalid => "Invalid",
            Self::NoStream => "NoStream",
            Self::NotFound => "NotFound",
            Self::HandlerFailed => "HandlerFailed",
            Self::Timeout => "Timeout",
            Self::OutOfMemory => "OutOfMemory",
            Self::LimitExceeded => "LimitExceeded",
            Self::Trapped => "Trapped",
            Self::Denied => "Denied",
            Self::Unavailable => "Unavailable",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
