//! The kinds of outcome.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
