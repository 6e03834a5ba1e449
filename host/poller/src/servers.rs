//! What a poll says about the servers that it sent requests to.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest origin that counts: a scheme, a host name of 253 bytes, and a port.
const ORIGIN_BYTES: usize = 270;

/// A server that asks for a longer pause is asked after an hour anyway.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// Which servers answered the requests of a poll, and which one did not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Servers {
    /// The one because of which the poll failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedServer>,
    /// The origins of those that answered all requests well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<String>,
    /// The origins of those that accepted a request, whatever they answered to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
}

/// A server that failed, did not answer, or refused the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedServer {
    /// Its scheme, host and port; empty if the failure says nothing of other charms.
    pub origin: String,
    /// For how long it wants no requests (`Retry-After`); in JSON, milliseconds.
    #[serde(default, rename = "retryAfterMs", skip_serializing_if = "Option::is_none", with = "crate::millis::option")]
    #[schemars(with = "Option<u64>")]
    pub retry_after: Option<Duration>,
    /// Whether it refused the request: it does not accept who sends it, or what that is for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

impl Servers {
    /// How many servers one poll may say something about. Guests choose them.
    pub const MOST: usize = 16;

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.failed.is_none() && self.answered.is_empty() && self.accepted.is_empty()
    }

    /// Those that answered, as far as they count.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &str> {
        counting(&self.answered)
    }

    /// Those that accepted a request, as far as they count.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = &str> {
        counting(&self.accepted)
    }

    /// For how long the one that failed wants no request of this charm.
    pub(crate) fn asked_wait(&self) -> Option<Duration> {
        self.failed.as_ref()?.retry_after.map(|wait| wait.min(LONGEST_ASKED))
    }

    /// The one that failed, if it counts.
    pub(crate) fn failed(&self) -> Option<&FailedServer> {
        self.failed.as_ref().filter(|failed| counts(&failed.origin))
    }
}

fn counting(origins: &[String]) -> impl Iterator<Item = &str> {
    origins.iter().map(String::as_str).filter(|origin| counts(origin)).take(Servers::MOST)
}

fn counts(origin: &str) -> bool {
    (1..=ORIGIN_BYTES).contains(&origin.len())
}
