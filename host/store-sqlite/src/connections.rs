//! Who may use which connection, and on which thread.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bg_poller::{Cause, CharmRef, RuntimeError};
use bg_store::{Touch, What, Writes};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use super::writer::{NotKept, Writer};
use super::{Failure, OpenError, Sealer, open, reseal};

/// SQLite readers run side by side; more than a few only compete for cores.
const READERS: usize = 4;
/// For how long, and how often, it is tried to empty the log.
const FORGETTING: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// One SQLite file: a connection that writes, on a thread of its own, in the order in which it is asked to, and a few
/// that read beside it, on threads where blocking is allowed.
pub(crate) struct Database {
    path: PathBuf,
    writer: Writer,
    writes: Arc<Writes>,
    reader_turns: Arc<Semaphore>,
    idle_readers: Arc<Mutex<Vec<Connection>>>,
}

impl Database {
    /// Opens the file, creates or migrates it if need be, and runs `prepare` in a transaction. Blocks.
    pub(crate) fn open(
        path: &Path,
        sealer: &Sealer,
        prepare: impl FnOnce(&Transaction<'_>) -> Result<(), Failure>,
    ) -> Result<Self, OpenError> {
        let mut connection = open::writer_with(path, sealer)?;
        let prepared = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Failure::from)
            .and_then(|tx| {
                prepare(&tx)?;
                Ok(tx.commit()?)
            });
        prepared.map_err(|failure| open::refused(path, failure))?;
        let noted = Arc::<Writes>::default();
        let writer = Writer::start(connection, Arc::clone(&noted))
            .map_err(|error| OpenError::Unusable { path: path.to_owned(), problem: error.to_string() })?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            writes: noted,
            reader_turns: Arc::new(Semaphore::new(READERS)),
            idle_readers: Arc::default(),
        })
    }

    /// The file and its write-ahead log, bytes.
    pub(crate) fn size(&self) -> u64 {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        [self.path.as_path(), Path::new(&log)].into_iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum()
    }

    /// Runs `work`, which may write, and what it writes is kept, durably, if it succeeds, or else undone. It runs to
    /// its end even if the caller stops waiting.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        self.write_touching(Touch::Any, work).await
    }

    /// The same, where it is known what of charms it may change.
    pub(crate) async fn write_touching<T: Send + 'static>(
        &self,
        touch: Touch,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        self.writer.write(touch, work).await.map_err(|problem| {
            let problem = match problem {
                NotKept::Failed(failure) => return self.failed(failure),
                NotKept::NotCommitted(problem) => problem,
                NotKept::Panicked => "what was to be written panicked, which is a fault of this program".to_owned(),
                NotKept::Gone => "the thread that writes is gone".to_owned(),
            };
            self.unavailable(&problem)
        })
    }

    /// A number that has changed once this process may have written something of that charm: what was read before may
    /// not be so any more.
    pub(crate) fn writes(&self, charm: &CharmRef) -> u64 {
        self.writes.of(charm)
    }

    /// Runs `work` on one state of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        // The semaphore is never closed, so this waits for a turn and cannot fail.
        let turn = Arc::clone(&self.reader_turns).acquire_owned().await;
        let (idle, path) = (Arc::clone(&self.idle_readers), self.path.clone());
        let result = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = taken.map_or_else(|| open::reader(&path), Ok)?;
            let value = work(&connection.transaction()?);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            value
        })
        .await;
        match result {
            Ok(result) => result.map_err(|failure| self.failed(failure)),
            Err(error) => Err(self.unavailable(&format!("a task ended early: {error}"))),
        }
    }

    /// Moves what is in the write-ahead log into the file, and empties the log: what was overwritten should not stay in
    /// it. Others that read it keep it from that, such as a backup; it is tried again for some seconds, and writes go
    /// on meanwhile.
    pub(crate) async fn forget_log(&self) {
        let until = Instant::now() + FORGETTING;
        loop {
            match self.writer.forget_log().await {
                Some(Ok(true)) => return,
                Some(_) if Instant::now() < until => tokio::time::sleep(BETWEEN_TRIES).await,
                // It is done with the next one, or when the database is closed.
                other => {
                    return tracing::warn!(
                        ?other,
                        "the write-ahead log of {} could not be emptied",
                        self.path.display()
                    );
                }
            }
        }
    }

    /// Leaves nothing in the file of clear texts that were sealed as it was opened. Blocks.
    pub(crate) fn forget_clear_texts(&self) -> Result<(), OpenError> {
        let connection = open::existing(&self.path)?;
        reseal::forget_clear_texts(&connection).map_err(|error| open::problem(&self.path, &error))
    }

    /// A further connection that only reads, for a caller that keeps it. Blocks.
    pub(crate) fn further_reader(&self) -> rusqlite::Result<Connection> {
        open::reader(&self.path)
    }

    /// The error that callers see, which names the file and what to do.
    pub(crate) fn failed(&self, failure: Failure) -> RuntimeError {
        match failure {
            Failure::Refused(error) => error,
            Failure::Key(error) => RuntimeError::unavailable_by(Cause::StorageFails, error.to_string()),
            // Of one charm: others are as they were. It stays so until somebody does something about it.
            Failure::Damaged(what @ (What::OfCharm(_) | What::Column(_))) => RuntimeError::unmet(
                Cause::Damaged,
                format!(
                    "{what} is damaged, in the database {}: set it again, or put back a backup",
                    self.path.display()
                ),
            ),
            Failure::Damaged(what @ What::OfSpace(_)) => {
                RuntimeError::unavailable_by(Cause::SpaceDamaged, self.problem(&format!("{what} is damaged")))
            }
            other => RuntimeError::unavailable_by(other.cause(), self.problem(&format!("{other}{}", other.fix()))),
        }
    }

    fn unavailable(&self, problem: &str) -> RuntimeError {
        RuntimeError::unavailable_by(Cause::StorageFails, self.problem(problem))
    }

    fn problem(&self, problem: &str) -> String {
        format!("the database {}: {problem}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(dir: &Path) -> Database {
        let path = dir.join("a.db");
        Database::open(&path, &Sealer::beside(&path), |_| Ok(())).unwrap()
    }

    async fn spaces(database: &Database) -> i64 {
        database.read(|tx| Ok(tx.query_row("SELECT count(*) FROM spaces", [], |row| row.get(0))?)).await.unwrap()
    }

    fn insert(tx: &Transaction<'_>) -> Result<(), Failure> {
        tx.execute("INSERT INTO spaces (did, created_at) VALUES (hex(randomblob(8)), 0)", [])?;
        Ok(())
    }

    #[tokio::test]
    async fn a_transaction_is_kept_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let database = Arc::new(database(dir.path()));
        database.write(insert).await.unwrap();
        assert_eq!(spaces(&database).await, 1);

        let refused = database
            .write::<()>(|tx| {
                insert(tx)?;
                Err(RuntimeError::Invalid("no".into()).into())
            })
            .await;
        assert_eq!(refused, Err(RuntimeError::Invalid("no".into())));
        assert_eq!(spaces(&database).await, 1);

        let panicked = database
            .write::<()>(|tx| {
                insert(tx)?;
                panic!("in a transaction")
            })
            .await;
        assert!(panicked.unwrap_err().is_unavailable());
        assert_eq!(spaces(&database).await, 1);

        let all = (0..20).map(|_| {
            let database = Arc::clone(&database);
            tokio::spawn(async move { database.write(insert).await })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap().unwrap();
        }
        assert_eq!(spaces(&database).await, 21);
    }

    #[tokio::test]
    async fn the_log_is_emptied_once_readers_let_it_and_writes_go_on_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let database = Arc::new(database(dir.path()));
        database.write(insert).await.unwrap();
        let reader = database.further_reader().unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let seen: i64 = reader.query_row("SELECT count(*) FROM spaces", [], |row| row.get(0)).unwrap();
        database.write(insert).await.unwrap();
        let forgetting = tokio::spawn({
            let database = Arc::clone(&database);
            async move { database.forget_log().await }
        });
        database.write(insert).await.unwrap();
        assert!(!forgetting.is_finished());
        reader.execute_batch("COMMIT").unwrap();
        forgetting.await.unwrap();
        assert_eq!((seen, spaces(&database).await), (1, 3));
        assert_eq!(dir.path().join("a.db-wal").metadata().unwrap().len(), 0);
    }

    #[tokio::test]
    async fn an_error_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let database = database(dir.path());
        let error = database.write(|tx| Ok(tx.execute("INSERT INTO nowhere VALUES (1)", [])?)).await.unwrap_err();
        assert!(error.to_string().contains("a.db: no such table"), "{error}");
    }
}
