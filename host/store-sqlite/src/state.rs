//! The small key-value store of each integration.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bg_identity::IntegrationId;
use bg_poller::{IntegrationState, RuntimeError, StateChanges, StateError, StateLimits};
use bg_store::sound;
use rusqlite::Transaction;

use super::column::Columns as _;
use super::{Failure, SqlitePollStore, Touch};

fn failed(error: RuntimeError) -> StateError {
    match error {
        RuntimeError::Invalid(limit) => StateError::TooLarge(limit),
        RuntimeError::Unavailable { message: problem, .. } => StateError::Unavailable(problem),
        other => StateError::Unavailable(other.to_string()),
    }
}

/// Sets a key, or removes it.
fn write(tx: &Transaction<'_>, integration: &str, key: &str, value: Option<&[u8]>) -> Result<(), Failure> {
    match value {
        Some(value) => tx
            .prepare_cached(
                "INSERT INTO integration_state (integration, key, value) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (integration, key) DO UPDATE SET value = excluded.value",
            )?
            .execute((integration, key, value))?,
        None => tx
            .prepare_cached("DELETE FROM integration_state WHERE integration = ?1 AND key = ?2")?
            .execute((integration, key))?,
    };
    Ok(())
}

/// An error rolls back what was written.
fn check(tx: &Transaction<'_>, integration: &str) -> Result<(), Failure> {
    let (keys, bytes) = tx
        .prepare_cached(
            "SELECT count(*), coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0) FROM integration_state \
             WHERE integration = ?1",
        )?
        .query_row([integration], |row| Ok((row.get(0)?, row.get(1)?)))?;
    StateLimits::check_all(keys, bytes).map_err(|error| RuntimeError::Invalid(error.to_string()).into())
}

#[async_trait]
impl IntegrationState for SqlitePollStore {
    async fn get(&self, integration: &IntegrationId, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let (integration, key) = (integration.clone(), key.to_owned());
        let value = self.database.read(move |tx| {
            let mut statement =
                tx.prepare_cached("SELECT value FROM integration_state WHERE integration = ?1 AND key = ?2")?;
            let mut rows = statement.query((integration.as_str(), key))?;
            let Some(row) = rows.next()? else { return Ok(None) };
            sound(row.column(0), || format!("the state of {integration}"))
        });
        value.await.map_err(failed)
    }

    async fn set(&self, integration: &IntegrationId, key: &str, value: &[u8]) -> Result<(), StateError> {
        self.apply(integration, &[(key.to_owned(), Some(value.to_owned()))].into()).await
    }

    async fn delete(&self, integration: &IntegrationId, key: &str) -> Result<(), StateError> {
        self.apply(integration, &[(key.to_owned(), None)].into()).await
    }

