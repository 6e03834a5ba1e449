//! The local runtime on behalf of one caller: what people do with spaces and charms.

use async_trait::async_trait;
use bg_charm_api::{
    AccessLevel, Acl, CharmShow, CharmSummary, DamagedRegistration, DeployRequest, Deployed, LogEntry, LogQuery,
    RegistrationFilter, SetRequest, SpaceSummary, Spaces, Subject,
};
use bg_identity::{SECRET_MASK, SpaceDid};
use bg_poller::{CharmRef, RuntimeError};
use bg_store::document::{Document, data};
use serde_json::Value;

use super::handle::LocalHandle;

/// Shown in place of a cell that cannot be read. The log says why.
const DAMAGED_MASK: &str = "(damaged)";

#[async_trait]
impl Spaces for LocalHandle {
    async fn deploy(&self, space: &SpaceDid, request: &DeployRequest) -> Result<Deployed, RuntimeError> {
        self.runtime.deploy(&self.actor, space, request).await
    }

    async fn delete(&self, charm: &CharmRef) -> Result<(), RuntimeError> {
        // At once. A handler that runs for it is not waited for: what it wrote is dropped when it ends.
        self.runtime.store.delete(&self.actor, charm).await
    }

    async fn new_space(&self, name: &str) -> Result<SpaceSummary, RuntimeError> {
        self.runtime.store.new_space(&self.actor, name).await
    }

    async fn spaces(&self, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError> {
        self.runtime.store.spaces(&self.actor, name).await
    }

    async fn acl(&self, space: &SpaceDid) -> Result<Acl, RuntimeError> {
        self.runtime.store.acl(&self.actor, space).await
    }

    async fn set_acl(
        &self,
        space: &SpaceDid,
        subject: &Subject,
        level: Option<AccessLevel>,
    ) -> Result<Acl, RuntimeError> {
        self.runtime.store.set_acl(&self.actor, space, subject, level).await
    }

    async fn charms(&self, space: &SpaceDid) -> Result<Vec<CharmSummary>, RuntimeError> {
        self.runtime.store.charms(&self.actor, space).await
    }

    async fn page(&self, charm: &CharmRef) -> Result<Option<Value>, RuntimeError> {
        self.runtime.page(&self.actor, charm).await
    }

    async fn show(&self, charm: &CharmRef) -> Result<CharmShow, RuntimeError> {
        let (stored, cells) = self.runtime.store.all_cells(&self.actor, charm).await?;
        let mask = Value::from(SECRET_MASK);
        let shown = cells.into_iter().map(|(name, text)| {
            let document = text.and_then(|text| Document::parse(&text).ok());
            let shown = document.map_or_else(
                || Value::from(DAMAGED_MASK),
                |document| data(stored.secrets.masked(&name, document.into_node(), &mask)),
            );
            (name, shown)
        });
        let cells = shown.collect();
        Ok(CharmShow { summary: stored.summary, cells })
    }

    async fn set(&self, charm: &CharmRef, request: &SetRequest) -> Result<(), RuntimeError> {
        self.runtime.set(&self.actor, charm, request).await
    }

    async fn damaged(&self) -> Result<Vec<DamagedRegistration>, RuntimeError> {
        Ok(self.found_registrations().await?.damaged)
    }

    async fn enable_all(&self, filter: &RegistrationFilter) -> Result<u64, RuntimeError> {
        self.runtime.store.enable_all(&self.actor, filter).await
    }

    async fn logs(&self, charm: &CharmRef, query: LogQuery) -> Result<Vec<LogEntry>, RuntimeError> {
        self.log_entries(charm, query).await
    }
}
