//! Waiting for something to change, here or in another process: registrations, or anything at all.

use std::sync::Arc;
use std::time::Duration;

use bg_poller::RuntimeError;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::error::Failure;
use super::schema::CHANGES;
use super::session::Database;
use super::values::{Columns as _, number};

/// How long to wait before answering that nothing changed.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// How often to look for another process's changes, while somebody waits. A notification with each commit would have
/// all commits wait for each other.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The transactions that are under way and that have ended, and the revision of the registrations. The first differs
/// whenever one has ended that wrote something.
const LOOK: &str = "SELECT pg_current_snapshot()::text, (SELECT number FROM meta WHERE key = 'registrations_revision'), \
                    (SELECT needed FROM bg_wasm_host)";

/// The revision of the registrations, and who waits for the next.
pub(crate) struct Watch {
    database: Arc<Database>,
    revision: watch::Sender<u64>,
    /// A number that rises when anything at all was found to be committed.
    commits: watch::Sender<u64>,
    /// What the last look has seen. All that wait share it.
    seen: Mutex<String>,
    /// Held by the one of those that wait who looks again and again for all of them.
    turn: Mutex<()>,
}

impl Watch {
    pub(crate) async fn new(database: &Arc<Database>) -> Result<Self, Failure> {
        let (seen, revision) = look(database).await?;
        Ok(Self {
            database: Arc::clone(database),
            revision: watch::Sender::new(revision),
            commits: watch::Sender::new(0),
            seen: Mutex::new(seen),
            turn: Mutex::default(),
        })
    }

    /// This process has committed a change: who waits need not wait for the next look.
    pub(crate) fn committed(&self, revision: u64) {
        self.advance(revision);
    }

    /// A revision other than `seen`, or after a while the same.
    pub(crate) async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        let until = Instant::now() + LONGEST_WAIT;
        let mut revision = self.revision.subscribe();
        self.look().await?;
        loop {
            let now = *revision.borrow_and_update();
            if now != seen || Instant::now() >= until {
                return Ok(now);
            }
            // The sender is this watch's own, so waiting ends with a change, with the time or with an error.
            tokio::select! {
                _ = timeout_at(until, revision.changed()) => {}
                error = self.look_for_all() => return Err(error),
            }
        }
    }

    /// From now on, commits are to be noticed.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Waits until something is committed after what `commits` has seen, or for a while at most.
    pub(crate) async fn committed_or(
        &self,
        commits: &mut watch::Receiver<u64>,
        until: Instant,
    ) -> Result<(), RuntimeError> {
        self.look().await?;
        tokio::select! {
            // As above.
            _ = timeout_at(until, commits.changed()) => Ok(()),
            error = self.look_for_all() => Err(error),
        }
    }

    /// Looks again and again, if nobody else does, until there is an error or the caller is done; then another of those
    /// that wait goes on.
    async fn look_for_all(&self) -> RuntimeError {
        let _turn = self.turn.lock().await;
        loop {
            sleep(LOOK_EVERY).await;
            if let Err(error) = self.look().await {
                return error;
            }
        }
    }

    async fn look(&self) -> Result<(), RuntimeError> {
        let mut seen = self.seen.lock().await;
        let (found, revision) = look(&self.database).await.map_err(|failure| self.database.failed(failure))?;
        self.advance(revision);
        if *seen != found {
            *seen = found;
            self.commits.send_modify(|commits| *commits += 1);
        }
        Ok(())
    }

    /// Revisions only rise, so that of two that looked at once the later one wins.
    fn advance(&self, revision: u64) {
        self.revision.send_if_modified(|known| {
            let newer = revision > *known;
            *known = revision.max(*known);
            newer
        });
    }
}

async fn look(database: &Arc<Database>) -> Result<(String, u64), Failure> {
    let session = database.session().await?;
    let row = session.query_one(LOOK, &[]).await?;
    let row = row.ok_or_else(|| Failure::NoConnection("a statement that has one row has none".to_owned()))?;
    if row.column::<i64>(2)? > number(CHANGES.len() as u64) {
        database.retire();
    }
    Ok((row.text(0)?, row.unsigned(1)?))
}
