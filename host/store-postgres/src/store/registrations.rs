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
use bg_store::{FoundRegistrations, Registrations, Touch};

use super::super::access::Found;
use super::super::poll::spaces_of;
use super::super::session::Locks;
use super::super::{changes, overview, record, registrations};
use super::PostgresStore;

#[async_trait]
impl Registrations for PostgresStore {
    async fn revision(&self, actor: &Actor) -> Result<u64, RuntimeError> {
        self.read_registrations(actor, |session| Box::pin(async move { changes::revision(session).await })).await
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        tokio::select! {
            changed = self.watch.changed(seen) => changed,
            error = self.wake_for_room() => Err(error),
        }
    }

    async fn wake(&self, charms: &[CharmRef]) -> Result<(), RuntimeError> {
        let (locks, charms) = (spaces_of(charms), charms.to_vec());
        self.write(locks, Touch::None, move |session| {
            Box::pin(async move { registrations::fixed(session, &charms).await })
        })
        .await
    }

    async fn changes(
        &self,
        actor: &Actor,
        after: Option<u64>,
    ) -> Result<(RegistrationChanges, Vec<DamagedRegistration>), RuntimeError> {
        self.read_registrations(actor, move |session| {
            Box::pin(async move {
                let revision = changes::revision(session).await?;
                if let Some(after) = after
                    && let Some(known) = registrations::since(session, after, revision).await?
                {
                    return Ok(known);
                }
                let FoundRegistrations { registrations, damaged } = registrations::all(session).await?;
                Ok((RegistrationChanges { revision: Some(revision), registrations, removed: None }, damaged))
            })
        })
        .await
    }

    async fn registrations(&self, actor: &Actor) -> Result<FoundRegistrations, RuntimeError> {
        self.read_registrations(actor, |session| Box::pin(async move { registrations::all(session).await })).await
    }

    async fn enabled_charms(&self, actor: &Actor, integration: &IntegrationId) -> Result<Vec<CharmRef>, RuntimeError> {
        let integration = integration.clone();
        self.read_registrations(actor, move |session| {
            Box::pin(async move { registrations::charms_of(session, &integration, true).await })
        })
        .await
    }

    async fn enabled(&self, actor: &Actor, integration: &IntegrationId) -> Result<Vec<Registration>, RuntimeError> {
        let integration = integration.clone();
        self.read_registrations(actor, move |session| {
            Box::pin(async move { registrations::enabled(session, &integration).await })
        })
        .await
    }

    async fn list(&self, actor: &Actor, integration: &IntegrationId) -> Result<Option<Vec<CharmRef>>, RuntimeError> {
        let integration = integration.clone();
        self.read_registrations(actor, move |session| {
            Box::pin(async move { registrations::list(session, &integration).await })
        })
        .await
    }

    async fn prepare_list(&self, actor: &Actor, integration: &IntegrationId) -> Result<(), RuntimeError> {
        let (actor, integration) = (actor.clone(), integration.clone());
        self.write(Locks::None, Touch::None, move |session| {
            Box::pin(async move {
                Found::system(session, &actor).await?.has_system(AccessLevel::Write)?;
                registrations::prepare_list(session, &integration).await
            })
        })
        .await
    }

    async fn overview(&self, actor: &Actor, query: &RegistrationQuery) -> Result<RegistrationPage, RuntimeError> {
        let query = query.clone();
        self.read_registrations(actor, move |session| Box::pin(async move { overview::page(session, &query).await }))
            .await
    }

    async fn overview_of(&self, actor: &Actor, charm: &CharmRef) -> Result<Option<RegistrationRow>, RuntimeError> {
        let charm = charm.clone();
        self.read_registrations(actor, move |session| Box::pin(async move { overview::of(session, &charm).await }))
            .await
    }

    async fn registration_counts(&self, actor: &Actor) -> Result<Vec<RegistrationCount>, RuntimeError> {
        self.read_registrations(actor, |session| Box::pin(async move { overview::counts(session).await })).await
    }

