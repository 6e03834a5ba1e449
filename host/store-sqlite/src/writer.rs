//! The thread that writes: what is asked for while it commits is committed together with the next commit.
//!
//! A commit waits for the disk, and most writes take a tenth of that time. So all that is waiting is done in one
//! transaction, each in a savepoint of its own: one that fails leaves the others as they are, and nobody hears of
//! success before the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bg_store::{Touch, Writes};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{Failure, open};

/// How many writes one commit may have: others wait for the first of them as long as for the last.
const MOST: usize = 256;
/// After this, those who wait for their commit get it.
const LONGEST: Duration = Duration::from_millis(20);
/// How long readers are waited for before the log is emptied.
const FOR_READERS: Duration = Duration::from_millis(50);

/// Why a write was not kept.
pub(crate) enum NotKept {
    /// It failed itself.
    Failed(Failure),
    /// It panicked.
    Panicked,
    /// It could not be committed, for this reason.
    NotCommitted(String),
    /// The thread is not there any more.
    Gone,
}

/// What is asked of the thread.
enum Request {
    Write(Box<dyn Write>),
    ForgetLog(oneshot::Sender<rusqlite::Result<bool>>),
}

/// One write, of which the thread knows no more than this.
trait Write: Send {
    /// Does it, and answers whether it is to be kept.
    fn run(&mut self, tx: &Transaction<'_>) -> bool;
    /// SQLite's error, if that is why it is not to be kept.
    fn error(&self) -> Option<&rusqlite::Error>;
    /// Notes what it may have changed, whether the commit succeeded or not.
    fn note(&self, writes: &Writes);
    /// Tells who asked for it. An error if the commit failed.
    fn end(self: Box<Self>, committed: Result<(), &Failure>);
}

struct Job<T, W> {
    work: Option<W>,
    touch: Touch,
    result: Result<T, NotKept>,
    answer: oneshot::Sender<Result<T, NotKept>>,
}

impl<T: Send, W: FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send> Write for Job<T, W> {
    fn run(&mut self, tx: &Transaction<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        self.result = match catch_unwind(AssertUnwindSafe(|| work(tx))) {
            Ok(result) => result.map_err(NotKept::Failed),
            Err(_) => Err(NotKept::Panicked),
        };
        self.result.is_ok()
    }

    fn error(&self) -> Option<&rusqlite::Error> {
        if let Err(NotKept::Failed(Failure::Sql(error))) = &self.result { Some(error) } else { None }
    }

    fn note(&self, writes: &Writes) {
        writes.note(&self.touch);
    }

    fn end(self: Box<Self>, committed: Result<(), &Failure>) {
        let result = match (self.result, committed) {
            // It succeeded, or did not even begin, or was refused for what another one had written, which is undone.
            (Ok(_) | Err(NotKept::Gone | NotKept::Failed(Failure::Refused(_))), Err(failure)) => {
                Err(NotKept::NotCommitted(format!("{failure}{}", failure.fix())))
            }
            (result, _) => result,
        };
        // The caller may have stopped waiting.
        let _ = self.answer.send(result);
    }
}

/// The way to the thread. Dropping it waits until what was asked for is done, and the connection closed.
pub(crate) struct Writer {
    /// None while it is being dropped.
    requests: Option<mpsc::UnboundedSender<Request>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id()) {
            // A panic in it would have been printed already.
            let _ = thread.join();
        }
    }
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection, writes: Arc<Writes>) -> std::io::Result<Self> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let thread = thread::Builder::new().name("database".into());
        let thread = thread.spawn(move || serve(connection, receiver, &writes))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Has `work` done. It is kept, durably, if this is Ok, and runs to its end even if the caller stops waiting.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        touch: Touch,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, NotKept> {
        let (answer, answered) = oneshot::channel();
        let job = Job { work: Some(work), touch, result: Err(NotKept::Gone), answer };
        self.ask(Request::Write(Box::new(job)));
        answered.await.unwrap_or(Err(NotKept::Gone))
    }

    /// If the thread is gone, the caller who waits for the answer gets an error.
    fn ask(&self, request: Request) {
        let _ = self.requests.as_ref().map(|requests| requests.send(request));
    }

    /// Moves what is in the write-ahead log into the file, and empties the log. False if a reader kept some of it.
    pub(crate) async fn forget_log(&self) -> Option<rusqlite::Result<bool>> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::ForgetLog(answer));
        answered.await.ok()
    }
}

