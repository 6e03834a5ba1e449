//! The small key-value store of each integration.

use async_trait::async_trait;
use bg_identity::IntegrationId;
use bg_poller::{IntegrationState, RuntimeError, StateError};
use rusqlite::OptionalExtension;

use super::{SqlitePollStore, Touch};

// As the contract with guests has them (`wit/integration.wit`).
const MAX_KEYS: u64 = 1_000;
const MAX_KEY_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 64 * 1024;
/// Of an integration's keys and values together.
const MAX_TOTAL_BYTES: u64 = 1024 * 1024;

fn failed(error: RuntimeError) -> StateError {
    match error {
        RuntimeError::Invalid(limit) => StateError::TooLarge(limit),
        RuntimeError::Unavailable { message: problem, .. } => StateError::Unavailable(problem),
        other => StateError::Unavailable(other.to_string()),
    }
}

fn check_sizes(key: &str, value: &[u8]) -> Result<(), StateError> {
    if key.len() > MAX_KEY_BYTES {
        return Err(StateError::TooLarge(format!("the key has {} bytes, and may have {MAX_KEY_BYTES}", key.len())));
    }
    if value.len() > MAX_VALUE_BYTES {
        let len = value.len();
        return Err(StateError::TooLarge(format!("the value has {len} bytes, and may have {MAX_VALUE_BYTES}")));
    }
    Ok(())
}

#[async_trait]
impl IntegrationState for SqlitePollStore {
    async fn get(&self, integration: &IntegrationId, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let (integration, key) = (integration.clone(), key.to_owned());
        let value = self.database.read(move |tx| {
            let mut statement =
                tx.prepare_cached("SELECT value FROM integration_state WHERE integration = ?1 AND key = ?2")?;
            Ok(statement.query_row((integration.as_str(), key), |row| row.get(0)).optional()?)
        });
        value.await.map_err(failed)
    }

    async fn set(&self, integration: &IntegrationId, key: &str, value: &[u8]) -> Result<(), StateError> {
        check_sizes(key, value)?;
        let (integration, key, value) = (integration.clone(), key.to_owned(), value.to_owned());
        let set = self.database.write_touching(Touch::None, move |tx| {
            tx.prepare_cached(
                "INSERT INTO integration_state (integration, key, value) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (integration, key) DO UPDATE SET value = excluded.value",
            )?
            .execute((integration.as_str(), key, value))?;
            let (keys, bytes): (u64, u64) = tx
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0) FROM integration_state \
                     WHERE integration = ?1",
                )?
                .query_row([integration.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            // An error rolls the insertion back.
            if keys > MAX_KEYS {
                return Err(RuntimeError::Invalid(format!("there may be at most {MAX_KEYS} keys")).into());
            }
            if bytes > MAX_TOTAL_BYTES {
                let text = format!("keys and values would take {bytes} bytes, and may take {MAX_TOTAL_BYTES} in all");
                return Err(RuntimeError::Invalid(text).into());
            }
            Ok(())
        });
        set.await.map_err(failed)
    }

    async fn delete(&self, integration: &IntegrationId, key: &str) -> Result<(), StateError> {
        let (integration, key) = (integration.clone(), key.to_owned());
        let deleted = self.database.write_touching(Touch::None, move |tx| {
            let mut statement =
                tx.prepare_cached("DELETE FROM integration_state WHERE integration = ?1 AND key = ?2")?;
            statement.execute((integration.as_str(), key))?;
            Ok(())
        });
        deleted.await.map_err(failed)
    }

    async fn keys(&self, integration: &IntegrationId) -> Result<Vec<String>, StateError> {
        let integration = integration.clone();
        let keys = self.database.read(move |tx| {
            let mut statement =
                tx.prepare_cached("SELECT key FROM integration_state WHERE integration = ?1 ORDER BY key")?;
            let keys = statement.query_map([integration.as_str()], |row| row.get(0))?;
            Ok(keys.collect::<Result<_, _>>()?)
        });
        keys.await.map_err(failed)
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
