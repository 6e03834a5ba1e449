//! How integrations are doing, as the poll loop says it, for commands that look.

use bg_charm_api::wire::KeptHealth;
use bg_poller::StoreError;

use super::column::Columns as _;
use super::poll::failed;
use super::{SqlitePollStore, Touch};

/// In `meta`: all of them, as JSON.
const KEY: &str = "integration_health";

impl SqlitePollStore {
    /// Keeps how integrations are doing, in place of what was kept before.
    pub async fn save_health(&self, health: &KeptHealth) -> Result<(), StoreError> {
        let text = serde_json::to_string(health).map_err(|error| StoreError(error.to_string()))?;
        let saved = self.database.write_touching(Touch::None, move |tx| {
            tx.prepare_cached(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )?
            .execute((KEY, text))?;
            Ok(())
        });
        saved.await.map_err(failed)
    }

    /// How integrations are doing, as it was saved last. What a later version of this program has saved, or is damaged,
    /// is nothing to this one.
    pub async fn health(&self) -> Result<KeptHealth, StoreError> {
        let read = self.database.read(|tx| {
            let mut statement = tx.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
            let mut rows = statement.query([KEY])?;
            let Some(row) = rows.next()? else { return Ok(KeptHealth::default()) };
            Ok(row.parse(0, known).unwrap_or_default())
        });
        read.await.map_err(failed)
    }
}

fn known(text: &str) -> Option<KeptHealth> {
    // Earlier versions saved no more than the integrations.
    let without_time = || Some(KeptHealth { integrations: serde_json::from_str(text).ok()?, ..KeptHealth::default() });
    serde_json::from_str(text).ok().or_else(without_time)
}

#[cfg(test)]
mod tests {
    use bg_poller::UnixMillis;

    use super::*;
    use bg_charm_api::wire::{HealthState, IntegrationHealth};

    #[tokio::test]
    async fn what_is_saved_last_is_found_by_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("poll.db");
        let store = SqlitePollStore::open(&path).unwrap();
        assert_eq!(store.health().await.unwrap(), KeptHealth::default());
        let health = |name: &str| IntegrationHealth::working(name.parse().unwrap());
        let kept = |at, integrations| KeptHealth {
            at: UnixMillis(at),
            process: Some(7),
            ended: false,
            integrations,
            ..KeptHealth::default()
        };
        store.save_health(&kept(1, vec![health("mail"), health("feed")])).await.unwrap();
        let now = kept(2, vec![IntegrationHealth { state: HealthState::Paused, ..health("feed") }]);
        store.save_health(&now).await.unwrap();
        assert_eq!(SqlitePollStore::open(&path).unwrap().health().await.unwrap(), now);
    }

    #[test]
    fn what_an_earlier_version_saved_has_no_time_and_what_is_damaged_is_nothing() {
        let health = IntegrationHealth::working("mail".parse().unwrap());
        let old = serde_json::to_string(&[&health]).unwrap();
        let expected = KeptHealth { integrations: vec![health], ..KeptHealth::default() };
        assert_eq!(known(&old), Some(expected));
        assert_eq!(known(&old[..old.len() - 5]), None);
    }
}
