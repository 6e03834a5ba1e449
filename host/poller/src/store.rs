//! What survives a restart of the poll loop, and of integrations.

use std::time::Duration;

use async_trait::async_trait;
use bg_identity::IntegrationId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CharmRef, Outcome, UnixMillis};

/// What the poll loop remembers of one charm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PollState {
    /// Which charm.
    #[serde(flatten)]
    pub charm: CharmRef,
    /// When the next poll is due, by the wall clock.
    pub next_due: UnixMillis,
    /// Failed polls in a row.
    #[schemars(range(max = u32::MAX))]
    pub failures: u32,
    /// When the loop disabled it for its failures; never, if it did not.
    pub disabled_at: UnixMillis,
    /// The change of its registration that the loop knew of. One with another time, even an earlier one, is news: the wall clock
    /// that it goes by may be set back.
    pub updated_at: UnixMillis,
}

/// One finished poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Of which charm.
    #[serde(flatten)]
    pub charm: CharmRef,
    /// When it started.
    pub started_at: UnixMillis,
    /// How long it took, milliseconds.
    #[serde(with = "crate::millis")]
    #[schemars(with = "u64")]
    pub duration: Duration,
    /// What it came to.
    pub outcome: Outcome,
}

/// What all runs of a charm came to since it was registered; its history has the newest of them only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// How many there were.
    pub runs: u64,
    /// How many of them were no success.
    pub failed: u64,
    /// The time that all took together; in JSON, as all that follow, milliseconds.
    #[serde(rename = "totalMs", with = "crate::millis")]
    #[schemars(with = "u64")]
    pub total: Duration,
    /// The shortest; zero if there was none.
    #[serde(rename = "minMs", with = "crate::millis")]
    #[schemars(with = "u64")]
    pub shortest: Duration,
    /// The longest.
    #[serde(rename = "maxMs", with = "crate::millis")]
    #[schemars(with = "u64")]
    pub longest: Duration,
    /// The newest.
    #[serde(rename = "lastMs", with = "crate::millis")]
    #[schemars(with = "u64")]
    pub last: Duration,
    /// When the newest failure was; never, if there was none.
    pub failed_at: UnixMillis,
    /// What it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Counters {
    /// The mean time of a run; zero if there was none.
    pub fn mean(&self) -> Duration {
        let nanos = self.total.as_nanos().checked_div(u128::from(self.runs)).unwrap_or_default();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Poll state could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the poll state cannot be kept: {0}")]
pub struct StoreError(pub String);

/// Where poll state survives a restart.
#[async_trait]
pub trait PollStore: Send + Sync {
    /// All that is remembered.
    async fn load(&self) -> Result<Vec<PollState>, StoreError>;

    /// Writes these states, all or none, durably.
    async fn save(&self, states: &[PollState]) -> Result<(), StoreError>;

    /// Forgets these charms.
    async fn forget(&self, charms: &[CharmRef]) -> Result<(), StoreError>;
}

/// Why an integration's own state could not be kept or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Over a limit; says which.
    #[error("{0}")]
    TooLarge(String),
    /// The store failed.
    #[error("the integration's state is unavailable: {0}")]
    Unavailable(String),
}

/// The small durable key-value store of each integration. Limits: 1,000 keys of 256 bytes, 64 KiB a value, 1 MiB in all.
#[async_trait]
pub trait IntegrationState: Send + Sync {
    /// The value of `key`.
    async fn get(&self, integration: &IntegrationId, key: &str) -> Result<Option<Vec<u8>>, StateError>;

    /// Sets `key`.
    async fn set(&self, integration: &IntegrationId, key: &str, value: &[u8]) -> Result<(), StateError>;

    /// Removes `key`.
    async fn delete(&self, integration: &IntegrationId, key: &str) -> Result<(), StateError>;

    /// All keys, sorted.
    async fn keys(&self, integration: &IntegrationId) -> Result<Vec<String>, StateError>;
}
