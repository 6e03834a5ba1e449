//! Deleting a charm.

use bg_charm_api::{AccessLevel, Actor};
use bg_poller::{CharmRef, RuntimeError};
use rusqlite::Transaction;

use super::access;
use super::handle::LocalHandle;
use crate::store::{self, Failure, StoredCharm, Touch};

impl LocalHandle {
    /// Deletes a charm at once. Nobody waits for a handler that runs for it: what that wrote is dropped when it ends.
    pub(super) async fn delete_charm(&self, charm: &CharmRef) -> Result<(), RuntimeError> {
        let name = charm.clone();
        let deleted = self.write(Touch::Charm(charm.clone()), move |tx, actor| {
            let stored = may_delete(tx, actor, &name)?;
            store::registrations::remove(tx, &name)?;
            store::charms::delete(tx, stored.row)?;
            Ok(store::registrations::revision(tx)?)
        });
        let revision = deleted.await?;
        self.runtime.watch.committed(revision);
        // The file has nothing of it any more; its log has the pages as they were.
        self.runtime.database.forget_log().await;
        Ok(())
    }
}

/// Finds a charm for an actor who may delete it: an owner of its space, or the service.
fn may_delete(tx: &Transaction<'_>, actor: &Actor, charm: &CharmRef) -> Result<StoredCharm, Failure> {
    match access::system(tx, actor, AccessLevel::Write) {
        Ok(()) => store::charms::find(tx, charm),
        Err(_) => access::charm(tx, actor, charm, AccessLevel::Owner),
    }
}