fn serve(mut connection: Connection, mut requests: mpsc::UnboundedReceiver<Request>, writes: &Writes) {
    while let Some(request) = requests.blocking_recv() {
        let mut next = Some(request);
        while let Some(request) = next.take() {
            match request {
                Request::Write(job) => next = together(&mut connection, job, &mut requests, writes),
                Request::ForgetLog(answer) => {
                    let _ = answer.send(forget_log(&connection));
                }
            }
        }
    }
}

/// Waits for readers only for as long as other writes can wait.
fn forget_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(FOR_READERS)?;
    let forgotten = open::forget_log(connection);
    connection.busy_timeout(open::BUSY_TIMEOUT)?;
    forgotten
}

/// Does a write and all that wait behind it, and commits them. Answers a request that is none.
fn together(
    connection: &mut Connection,
    first: Box<dyn Write>,
    requests: &mut mpsc::UnboundedReceiver<Request>,
    writes: &Writes,
) -> Option<Request> {
    let mut jobs = Vec::new();
    let (next, committed) = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(tx) => {
            let (next, whole) = run_all(&tx, first, requests, &mut jobs);
            (next, whole.and_then(|()| tx.commit()))
        }
        Err(error) => {
            jobs.push(first);
            (None, Err(error))
        }
    };
    let committed = committed.map_err(Failure::from);
    for job in &jobs {
        // Also if the commit failed: it does not always say whether anything was written.
        job.note(writes);
    }
    for job in jobs {
        job.end(committed.as_ref().copied());
    }
    next
}

/// Runs writes until none waits, or it is time to commit. An error is one of the whole transaction.
fn run_all(
    tx: &Transaction<'_>,
    first: Box<dyn Write>,
    requests: &mut mpsc::UnboundedReceiver<Request>,
    jobs: &mut Vec<Box<dyn Write>>,
) -> (Option<Request>, rusqlite::Result<()>) {
    let begun = Instant::now();
    let mut next = Some(Request::Write(first));
    loop {
        match next {
            Some(Request::Write(job)) => {
                jobs.push(job);
                let ran = jobs.last_mut().map_or(Ok(()), |job| run_one(tx, &mut **job));
                if ran.is_err() {
                    return (None, ran);
                }
            }
            other => return (other, Ok(())),
        }
        if jobs.len() >= MOST || begun.elapsed() >= LONGEST {
            return (None, Ok(()));
        }
        next = requests.try_recv().ok();
    }
}

