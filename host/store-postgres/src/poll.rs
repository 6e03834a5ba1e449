//! The poll loop's own state, and that of integrations.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bg_charm_api::wire::KeptHealth;
use bg_identity::{IntegrationId, SpaceReader};
use bg_poller::{
    CharmRef, IntegrationState, PollState, PollStore, RuntimeError, StateChanges, StateError, StateLimits, StoreError,
    UnixMillis,
};
use bg_store::{LAST_TIME, sound};
use tokio_postgres::Row;

use super::charms::charm_ref;
use super::error::Failure;
use super::session::{Database, Locks, Session};
use super::values::{Columns as _, number, text, texts};

/// Poll state and integrations' state in a database: that of a store
/// ([`PostgresStore::poll_store`](crate::PostgresStore::poll_store)).
#[derive(Clone)]
pub struct PostgresPollStore {
    pub(crate) database: Arc<Database>,
}

impl fmt::Debug for PostgresPollStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresPollStore").field(&self.database.shown()).finish()
    }
}

fn failed(error: RuntimeError) -> StoreError {
    match error {
        RuntimeError::Unavailable { message: problem, .. } => StoreError(problem),
        other => StoreError(other.to_string()),
    }
}

/// Keeps these states.
pub(crate) async fn save(session: &Session, states: &[PollState]) -> Result<(), Failure> {
    // Of a charm that is named twice, the last one counts.
    let states: BTreeMap<&CharmRef, &PollState> = states.iter().map(|state| (&state.charm, state)).collect();
    let (spaces, charms) = (
        texts(states.keys().map(|charm| charm.space.as_str())),
        texts(states.keys().map(|charm| charm.charm.as_str())),
    );
    let times = |time: fn(&PollState) -> UnixMillis| -> Result<Vec<i64>, Failure> {
        let kept = states.values().map(|state| match time(state) {
            time if time > LAST_TIME => {
                let problem = format!("{} is no time that can be", time.0);
                Err(RuntimeError::Invalid(format!("the poll state of {} is not kept: {problem}", state.charm)).into())
            }
            time => Ok(number(time.0)),
        });
        kept.collect()
    };
    let failures: Vec<i64> = states.values().map(|state| state.failures.into()).collect();
    session
        .execute(
            "INSERT INTO poll_states (space, charm, next_due, failures, disabled_at, updated_at, owed_since) SELECT * FROM \
             unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) ON \
             CONFLICT (space, charm) DO UPDATE SET next_due = excluded.next_due, failures = excluded.failures, \
             disabled_at = excluded.disabled_at, updated_at = excluded.updated_at, owed_since = excluded.owed_since",
            &[
                &spaces,
                &charms,
                &times(|state| state.next_due)?,
                &failures,
                &times(|state| state.disabled_at)?,
                &times(|state| state.updated_at)?,
                &times(|state| state.owed_since)?,
            ],
        )
        .await?;
    Ok(())
}

/// Forgets the states of these charms.
pub(crate) async fn forget(session: &Session, charms: &[CharmRef]) -> Result<(), Failure> {
    let spaces = texts(charms.iter().map(|charm| charm.space.as_str()));
    let ids = texts(charms.iter().map(|charm| charm.charm.as_str()));
    let delete = "DELETE FROM poll_states WHERE (space, charm) IN (SELECT * FROM unnest($1::text[], $2::text[]))";
    session.execute(delete, &[&spaces, &ids]).await?;
    Ok(())
}

/// What is remembered of a charm; none if it cannot be known of which. What of it is damaged is as if it were not
/// remembered, but for that the charm may be owed a poll.
fn state(row: &Row, spaces: &mut SpaceReader) -> Option<PollState> {
    let Ok(charm) = charm_ref(row, 0, spaces) else {
        tracing::warn!("the poll state of a charm is damaged, and skipped: its name cannot be read");
        return None;
    };
    let mut damaged = Vec::new();
    let mut note = |failure: Failure| damaged.push(failure.to_string());
    let mut time = |at, instead| row.time(at).map_err(&mut note).unwrap_or(instead);
    let (next_due, disabled_at) = (time(2, UnixMillis::NEVER), time(4, UnixMillis::NEVER));
    let (updated_at, owed_since) = (time(5, UnixMillis::NEVER), time(6, UnixMillis::now()));
    let failures = row.unsigned(3).map_err(note).unwrap_or_default();
    if !damaged.is_empty() {
        tracing::warn!("the poll state of {charm} starts again: {}", damaged.join(", "));
    }
    Some(PollState { charm, next_due, failures, disabled_at, updated_at, owed_since })
}

#[async_trait]
impl PollStore for PostgresPollStore {
    async fn load(&self) -> Result<Vec<PollState>, StoreError> {
        let states = self.database.read(|session| {
            Box::pin(async move {
                let select =
                    "SELECT space, charm, next_due, failures, disabled_at, updated_at, owed_since FROM poll_states";
                let mut spaces = SpaceReader::default();
                Ok(session.query(select, &[]).await?.iter().filter_map(|row| state(row, &mut spaces)).collect())
            })
        });
        states.await.map_err(failed)
    }

    async fn save(&self, states: &[PollState]) -> Result<(), StoreError> {
        if states.is_empty() {
            return Ok(());
        }
        let locks = spaces_of(states.iter().map(|state| &state.charm));
        let states = states.to_vec();
        let saved = self.database.write(locks, move |session| Box::pin(async move { save(session, &states).await }));
        saved.await.map(drop).map_err(failed)
    }

