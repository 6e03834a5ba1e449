//! Charms as they are deployed, replaced and deleted.

use std::sync::Arc;

use async_trait::async_trait;
use bg_charm_api::{AccessLevel, Actor, Deployed};
use bg_identity::{CharmId, SpaceDid};
use bg_poller::{CharmRef, RuntimeError};
use bg_store::{Deployment, Deploys, FoundCharm, IdOf, Names, Present, Sources, StoredProgram, Touch, Update};

use super::super::access::Found;
use super::super::cells::Cells;
use super::super::session::Locks;
use super::super::{changes, charms, deploy, registrations};
use super::PostgresStore;

#[async_trait]
impl Deploys for PostgresStore {
    async fn name(
        &self,
        actor: &Actor,
        space: &SpaceDid,
        inputs: Option<String>,
        id_of: IdOf,
    ) -> Result<Names, RuntimeError> {
        let (key, tenants) = (Arc::clone(&self.key), Arc::clone(&self.tenants));
        let (actor, space) = (actor.clone(), space.clone());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    tenants.may_deploy(&Found::space(session, &actor, &space).await?, &actor, &space)?;
                    deploy::name(session, &key, space, inputs.as_deref(), id_of).await
                })
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
        self.write(Locks::of(&charm), Touch::Any, move |session| {
            Box::pin(async move { deploy::find(session, &charm, &known_by, &program).await })
        })
        .await
    }

    async fn admit_charm(&self, actor: &Actor, space: &SpaceDid) -> Result<(), RuntimeError> {
        let (tenants, actor, space) = (Arc::clone(&self.tenants), actor.clone(), space.clone());
        self.database
            .snapshot(move |session| Box::pin(async move { tenants.admit_charm(session, &actor, &space).await }))
            .await
    }

    async fn deploy(&self, actor: &Actor, deployment: Deployment) -> Result<Deployed, RuntimeError> {
        let (key, tenants, actor) = (Arc::clone(&self.key), Arc::clone(&self.tenants), actor.clone());
        let locks = Locks::Spaces {
            spaces: vec![deployment.new.charm.space.to_string()],
            maker: tenants.rules.maker(&actor).map(ToString::to_string),
        };
        self.write(locks, Touch::Any, move |session| {
            Box::pin(async move { deploy::deploy(session, &key, &tenants, &actor, deployment).await })
        })
        .await
    }

    async fn present(&self, actor: &Actor, charm: &CharmRef) -> Result<Present, RuntimeError> {
        let (key, actor, charm) = (Arc::clone(&self.key), actor.clone(), charm.clone());
        self.database
            .snapshot(move |session| Box::pin(async move { deploy::present(session, &key, &actor, &charm).await }))
            .await
    }

    async fn update(&self, actor: &Actor, update: Update) -> Result<Option<Deployed>, RuntimeError> {
        let (key, tenants, actor) = (Arc::clone(&self.key), Arc::clone(&self.tenants), actor.clone());
        let locks = Locks::of(&update.deployment.new.charm);
        self.write(locks, Touch::Any, move |session| {
            Box::pin(async move { deploy::update(session, &key, &tenants, &actor, update).await })
        })
        .await
    }

    async fn sources(&self, actor: &Actor, charm: &CharmRef) -> Result<Sources, RuntimeError> {
        let (key, actor, charm) = (Arc::clone(&self.key), actor.clone(), charm.clone());
        self.database
            .snapshot(move |session| {
                Box::pin(async move {
                    let charm = Found::charm(session, &actor, &charm).await?.with(AccessLevel::Read)?;
                    let (source, files) = charms::sources(session, charm.row).await?;
                    let secrets = Cells::of(session, &key, &charm).secret_texts().await?;
                    Ok(Sources { charm, source, files, secrets })
                })
            })
            .await
    }

    async fn delete(&self, actor: &Actor, charm: &CharmRef) -> Result<(), RuntimeError> {
        let (actor, charm) = (actor.clone(), charm.clone());
        self.write(Locks::of(&charm), Touch::Charm(charm.clone()), move |session| {
            Box::pin(async move {
                let stored = Found::charm(session, &actor, &charm).await?.to_delete()?;
                let was_registered = registrations::is_there(session, stored.row).await?;
                charms::delete(session, stored.row).await?;
                changes::forget_charm(session, charm.space.as_str(), charm.charm.as_str()).await?;
                if was_registered {
                    // A revision without a name: who has not seen it reads all registrations.
                    session.note_change([(String::new(), String::new())]);
                }
                Ok(())
            })
        })
        .await
    }
}
