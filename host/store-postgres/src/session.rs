//! Connections, transactions and locks.
//!
//! A write locks the spaces that it is about before it reads anything, in one order, and then their makers. So all
//! rules about a space, and about what one maker may keep, hold as if there were one writer, and no two writes wait for
//! each other in a circle. Single rows that all share, such as the revision of the registrations, are written last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bg_poller::{CharmRef, RuntimeError};
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures_util::future::BoxFuture;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::error::{Failure, OpenError, said};
use super::target::Target;
use super::tls::Tls;
use super::values::{Param, Text, text, texts};
use super::{changes, schema};

/// How long a caller waits for a connection.
const FOR_CONNECTION: Duration = Duration::from_secs(10);

/// A transaction that is left open keeps dead rows from being removed, which slows all others. So the server ends one
/// that does nothing, and a statement that takes longer than any should.
const LIMITS: &str = "SET idle_in_transaction_session_timeout = '10s'; SET statement_timeout = '60s'; \
                      SET lock_timeout = '30s'; SET default_transaction_isolation = 'read committed'";

/// The number of the lock that all writes share, and that those take alone that are about everything.
const EVERYTHING: &str = "1650947944, 0";

/// Connections to one database.
pub(crate) struct Database {
    pool: Pool,
    shown: String,
    /// How many statements were sent, for measurements.
    statements: AtomicU64,
    /// How often answers were waited for, for measurements.
    round_trips: AtomicU64,
    /// Set once a newer version has changed the format in a way that this version does not know.
    is_newer: AtomicBool,
}

/// What a write locks.
#[derive(Clone, Debug)]
pub(crate) enum Locks {
    /// These spaces, and who made them or is about to.
    Spaces {
        /// Their names.
        spaces: Vec<String>,
        /// Who is about to make one.
        maker: Option<String>,
    },
    /// All.
    Everything,
    /// No space.
    None,
}

impl Locks {
    /// The space of a charm.
    pub(crate) fn of(charm: &CharmRef) -> Self {
        Self::Spaces { spaces: vec![charm.space.to_string()], maker: None }
    }
}

/// What a statement changed that those who wait for changes hear of.
pub(crate) type Changed = Vec<(String, String)>;

impl Database {
    /// Connects, with this many connections at most.
    pub(crate) async fn connect(target: &Target, connections: usize) -> Result<Arc<Self>, OpenError> {
        let unusable = |problem: String| OpenError::Unusable { database: target.to_string(), problem };
        let tls = Tls::new(target.root_certificate.as_deref()).map_err(unusable)?;
        let manager =
            Manager::from_config(target.config.clone(), tls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(connections)
            .wait_timeout(Some(FOR_CONNECTION))
            .create_timeout(Some(FOR_CONNECTION))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(LIMITS).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let database = Arc::new(Self {
            pool,
            shown: target.to_string(),
            statements: AtomicU64::new(0),
            round_trips: AtomicU64::new(0),
            is_newer: AtomicBool::new(false),
        });
        // A first one, to say early what is wrong.
        database.session().await.map_err(|failure| unusable(failure.to_string()))?;
        Ok(database)
    }

    /// The database, for messages.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// How many statements were sent, and how often their answers were waited for.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.statements.load(Ordering::Relaxed), self.round_trips.load(Ordering::Relaxed))
    }

    /// A newer version has changed the format: nothing is done with the database from now on.
    pub(crate) fn retire(&self) {
        self.is_newer.store(true, Ordering::SeqCst);
    }

    /// A connection.
    pub(crate) async fn session(self: &Arc<Self>) -> Result<Session, Failure> {
        if self.is_newer.load(Ordering::SeqCst) {
            return Err(Failure::Newer(schema::NEWER.to_owned()));
        }
        let client = self.pool.get().await.map_err(|error| {
            Failure::NoConnection(match &error {
                deadpool_postgres::PoolError::Backend(error) => said(error),
                deadpool_postgres::PoolError::Timeout(_) => {
                    format!("no connection within {} s", FOR_CONNECTION.as_secs())
                }
                other => other.to_string(),
            })
        })?;
        Ok(Session {
            client: Some(client),
            database: Arc::clone(self),
            is_in_transaction: false,
            is_broken: AtomicBool::new(false),
            changed: Vec::new(),
        })
    }

    /// The error that callers see.
    pub(crate) fn failed(&self, failure: Failure) -> RuntimeError {
        failure.into_runtime(&self.shown)
    }