/// Runs one write; undoes what it did if it is not to be kept.
fn run_one(tx: &Transaction<'_>, job: &mut dyn Write) -> rusqlite::Result<()> {
    tx.prepare_cached("SAVEPOINT one")?.execute([])?;
    if !job.run(tx) {
        if tx.is_autocommit() {
            // SQLite has undone all of it: the disk is full, or does not work. The others must fail, too.
            let error = job.error().and_then(rusqlite::Error::sqlite_error).copied();
            let error = error.unwrap_or(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK));
            return Err(rusqlite::Error::SqliteFailure(error, job.error().map(ToString::to_string)));
        }
        tx.prepare_cached("ROLLBACK TO one")?.execute([])?;
    }
    tx.prepare_cached("RELEASE one")?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};
    use bg_poller::CharmRef;

    use super::*;
    use bg_store::What;

    fn insert(number: i64) -> impl FnOnce(&Transaction<'_>) -> Result<i64, Failure> + Send {
        move |tx| {
            tx.execute("INSERT INTO t VALUES (?1)", [number])?;
            match number % 5 {
                3 => Err(Failure::Damaged(What::OfSpace(number.to_string()))),
                4 => panic!("in a write"),
                _ => Ok(tx.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?),
            }
        }
    }

    type Answer = oneshot::Receiver<Result<i64, NotKept>>;

    fn job(work: impl FnOnce(&Transaction<'_>) -> Result<i64, Failure> + Send + 'static) -> (Box<dyn Write>, Answer) {
        let (answer, answered) = oneshot::channel();
        (Box::new(Job { work: Some(work), touch: Touch::Any, result: Err(NotKept::Gone), answer }), answered)
    }

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (number INTEGER UNIQUE)").unwrap();
        connection
    }

    fn numbers(connection: &Connection) -> Vec<i64> {
        let mut statement = connection.prepare("SELECT number FROM t ORDER BY number").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_waits_is_committed_together_without_what_fails() {
        let (requests, mut waiting) = mpsc::unbounded_channel();
        let (mut connection, writes) = (database(), Writes::default());
        let mut answers = Vec::new();
        let (first, answer) = job(insert(0));
        answers.push(answer);
        for number in 1..20 {
            let (job, answer) = job(insert(number));
            answers.push(answer);
            let _ = requests.send(Request::Write(job));
        }
        // A clean-up waits as well: it is next.
        let _ = requests.send(Request::ForgetLog(oneshot::channel().0));
        let next = together(&mut connection, first, &mut waiting, &writes);
        assert!(matches!(next, Some(Request::ForgetLog(_))));
        let kept: Vec<i64> = (0..20).filter(|number| number % 5 < 3).collect();
        assert_eq!(numbers(&connection), kept);
        for (number, answer) in answers.into_iter().enumerate() {
            match (number % 5, answer.blocking_recv().unwrap()) {
                (3, Err(NotKept::Failed(Failure::Damaged(text)))) => assert_eq!(text.to_string(), number.to_string()),
                (4, Err(NotKept::Panicked)) => {}
                (_, Ok(count)) => assert_eq!(usize::try_from(count).unwrap(), number / 5 * 3 + number % 5 + 1),
                _ => panic!("{number} has another's answer"),
            }
        }
        let charm = CharmRef { space: space_did("a"), charm: CharmId::for_content(b"a") };
        assert_eq!(writes.of(&charm), 20);
    }

    #[test]
    fn nobody_is_told_of_success_when_all_was_undone() {
        let (requests, mut waiting) = mpsc::unbounded_channel();
        let (mut connection, writes) = (database(), Writes::default());
        let (first, kept) = job(insert(0));
        // As SQLite itself does when the disk is full.
        let (second, undone) = job(|tx| {
            tx.execute_batch("ROLLBACK")?;
            Err(Failure::Damaged(What::OfSpace("the disk".into())))
        });
        let _ = requests.send(Request::Write(second));
        assert!(together(&mut connection, first, &mut waiting, &writes).is_none());
        assert!(matches!(kept.blocking_recv().unwrap(), Err(NotKept::NotCommitted(text)) if text.contains("abort")));
        assert!(matches!(undone.blocking_recv().unwrap(), Err(NotKept::Failed(_))));
        assert!(numbers(&connection).is_empty());
        let (again, kept) = job(insert(0));
        assert!(together(&mut connection, again, &mut waiting, &writes).is_none());
        assert!(kept.blocking_recv().unwrap().is_ok());
    }

    #[test]
    fn a_write_that_cannot_begin_is_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut holder = Connection::open(&path).unwrap();
        let held = holder.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let mut connection = Connection::open(&path).unwrap();
        connection.busy_timeout(Duration::from_millis(1)).unwrap();
        let (first, answer) = job(insert(0));
        let (_, mut waiting) = mpsc::unbounded_channel();
        assert!(together(&mut connection, first, &mut waiting, &Writes::default()).is_none());
        assert!(matches!(answer.blocking_recv().unwrap(), Err(NotKept::NotCommitted(text)) if text.contains("locked")));
        drop(held);
    }

    #[test]
    fn who_waits_gets_a_commit_before_all_is_done() {
        let (requests, mut waiting) = mpsc::unbounded_channel();
        let (mut connection, writes) = (database(), Writes::default());
        for _ in 0..MOST + 10 {
            let _ = requests.send(Request::Write(job(|_| Ok(0)).0));
        }
        let Ok(Request::Write(first)) = waiting.try_recv() else { panic!("there is one") };
        assert!(together(&mut connection, first, &mut waiting, &writes).is_none());
        assert_eq!(waiting.len(), 10);
    }
}
