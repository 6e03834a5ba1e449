//! Registrations, and the runs and states of what is polled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_charm_api::{
    AccessLevel, Actor, DamagedRegistration, RegistrationCount, RegistrationFilter, RegistrationPage,
    RegistrationQuery, RegistrationRow,
};
use bg_identity::IntegrationId;
use bg_poller::{CharmRef, DisabledBy, PollState, Registration, RegistrationChanges, Run, RuntimeError};
use bg_store::{FoundRegistrations, Registrations};
use rusqlite::Transaction;

use super::super::{Touch, access, changes, charms, overview, record, registrations};
use super::SqliteStore;

#[async_trait]
impl Registrations for SqliteStore {
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
}