    /// Reads by single statements, each of which sees the database at one moment.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, Failure>> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let read = async {
            let mut session = self.session().await?;
            work(&mut session).await
        };
        read.await.map_err(|failure| self.failed(failure))
    }

    /// Reads the database as it is at one moment.
    pub(crate) async fn snapshot<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, Failure>> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let read = async {
            let mut session = self.session().await?;
            session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            session.is_in_transaction = true;
            let value = work(&mut session).await;
            session.end("ROLLBACK").await?;
            value
        };
        read.await.map_err(|failure| self.failed(failure))
    }

    /// Runs `work`, which may write, and what it writes is kept, durably, if it succeeds, or else undone. It runs to
    /// its end even if the caller stops waiting. Answers the revision of the registrations as well, if it changed.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        locks: Locks,
        work: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, Failure>> + Send + 'static,
    ) -> Result<(T, Option<u64>), RuntimeError> {
        let database = Arc::clone(self);
        let written = tokio::spawn(async move {
            let mut session = database.session().await?;
            session.begin(&locks).await?;
            match work(&mut session).await {
                Ok(value) => {
                    let revision = session.commit().await?;
                    Ok((value, revision))
                }
                Err(failure) => {
                    // If this fails, the connection is closed, and the server undoes it.
                    let _ = session.end("ROLLBACK").await;
                    Err(failure)
                }
            }
        });
        if let Ok(written) = written.await {
            written.map_err(|failure| self.failed(failure))
        } else {
            let problem = "what was to be written panicked, which is a fault of this program".to_owned();
            Err(self.failed(Failure::NoConnection(problem)))
        }
    }
}

/// A statement with its parameters, for [`Session::all`].
pub(crate) struct Asked<'p> {
    /// Its text.
    pub(crate) sql: &'p str,
    /// Its parameters.
    pub(crate) params: Vec<&'p dyn Param>,
}

/// A connection, for one operation. Where it is dropped within a transaction, it is closed, and the server undoes
/// that.
pub(crate) struct Session {
    /// None while it is dropped.
    client: Option<Object>,
    database: Arc<Database>,
    is_in_transaction: bool,
    is_broken: AtomicBool,
    /// Of which registrations a change is to be noted.
    changed: Changed,
}

impl Drop for Session {
    fn drop(&mut self) {
        if (self.is_in_transaction || self.is_broken.load(Ordering::Relaxed))
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}

fn plain<'p>(params: &[&'p dyn Param]) -> Vec<&'p (dyn ToSql + Sync)> {
    params.iter().map(|param| param.as_sql()).collect()
}

impl Session {
    fn client(&self) -> &Object {
        self.client.as_ref().expect("it is there until it is dropped")
    }