    async fn keys(&self, integration: &IntegrationId) -> Result<Vec<String>, StateError> {
        let integration = integration.clone();
        let keys = self.database.read(move |tx| {
            let mut statement =
                tx.prepare_cached("SELECT key FROM integration_state WHERE integration = ?1 ORDER BY key")?;
            let mut rows = statement.query([integration.as_str()])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                keys.extend(sound(row.column(0), || format!("the state of {integration}"))?);
            }
            Ok(keys)
        });
        keys.await.map_err(failed)
    }

    async fn sizes(&self, integration: &IntegrationId) -> Result<BTreeMap<String, usize>, StateError> {
        let integration = integration.clone();
        let sizes = self.database.read(move |tx| {
            let mut statement =
                tx.prepare_cached("SELECT key, length(value) FROM integration_state WHERE integration = ?1")?;
            let mut rows = statement.query([integration.as_str()])?;
            let mut sizes = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let size = row.column(0).and_then(|key| Ok((key, row.column(1)?)));
                sizes.extend(sound(size, || format!("the state of {integration}"))?);
            }
            Ok(sizes)
        });
        sizes.await.map_err(failed)
    }

    async fn apply(&self, integration: &IntegrationId, changes: &StateChanges) -> Result<(), StateError> {
        for (key, value) in changes {
            if let Some(value) = value {
                StateLimits::check_one(key, value)?;
            }
        }
        let (integration, changes) = (integration.clone(), changes.clone());
        let applied = self.database.write_touching(Touch::None, move |tx| {
            for (key, value) in &changes {
                write(tx, integration.as_str(), key, value.as_deref())?;
            }
            check(tx, integration.as_str())
        });
        applied.await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> IntegrationId {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn each_integration_has_keys_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqlitePollStore::open(&dir.path().join("a.db")).unwrap();
        let (gmail, gcal) = (id("gmail"), id("gcal"));
        store.set(&gmail, "b", b"1").await.unwrap();
        store.set(&gmail, "a", b"2").await.unwrap();
        store.set(&gmail, "b", b"\0\xff").await.unwrap();
        store.set(&gcal, "a", b"").await.unwrap();
        assert_eq!(store.get(&gmail, "b").await.unwrap().as_deref(), Some(b"\0\xff".as_slice()));
        assert_eq!(store.get(&gcal, "a").await.unwrap(), Some(vec![]));
        assert_eq!(store.get(&gcal, "b").await.unwrap(), None);
        assert_eq!(store.keys(&gmail).await.unwrap(), ["a", "b"]);
        store.delete(&gmail, "a").await.unwrap();
        store.delete(&gmail, "a").await.unwrap();
        assert_eq!(store.keys(&gmail).await.unwrap(), ["b"]);
        assert_eq!(store.keys(&gcal).await.unwrap(), ["a"]);
    }

    #[tokio::test]
    async fn a_damaged_row_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let store = SqlitePollStore::open(&path).unwrap();
        let gmail = id("gmail");
        for key in ["a", "b", "c"] {
            store.set(&gmail, key, b"1").await.unwrap();
        }
        let database = rusqlite::Connection::open(&path).unwrap();
        database
            .execute_batch(
                "PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE name = 'integration_state';
                 PRAGMA writable_schema = RESET;
                 UPDATE integration_state SET key = x'ff' WHERE key = 'a';
                 UPDATE integration_state SET value = 7 WHERE key = 'b';",
            )
            .unwrap();
        drop(database);
        let store = SqlitePollStore::open(&path).unwrap();
        assert_eq!(store.keys(&gmail).await.unwrap(), ["b", "c"]);
        assert_eq!(store.get(&gmail, "b").await.unwrap(), None);
        assert_eq!(store.get(&gmail, "c").await.unwrap().as_deref(), Some(b"1".as_slice()));
        assert!(store.sizes(&gmail).await.unwrap().contains_key("c"));
        store.set(&gmail, "b", b"2").await.unwrap();
        assert_eq!(store.get(&gmail, "b").await.unwrap().as_deref(), Some(b"2".as_slice()));
    }

    #[tokio::test]
    async fn limits_are_named_and_what_is_over_them_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqlitePollStore::open(&dir.path().join("a.db")).unwrap();
        let gmail = id("gmail");
        let too_large = |result: Result<(), StateError>, text: &str| match result {
            Err(StateError::TooLarge(message)) => assert!(message.contains(text), "{message}"),
            other => panic!("{other:?}"),
        };
        too_large(store.set(&gmail, &"k".repeat(257), b"").await, "257 bytes");
        too_large(store.set(&gmail, "k", &vec![0; 65_537]).await, "65537 bytes");
        for number in 0..15 {
            store.set(&gmail, &format!("{number:02}"), &vec![0; 65_536]).await.unwrap();
        }
        too_large(store.set(&gmail, "15", &vec![0; 65_536]).await, "in all");
        assert_eq!(store.keys(&gmail).await.unwrap().len(), 15);
        store.set(&gmail, "00", b"").await.unwrap();
        store.set(&gmail, "15", &vec![0; 65_536]).await.unwrap();

        let fill = store.database.write(|tx| {
            for number in 0..1_000 {
                tx.execute("INSERT INTO integration_state VALUES ('gcal', ?1, x'')", [number.to_string()])?;
            }
            Ok(())
        });
        fill.await.unwrap();
        too_large(store.set(&id("gcal"), "one-more", b"").await, "1000 keys");
        store.set(&id("gcal"), "7", b"x").await.unwrap();
    }
}
