//! What survives a restart of the poll loop, and of integrations.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::IntegrationId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cause, CharmRef, Outcome, UnixMillis};

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
    /// The change of its registration that the loop knew of: its `updatedAt` or, if that is later, its `wokenAt`. One with another time, even an earlier one, is news: the wall clock
    /// that it goes by may be set back.
    pub updated_at: UnixMillis,
    /// Since when it is owed a poll: its integration has named it, and no poll has succeeded yet. One that the runtime notes as begun at
    /// this time or later, and as a success, settles that as well. Never, if it is owed none.
    #[serde(default)]
    pub owed_since: UnixMillis,
}

impl PollState {
    /// All times in it.
    pub fn times(&self) -> [UnixMillis; 4] {
        let Self { charm: _, next_due, failures: _, disabled_at, updated_at, owed_since } = self;
        [*next_due, *disabled_at, *updated_at, *owed_since]
    }
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

impl StateError {
    /// The cause, for what is shown of the integration.
    pub fn cause(&self) -> Cause {
        match self {
            Self::TooLarge(_) => Cause::ComponentLimit,
            Self::Unavailable(_) => Cause::StorageFails,
        }
    }
}

/// How much one integration may keep. As the contract with guests has them (`wit/integration.wit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimits;

impl StateLimits {
    /// How many keys.
    pub const KEYS: usize = 1_000;
    /// Bytes of a key.
    pub const KEY: usize = 256;
    /// Bytes of a value.
    pub const VALUE: usize = 64 * 1024;
    /// Bytes of all keys and values together.
    pub const TOTAL: usize = 1024 * 1024;

    /// Whether a key and its value are small enough, each for itself.
    pub fn check_one(key: &str, value: &[u8]) -> Result<(), StateError> {
        if key.len() > Self::KEY {
            return Err(StateError::TooLarge(format!("the key has {} bytes, and may have {}", key.len(), Self::KEY)));
        }
        if value.len() > Self::VALUE {
            let len = value.len();
            return Err(StateError::TooLarge(format!("the value has {len} bytes, and may have {}", Self::VALUE)));
        }
        Ok(())
    }

    /// Whether this number of keys is allowed, which take this number of bytes with their values.
    pub fn check_all(keys: usize, bytes: usize) -> Result<(), StateError> {
        if keys > Self::KEYS {
            return Err(StateError::TooLarge(format!("there may be at most {} keys", Self::KEYS)));
        }
        if bytes > Self::TOTAL {
            let text = format!("keys and values would take {bytes} bytes, and may take {} in all", Self::TOTAL);
            return Err(StateError::TooLarge(text));
        }
        Ok(())
    }
}

/// Keys with their new values; none removes the key.
pub type StateChanges = BTreeMap<String, Option<Vec<u8>>>;

/// The small durable key-value store of each integration, within the limits of [`StateLimits`].
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

    /// All keys, each with the size of its value in bytes.
    async fn sizes(&self, integration: &IntegrationId) -> Result<BTreeMap<String, usize>, StateError>;

    /// Sets these keys, and removes those that have no value; all or none.
    async fn apply(&self, integration: &IntegrationId, changes: &StateChanges) -> Result<(), StateError>;
}
