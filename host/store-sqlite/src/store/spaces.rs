//! Spaces, and who may do what in them.

use std::sync::Arc;

use async_trait::async_trait;
use bg_charm_api::{AccessLevel, Acl, Actor, SpaceSummary, Subject};
use bg_identity::SpaceDid;
use bg_poller::RuntimeError;
use bg_store::{Needed, Rules, Spaces};

use super::super::{Touch, access, registrations, rights, spaces};
use super::SqliteStore;

#[async_trait]
impl Spaces for SqliteStore {
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
}
