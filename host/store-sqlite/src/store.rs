//! The operations of the store, each in one transaction.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_charm_api::{
    AccessLevel, Acl, Actor, CharmSummary, DamagedRegistration, Deployed, LogEntry, RegistrationCount,
    RegistrationFilter, RegistrationPage, RegistrationQuery, RegistrationRow, SpaceSummary, Subject,
};
use bg_identity::http_signature::FastClock;
use bg_identity::{CharmId, Did, IntegrationId, SpaceDid, system_space};
use bg_poller::{
    CharmRef, Counters, DisabledBy, Outcome, PollState, Registration, RegistrationChanges, Run, RuntimeError,
};
use bg_store::{
    AllCells, Begun, CellEdit, CellTexts, Deployment, Finished, FoundCharm, FoundRegistrations, IdOf, KnownProgram,
    Look, Names, Needed, Present, Right, Rules, Sources, Store, StoredCharm, StoredProgram, Tenancy, Update,
};
use futures_util::future::join_all;
use rusqlite::Transaction;
use tokio::sync::watch as channel;
use tokio::time::Instant;

use super::tenancy::Tenants;
use super::watch::Watch;
use super::{
    Cells, Database, Failure, OpenError, Sealer, SqlitePollStore, Touch, access, call, changes, charms, deploy, edit,
    logs, meta, overview, record, registrations, reseal, rights, runs, sound, spaces, tenants,
};

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
            spaces::create(tx, &system_space(), &Acl::default())?;
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
            if !charms::is_at(tx, charm.row, charm.version)? {
                return Ok(None);
            }
            work(&Cells::of(tx, &sealer, &charm)).map(Some)
        });
        read.await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn check(&self, actor: &Actor, needed: &Needed) -> Result<(), RuntimeError> {
        let (tenants, needed) = (Arc::clone(&self.tenants), needed.clone());
        self.read(actor, move |tx, actor| rights::check(tx, &tenants, actor, &needed)).await
    }

    async fn acl(&self, actor: &Actor, space: &SpaceDid) -> Result<Acl, RuntimeError> {
        let space = space.clone();
        self.read(actor, move |tx, actor| {
            access::known_space(tx, actor, &space, AccessLevel::Read)?;
            spaces::acl(tx, &space)
        })
        .await
    }

    async fn set_acl(
        &self,
        actor: &Actor,
        space: &SpaceDid,
        subject: &Subject,
        level: Option<AccessLevel>,
    ) -> Result<Acl, RuntimeError> {
        let (space, subject, tenants) = (space.clone(), subject.clone(), Arc::clone(&self.tenants));
        self.write(actor, Touch::Any, move |tx, actor| {
            access::known_space(tx, actor, &space, AccessLevel::Owner)?;
            if level.is_some() {
                tenants.admit_subject(tx, actor, &space, &subject)?;
            }
            spaces::set_acl(tx, &space, &subject, level)?;
            registrations::access_changed(tx, &space)?;
            spaces::acl(tx, &space)
        })
        .await
    }

    async fn new_space(&self, actor: &Actor, name: &str) -> Result<SpaceSummary, RuntimeError> {
        Rules::check_name(name)?;
        let (tenants, sealer) = (Arc::clone(&self.tenants), Arc::clone(&self.sealer));
        let name = name.to_owned();
        self.write(actor, Touch::None, move |tx, actor| tenants.new_space(tx, &sealer, actor, &name)).await
    }

    async fn spaces(&self, actor: &Actor, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError> {
        let (tenants, name) = (Arc::clone(&self.tenants), name.map(str::to_owned));
        self.read(actor, move |tx, actor| tenants.spaces(tx, actor, name.as_deref())).await
    }

    async fn charms(&self, actor: &Actor, space: &SpaceDid) -> Result<Vec<CharmSummary>, RuntimeError> {
        let space = space.clone();
        self.read(actor, move |tx, actor| {
            access::known_space(tx, actor, &space, AccessLevel::Read)?;
            charms::of_space(tx, &space)
        })
        .await
    }

    async fn look(&self, actor: &Actor, charm: &CharmRef, known: KnownProgram) -> Result<Look, RuntimeError> {
        let (sealer, charm) = (Arc::clone(&self.sealer), charm.clone());
        self.read(actor, move |tx, actor| call::look(tx, &sealer, actor, &charm, &known)).await
    }

    async fn cell_names(&self, actor: &Actor, charm: &CharmRef) -> Result<Vec<String>, RuntimeError> {
        let (sealer, charm) = (Arc::clone(&self.sealer), charm.clone());
        self.read(actor, move |tx, actor| {
            let stored = access::charm(tx, actor, &charm, AccessLevel::Read)?;
            Cells::of(tx, &sealer, &stored).names()
        })
        .await
    }

    async fn all_cells(&self, actor: &Actor, charm: &CharmRef) -> Result<(StoredCharm, AllCells), RuntimeError> {
        let (sealer, charm) = (Arc::clone(&self.sealer), charm.clone());
        self.read(actor, move |tx, actor| {
            let stored = access::charm(tx, actor, &charm, AccessLevel::Read)?;
            let cells = Cells::of(tx, &sealer, &stored);
            let mut texts = AllCells::new();
            for name in cells.names()? {
                let text = sound(cells.text(&name), || format!("the cells of {charm}"))?;
                texts.insert(name, text.flatten());
            }
            Ok((stored, texts))
        })
        .await
    }

    async fn cells(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        right: &Right,
        names: &[String],
    ) -> Result<(StoredCharm, CellTexts), RuntimeError> {
        let (sealer, charm, right) = (Arc::clone(&self.sealer), charm.clone(), right.clone());
        let names = names.to_vec();
        self.read(actor, move |tx, actor| {
            let stored = access::charm_with(tx, actor, &charm, &right)?;
            let cells = Cells::of(tx, &sealer, &stored);
            let mut texts = CellTexts::new();
            for name in names {
                texts.extend(cells.unchecked(&name)?.map(|text| (name, text)));
            }
            Ok((stored, texts))
        })
        .await
    }

    async fn cell_names_at(&self, charm: &Arc<StoredCharm>) -> Result<Option<Vec<String>>, RuntimeError> {
        // Not the method itself: it is not one for cells of every lifetime.
        #[expect(clippy::redundant_closure_for_method_calls)]
        self.at_version(charm, |cells| cells.names()).await
    }

    async fn cell_at(&self, charm: &Arc<StoredCharm>, name: &str) -> Result<Option<Option<String>>, RuntimeError> {
        let name = name.to_owned();
        self.at_version(charm, move |cells| cells.text(&name)).await
    }

    async fn edit(&self, actor: &Actor, charm: &CharmRef, edit: CellEdit) -> Result<(), RuntimeError> {
        let (sealer, tenants, charm) = (Arc::clone(&self.sealer), Arc::clone(&self.tenants), charm.clone());
        let work = move |tx: &Transaction<'_>, actor: &Actor| edit::edit(tx, &sealer, &tenants, actor, &charm, &edit);
        self.write(actor, Touch::Any, work).await
    }

    async fn begin(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        stream: &str,
        known: KnownProgram,
    ) -> Result<Begun, RuntimeError> {
        let (sealer, charm, stream) = (Arc::clone(&self.sealer), charm.clone(), stream.to_owned());
        self.read(actor, move |tx, actor| call::begin(tx, &sealer, actor, &charm, &stream, &known)).await
    }

    async fn keep(&self, finished: Vec<Finished>) -> Vec<Result<Option<Outcome>, RuntimeError>> {
        // The thread that writes commits together what it is asked for together.
        join_all(finished.into_iter().map(|one| self.keep_one(one))).await
    }

    async fn name(
        &self,
        actor: &Actor,
        space: &SpaceDid,
        inputs: Option<String>,
        id_of: IdOf,
    ) -> Result<Names, RuntimeError> {
        let (sealer, tenants, space) = (Arc::clone(&self.sealer), Arc::clone(&self.tenants), space.clone());
        self.write(actor, Touch::Any, move |tx, actor| {
            rights::may_deploy(tx, &tenants, actor, &space)?;
            deploy::name(tx, &sealer, space, inputs.as_deref(), &id_of)
        })
        .await
    }

    async fn find(
        &self,
        charm: &CharmRef,
        known_by: &[CharmId],
        program: &StoredProgram,
    ) -> Result<Option<FoundCharm>, RuntimeError> {
        let (charm, known_by, program) = (charm.clone(), known_by.to_vec(), program.clone());
        self.database.write(move |tx| deploy::find(tx, &charm, &known_by, &program)).await
    }

    async fn admit_charm(&self, actor: &Actor, space: &SpaceDid) -> Result<(), RuntimeError> {
        let (tenants, space) = (Arc::clone(&self.tenants), space.clone());
        self.read(actor, move |tx, actor| tenants.admit_charm(tx, actor, &space)).await
    }

    async fn deploy(&self, actor: &Actor, deployment: Deployment) -> Result<Deployed, RuntimeError> {
        let (sealer, tenants) = (Arc::clone(&self.sealer), Arc::clone(&self.tenants));
        let work = move |tx: &Transaction<'_>, actor: &Actor| deploy::deploy(tx, &sealer, &tenants, actor, deployment);
        self.write(actor, Touch::Any, work).await
    }

    async fn present(&self, actor: &Actor, charm: &CharmRef) -> Result<Present, RuntimeError> {
        let (sealer, charm) = (Arc::clone(&self.sealer), charm.clone());
        self.read(actor, move |tx, actor| deploy::present(tx, &sealer, actor, &charm)).await
    }

    async fn update(&self, actor: &Actor, update: Update) -> Result<Option<Deployed>, RuntimeError> {
        let (sealer, tenants) = (Arc::clone(&self.sealer), Arc::clone(&self.tenants));
        let work = move |tx: &Transaction<'_>, actor: &Actor| deploy::update(tx, &sealer, &tenants, actor, update);
        let updated = self.write(actor, Touch::Any, work).await?;
        if updated.is_some() {
            self.database.forget_log().await;
        }
        Ok(updated)
    }

    async fn sources(&self, actor: &Actor, charm: &CharmRef) -> Result<Sources, RuntimeError> {
        let (sealer, charm) = (Arc::clone(&self.sealer), charm.clone());
        self.read(actor, move |tx, actor| {
            let charm = access::charm(tx, actor, &charm, AccessLevel::Read)?;
            let (source, files) = charms::sources(tx, charm.row)?;
            let secrets = Cells::of(tx, &sealer, &charm).secret_texts()?;
            Ok(Sources { charm, source, files, secrets })
        })
        .await
    }

    async fn delete(&self, actor: &Actor, charm: &CharmRef) -> Result<(), RuntimeError> {
        let name = charm.clone();
        let deleted = self.change_registrations(actor, Touch::Charm(charm.clone()), move |tx, actor| {
            let stored = access::may_delete(tx, actor, &name)?;
            registrations::remove(tx, &name)?;
            charms::delete(tx, stored.row)
        });
        deleted.await?;
        // The file has nothing of it any more; its log has the pages as they were.
        self.database.forget_log().await;
        Ok(())
    }

    async fn logs(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LogEntry>, RuntimeError> {
        let charm = charm.clone();
        self.read(actor, move |tx, actor| {
            let stored = access::observed(tx, actor, &charm)?;
            match after {
                Some(cursor) => logs::after(tx, stored.row, &charm, cursor, limit),
                None => logs::newest(tx, stored.row, &charm, limit),
            }
        })
        .await
    }

    async fn runs(&self, actor: &Actor, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, RuntimeError> {
        let charm = charm.clone();
        self.read(actor, move |tx, actor| {
            let stored = access::observed(tx, actor, &charm)?;
            runs::newest(tx, stored.row, &charm, limit)
        })
        .await
    }

    async fn counters(&self, actor: &Actor, charm: &CharmRef) -> Result<Counters, RuntimeError> {
        let charm = charm.clone();
        self.read(actor, move |tx, actor| record::counters(tx, actor, &charm)).await
    }

    async fn revision(&self, actor: &Actor) -> Result<u64, RuntimeError> {
        self.read_registrations(actor, |tx| Ok(changes::revision(tx)?)).await
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        tokio::select! {
            changed = self.watch.changed(&self.database, seen) => changed,
            error = self.wake_for_room() => Err(error),
        }
    }

    async fn wake(&self, charms: &[CharmRef]) -> Result<(), RuntimeError> {
        let charms = charms.to_vec();
        self.change_registrations(&Actor::Operator, Touch::None, move |tx, _| {
            charms.iter().try_for_each(|charm| registrations::fixed(tx, charm))
        })
        .await
    }

    async fn changes(
        &self,
        actor: &Actor,
        after: Option<u64>,
    ) -> Result<(RegistrationChanges, Vec<DamagedRegistration>), RuntimeError> {
        self.read_registrations(actor, move |tx| {
            let revision = changes::revision(tx)?;
            if let Some(known) = after.map(|after| registrations::since(tx, after, revision)).transpose()?.flatten() {
                return Ok(known);
            }
            let FoundRegistrations { registrations, damaged } = registrations::all(tx)?;
            Ok((RegistrationChanges { revision: Some(revision), registrations, removed: None }, damaged))
        })
        .await
    }

    async fn registrations(&self, actor: &Actor) -> Result<FoundRegistrations, RuntimeError> {
        self.read_registrations(actor, registrations::all).await
    }

    async fn enabled_charms(&self, actor: &Actor, integration: &IntegrationId) -> Result<Vec<CharmRef>, RuntimeError> {
        let integration = integration.clone();
        self.read_registrations(actor, move |tx| registrations::enabled(tx, &integration)).await
    }

    async fn enabled(&self, actor: &Actor, integration: &IntegrationId) -> Result<Vec<Registration>, RuntimeError> {
        let integration = integration.clone();
        self.read_registrations(actor, move |tx| registrations::enabled_with_polls(tx, &integration)).await
    }

    async fn list(&self, actor: &Actor, integration: &IntegrationId) -> Result<Option<Vec<CharmRef>>, RuntimeError> {
        let integration = integration.clone();
        self.read_registrations(actor, move |tx| registrations::list(tx, &integration)).await
    }

    async fn prepare_list(&self, actor: &Actor, integration: &IntegrationId) -> Result<(), RuntimeError> {
        let integration = integration.clone();
        self.write(actor, Touch::None, move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            registrations::prepare_list(tx, &integration)
        })
        .await
    }

    async fn overview(&self, actor: &Actor, query: &RegistrationQuery) -> Result<RegistrationPage, RuntimeError> {
        let query = query.clone();
        self.read_registrations(actor, move |tx| overview::page(tx, &query)).await
    }

    async fn overview_of(&self, actor: &Actor, charm: &CharmRef) -> Result<Option<RegistrationRow>, RuntimeError> {
        let charm = charm.clone();
        self.read_registrations(actor, move |tx| overview::of(tx, &charm)).await
    }

    async fn registration_counts(&self, actor: &Actor) -> Result<Vec<RegistrationCount>, RuntimeError> {
        self.read_registrations(actor, overview::counts).await
    }

    async fn count_to_enable(&self, actor: &Actor, filter: &RegistrationFilter) -> Result<u64, RuntimeError> {
        let filter = filter.clone();
        self.read_registrations(actor, move |tx| overview::count_to_enable(tx, &filter)).await
    }

    async fn enable_all(&self, actor: &Actor, filter: &RegistrationFilter) -> Result<u64, RuntimeError> {
        let filter = filter.clone();
        self.change_registrations(actor, Touch::None, move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            overview::enable(tx, &filter)
        })
        .await
    }

    async fn register(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        integration: &IntegrationId,
        streams: &[&str],
    ) -> Result<Registration, RuntimeError> {
        let (charm, integration, tenants) = (charm.clone(), integration.clone(), Arc::clone(&self.tenants));
        let streams: Vec<String> = streams.iter().map(|&name| name.to_owned()).collect();
        self.change_registrations(actor, Touch::None, move |tx, actor| {
            record::register(tx, &tenants, actor, &charm, &integration, &streams)
        })
        .await
    }

    async fn set_disabled(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        let (charm, disabled) = (charm.clone(), disabled.map(|(by, reason)| (by, reason.to_owned())));
        self.change_registrations(actor, Touch::None, move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            let stored = charms::find(tx, &charm)?;
            let disabled = disabled.as_ref().map(|(by, reason)| (*by, reason.as_str()));
            registrations::set_disabled(tx, stored.row, disabled)?;
            record::registration(tx, &stored)
        })
        .await
    }

    async fn set_interval(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        interval: Option<Duration>,
    ) -> Result<Registration, RuntimeError> {
        let charm = charm.clone();
        self.change_registrations(actor, Touch::None, move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            let stored = charms::find(tx, &charm)?;
            registrations::set_interval(tx, stored.row, interval)?;
            record::registration(tx, &stored)
        })
        .await
    }

    async fn remove(&self, actor: &Actor, charm: &CharmRef) -> Result<bool, RuntimeError> {
        let charm = charm.clone();
        self.change_registrations(actor, Touch::None, move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            registrations::remove(tx, &charm)
        })
        .await
    }

    async fn record(&self, actor: &Actor, runs: &[Run], kept: u32) -> Result<(), RuntimeError> {
        let runs = runs.to_vec();
        self.write(actor, Touch::None, move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            record::record(tx, &runs, kept)
        })
        .await
    }

    async fn note_failing(&self, failing: Vec<PollState>, recovered: Vec<CharmRef>) -> Result<(), RuntimeError> {
        let work = move |tx: &Transaction<'_>| record::note_failing(tx, failing, &recovered);
        self.database.write_touching(Touch::None, work).await
    }

    async fn wake_waiting(&self) -> Result<(), RuntimeError> {
        self.database.write_touching(Touch::None, registrations::configuration_changed).await
    }

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
