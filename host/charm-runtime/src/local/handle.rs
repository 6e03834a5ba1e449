//! The local runtime on behalf of one caller: what the poll loop needs.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_charm_api::wire::Shape;
use bg_charm_api::{AccessLevel, Actor, Overview, OverviewQuery, OverviewRow, RegistrationCount, RegistrationFilter};
use bg_identity::{IntegrationId, Secret, system_space};
use bg_poller::{
    Charm, CharmRef, CharmRuntime, Counters, DisabledBy, Outcome, PollState, Registration, Run, RuntimeError,
    UPDATER_STREAMS,
};
use rusqlite::Transaction;
use serde_json::Value;

use super::view::LocalCharm;
use super::{Cause, LocalRuntime, access};
use crate::paths::at;
use crate::store::registrations::Found;
use crate::store::{self, Cells, Failure, LAST_TIME, StoredCharm, Touch};

/// The intervals that a registration can have of its own, as the program's options take them.
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(7 * 24);

/// The local runtime, for one actor; made by [`LocalRuntime::as_actor`].
#[derive(Clone, Debug)]
pub struct LocalHandle {
    pub(super) runtime: Arc<LocalRuntime>,
    pub(super) actor: Actor,
    cause: Cause,
}

impl LocalHandle {
    pub(super) fn new(runtime: Arc<LocalRuntime>, actor: Actor) -> Self {
        Self { runtime, actor, cause: Cause::Somebody }
    }

    /// The same for a poll loop: what is done with charms is part of their polls, if `polls`.
    #[must_use]
    pub fn polling(self, polls: bool) -> Self {
        Self { cause: if polls { Cause::Poll } else { Cause::Somebody }, ..self }
    }

    /// On whose behalf it acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The revision of the registrations, from which to wait for [changes](CharmRuntime::changed).
    pub async fn revision(&self) -> Result<u64, RuntimeError> {
        self.read(|tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            Ok(store::registrations::revision(tx)?)
        })
        .await
    }

    /// What a charm is made of.
    pub async fn shape(&self, charm: &CharmRef) -> Result<Shape, RuntimeError> {
        self.view(charm).shape().await
    }

    /// What is in the cell `<integration>-integration-charms` of the system space: the integration's registrations, oldest
    /// first. None until [`CharmRuntime::prepare_list`] has created it.
    pub async fn integration_list(&self, integration: &IntegrationId) -> Result<Option<Vec<CharmRef>>, RuntimeError> {
        let integration = integration.clone();
        self.read(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            store::registrations::list(tx, &integration)
        })
        .await
    }

    /// A page of the registrations, for their operator.
    pub async fn overview(&self, query: OverviewQuery) -> Result<Overview, RuntimeError> {
        self.read(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            store::overview::page(tx, &query)
        })
        .await
    }

    /// How many registrations [`Spaces::enable_all`](bg_charm_api::Spaces::enable_all) would enable.
    pub async fn count_to_enable(&self, filter: RegistrationFilter) -> Result<u64, RuntimeError> {
        self.read(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            store::overview::count_to_enable(tx, &filter)
        })
        .await
    }

    pub(super) async fn enable_many(&self, filter: RegistrationFilter) -> Result<u64, RuntimeError> {
        self.change_registrations(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            store::overview::enable(tx, &filter)
        })
        .await
    }

    /// The registration of one charm, for its operator; none if it has none.
    pub async fn overview_of(&self, charm: &CharmRef) -> Result<Option<OverviewRow>, RuntimeError> {
        let charm = charm.clone();
        self.read(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            store::overview::of(tx, &charm)
        })
        .await
    }

    /// How many registrations there are in each state, for each integration. Reads all of them.
    pub async fn registration_counts(&self) -> Result<Vec<RegistrationCount>, RuntimeError> {
        self.read(|tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            store::overview::counts(tx)
        })
        .await
    }

    /// Notes which charms fail, as a poll loop in another process remembers it. Only the operator's own key may say so, since the operator goes
    /// by it; access to the system space, which many may have, is not enough. Charms that are not there are passed over.
    pub async fn note_failing(&self, failing: Vec<PollState>, recovered: Vec<CharmRef>) -> Result<(), RuntimeError> {
        self.check_own_key()?;
        let times = failing.iter().flat_map(PollState::times);
        if let Some(time) = times.into_iter().find(|time| *time > LAST_TIME) {
            return Err(RuntimeError::Invalid(format!("{} is no time; expected milliseconds since 1970", time.0)));
        }
        let work = move |tx: &Transaction<'_>, _: &Actor| {
            let mut known = Vec::with_capacity(failing.len());
            for state in failing {
                match store::charms::find(tx, &state.charm) {
                    Ok(_) => known.push(state),
                    // What concerns one charm keeps nothing from the others.
                    Err(Failure::Refused(RuntimeError::NotFound(_)) | Failure::Damaged(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            store::poll::save(tx, &known)?;
            store::poll::forget(tx, &recovered)
        };
        self.write(Touch::None, work).await
    }

    /// All registrations; those that cannot be read are reported once.
    pub(super) async fn found_registrations(&self) -> Result<Found, RuntimeError> {
        let found = self.read(|tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            store::registrations::all(tx)
        });
        let found = found.await?;
        self.runtime.damage.report(&found.damaged);
        Ok(found)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &Actor) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let actor = self.actor.clone();
        self.runtime.database.read(move |tx| work(tx, &actor)).await
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        touch: Touch,
        work: impl FnOnce(&Transaction<'_>, &Actor) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let actor = self.actor.clone();
        self.runtime.database.write_touching(touch, move |tx| work(tx, &actor)).await
    }

    /// Writes registrations, and wakes who waits for that.
    async fn change_registrations<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &Actor) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let changed = self.write(Touch::None, |tx, actor| {
            let value = work(tx, actor)?;
            Ok((value, store::registrations::revision(tx)?))
        });
        let (value, revision) = changed.await?;
        self.runtime.watch.committed(revision);
        Ok(value)
    }

    pub(super) fn view(&self, charm: &CharmRef) -> LocalCharm {
        let LocalRuntime { database, sealer, .. } = &*self.runtime;
        LocalCharm::new(database.clone(), sealer.clone(), self.actor.clone(), charm.clone())
    }
}