    fn counted<T>(&self, statements: usize, result: Result<T, tokio_postgres::Error>) -> Result<T, Failure> {
        self.database.statements.fetch_add(statements as u64, Ordering::Relaxed);
        self.database.round_trips.fetch_add(1, Ordering::Relaxed);
        let result = result.map_err(Failure::from);
        if result.as_ref().is_err_and(Failure::ends_connection) {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        result
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, Failure> {
        let prepared = self.client().prepare_cached(sql).await.map_err(Failure::from);
        if prepared.as_ref().is_err_and(Failure::ends_connection) {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        prepared
    }

    /// The rows of a statement.
    pub(crate) async fn query(&self, sql: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Failure> {
        let statement = self.prepared(sql).await?;
        self.counted(1, self.client().query(&statement, &plain(params)).await)
    }

    /// The row of a statement that has one at most.
    pub(crate) async fn query_one(&self, sql: &str, params: &[&dyn Param]) -> Result<Option<Row>, Failure> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Whether a statement has a row.
    pub(crate) async fn exists(&self, sql: &str, params: &[&dyn Param]) -> Result<bool, Failure> {
        Ok(self.query_one(sql, params).await?.is_some())
    }

    /// How many rows a statement changed.
    pub(crate) async fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<u64, Failure> {
        let statement = self.prepared(sql).await?;
        self.counted(1, self.client().execute(&statement, &plain(params)).await)
    }

    /// Statements without parameters, as they stand.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), Failure> {
        self.counted(1, self.client().batch_execute(sql).await)
    }

    /// The rows of several statements, which are sent at once, and run one after another.
    pub(crate) async fn all(&self, asked: &[Asked<'_>]) -> Result<Vec<Vec<Row>>, Failure> {
        self.between(None, asked, None).await
    }

    /// The same after and before statements without rows, such as those that begin and end a transaction.
    async fn between(
        &self,
        first: Option<&str>,
        asked: &[Asked<'_>],
        last: Option<&str>,
    ) -> Result<Vec<Vec<Row>>, Failure> {
        let mut statements = Vec::with_capacity(asked.len());
        for one in asked {
            statements.push((self.prepared(one.sql).await?, plain(&one.params)));
        }
        let client = self.client();
        let bare = |sql: Option<&str>| {
            let sql = sql.map(str::to_owned);
            async move {
                match sql {
                    Some(sql) => client.batch_execute(&sql).await,
                    None => Ok(()),
                }
            }
        };
        let rows = statements.iter().map(|(statement, params)| client.query(statement, params));
        // They are sent in the order in which they are first polled.
        let (first, rows, last) = futures_util::join!(bare(first), in_order(rows), bare(last));
        let all = first.and(rows).and_then(|rows| last.map(|()| rows));
        self.counted(asked.len(), all)
    }

    /// Begins a transaction, takes its locks, and then reads.
    pub(crate) async fn begin_and_read(
        &mut self,
        locks: &Locks,
        asked: &[Asked<'_>],
    ) -> Result<Vec<Vec<Row>>, Failure> {
        let (spaces, maker) = match locks {
            Locks::Spaces { spaces, maker } => (spaces.as_slice(), maker.as_deref()),
            Locks::Everything | Locks::None => (&[][..], None),
        };
        let spaces: Vec<Text<'_>> = texts(spaces.iter().map(String::as_str));
        let maker = maker.map(text);
        let (shared, whole) = (
            format!("SELECT pg_advisory_xact_lock_shared({EVERYTHING})"),
            format!("SELECT pg_advisory_xact_lock({EVERYTHING})"),
        );
        let mut all = Vec::with_capacity(asked.len() + 3);
        match locks {
            Locks::Everything => all.push(Asked { sql: &whole, params: vec![] }),
            Locks::None => all.push(Asked { sql: &shared, params: vec![] }),
            Locks::Spaces { .. } => {
                all.push(Asked { sql: &shared, params: vec![] });
                all.push(Asked { sql: LOCK_SPACES, params: vec![&spaces] });
                all.push(Asked { sql: LOCK_MAKERS, params: vec![&spaces, &maker] });
            }
        }
        let locking = all.len();
        all.extend(asked.iter().map(|one| Asked { sql: one.sql, params: one.params.clone() }));
        self.is_in_transaction = true;
        let mut rows = self.between(Some("BEGIN"), &all, None).await?;
        Ok(rows.split_off(locking))
    }

    /// Begins a transaction, and takes its locks. What is read afterwards is what those left who had them before.
    pub(crate) async fn begin(&mut self, locks: &Locks) -> Result<(), Failure> {
        self.begin_and_read(locks, &[]).await.map(drop)
    }

    /// That a registration has changed, by the names of space and charm: noted at the end, since all that note one
    /// wait for each other from then on.
    pub(crate) fn note_change(&mut self, changed: impl IntoIterator<Item = (String, String)>) {
        self.changed.extend(changed);
    }

    /// The last statements, and the commit. Answers the revision of the registrations, if it changed.
    pub(crate) async fn write_and_commit(&mut self, asked: &[Asked<'_>]) -> Result<Option<u64>, Failure> {
        if self.changed.is_empty() {
            self.between(None, asked, Some("COMMIT")).await?;
            self.is_in_transaction = false;
            return Ok(None);
        }
        self.all(asked).await?;
        self.commit().await
    }

    /// Commits. Answers the revision of the registrations, if it changed.
    pub(crate) async fn commit(&mut self) -> Result<Option<u64>, Failure> {
        let changed = std::mem::take(&mut self.changed);
        let revision = if changed.is_empty() { None } else { Some(changes::note(self, &changed).await?) };
        self.end("COMMIT").await?;
        Ok(revision)
    }

    async fn end(&mut self, how: &str) -> Result<(), Failure> {
        self.run(how).await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// Undoes what was done.
    pub(crate) async fn roll_back(&mut self) -> Result<(), Failure> {
        self.changed.clear();
        self.end("ROLLBACK").await
    }

    /// The database, for messages.
    pub(crate) fn shown(&self) -> &str {
        &self.database.shown
    }
}

/// All must have an end before the first error is answered: what follows in the connection is not theirs.
async fn in_order<T>(
    all: impl Iterator<Item = impl Future<Output = Result<T, tokio_postgres::Error>>>,
) -> Result<Vec<T>, tokio_postgres::Error> {
    futures_util::future::join_all(all).await.into_iter().collect()
}

const LOCK_SPACES: &str = "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(space, 0) AS key \
                           FROM unnest($1::text[]) AS space ORDER BY key OFFSET 0) AS keys";

const LOCK_MAKERS: &str = "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(creator, 1) AS key \
                           FROM (SELECT creator FROM holdings WHERE space = ANY ($1::text[]) UNION SELECT $2::text) AS \
                           made (creator) WHERE creator IS NOT NULL ORDER BY key OFFSET 0) AS keys";
