//! Spaces and charms: access, cells, calls and what these leave.

use std::sync::Arc;

use async_trait::async_trait;
use bg_charm_api::{AccessLevel, Acl, Actor, CharmSummary, LogEntry, SpaceSummary, Subject};
use bg_identity::SpaceDid;
use bg_poller::{CharmRef, Counters, Outcome, Run, RuntimeError};
use bg_store::{
    AllCells, Begun, CellEdit, CellTexts, Charms, Finished, KnownProgram, Look, Needed, Right, Rules, Spaces,
    StoredCharm, Touch, sound,
};

use super::super::access::{self, Found};
use super::super::cells::Cells;
use super::super::session::Locks;
use super::super::{call, charms, deploy, logs, registrations, spaces, tenants};
use super::PostgresStore;

#[async_trait]
impl Spaces for PostgresStore {
    async fn check(&self, actor: &Actor, needed: &Needed) -> Result<(), RuntimeError> {
        let (tenants, actor, needed) = (Arc::clone(&self.tenants), actor.clone(), needed.clone());
        self.database
            .read(move |session| {
                Box::pin(async move {
                    let found = match access::subject(&needed) {
                        (_, Some(charm)) => Found::charm(session, &actor, charm).await?,
                        (Some(space), None) => Found::space(session, &actor, space).await?,
                        (None, None) if needed == Needed::OwnKey => return Ok(()),
                        (None, None) => Found::system(session, &actor).await?,
                    };
                    match &needed {
                        Needed::Space(_, level) => found.has_known(*level),
                        Needed::Charm(_, level) => found.with(*level).map(drop),
                        Needed::OwnerOrService(_) => {
                            found.with_right(&Right::OwnerOrService("to do that".to_owned())).map(drop)
                        }
                        Needed::Update(name) => found.to_update(name).map(drop),
                        Needed::Observe(_) => found.observed().map(drop),
                        Needed::Deploy(space) => tenants.may_deploy(&found, &actor, space),
                        Needed::Registrations(level) => found.has_system(*level),
                        Needed::OwnKey => Ok(()),
                    }
                })
            })
            .await
    }

    async fn acl(&self, actor: &Actor, space: &SpaceDid) -> Result<Acl, RuntimeError> {
        let (actor, space) = (actor.clone(), space.clone());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    Found::space(session, &actor, &space).await?.has_known(AccessLevel::Read)?;
                    spaces::acl(session, &space).await
                })
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
        let (actor, space, subject, tenants) =
            (actor.clone(), space.clone(), subject.clone(), Arc::clone(&self.tenants));
        // The list of the system space says who is the service, in all spaces.
        let locks = if space == bg_identity::system_space() {
            Locks::Everything
        } else {
            Locks::Spaces { spaces: vec![space.to_string()], maker: None }
        };
        self.write(locks, Touch::Any, move |session| {
            Box::pin(async move {
                Found::space(session, &actor, &space).await?.has_known(AccessLevel::Owner)?;
                if level.is_some() {
                    tenants.admit_subject(session, &actor, &space, &subject).await?;
                }
                spaces::set_acl(session, &space, &subject, level).await?;
                registrations::access_changed(session, &space).await?;
                spaces::acl(session, &space).await
            })
        })
        .await
    }

    async fn new_space(&self, actor: &Actor, name: &str) -> Result<SpaceSummary, RuntimeError> {
        Rules::check_name(name)?;
        let identity = tenants::random_key()?;
        let (tenants, key, actor, name) =
            (Arc::clone(&self.tenants), Arc::clone(&self.key), actor.clone(), name.to_owned());
        let maker = self.tenants.rules.maker(&actor).map_or_else(String::new, ToString::to_string);
        // Two that use a name at once have the same maker.
        let locks = Locks::Spaces { spaces: vec![SpaceDid::from(identity.did()).to_string()], maker: Some(maker) };
        self.write(locks, Touch::None, move |session| {
            Box::pin(async move { tenants.new_space(session, &key, &actor, &name, &identity).await })
        })
        .await
    }

    async fn spaces(&self, actor: &Actor, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError> {
        let (tenants, actor, name) = (Arc::clone(&self.tenants), actor.clone(), name.map(str::to_owned));
        self.database
            .snapshot(move |session| Box::pin(async move { tenants.spaces(session, &actor, name.as_deref()).await }))
            .await
    }
}