#[async_trait]
impl CharmRuntime for LocalHandle {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        Ok(self.found_registrations().await?.registrations)
    }

    async fn registered(&self, integration: &IntegrationId) -> Result<Vec<CharmRef>, RuntimeError> {
        let integration = integration.clone();
        self.read(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            store::registrations::enabled(tx, &integration)
        })
        .await
    }

    async fn enabled(&self, integration: &IntegrationId) -> Result<Vec<Registration>, RuntimeError> {
        let integration = integration.clone();
        self.read(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Read)?;
            store::registrations::enabled_with_polls(tx, &integration)
        })
        .await
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        self.read(|tx, actor| access::system(tx, actor, AccessLevel::Read)).await?;
        tokio::select! {
            changed = self.runtime.watch.changed(&self.runtime.database, seen) => changed,
            error = self.runtime.wake_for_room() => Err(error),
        }
    }

    fn shares_clock(&self) -> bool {
        true
    }

    async fn register(&self, charm: &CharmRef, integration: &IntegrationId) -> Result<Registration, RuntimeError> {
        let (charm, integration) = (charm.clone(), integration.clone());
        // Anybody may, as the original allows: the button in a charm's page is not signed.
        let tenants = self.runtime.tenants.clone();
        self.change_registrations(move |tx, actor| {
            let stored = store::charms::find(tx, &charm)?;
            if !store::registrations::is_there(tx, stored.row)? {
                tenants.admit_new(tx, actor)?;
            }
            if !UPDATER_STREAMS.iter().any(|name| stored.has_stream(name)) {
                let text = format!(
                    "{charm} cannot be polled: it has no stream with one of the names {}; its streams: {}",
                    UPDATER_STREAMS.join(", "),
                    stored.stream_list()
                );
                return Err(RuntimeError::Unfit(text).into());
            }
            store::registrations::upsert(tx, stored.row, &integration)?;
            registration(tx, &stored)
        })
        .await
    }

    async fn set_disabled(
        &self,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        let (charm, disabled) = (charm.clone(), disabled.map(|(by, reason)| (by, reason.to_owned())));
        self.change_registrations(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            let stored = store::charms::find(tx, &charm)?;
            let disabled = disabled.as_ref().map(|(by, reason)| (*by, reason.as_str()));
            store::registrations::set_disabled(tx, stored.row, disabled)?;
            registration(tx, &stored)
        })
        .await
    }

    async fn set_interval(&self, charm: &CharmRef, interval: Option<Duration>) -> Result<Registration, RuntimeError> {
        if interval.is_some_and(|interval| !INTERVALS.contains(&interval)) {
            return Err(RuntimeError::Invalid("an interval is at least 100 ms and at most 7 days".into()));
        }
        let charm = charm.clone();
        self.change_registrations(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            let stored = store::charms::find(tx, &charm)?;
            store::registrations::set_interval(tx, stored.row, interval)?;
            registration(tx, &stored)
        })
        .await
    }

    async fn remove(&self, charm: &CharmRef) -> Result<bool, RuntimeError> {
        let charm = charm.clone();
        self.change_registrations(move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            store::registrations::remove(tx, &charm)
        })
        .await
    }

    async fn record(&self, runs: &[Run]) -> Result<(), RuntimeError> {
        if runs.is_empty() {
            return Ok(());
        }
        if let Some(run) = runs.iter().find(|run| run.started_at > LAST_TIME) {
            let text = format!("startedAt is {}; expected milliseconds since 1970", run.started_at.0);
            return Err(RuntimeError::Invalid(text));
        }
        let (runs, kept) = (runs.to_vec(), self.runtime.runs_kept);
        self.write(Touch::None, move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            for run in &runs {
                match record(tx, run, kept) {
                    // What concerns one charm keeps nothing from the others.
                    Ok(()) | Err(Failure::Refused(RuntimeError::NotFound(_))) => {}
                    Err(Failure::Damaged(what)) => {
                        tracing::warn!("a run of {} is not noted: {what} is damaged", run.charm);
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .await
    }

    async fn runs(&self, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, RuntimeError> {
        let charm = charm.clone();
        self.read(move |tx, actor| {
            let stored = access::observed(tx, actor, &charm)?;
            store::runs::newest(tx, stored.row, &charm, limit)
        })
        .await
    }

    async fn counters(&self, charm: &CharmRef) -> Result<Counters, RuntimeError> {
        let charm = charm.clone();
        self.read(move |tx, actor| {
            let stored = access::observed(tx, actor, &charm)?;
            let counters = store::registrations::counters(tx, stored.row);
            let counters = counters.map_err(|failure| failure.of("the counters", &charm))?;
            counters.ok_or_else(|| not_registered(&charm))
        })
        .await
    }

    async fn prepare_list(&self, integration: &IntegrationId) -> Result<(), RuntimeError> {
        let integration = integration.clone();
        self.write(Touch::None, move |tx, actor| {
            access::system(tx, actor, AccessLevel::Write)?;
            store::registrations::prepare_list(tx, &integration)
        })
        .await
    }

    async fn open(&self, charm: &CharmRef) -> Result<Arc<dyn Charm>, RuntimeError> {
        let view = self.view(charm);
        view.look().await?;
        Ok(Arc::new(view.open(&self.runtime.opened)))
    }

    async fn trigger(&self, charm: &CharmRef, stream: &str, event: &Value) -> Result<Outcome, RuntimeError> {
        self.runtime.trigger(&self.actor, charm, stream, event, self.cause).await
    }

    async fn refresh_auth(&self, charm: &CharmRef) -> Result<(), RuntimeError> {
        self.runtime.refresh_auth(&self.actor, charm, self.cause).await
    }

    async fn secret(&self, charm: &CharmRef, path: &[String]) -> Result<Secret, RuntimeError> {
        let (sealer, charm, path) = (self.runtime.sealer.clone(), charm.clone(), path.to_vec());
        self.read(move |tx, actor| {
            // Most spaces let anyone write. Their secrets are for the service alone: who may write to the system space too.
            let stored = access::charm(tx, actor, &charm, AccessLevel::Write)?;
            access::system(tx, actor, AccessLevel::Write)?;
            let shown = path.join(".");
            let unfit = |text: String| Err(RuntimeError::Unfit(text).into());
            if !stored.secrets.covers(&path) {
                return unfit(format!("{shown} of {charm} is not marked secret, so it is not used as a credential"));
            }
            let document = Cells::of(tx, &sealer, &stored).value(&path[0])?.unwrap_or_default();
            match at(document.node(), &path[1..]) {
                Some(Value::String(text)) if !text.is_empty() => Ok(Secret::new(text.clone())),
                Some(Value::String(_) | Value::Null) | None => {
                    let text = format!("{shown} of {charm} is empty; authorize the charm first");
                    Err(RuntimeError::Credential(text).into())
                }
                Some(_) => unfit(format!("{shown} of {charm} is not a text")),
            }
        })
        .await
    }
}

fn registration(tx: &Transaction<'_>, stored: &StoredCharm) -> Result<Registration, Failure> {
    let charm = &stored.summary.charm;
    let found = store::registrations::of(tx, stored.row).map_err(|failure| failure.of("the registration", charm))?;
    found.ok_or_else(|| not_registered(charm))
}

/// Notes one run, unless it is noted already: a caller to whom the answer was lost sends it again.
fn record(tx: &Transaction<'_>, run: &Run, kept: u32) -> Result<(), Failure> {
    let row = store::charms::find(tx, &run.charm)?.row;
    if !store::runs::has(tx, row, run)? && store::registrations::note_run(tx, row, run)? {
        store::runs::add(tx, row, run, kept)?;
    }
    Ok(())
}

fn not_registered(charm: &CharmRef) -> Failure {
    RuntimeError::Unfit(format!("{charm} is not registered in {} (the system space)", system_space())).into()
}
