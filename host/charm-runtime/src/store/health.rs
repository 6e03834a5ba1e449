//! How integrations are doing, as the poll loop says it, for commands that look.

use bg_charm_api::wire::IntegrationHealth;
use bg_poller::StoreError;
use rusqlite::OptionalExtension as _;

use super::poll::failed;
use super::{SqlitePollStore, Touch};

/// In `meta`: all of them, as JSON.
const KEY: &str = "integration_health";

impl SqlitePollStore {
    /// Keeps how integrations are doing, in place of what was kept before.
    pub async fn save_health(&self, all: &[IntegrationHealth]) -> Result<(), StoreError> {
        let text = serde_json::to_string(all).map_err(|error| StoreError(error.to_string()))?;
        let saved = self.database.write_touching(Touch::None, move |tx| {
            tx.prepare_cached(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )?
            .execute((KEY, text))?;
            Ok(())
        });
        saved.await.map_err(failed)
    }

    /// How integrations are doing, as it was saved last. What a later version of this program has saved may be nothing to this one.
    pub async fn health(&self) -> Result<Vec<IntegrationHealth>, StoreError> {
        let text: Option<String> = self
            .database
            .read(|tx| {
                let mut statement = tx.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
                Ok(statement.query_row([KEY], |row| row.get(0)).optional()?)
            })
            .await
            .map_err(failed)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bg_charm_api::wire::HealthState;

    #[tokio::test]
    async fn what_is_saved_last_is_found_by_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("poll.db");
        let store = SqlitePollStore::open(&path).unwrap();
        assert_eq!(store.health().await.unwrap(), []);
        let health = |name: &str| IntegrationHealth::working(name.parse().unwrap());
        store.save_health(&[health("mail"), health("feed")]).await.unwrap();
        let now = [IntegrationHealth { state: HealthState::Paused, ..health("feed") }];
        store.save_health(&now).await.unwrap();
        assert_eq!(SqlitePollStore::open(&path).unwrap().health().await.unwrap(), now);
    }
}