#[async_trait]
impl Charms for PostgresStore {
    async fn charms(&self, actor: &Actor, space: &SpaceDid) -> Result<Vec<CharmSummary>, RuntimeError> {
        let (actor, space) = (actor.clone(), space.clone());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    Found::space(session, &actor, &space).await?.has_known(AccessLevel::Read)?;
                    charms::of_space(session, &space).await
                })
            })
            .await
    }

    async fn look(&self, actor: &Actor, charm: &CharmRef, known: KnownProgram) -> Result<Look, RuntimeError> {
        let (key, actor, charm) = (Arc::clone(&self.key), actor.clone(), charm.clone());
        self.database
            .read(move |session| Box::pin(async move { call::look(session, &key, &actor, &charm, &known).await }))
            .await
    }

    async fn cell_names(&self, actor: &Actor, charm: &CharmRef) -> Result<Vec<String>, RuntimeError> {
        let (key, actor, charm) = (Arc::clone(&self.key), actor.clone(), charm.clone());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    let stored = Found::charm(session, &actor, &charm).await?.with(AccessLevel::Read)?;
                    Cells::of(session, &key, &stored).names().await
                })
            })
            .await
    }

    async fn all_cells(&self, actor: &Actor, charm: &CharmRef) -> Result<(StoredCharm, AllCells), RuntimeError> {
        let (key, actor, charm) = (Arc::clone(&self.key), actor.clone(), charm.clone());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    let stored = Found::charm(session, &actor, &charm).await?.with(AccessLevel::Read)?;
                    let mut texts = AllCells::new();
                    for (name, text) in Cells::of(session, &key, &stored).all().await? {
                        texts.insert(name, sound(text, || format!("the cells of {charm}"))?);
                    }
                    Ok((stored, texts))
                })
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
        let (key, actor, charm) = (Arc::clone(&self.key), actor.clone(), charm.clone());
        let (right, names) = (right.clone(), names.to_vec());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    let stored = Found::charm(session, &actor, &charm).await?.with_right(&right)?;
                    let texts = Cells::of(session, &key, &stored).unchecked(&names).await?;
                    Ok((stored, texts))
                })
            })
            .await
    }

    async fn cell_names_at(&self, charm: &Arc<StoredCharm>) -> Result<Option<Vec<String>>, RuntimeError> {
        self.at_version(charm, |cells| Box::pin(cells.names())).await
    }

    async fn cell_at(&self, charm: &Arc<StoredCharm>, name: &str) -> Result<Option<Option<String>>, RuntimeError> {
        let name = name.to_owned();
        self.at_version(charm, move |cells| Box::pin(async move { cells.text(&name).await })).await
    }

    async fn edit(&self, actor: &Actor, charm: &CharmRef, edit: CellEdit) -> Result<(), RuntimeError> {
        let (key, tenants, actor, charm) =
            (Arc::clone(&self.key), Arc::clone(&self.tenants), actor.clone(), charm.clone());
        self.write(Locks::of(&charm), Touch::Any, move |session| {
            Box::pin(async move { deploy::edit(session, &key, &tenants, &actor, &charm, edit).await })
        })
        .await
    }

    async fn begin(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        stream: &str,
        known: KnownProgram,
    ) -> Result<Begun, RuntimeError> {
        let (key, actor, charm) = (Arc::clone(&self.key), actor.clone(), charm.clone());
        let stream = stream.to_owned();
        self.database
            .read(move |session| {
                Box::pin(async move { call::begin(session, &key, &actor, &charm, &stream, &known).await })
            })
            .await
    }

    async fn keep(&self, finished: Vec<Finished>) -> Vec<Result<Option<Outcome>, RuntimeError>> {
        self.keeper.keep(finished).await
    }

    async fn logs(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LogEntry>, RuntimeError> {
        let (actor, charm) = (actor.clone(), charm.clone());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    let stored = Found::charm(session, &actor, &charm).await?.observed()?;
                    logs::lines(session, stored.row, &charm, after, limit).await
                })
            })
            .await
    }

    async fn runs(&self, actor: &Actor, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, RuntimeError> {
        let (actor, charm) = (actor.clone(), charm.clone());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    let stored = Found::charm(session, &actor, &charm).await?.observed()?;
                    logs::runs(session, stored.row, &charm, limit).await
                })
            })
            .await
    }

    async fn counters(&self, actor: &Actor, charm: &CharmRef) -> Result<Counters, RuntimeError> {
        let (actor, charm) = (actor.clone(), charm.clone());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    let stored = Found::charm(session, &actor, &charm).await?.observed()?;
                    registrations::counters(session, &stored).await
                })
            })
            .await
    }
}
