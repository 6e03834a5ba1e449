//! Waiting for something to change, here or in another process: registrations, or anything at all.

use std::sync::Arc;
use std::time::Duration;

use bg_poller::RuntimeError;
use rusqlite::Connection;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Database, changes};

/// How long to wait before answering that nothing changed.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// How often to look for another process's changes, while somebody waits. SQLite has no notification for them.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The revision of the registrations, and who waits for the next.
pub(crate) struct Watch {
    revision: watch::Sender<u64>,
    /// A number that rises when anything at all was found to be committed.
    commits: watch::Sender<u64>,
    looker: Arc<Mutex<Looker>>,
    /// Held by the one of those that wait who looks again and again for all of them.
    turn: Mutex<()>,
    #[cfg(test)]
    looks: std::sync::atomic::AtomicUsize,
}

/// Looks for changes. All that wait share it; a look takes microseconds.
struct Looker {
    connection: Connection,
    data_version: i64,
}

impl Looker {
    /// The revision, if anything at all has been committed since the last look.
    fn look(&mut self) -> rusqlite::Result<Option<u64>> {
        // SQLite's own cheap sign of another connection's commit, without a look at any table.
        let data_version = self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if data_version == self.data_version {
            return Ok(None);
        }
        let revision = changes::revision(&self.connection)?;
        self.data_version = data_version;
        Ok(Some(revision))
    }
}

impl Watch {
    pub(crate) fn new(database: &Database) -> rusqlite::Result<Self> {
        let connection = database.further_reader()?;
        let data_version = connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        let revision = changes::revision(&connection)?;
        let looker = Looker { connection, data_version };
        Ok(Self {
            revision: watch::Sender::new(revision),
            commits: watch::Sender::new(0),
            looker: Arc::new(Mutex::new(looker)),
            turn: Mutex::default(),
            #[cfg(test)]
            looks: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    /// This process has committed a change: who waits need not wait for the next look.
    pub(crate) fn committed(&self, revision: u64) {
        self.advance(revision);
    }

    /// A revision other than `seen`, or after a while the same.
    pub(crate) async fn changed(&self, database: &Database, seen: u64) -> Result<u64, RuntimeError> {
        let until = Instant::now() + LONGEST_WAIT;
        let mut revision = self.revision.subscribe();
        self.look(database).await?;
        loop {
            let now = *revision.borrow_and_update();
            if now != seen || Instant::now() >= until {
                return Ok(now);
            }
            // The sender is this watch's own, so waiting ends with a change, with the time or with an error.
            tokio::select! {
                _ = timeout_at(until, revision.changed()) => {}
                error = self.look_for_all(database) => return Err(error),
            }
        }
    }

    /// Looks again and again, if nobody else does, until there is an error or the caller is done; then another of those
    /// that wait goes on.
    async fn look_for_all(&self, database: &Database) -> RuntimeError {
        let _turn = self.turn.lock().await;
        loop {
            sleep(LOOK_EVERY).await;
            if let Err(error) = self.look(database).await {
                return error;
            }
        }
    }

    async fn look(&self, database: &Database) -> Result<(), RuntimeError> {
        #[cfg(test)]
        self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut held = Arc::clone(&self.looker).lock_owned().await;
        let looked = tokio::task::spawn_blocking(move || held.look()).await;
        let found = looked
            .map_err(|error| RuntimeError::unavailable(format!("a look at the database ended early: {error}")))?;
        if let Some(revision) = found.map_err(|error| database.failed(error.into()))? {
            self.advance(revision);
            self.commits.send_modify(|commits| *commits += 1);
        }
        Ok(())
    }

    /// From now on, commits are to be noticed.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Waits until something is committed after what `commits` has seen, or for a while at most.
    pub(crate) async fn committed_or(
        &self,
        database: &Database,
        commits: &mut watch::Receiver<u64>,
        until: Instant,
    ) -> Result<(), RuntimeError> {
        self.look(database).await?;
        tokio::select! {
            // As above.
            _ = timeout_at(until, commits.changed()) => Ok(()),
            error = self.look_for_all(database) => Err(error),
        }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::SqlitePollStore;

    #[tokio::test]
    async fn all_that_wait_share_the_looks_and_hear_of_another_process() {
        const WAITERS: usize = 256;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runtime.db");
        let database = SqlitePollStore::open(&path).unwrap().database;
        let watch = Arc::new(Watch::new(&database).unwrap());
        let seen = *watch.revision.borrow();
        let waiting: Vec<_> = (0..WAITERS)
            .map(|_| {
                let (watch, database) = (watch.clone(), database.clone());
                tokio::spawn(async move { watch.changed(&database, seen).await })
            })
            .collect();
        while watch.looks.load(Ordering::Relaxed) < WAITERS + 3 {
            sleep(LOOK_EVERY / 10).await;
        }
        // Each looked once at first; since then, one does for all of them.
        assert!(watch.looks.load(Ordering::Relaxed) < WAITERS + 20, "{:?}", watch.looks);
        let other = Connection::open(&path).unwrap();
        other.execute("UPDATE meta SET value = value + 1 WHERE key = 'registrations_revision'", ()).unwrap();
        for one in waiting {
            assert_eq!(one.await.unwrap().unwrap(), seen + 1);
        }
    }
}
