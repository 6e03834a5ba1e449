//! What charms logged, and waiting for more of it.

use std::time::Duration;

use bg_charm_api::wire::CHANGES_WAIT_SECONDS;
use bg_charm_api::{LogEntry, LogQuery};
use bg_poller::{CharmRef, RuntimeError};
use tokio::time::Instant;

use super::handle::LocalHandle;

impl LocalHandle {
    /// Lines of a charm's log; waits for the first, if that is asked for.
    pub(super) async fn log_entries(&self, charm: &CharmRef, query: LogQuery) -> Result<Vec<LogEntry>, RuntimeError> {
        let (store, until) = (&self.runtime.store, Instant::now() + Duration::from_secs(CHANGES_WAIT_SECONDS));
        // From before the first look, so that no commit falls in between.
        let mut commits = store.commits();
        loop {
            let found = store.logs(&self.actor, charm, query.after, query.limit).await?;
            // A caller who asks for no lines has them all.
            if !found.is_empty() || !query.wait || query.limit == 0 || Instant::now() >= until {
                return Ok(found);
            }
            store.commit_or(&mut commits, until).await?;
        }
    }
}
