//! The operations of the store, each in one transaction; one file for each part of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bg_charm_api::{AccessLevel, Acl, Actor};
use bg_identity::http_signature::FastClock;
use bg_identity::{Did, system_space};
use bg_poller::{CharmRef, RuntimeError};
use bg_seal::{FINGERPRINT, Fingerprint, Key, KeyFile};
use bg_store::secret_names::RULES;
use bg_store::{Rules, Store, StoredCharm, Tenancy, Touch, Writes};
use futures_util::future::BoxFuture;
use tokio::sync::watch as channel;
use tokio::time::Instant;

use super::access::Found;
use super::claims::Claims;
use super::error::Failure;
use super::keeper::Keeper;
use super::schema::{CHANGES, May, migrate};
use super::session::{Database, Locks, Session};
use super::target::Target;
use super::tenants::Tenants;
use super::values::{Columns as _, number, text};
use super::watch::Watch;
use super::{OpenError, PostgresPollStore, cells, spaces};

mod accounts;
mod charms;
mod deploys;
mod registrations;
mod room;

/// The keys in the table `meta` under which the times of fast clocks are kept.
const OPERATOR_CLOCK: &str = "signed_until_by_operator";
const OTHER_CLOCKS: &str = "signed_until_by_others";

/// By which rules the database was sealed.
const SECRET_RULES: &str = "secret_rules";

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Which, and how to reach it.
    pub target: Target,
    /// The file with the key that seals secrets: the same on all hosts.
    pub secrets_key: PathBuf,
    /// What strangers may do, and how much may be kept.
    pub tenancy: Tenancy,
    /// The operator's own key, if there is one.
    pub owner: Option<Did>,
    /// How many connections this process may have.
    pub connections: usize,
}

/// How much a process and its database have said to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Statements that the process sent.
    pub statements: u64,
    /// How often it waited for answers.
    pub round_trips: u64,
}

/// Spaces, charms, cells, registrations and runs in one PostgreSQL database.
#[derive(Clone)]
pub struct PostgresStore {
    database: Arc<Database>,
    key: Arc<Key>,
    tenants: Arc<Tenants>,
    watch: Arc<Watch>,
    keeper: Arc<Keeper>,
    writes: Arc<Writes>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresStore").field(&self.database.shown()).finish()
    }
}

/// Makes the tables of an empty database; brings those of an earlier version up to date.
pub async fn create(target: &Target) -> Result<(), OpenError> {
    let database = Database::connect(target, 1).await?;
    migrate(&database, target, CHANGES, May::Create).await.map(drop)
}

/// Takes away what only versions before this one need, which refuse to use the database from then on: for when all
/// hosts are of this version.
pub async fn finish(target: &Target) -> Result<(), OpenError> {
    let database = Database::connect(target, 1).await?;
    migrate(&database, target, CHANGES, May::Contract).await.map(drop)
}

impl PostgresStore {
    /// Opens a database that has its tables, and brings those of an earlier version up to date, such that hosts of that
    /// version go on.
    pub async fn open(options: PostgresOptions) -> Result<Self, OpenError> {
        let PostgresOptions { target, secrets_key, tenancy, owner, connections } = options;
        let database = Database::connect(&target, connections).await?;
        migrate(&database, &target, CHANGES, May::Expand).await?;
        let file = KeyFile::new(secrets_key);
        let unusable = |failure: Failure| match failure {
            Failure::Key(error) => OpenError::Key(error),
            other => OpenError::Unusable { database: target.to_string(), problem: other.to_string() },
        };
        let key = Arc::new(key_of(&database, file).await.map_err(unusable)?);
        let opens = tenancy.opens_spaces();
        let prepared = database.write(Locks::Everything, move |session| {
            Box::pin(async move {
                // Nobody has access until `add-admin-charm` grants it.
                spaces::create(session, &system_space(), &Acl::default(), None).await?;
                let note = "INSERT INTO meta (key, number) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                session.execute(note, &[&text(SECRET_RULES), &RULES]).await?;
                match opens {
                    Some(opens) => spaces::set_opens_spaces(session, opens).await,
                    None => Ok(()),
                }
            })
        });
        let problem =
            |error: RuntimeError| OpenError::Unusable { database: target.to_string(), problem: error.to_string() };
        prepared.await.map_err(problem)?;
        let tenants = Arc::new(Tenants::new(Rules::new(&tenancy, owner)));
        let watch = Arc::new(Watch::new(&database).await.map_err(unusable)?);
        let writes = Arc::new(Writes::default());
        let keeper = Keeper::new(
            Arc::clone(&database),
            Arc::clone(&key),
            Arc::clone(&tenants),
            Arc::clone(&watch),
            Arc::clone(&writes),
        );
        let store = Self { database, key, tenants, watch, keeper: Arc::new(keeper), writes };
        let session = store.database.session().await.map_err(unusable)?;
        store.tenants.size(&session).await.map_err(unusable)?;
        Ok(store)
    }

    /// Poll state and integrations' state, in the same database.
    pub fn poll_store(&self) -> PostgresPollStore {
        PostgresPollStore { database: Arc::clone(&self.database) }
    }

    /// Claims of what is due, for a host of that name.
    pub fn claims(&self, host: &str) -> Claims {
        Claims::new(Arc::clone(&self.database), Arc::clone(&self.keeper), host)
    }

