//! The operations of the store, each in one transaction; one file for each part of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bg_charm_api::{AccessLevel, Acl, Actor};
use bg_identity::http_signature::FastClock;
use bg_identity::{Did, system_space};
use bg_poller::{CharmRef, Outcome, RuntimeError};
use bg_store::{Finished, Rules, Store, StoredCharm, Tenancy};
use rusqlite::Transaction;
use tokio::sync::watch as channel;
use tokio::time::Instant;

use super::tenancy::Tenants;
use super::watch::Watch;
use super::{
    Cells, Database, Failure, OpenError, Sealer, SqlitePollStore, Touch, access, call, changes, meta, reseal, tenants,
};

mod accounts;
mod charms;
mod deploys;
mod registrations;
mod spaces;

/// The keys in the table `meta` under which the times of fast clocks are kept.
const OPERATOR_CLOCK: &str = "signed_until_by_operator";
const OTHER_CLOCKS: &str = "signed_until_by_others";

/// How a file is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The file.
    pub database: PathBuf,
    /// The file with the key that seals secrets; none for `secrets.key` beside the database.
    pub secrets_key: Option<PathBuf>,
    /// What strangers may do, and how much may be kept.
    pub tenancy: Tenancy,
    /// The operator's own key, if there is one.
    pub owner: Option<Did>,
}

/// Spaces, charms, cells, registrations and runs in one SQLite file.
#[derive(Clone)]
pub struct SqliteStore {
    pub(super) database: Arc<Database>,
    sealer: Arc<Sealer>,
    pub(super) tenants: Arc<Tenants>,
    watch: Arc<Watch>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file; creates or migrates it if need be. Blocks.
    pub fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let SqliteOptions { database: path, secrets_key, tenancy, owner } = options;
        let sealer = secrets_key.map_or_else(|| Sealer::beside(&path), Sealer::new);
        let mut forget = false;
        let database = Database::open(&path, &sealer, |tx| {
            sealer.check(tx)?;
            forget = reseal::seal_by_todays_rules(tx, &sealer)?;
            // Nobody has access until `add-admin-charm` grants it.
            super::spaces::create(tx, &system_space(), &Acl::default())?;
            match tenancy.opens_spaces() {
                Some(opens) => tenants::set_opens_spaces(tx, opens),
                None => Ok(()),
            }
        })?;
        if forget && let Err(error) = database.forget_clear_texts() {
            tracing::warn!(
                "cells were sealed that an earlier version kept in the clear; some of that may stay in the file until \
                 the next start: {error}"
            );
        }
        let rules = Rules::new(&tenancy, owner);
        let watch = Watch::new(&database)
            .map_err(|error| OpenError::Unusable { path: path.clone(), problem: error.to_string() })?;
        Ok(Self {
            database: Arc::new(database),
            sealer: Arc::new(sealer),
            tenants: Arc::new(Tenants::new(path, rules)),
            watch: Arc::new(watch),
        })
    }

    /// Poll state and integrations' state, in the same file.
    pub fn poll_store(&self) -> SqlitePollStore {
        SqlitePollStore::new(Arc::clone(&self.database))
    }

    async fn read<T: Send + 'static>(
        &self,
        actor: &Actor,
        work: impl FnOnce(&Transaction<'_>, &Actor) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let actor = actor.clone();
        self.database.read(move |tx| work(tx, &actor)).await
    }

    /// Reads something of the registrations.
    async fn read_registrations<T: Send + 'static>(
        &self,
        actor: &Actor,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        self.read(actor, move |tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            work(tx)
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        actor: &Actor,
        touch: Touch,
        work: impl FnOnce(&Transaction<'_>, &Actor) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let actor = actor.clone();
        self.database.write_touching(touch, move |tx| work(tx, &actor)).await
    }

    /// Writes registrations, and wakes who waits for that.
    pub(super) async fn change_registrations<T: Send + 'static>(
        &self,
        actor: &Actor,
        touch: Touch,
        work: impl FnOnce(&Transaction<'_>, &Actor) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let changed = self.write(actor, touch, |tx, actor| {
            let value = work(tx, actor)?;
            Ok((value, changes::revision(tx)?))
        });
        let (value, revision) = changed.await?;
        self.watch.committed(revision);
        Ok(value)
    }

    async fn keep_one(&self, finished: Finished) -> Result<Option<Outcome>, RuntimeError> {
        let (sealer, tenants) = (Arc::clone(&self.sealer), Arc::clone(&self.tenants));
        let touch = Touch::Charm(finished.charm.summary.charm.clone());
        self.database.write_touching(touch, move |tx| call::keep(tx, &sealer, &tenants, finished)).await
    }

    /// Reads cells of one version of a charm; none if there is another by now.
    async fn at_version<T: Send + 'static>(
        &self,
        charm: &Arc<StoredCharm>,
        work: impl FnOnce(&Cells<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Option<T>, RuntimeError> {
        let (sealer, charm) = (Arc::clone(&self.sealer), Arc::clone(charm));
        let read = self.database.read(move |tx| {
            if !super::charms::is_at(tx, charm.row, charm.version)? {
                return Ok(None);
            }
            work(&Cells::of(tx, &sealer, &charm)).map(Some)
        });
        read.await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn fast_clocks(&self) -> Result<FastClock, RuntimeError> {
        let read = self.database.read(|tx| {
            let time = |key| meta::number(tx, key).map(Option::unwrap_or_default);
            Ok(FastClock { operator: time(OPERATOR_CLOCK)?, others: time(OTHER_CLOCKS)? })
        });
        read.await
    }

    async fn keep_fast_clock(&self, is_operator: bool, until: u64) -> Result<(), RuntimeError> {
        let key = if is_operator { OPERATOR_CLOCK } else { OTHER_CLOCKS };
        self.database.write_touching(Touch::None, move |tx| meta::raise(tx, key, until)).await
    }

    fn commits(&self) -> channel::Receiver<u64> {
        self.watch.commits()
    }

    async fn commit_or(&self, commits: &mut channel::Receiver<u64>, until: Instant) -> Result<(), RuntimeError> {
        self.watch.committed_or(&self.database, commits, until).await
    }

    fn writes(&self, charm: &CharmRef) -> u64 {
        self.database.writes(charm)
    }

    fn size(&self) -> u64 {
        self.database.size()
    }

    fn damaged_cell(&self, charm: &CharmRef, name: &str) -> RuntimeError {
        self.database.failed(super::cells::damaged(charm, name))
    }
}
