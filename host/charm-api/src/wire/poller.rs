//! What a poll loop in another process tells the server of the charms that it polls: what the operator's pages show of it. It is told again
//! and again, so that nothing is lost with the memory of either side.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_poller::{CharmRef, LogLine, PollState, Standing, UnixMillis, millis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often a poll loop reports.
pub const REPORT_EVERY: Duration = Duration::from_secs(2);

/// How a poll loop stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PollerReport {
    /// Which one: something that no other poll loop has.
    #[schemars(length(min = 1, max = 64))]
    pub poller: String,
    /// Whether this is its last report.
    pub ends: bool,
    /// From one poll of a charm to the next, if nothing else is asked for; milliseconds.
    #[serde(rename = "intervalMs", with = "millis")]
    #[schemars(with = "u64")]
    pub interval: Duration,
    /// The shortest interval that a registration may ask for; milliseconds.
    #[serde(rename = "minIntervalMs", default, skip_serializing_if = "Option::is_none", with = "millis::option")]
    #[schemars(with = "Option<u64>")]
    pub min_interval: Option<Duration>,
    /// The integrations that have a component in it. Those that are not in `changed` are as they were reported last.
    pub integrations: Vec<IntegrationId>,
    /// How those are of which there is something new.
    pub changed: Vec<IntegrationReport>,
    /// Charms whose newest polls failed.
    pub failing: Vec<PollState>,
    /// Charms that were reported as failing, and are so no more.
    pub recovered: Vec<CharmRef>,
}

/// The answer to a [`PollerReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PollerAnswer {
    /// Whether earlier reports are remembered. If not, all integrations and all failing charms have to be told anew.
    pub known: bool,
    /// Charms that the operator wants polled at once.
    pub poll: Vec<CharmRef>,
}

/// An integration, and what its component does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntegrationReport {
    /// What it is.
    pub view: IntegrationView,
    /// How it stands.
    pub standing: Standing,
    /// What its functions were called for.
    pub calls: Vec<FunctionCalls>,
    /// What it requested.
    pub egress: OwnerEgress,
    /// The last lines that it logged in its last call that failed; oldest first.
    #[serde(default)]
    pub log: Vec<LogLine>,
}

/// An integration with a component, as the operator configured it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationView {
    /// By what name it is configured and registered for.
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
    /// The digest of what was loaded from it.
    pub sha256: String,
    /// When that was.
    pub loaded_at: UnixMillis,
    /// The HTTP that it asks for.
    pub asked: Vec<AskedView>,
    /// Its configuration, as it finds it.
    pub config: BTreeMap<String, String>,
}

/// Something that an integration asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskedView {
    /// Where to, and with which methods.
    pub grant: String,
    /// Which token the gate would add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Why.
    pub reason: String,
    /// Whether a part of it is granted, where not all is.
    pub partly_granted: bool,
    /// The options that would grant what is not granted.
    pub options: Vec<String>,
}

/// What the calls of one function came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionCalls {
    /// The function, as the contract names it.
    pub function: String,
    /// What they came to.
    #[serde(flatten)]
    pub totals: CallTotals,
}

/// Calls, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallTotals {
    /// How many there were.
    pub calls: u64,
    /// How many of them did not end with an answer of the function.
    pub failed: u64,
    /// Their time together, what they waited for included; in JSON, as the next two, microseconds: most calls take less than a
    /// millisecond.
    #[serde(rename = "elapsedUs", with = "micros")]
    #[schemars(with = "u64")]
    pub elapsed: Duration,
    /// The longest.
    #[serde(rename = "longestUs", with = "micros")]
    #[schemars(with = "u64")]
    pub longest: Duration,
    /// The time in which they held a thread, together.
    #[serde(rename = "busyUs", with = "micros")]
    #[schemars(with = "u64")]
    pub busy: Duration,
    /// The most memory that one of them had at its end, bytes.
    pub memory: u64,
}

impl CallTotals {
    /// The mean time of a call; zero if there was none.
    pub fn mean(&self) -> Duration {
        mean(self.elapsed, self.calls)
    }

    /// The mean time in which a call held a thread; zero if there was none.
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
    /// How many would have been refused, if the gate did more than report.
    pub would_deny: u64,
    /// What was received, bytes.
    pub bytes: u64,
    /// The newest first.
    pub denials: VecDeque<Denial>,
    /// The newest first.
    pub newest: VecDeque<Sent>,
}

/// What was denied, or would be, once or often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Denial {
    /// The method.
    pub method: String,
    /// Where to: scheme, host and port.
    pub origin: String,
    /// The path of the newest one.
    pub path: String,
    /// What refused it.
    pub rule: String,
    /// The option that would allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// Whether it was sent all the same, since the gate only reports.
    pub sent: bool,
    /// The charm that the newest one was for.
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
    /// Where to: scheme, host and port.
    pub origin: String,
    /// The path, without the query.
    pub path: String,
    /// What was decided, in words.
    pub decision: String,
    /// Whether it was allowed and nothing went wrong.
    pub ok: bool,
    /// Whether it was denied, so that it was not sent.
    #[serde(default)]
    pub denied: bool,
    /// Whether a credential went with it.
    pub credential: bool,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 999))]
    pub status: Option<u16>,
    /// Bytes of the response's body that arrived.
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
    fn calls_are_told_to_the_microsecond() {
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
