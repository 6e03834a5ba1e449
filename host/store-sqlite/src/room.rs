//! Waking the charms that wait for room once there is room again.

use std::time::Duration;

use bg_charm_api::Actor;
use bg_poller::RuntimeError;
use tokio::time::sleep;

use super::{SqliteStore, Touch, registrations};

/// How often to look for room while charms wait for it. Nothing reports that a disk has space again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl SqliteStore {
    /// Wakes the charms whose writes the operator's limits refused, each time that there is room again. Ends only with
    /// an error.
    pub(super) async fn wake_for_room(&self) -> RuntimeError {
        loop {
            sleep(LOOK_EVERY).await;
            if let Some(shortage) = self.tenants.shortages.last()
                && let Err(error) = self.look_for_room(shortage).await
            {
                return error;
            }
        }
    }

    /// May be dropped at any time: the shortage ends only after the charms are woken.
    async fn look_for_room(&self, shortage: u64) -> Result<(), RuntimeError> {
        let tenants = self.tenants.clone();
        if !self.database.read(move |tx| tenants.has_room(tx)).await? {
            return Ok(());
        }
        self.change_registrations(&Actor::Operator, Touch::None, |tx, _| registrations::room_is_back(tx)).await?;
        self.tenants.shortages.end(shortage);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bg_store::Tenancy;
    use rusqlite::Connection;
    use tokio::time::timeout;

    use super::*;
    use crate::SqliteOptions;

    #[tokio::test]
    async fn a_shortage_ends_only_when_its_charms_are_woken() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("runtime.db");
        let options =
            SqliteOptions { database: database.clone(), secrets_key: None, tenancy: Tenancy::default(), owner: None };
        let store = SqliteStore::open(options).unwrap();
        assert_eq!(store.tenants.shortages.last(), None);
        store.tenants.shortages.note();
        let shortage = store.tenants.shortages.last().unwrap();
        // The write has to wait for another process, and its caller does not wait for it.
        let other = Connection::open(&database).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        drop(timeout(Duration::from_millis(200), store.look_for_room(shortage)).await);
        assert_eq!(store.tenants.shortages.last(), Some(shortage));
        other.execute_batch("ROLLBACK").unwrap();
        // Writes that are refused while charms are woken count, too.
        store.tenants.shortages.note();
        store.look_for_room(shortage).await.unwrap();
        let later = store.tenants.shortages.last().unwrap();
        assert!(later > shortage);
        store.look_for_room(later).await.unwrap();
        assert_eq!(store.tenants.shortages.last(), None);
    }
}
