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
            if self.tenants.is_short_of_room()
                && let Err(error) = self.look_for_room().await
            {
                return error;
            }
        }
    }

    async fn look_for_room(&self) -> Result<(), RuntimeError> {
        let tenants = self.tenants.clone();
        if !self.database.read(move |tx| tenants.has_room(tx)).await? {
            return Ok(());
        }
        // Before the charms are woken: what is refused from now on is looked for again.
        self.tenants.forget_shortage();
        let woken =
            self.change_registrations(&Actor::Operator, Touch::None, |tx, _| registrations::room_is_back(tx)).await;
        woken.inspect_err(|_| self.tenants.note_shortage())
    }
}
