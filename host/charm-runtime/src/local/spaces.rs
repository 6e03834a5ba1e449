//! The local runtime on behalf of one caller: what people do with spaces and charms.

use async_trait::async_trait;
use bg_charm_api::{
    AccessLevel, Acl, CharmShow, CharmSummary, DamagedRegistration, DeployRequest, Deployed, LogEntry, LogQuery,
    RegistrationFilter, SetRequest, SpaceSummary, Spaces, Subject,
};
use bg_identity::{SECRET_MASK, SpaceDid};
use bg_poller::{CharmRef, RuntimeError};
use serde_json::Value;

use super::access;
use super::handle::LocalHandle;
use crate::document::data;
use crate::store::{self, Touch};

/// Shown in place of a cell that cannot be read. The log says why.
const DAMAGED_MASK: &str = "(damaged)";

#[async_trait]
impl Spaces for LocalHandle {
    async fn deploy(&self, space: &SpaceDid, request: &DeployRequest) -> Result<Deployed, RuntimeError> {
        self.runtime.deploy(&self.actor, space, request).await
    }

    async fn delete(&self, charm: &CharmRef) -> Result<(), RuntimeError> {
        self.delete_charm(charm).await
    }

    async fn new_space(&self, name: &str) -> Result<SpaceSummary, RuntimeError> {
        self.make_space(name).await
    }

    async fn spaces(&self, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError> {
        self.list_spaces(name).await
    }

    async fn acl(&self, space: &SpaceDid) -> Result<Acl, RuntimeError> {
        let space = space.clone();
        self.read(move |tx, actor| {
            access::known_space(tx, actor, &space, AccessLevel::Read)?;
            store::spaces::acl(tx, &space)
        })
        .await
    }

    async fn set_acl(
        &self,
        space: &SpaceDid,
        subject: &Subject,
        level: Option<AccessLevel>,
    ) -> Result<Acl, RuntimeError> {
        let (space, subject, tenants) = (space.clone(), subject.clone(), self.runtime.tenants.clone());
        self.write(Touch::Any, move |tx, actor| {
            access::known_space(tx, actor, &space, AccessLevel::Owner)?;
            if level.is_some() {
                tenants.admit_subject(tx, actor, &space, &subject)?;
            }
            store::spaces::set_acl(tx, &space, &subject, level)?;
            store::registrations::access_changed(tx, &space)?;
            store::spaces::acl(tx, &space)
        })
        .await
    }

    async fn charms(&self, space: &SpaceDid) -> Result<Vec<CharmSummary>, RuntimeError> {
        let space = space.clone();
        self.read(move |tx, actor| {
            access::known_space(tx, actor, &space, AccessLevel::Read)?;
            store::charms::of_space(tx, &space)
        })
        .await
    }

    async fn page(&self, charm: &CharmRef) -> Result<Option<Value>, RuntimeError> {
        self.runtime.page(&self.actor, charm).await
    }

    async fn show(&self, charm: &CharmRef) -> Result<CharmShow, RuntimeError> {
        self.view(charm)
            .read(|stored, cells| {
                let mask = Value::from(SECRET_MASK);
                let mut shown = CharmShow { summary: stored.summary.clone(), cells: std::collections::BTreeMap::new() };
                for name in cells.names()? {
                    let cell =
                        match store::sound(cells.value(&name), || format!("the cells of {}", stored.summary.charm))? {
                            Some(Some(document)) => data(stored.secrets.masked(&name, document.into_node(), &mask)),
                            Some(None) => continue,
                            None => Value::from(DAMAGED_MASK),
                        };
                    shown.cells.insert(name, cell);
                }
                Ok(shown)
            })
            .await
    }

    async fn set(&self, charm: &CharmRef, request: &SetRequest) -> Result<(), RuntimeError> {
        self.runtime.set(&self.actor, charm, request).await
    }

    async fn damaged(&self) -> Result<Vec<DamagedRegistration>, RuntimeError> {
        Ok(self.found_registrations().await?.damaged)
    }

    async fn enable_all(&self, filter: &RegistrationFilter) -> Result<u64, RuntimeError> {
        self.enable_many(filter.clone()).await
    }

    async fn logs(&self, charm: &CharmRef, query: LogQuery) -> Result<Vec<LogEntry>, RuntimeError> {
        self.log_entries(charm, query).await
    }
}
