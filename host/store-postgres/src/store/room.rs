//! Waking the charms that wait for room once there is room again.

use std::sync::Arc;
use std::time::Duration;

use bg_poller::RuntimeError;
use bg_store::{Room, Touch};
use tokio::time::sleep;

use super::super::registrations;
use super::super::session::Locks;
use super::PostgresStore;

/// How often to look for room while charms wait for it. Nothing reports that a database has space again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl PostgresStore {
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
        let tenants = Arc::clone(&self.tenants);
        let room = self.database.read(move |session| Box::pin(async move { tenants.room(session).await })).await?;
        if matches!(room, Room::Exhausted(_)) {
            return Ok(());
        }
        self.write(Locks::Everything, Touch::None, |session| {
            Box::pin(async move { registrations::room_is_back(session).await })
        })
        .await?;
        self.tenants.shortages.end(shortage);
        Ok(())
    }
}
