//! What charms logged, and waiting for more of it.

use std::time::Duration;

use bg_charm_api::wire::CHANGES_WAIT_SECONDS;
use bg_charm_api::{LogEntry, LogQuery};
use bg_poller::{CharmRef, LogLine, RuntimeError};
use rusqlite::Transaction;
use tokio::time::Instant;

use super::handle::LocalHandle;
use super::{access, redact};
use crate::store::{self, Cells, Failure};

/// Keeps lines, without what is secret by now: a handler may have logged a token that it only then wrote to its cells.
pub(super) fn keep(tx: &Transaction<'_>, cells: &Cells<'_>, row: i64, mut lines: Vec<LogLine>) -> Result<(), Failure> {
    if !lines.is_empty() {
        redact::lines(&mut lines, &cells.secrets()?);
    }
    store::logs::add(tx, row, &lines)
}

impl LocalHandle {
    /// Lines of a charm's log; waits for the first, if that is asked for.
    pub(super) async fn log_entries(&self, charm: &CharmRef, query: LogQuery) -> Result<Vec<LogEntry>, RuntimeError> {
        let until = Instant::now() + Duration::from_secs(CHANGES_WAIT_SECONDS);
        // From before the first look, so that no commit falls in between.
        let mut commits = self.runtime.watch.commits();
        loop {
            let found = self.log_now(charm, query).await?;
            // Who asks for no lines has them all.
            if !found.is_empty() || !query.wait || query.limit == 0 || Instant::now() >= until {
                return Ok(found);
            }
            self.runtime.watch.committed_or(&self.runtime.database, &mut commits, until).await?;
        }
    }

    async fn log_now(&self, charm: &CharmRef, query: LogQuery) -> Result<Vec<LogEntry>, RuntimeError> {
        let charm = charm.clone();
        self.read(move |tx, actor| {
            let stored = access::observed(tx, actor, &charm)?;
            match query.after {
                Some(cursor) => store::logs::after(tx, stored.row, &charm, cursor, query.limit),
                None => store::logs::newest(tx, stored.row, &charm, query.limit),
            }
        })
        .await
    }
}