    async fn forget(&self, charms: &[CharmRef]) -> Result<(), StoreError> {
        if charms.is_empty() {
            return Ok(());
        }
        let locks = spaces_of(charms);
        let charms = charms.to_vec();
        let forgotten =
            self.database.write(locks, move |session| Box::pin(async move { forget(session, &charms).await }));
        forgotten.await.map(drop).map_err(failed)
    }
}

/// The locks of the spaces of charms.
pub(crate) fn spaces_of<'c>(charms: impl IntoIterator<Item = &'c CharmRef>) -> Locks {
    Locks::Spaces { spaces: charms.into_iter().map(|charm| charm.space.to_string()).collect(), maker: None }
}

fn state_failed(error: RuntimeError) -> StateError {
    match error {
        RuntimeError::Invalid(limit) => StateError::TooLarge(limit),
        RuntimeError::Unavailable { message: problem, .. } => StateError::Unavailable(problem),
        other => StateError::Unavailable(other.to_string()),
    }
}

/// Writes changes, unless that makes it too much.
async fn apply(session: &Session, integration: &str, changes: &StateChanges) -> Result<(), Failure> {
    let integration = text(integration);
    for (key, value) in changes {
        if let Some(value) = value {
            let upsert = "INSERT INTO integration_state (integration, key, value) VALUES ($1, $2, $3) ON CONFLICT \
                          (integration, key) DO UPDATE SET value = excluded.value";
            session.execute(upsert, &[&integration, &text(key), value]).await?
        } else {
            let delete = "DELETE FROM integration_state WHERE integration = $1 AND key = $2";
            session.execute(delete, &[&integration, &text(key)]).await?
        };
    }
    let select = "SELECT count(*), coalesce(sum(octet_length(key) + octet_length(value)), 0)::bigint FROM \
                  integration_state WHERE integration = $1";
    let Some(row) = session.query_one(select, &[&integration]).await? else { return Ok(()) };
    StateLimits::check_all(row.unsigned(0)?, row.unsigned(1)?)
        .map_err(|error| RuntimeError::Invalid(error.to_string()).into())
}

#[async_trait]
impl IntegrationState for PostgresPollStore {
    async fn get(&self, integration: &IntegrationId, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let (integration, key) = (integration.clone(), key.to_owned());
        let value = self.database.read(move |session| {
            Box::pin(async move {
                let select = "SELECT value FROM integration_state WHERE integration = $1 AND key = $2";
                let row = session.query_one(select, &[&text(integration.as_str()), &text(&key)]).await?;
                row.map(|row| row.column(0)).transpose()
            })
        });
        value.await.map_err(state_failed)
    }

    async fn set(&self, integration: &IntegrationId, key: &str, value: &[u8]) -> Result<(), StateError> {
        self.apply(integration, &[(key.to_owned(), Some(value.to_owned()))].into()).await
    }

    async fn delete(&self, integration: &IntegrationId, key: &str) -> Result<(), StateError> {
        self.apply(integration, &[(key.to_owned(), None)].into()).await
    }

    async fn keys(&self, integration: &IntegrationId) -> Result<Vec<String>, StateError> {
        Ok(self.sizes(integration).await?.into_keys().collect())
    }

    async fn sizes(&self, integration: &IntegrationId) -> Result<BTreeMap<String, usize>, StateError> {
        let integration = integration.clone();
        let sizes = self.database.read(move |session| {
            Box::pin(async move {
                let select = "SELECT key, octet_length(value)::bigint FROM integration_state WHERE integration = $1";
                let mut sizes = BTreeMap::new();
                for row in session.query(select, &[&text(integration.as_str())]).await? {
                    let size = row.text(0).and_then(|key| Ok((key, row.unsigned(1)?)));
                    sizes.extend(sound(size, || format!("the state of {integration}"))?);
                }
                Ok(sizes)
            })
        });
        sizes.await.map_err(state_failed)
    }

    async fn apply(&self, integration: &IntegrationId, changes: &StateChanges) -> Result<(), StateError> {
        for (key, value) in changes {
            if let Some(value) = value {
                StateLimits::check_one(key, value)?;
            }
        }
        let (integration, changes) = (integration.clone(), changes.clone());
        // What an integration may keep is counted as what a space may: one at a time.
        let locks = Locks::Spaces { spaces: vec![format!("integration {integration}")], maker: None };
        let applied = self
            .database
            .write(locks, move |session| Box::pin(async move { apply(session, integration.as_str(), &changes).await }));
        applied.await.map(drop).map_err(state_failed)
    }
}

/// In `meta`: how all integrations are doing, as JSON.
const HEALTH: &str = "integration_health";

impl PostgresPollStore {
    /// Keeps how integrations are doing, in place of what was kept before.
    pub async fn save_health(&self, health: &KeptHealth) -> Result<(), StoreError> {
        let json = serde_json::to_vec(health).map_err(|error| StoreError(error.to_string()))?;
        let saved = self.database.write(Locks::None, move |session| {
            Box::pin(async move {
                let upsert = "INSERT INTO meta (key, bytes) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET bytes = \
                              excluded.bytes";
                session.execute(upsert, &[&text(HEALTH), &json]).await?;
                Ok(())
            })
        });
        saved.await.map(drop).map_err(failed)
    }

    /// How integrations are doing, as it was saved last. What a later version of this program has saved, or is damaged,
    /// is nothing to this one.
    pub async fn health(&self) -> Result<KeptHealth, StoreError> {
        let read = self.database.read(|session| {
            Box::pin(async move {
                let row = session.query_one("SELECT bytes FROM meta WHERE key = $1", &[&text(HEALTH)]).await?;
                let bytes: Vec<u8> = row.map_or(Ok(Vec::new()), |row| row.column(0))?;
                Ok(serde_json::from_slice(&bytes).unwrap_or_default())
            })
        });
        read.await.map_err(failed)
    }
}
