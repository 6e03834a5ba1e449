//! The poll loop's own state, in a SQLite file.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bg_identity::SpaceReader;
use bg_poller::{CharmRef, PollState, PollStore, RuntimeError, StoreError, UnixMillis};
use rusqlite::{Row, Transaction};

use super::column::{Columns, said};
use super::{Database, Failure, OpenError, Sealer, Touch};

/// Poll state and integrations' state in a SQLite file: that of a store
/// ([`SqliteStore::poll_store`](crate::SqliteStore::poll_store)), or one of its own beside a remote runtime.
#[derive(Clone)]
pub struct SqlitePollStore {
    pub(crate) database: Arc<Database>,
}

impl SqlitePollStore {
    /// Opens the file, and creates or migrates it if need be. Blocks.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::new(Arc::new(Database::open(path, &Sealer::beside(path), |_| Ok(()))?)))
    }

    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

pub(super) fn failed(error: RuntimeError) -> StoreError {
    match error {
        RuntimeError::Unavailable { message: problem, .. } => StoreError(problem),
        other => StoreError(other.to_string()),
    }
}

/// Keeps these states.
pub(crate) fn save(tx: &Transaction<'_>, states: &[PollState]) -> Result<(), Failure> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO poll_states (space, charm, next_due, failures, disabled_at, updated_at, owed_since) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (space, charm) DO UPDATE SET next_due = excluded.next_due, \
         failures = excluded.failures, disabled_at = excluded.disabled_at, updated_at = excluded.updated_at, \
         owed_since = excluded.owed_since",
    )?;
    for state in states {
        let CharmRef { space, charm } = &state.charm;
        let times = [state.next_due, state.disabled_at, state.updated_at, state.owed_since];
        let [next_due, disabled_at, updated_at, owed_since] = times.map(|at| at.0);
        statement.execute((
            space.as_str(),
            charm.as_str(),
            next_due,
            state.failures,
            disabled_at,
            updated_at,
            owed_since,
        ))?;
    }
    Ok(())
}

/// What is remembered of a charm; none if it cannot be known of which. What of it is damaged is as if it were not
/// remembered, but for that the charm may be owed a poll.
fn state(row: &Row<'_>, spaces: &mut SpaceReader) -> Option<PollState> {
    let space = row.parse(0, |text| spaces.read(text).ok());
    let (Ok(space), Ok(charm)) = (space, row.parse(1, said)) else {
        tracing::warn!("the poll state of a charm is damaged, and skipped: its name cannot be read");
        return None;
    };
    let charm = CharmRef { space, charm };
    let mut damaged = Vec::new();
    let mut note = |failure: Failure| damaged.push(failure.to_string());
    let mut time = |at, instead| row.time(at).map_err(&mut note).unwrap_or(instead);
    let (next_due, disabled_at) = (time(2, UnixMillis::NEVER), time(4, UnixMillis::NEVER));
    let (updated_at, owed_since) = (time(5, UnixMillis::NEVER), time(6, UnixMillis::now()));
    let failures = row.column(3).map_err(note).unwrap_or_default();
    if !damaged.is_empty() {
        tracing::warn!("the poll state of {charm} starts again: {}", damaged.join(", "));
    }
    Some(PollState { charm, next_due, failures, disabled_at, updated_at, owed_since })
}

/// Forgets the states of these charms.
pub(crate) fn forget(tx: &Transaction<'_>, charms: &[CharmRef]) -> Result<(), Failure> {
    let mut statement = tx.prepare_cached("DELETE FROM poll_states WHERE space = ?1 AND charm = ?2")?;
    for charm in charms {
        statement.execute((charm.space.as_str(), charm.charm.as_str()))?;
    }
    Ok(())
}

#[async_trait]
impl PollStore for SqlitePollStore {
    async fn load(&self) -> Result<Vec<PollState>, StoreError> {
        let states = self.database.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT space, charm, next_due, failures, disabled_at, updated_at, owed_since FROM poll_states",
            )?;
            let mut rows = statement.query([])?;
            let (mut states, mut spaces) = (Vec::new(), SpaceReader::default());
            while let Some(row) = rows.next()? {
                states.extend(state(row, &mut spaces));
            }
            Ok::<_, Failure>(states)
        });
        states.await.map_err(failed)
    }

    async fn save(&self, states: &[PollState]) -> Result<(), StoreError> {
        if states.is_empty() {
            return Ok(());
        }
        let states = states.to_vec();
        let saved = self.database.write_touching(Touch::None, move |tx| save(tx, &states));
        saved.await.map_err(failed)
    }

    async fn forget(&self, charms: &[CharmRef]) -> Result<(), StoreError> {
        if charms.is_empty() {
            return Ok(());
        }
        let charms = charms.to_vec();
        let forgotten = self.database.write_touching(Touch::None, move |tx| forget(tx, &charms));
        forgotten.await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

    use super::*;

    fn state(name: &str, failures: u32) -> PollState {
        let charm = CharmRef { space: space_did("my-space"), charm: CharmId::for_content(name.as_bytes()) };
        PollState {
            charm,
            next_due: UnixMillis(1_700_000_000_000),
            failures,
            disabled_at: UnixMillis(u64::from(failures)),
            updated_at: UnixMillis(7),
            owed_since: UnixMillis(8 + u64::from(failures)),
        }
    }

    #[tokio::test]
    async fn states_outlive_the_process_that_saved_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("poll.db");
        let (a, b) = (state("a", 0), state("b", 3));
        {
            let store = SqlitePollStore::open(&path).unwrap();
            assert_eq!(store.load().await.unwrap(), []);
            store.save(&[a.clone(), state("b", 1), state("c", 0)]).await.unwrap();
            store.save(std::slice::from_ref(&b)).await.unwrap();
            store.forget(&[state("c", 0).charm, state("d", 0).charm]).await.unwrap();
            store.save(&[]).await.unwrap();
        }
        let mut loaded = SqlitePollStore::open(&path).unwrap().load().await.unwrap();
        loaded.sort_by_key(|state| state.failures);
        assert_eq!(loaded, [a, b]);
    }

    #[tokio::test]
    async fn states_that_cannot_all_be_saved_are_not_saved_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqlitePollStore::open(&dir.path().join("poll.db")).unwrap();
        let mut beyond = state("b", 0);
        beyond.next_due = UnixMillis(u64::MAX);
        let error = store.save(&[state("a", 0), beyond]).await.unwrap_err();
        assert!(error.to_string().contains("poll.db"), "{error}");
        assert_eq!(store.load().await.unwrap(), []);
    }
}
