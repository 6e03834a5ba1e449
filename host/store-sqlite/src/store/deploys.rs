//! Charms as they are deployed, replaced and deleted.

use std::sync::Arc;

use async_trait::async_trait;
use bg_charm_api::{AccessLevel, Actor, Deployed};
use bg_identity::{CharmId, SpaceDid};
use bg_poller::{CharmRef, RuntimeError};
use bg_store::{Deployment, Deploys, FoundCharm, IdOf, Names, Present, Sources, StoredProgram, Update};
use rusqlite::Transaction;

use super::super::{Cells, Touch, access, charms, deploy, registrations, rights};
use super::SqliteStore;

#[async_trait]
impl Deploys for SqliteStore {
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
}