    /// How much this process and the database have said to each other.
    pub fn traffic(&self) -> Traffic {
        let (statements, round_trips) = self.database.traffic();
        Traffic { statements, round_trips }
    }

    async fn write<T: Send + 'static>(
        &self,
        locks: Locks,
        touch: Touch,
        work: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, Failure>> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let (writes, watch) = (Arc::clone(&self.writes), Arc::clone(&self.watch));
        let database = Arc::clone(&self.database);
        // To its end, with what follows the commit, also if the caller stops waiting.
        let written = tokio::spawn(async move {
            let written = database.write(locks, work).await;
            // Also if that failed: it does not always say whether anything was written.
            writes.note(&touch);
            written.map(|(value, revision)| {
                if let Some(revision) = revision {
                    watch.committed(revision);
                }
                value
            })
        });
        written.await.unwrap_or_else(|_| Err(RuntimeError::unavailable("what writes has panicked")))
    }

    /// Reads something of the registrations, as it is at one moment.
    async fn read_registrations<T: Send + 'static>(
        &self,
        actor: &Actor,
        work: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, Failure>> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let actor = actor.clone();
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    Found::system(session, &actor).await?.has_system(AccessLevel::Read)?;
                    work(session).await
                })
            })
            .await
    }

    /// Reads cells of one version of a charm; none if there is another by now.
    async fn at_version<T: Send + 'static>(
        &self,
        charm: &Arc<StoredCharm>,
        work: impl for<'c> FnOnce(&'c cells::Cells<'c>) -> BoxFuture<'c, Result<T, Failure>> + Send + 'static,
    ) -> Result<Option<T>, RuntimeError> {
        let (key, charm) = (Arc::clone(&self.key), Arc::clone(charm));
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    if !super::call::is_at(session, &charm).await? {
                        return Ok(None);
                    }
                    let cells = cells::Cells::of(session, &key, &charm);
                    work(&cells).await.map(Some)
                })
            })
            .await
    }
}

/// The key that the database notes; if it notes none yet, this one from now on.
async fn key_of(database: &Arc<Database>, file: KeyFile) -> Result<Key, Failure> {
    let session = database.session().await?;
    let noted = async || -> Result<Option<Fingerprint>, Failure> {
        let row = session.query_one("SELECT bytes FROM meta WHERE key = $1", &[&text(FINGERPRINT)]).await?;
        let Some(row) = row else { return Ok(None) };
        let bytes: Vec<u8> = row.column(0)?;
        // One that is damaged is that of no key.
        Ok(Some(bytes.try_into().unwrap_or_default()))
    };
    if noted().await?.is_none() {
        let fingerprint = file.made()?.fingerprint().to_vec();
        // Two hosts that do this at once may have two keys: one is refused below.
        let insert = "INSERT INTO meta (key, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        session.execute(insert, &[&text(FINGERPRINT), &fingerprint]).await?;
    }
    file.existing(noted().await?)?;
    file.into_key().ok_or_else(|| Failure::Key(bg_seal::KeyError::Missing(PathBuf::from("secrets.key"))))
}

#[async_trait]
impl Store for PostgresStore {
    async fn fast_clocks(&self) -> Result<FastClock, RuntimeError> {
        let read = self.database.read(|session| {
            Box::pin(async move {
                let select = "SELECT coalesce(max(number) FILTER (WHERE key = $1), 0), coalesce(max(number) FILTER \
                              (WHERE key = $2), 0) FROM meta WHERE key IN ($1, $2)";
                let row = session.query_one(select, &[&text(OPERATOR_CLOCK), &text(OTHER_CLOCKS)]).await?;
                row.map_or(Ok(FastClock::default()), |row| {
                    Ok(FastClock { operator: row.unsigned(0)?, others: row.unsigned(1)? })
                })
            })
        });
        read.await
    }

    async fn keep_fast_clock(&self, is_operator: bool, until: u64) -> Result<(), RuntimeError> {
        let key = if is_operator { OPERATOR_CLOCK } else { OTHER_CLOCKS };
        self.write(Locks::None, Touch::None, move |session| {
            Box::pin(async move {
                let upsert = "INSERT INTO meta (key, number) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET number = \
                              greatest(meta.number, excluded.number)";
                session.execute(upsert, &[&text(key), &number(until)]).await?;
                Ok(())
            })
        })
        .await
    }

    fn commits(&self) -> channel::Receiver<u64> {
        self.watch.commits()
    }

    async fn commit_or(&self, commits: &mut channel::Receiver<u64>, until: Instant) -> Result<(), RuntimeError> {
        self.watch.committed_or(commits, until).await
    }

    fn writes(&self, charm: &CharmRef) -> u64 {
        self.writes.of(charm)
    }

    fn size(&self) -> u64 {
        // Asked again in the background: the next caller has that answer.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (database, tenants) = (Arc::clone(&self.database), Arc::clone(&self.tenants));
            runtime.spawn(async move {
                if let Ok(session) = database.session().await {
                    // Without an answer, the one before counts.
                    let _ = tenants.size(&session).await;
                }
            });
        }
        self.tenants.known_size()
    }

    fn damaged_cell(&self, charm: &CharmRef, name: &str) -> RuntimeError {
        self.database.failed(cells::damaged(charm, name))
    }
}