    async fn count_to_enable(&self, actor: &Actor, filter: &RegistrationFilter) -> Result<u64, RuntimeError> {
        let filter = filter.clone();
        self.read_registrations(actor, move |session| {
            Box::pin(async move { overview::count_to_enable(session, &filter).await })
        })
        .await
    }

    async fn enable_all(&self, actor: &Actor, filter: &RegistrationFilter) -> Result<u64, RuntimeError> {
        let (actor, filter) = (actor.clone(), filter.clone());
        self.write(Locks::Everything, Touch::None, move |session| {
            Box::pin(async move {
                Found::system(session, &actor).await?.has_system(AccessLevel::Write)?;
                overview::enable(session, &filter).await
            })
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
        let (tenants, actor, charm) = (Arc::clone(&self.tenants), actor.clone(), charm.clone());
        let integration = integration.clone();
        let streams: Vec<String> = streams.iter().map(|&name| name.to_owned()).collect();
        self.write(Locks::of(&charm), Touch::None, move |session| {
            Box::pin(async move { record::register(session, &tenants, &actor, &charm, &integration, &streams).await })
        })
        .await
    }

    async fn set_disabled(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        let (actor, charm) = (actor.clone(), charm.clone());
        let disabled = disabled.map(|(by, reason)| (by, reason.to_owned()));
        self.write(Locks::of(&charm), Touch::None, move |session| {
            Box::pin(async move {
                let found = Found::charm(session, &actor, &charm).await?;
                found.has_system(AccessLevel::Write)?;
                let stored = found.any()?;
                let disabled = disabled.as_ref().map(|(by, reason)| (*by, reason.as_str()));
                registrations::set_disabled(session, &[stored.row], disabled).await?;
                registrations::of(session, &stored).await
            })
        })
        .await
    }

    async fn set_interval(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        interval: Option<Duration>,
    ) -> Result<Registration, RuntimeError> {
        let (actor, charm) = (actor.clone(), charm.clone());
        self.write(Locks::of(&charm), Touch::None, move |session| {
            Box::pin(async move {
                let found = Found::charm(session, &actor, &charm).await?;
                found.has_system(AccessLevel::Write)?;
                let stored = found.any()?;
                registrations::set_interval(session, stored.row, interval).await?;
                registrations::of(session, &stored).await
            })
        })
        .await
    }

    async fn remove(&self, actor: &Actor, charm: &CharmRef) -> Result<bool, RuntimeError> {
        let (actor, charm) = (actor.clone(), charm.clone());
        self.write(Locks::of(&charm), Touch::None, move |session| {
            Box::pin(async move {
                Found::system(session, &actor).await?.has_system(AccessLevel::Write)?;
                registrations::remove(session, &charm).await
            })
        })
        .await
    }

    async fn record(&self, actor: &Actor, runs: &[Run], kept: u32) -> Result<(), RuntimeError> {
        let locks = spaces_of(runs.iter().map(|run| &run.charm));
        let (actor, runs) = (actor.clone(), runs.to_vec());
        self.write(locks, Touch::None, move |session| {
            Box::pin(async move {
                Found::system(session, &actor).await?.has_system(AccessLevel::Write)?;
                record::record(session, &runs, kept).await
            })
        })
        .await
    }

    async fn note_failing(&self, failing: Vec<PollState>, recovered: Vec<CharmRef>) -> Result<(), RuntimeError> {
        let locks = spaces_of(failing.iter().map(|state| &state.charm).chain(&recovered));
        self.write(locks, Touch::None, move |session| {
            Box::pin(async move { record::note_failing(session, failing, &recovered).await })
        })
        .await
    }

    async fn wake_waiting(&self) -> Result<(), RuntimeError> {
        self.write(Locks::Everything, Touch::None, |session| {
            Box::pin(async move { registrations::configuration_changed(session).await })
        })
        .await
    }
}
