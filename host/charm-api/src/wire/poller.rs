//! Reports of a poll loop in another process to the server of its charms, for the operator's pages. Reports repeat, so
//! that a restart of either side loses nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_poller::{CharmRef, LogLine, PollState, Standing, UnixMillis, millis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often a poll loop reports.
pub const REPORT_EVERY: Duration = Duration::from_secs(2);

/// The state of a poll loop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PollerReport {
    /// A unique name of the poll loop.
    #[schemars(length(min = 1, max = 64))]
    pub poller: String,
    /// Whether this is its last report.
    pub ends: bool,
    /// The default interval in milliseconds.
    #[serde(rename = "intervalMs", with = "millis")]
    #[schemars(with = "u64")]
    pub interval: Duration,
    /// The shortest interval that a registration may ask for, in milliseconds.
    #[serde(rename = "minIntervalMs", default, skip_serializing_if = "Option::is_none", with = "millis::option")]
    #[schemars(with = "Option<u64>")]
    pub min_interval: Option<Duration>,
    /// The integrations that have a component. Those that are not in `changed` are as last reported.
    pub integrations: Vec<IntegrationId>,
    /// The integrations that changed since the last report.
    pub changed: Vec<IntegrationReport>,
    /// Charms whose newest polls failed.
    pub failing: Vec<PollState>,
    /// Charms that were reported as failing, and no longer fail.
    pub recovered: Vec<CharmRef>,
}

/// The answer to a [`PollerReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PollerAnswer {
    /// Whether the server knows earlier reports. If not, all integrations and all failing charms must be reported
    /// again.
    pub known: bool,
    /// Charms to poll at once, as the operator asked.
    pub poll: Vec<CharmRef>,
}

/// An integration and the activity of its component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntegrationReport {
    /// What it is.
    pub view: IntegrationView,
    /// Its standing.
    pub standing: Standing,
    /// The calls of its functions.
    pub calls: Vec<FunctionCalls>,
    /// Its requests.
    pub egress: OwnerEgress,
    /// The last lines that it logged in its last call that failed; oldest first.
    #[serde(default)]
    pub log: Vec<LogLine>,
}

/// An integration with a component, as the operator configured it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationView {
    /// The ID by which it is configured and charms are registered.
    pub id: IntegrationId,
    /// Its name for people.
    pub name: String,
    /// Which version it is.
    pub version: String,
    /// What it does.
    pub description: String,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// Under which licence.
    pub license: String,
    /// The component's file.
    pub file: String,
    /// The digest of the loaded component.
    pub sha256: String,
    /// When it was loaded.
    pub loaded_at: UnixMillis,
    /// The HTTP that it asks for.
    pub asked: Vec<AskedView>,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
}

/// HTTP that an integration asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskedView {
    /// Destination and methods.
    pub grant: String,
    /// Which token the gate would add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Why.
    pub reason: String,
    /// Whether it is granted in part.
    pub partly_granted: bool,
    /// The options that grant the rest.
    pub options: Vec<String>,
}

/// The calls of one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionCalls {
    /// The function, as the contract names it.
    pub function: String,
    /// Their totals.
    #[serde(flatten)]
    pub totals: CallTotals,
}

/// Calls, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallTotals {
    /// How many there were.
    pub calls: u64,
    /// Calls that ended without a result of the function.
    pub failed: u64,
    /// Their total time, including waits. In JSON, this and the next two are in microseconds, because most calls take
    /// less than a millisecond.
    #[serde(rename = "elapsedUs", with = "micros")]
    #[schemars(with = "u64")]
    pub elapsed: Duration,
    /// The longest.
    #[serde(rename = "longestUs", with = "micros")]
    #[schemars(with = "u64")]
    pub longest: Duration,
    /// The total time in which they held a thread.
    #[serde(rename = "busyUs", with = "micros")]
    #[schemars(with = "u64")]
    pub busy: Duration,
    /// The most memory of a call at its end, in bytes.
    pub memory: u64,
}

impl CallTotals {
    /// The mean time of a call; zero without calls.
    pub fn mean(&self) -> Duration {
        mean(self.elapsed, self.calls)
    }

    /// The mean time in which a call held a thread; zero without calls.
    pub fn mean_busy(&self) -> Duration {
        mean(self.busy, self.calls)
    }
}

fn mean(total: Duration, many: u64) -> Duration {
    let nanos = total.as_nanos().checked_div(u128::from(many)).unwrap_or_default();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The requests of one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnerEgress {
    /// How many were allowed.
    pub allowed: u64,
    /// How many were refused.
    pub denied: u64,
    /// How many would have been refused if the gate did not only report.
    pub would_deny: u64,
    /// Received bytes.
    pub bytes: u64,
    /// The newest first.
    pub denials: VecDeque<Denial>,
    /// The newest first.
    pub newest: VecDeque<Sent>,
}

/// A kind of request that was denied, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Denial {
    /// The method.
    pub method: String,
    /// The destination: scheme, host and port.
    pub origin: String,
    /// The path of the newest one.
    pub path: String,
    /// The rule that refused it.
    pub rule: String,
    /// The option that allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// Whether it was sent anyway, because the gate only reports.
    pub sent: bool,
    /// The charm of the newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charm: Option<String>,
    /// How often.
    pub count: u64,
    /// When the newest one was.
    pub newest: UnixMillis,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// When it ended.
    pub at: UnixMillis,
    /// The method.
    pub method: String,
    /// The destination: scheme, host and port.
    pub origin: String,
    /// The path, without the query.
    pub path: String,
    /// The decision, in words.
    pub decision: String,
    /// Whether it was allowed and nothing went wrong.
    pub ok: bool,
    /// Whether it was denied and not sent.
    #[serde(default)]
    pub denied: bool,
    /// Whether it had a credential.
    pub credential: bool,
    /// The response's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 999))]
    pub status: Option<u16>,
    /// Received bytes of the response's body.
    pub bytes: u64,
    /// How long it took; in JSON, milliseconds.
    #[serde(rename = "elapsedMs", with = "millis")]
    #[schemars(with = "u64")]
    pub elapsed: Duration,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Durations in JSON, as microseconds.
mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_reported_to_the_microsecond() {
        let totals = CallTotals { calls: 2, elapsed: Duration::from_micros(1_234), ..CallTotals::default() };
        let calls = FunctionCalls { function: "fetch-charms".to_owned(), totals };
        let written = serde_json::to_value(&calls).unwrap();
        let expected = json!({
            "function": "fetch-charms", "calls": 2, "failed": 0, "elapsedUs": 1_234, "longestUs": 0, "busyUs": 0, "memory": 0,
        });
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_value::<FunctionCalls>(written).unwrap(), calls);
    }
}
