//! The local runtime on behalf of one caller: what the poll loop needs.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_charm_api::wire::Shape;
use bg_charm_api::{
    AccessLevel, Actor, RegistrationCount, RegistrationFilter, RegistrationPage, RegistrationQuery, RegistrationRow,
};
use bg_identity::{IntegrationId, Secret};
use bg_poller::{
    Cause as FailureCause, Charm, CharmRef, CharmRuntime, Counters, DisabledBy, Outcome, PollState, Registration,
    RegistrationChanges, Run, RuntimeError, UPDATER_STREAMS,
};
use bg_store::document::Document;
use bg_store::paths::at;
use bg_store::{Cause, FoundRegistrations, LAST_TIME, Needed, Right};
use serde_json::Value;

use super::LocalRuntime;
use super::view::LocalCharm;

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
        self.runtime.store.revision(&self.actor).await
    }

    /// The registrations that have changed since the revision `after`, or else all of them; with their revision.
    pub async fn registrations_since(&self, after: Option<u64>) -> Result<RegistrationChanges, RuntimeError> {
        let (changes, damaged) = self.runtime.store.changes(&self.actor, after).await?;
        if changes.removed.is_none() {
            self.runtime.damage.report(&damaged);
        } else {
            self.runtime.damage.report_more(damaged, &changes);
        }
        Ok(changes)
    }

    /// What a charm is made of.
    pub async fn shape(&self, charm: &CharmRef) -> Result<Shape, RuntimeError> {
        self.view(charm).shape().await
    }

    /// What is in the cell `<integration>-integration-charms` of the system space: the integration's registrations,
    /// oldest first. None until [`CharmRuntime::prepare_list`] has created it.
    pub async fn integration_list(&self, integration: &IntegrationId) -> Result<Option<Vec<CharmRef>>, RuntimeError> {
        self.runtime.store.list(&self.actor, integration).await
    }

    /// A page of the registrations, for their operator.
    pub async fn overview(&self, query: RegistrationQuery) -> Result<RegistrationPage, RuntimeError> {
        self.runtime.store.overview(&self.actor, &query).await
    }

    /// How many registrations [`Spaces::enable_all`](bg_charm_api::Spaces::enable_all) would enable.
    pub async fn count_to_enable(&self, filter: RegistrationFilter) -> Result<u64, RuntimeError> {
        self.runtime.store.count_to_enable(&self.actor, &filter).await
    }

    /// The registration of one charm, for its operator; none if it has none.
    pub async fn overview_of(&self, charm: &CharmRef) -> Result<Option<RegistrationRow>, RuntimeError> {
        self.runtime.store.overview_of(&self.actor, charm).await
    }

    /// How many registrations there are in each state, for each integration. Reads all of them.
    pub async fn registration_counts(&self) -> Result<Vec<RegistrationCount>, RuntimeError> {
        self.runtime.store.registration_counts(&self.actor).await
    }

    /// Notes which charms fail, as a poll loop in another process remembers it. Only the operator's own key may say so,
    /// since the operator goes by it; access to the system space, which many may have, is not enough. Charms that do
    /// not exist are skipped.
    pub async fn note_failing(&self, failing: Vec<PollState>, recovered: Vec<CharmRef>) -> Result<(), RuntimeError> {
        self.check_own_key()?;
        let times = failing.iter().flat_map(PollState::times);
        if let Some(time) = times.into_iter().find(|time| *time > LAST_TIME) {
            return Err(RuntimeError::Invalid(format!("{} is no time; expected milliseconds since 1970", time.0)));
        }
        self.runtime.store.note_failing(failing, recovered).await
    }

    /// All registrations; those that cannot be read are reported once.
    pub(super) async fn found_registrations(&self) -> Result<FoundRegistrations, RuntimeError> {
        let found = self.runtime.store.registrations(&self.actor).await?;
        self.runtime.damage.report(&found.damaged);
        Ok(found)
    }

    pub(super) fn view(&self, charm: &CharmRef) -> LocalCharm {
        let LocalRuntime { store, programs, .. } = &*self.runtime;
        LocalCharm::new(Arc::clone(store), Arc::clone(programs), self.actor.clone(), charm.clone())
    }
}

#[async_trait]
impl CharmRuntime for LocalHandle {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        Ok(self.found_registrations().await?.registrations)
    }

    async fn registered(&self, integration: &IntegrationId) -> Result<Vec<CharmRef>, RuntimeError> {
        self.runtime.store.enabled_charms(&self.actor, integration).await
    }

    async fn enabled(&self, integration: &IntegrationId) -> Result<Vec<Registration>, RuntimeError> {
        self.runtime.store.enabled(&self.actor, integration).await
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        self.runtime.store.check(&self.actor, &Needed::Registrations(AccessLevel::Read)).await?;
        self.runtime.store.changed(seen).await
    }

    async fn changes(&self, seen: u64) -> Result<RegistrationChanges, RuntimeError> {
        self.registrations_since(Some(seen)).await
    }

    fn shares_clock(&self) -> bool {
        true
    }

    async fn register(&self, charm: &CharmRef, integration: &IntegrationId) -> Result<Registration, RuntimeError> {
        // Anybody may, as the original allows: the button in a charm's page is not signed.
        self.runtime.store.register(&self.actor, charm, integration, &UPDATER_STREAMS).await
    }

    async fn set_disabled(
        &self,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        self.runtime.store.set_disabled(&self.actor, charm, disabled).await
    }

    async fn set_interval(&self, charm: &CharmRef, interval: Option<Duration>) -> Result<Registration, RuntimeError> {
        if interval.is_some_and(|interval| !INTERVALS.contains(&interval)) {
            return Err(RuntimeError::Invalid("an interval is at least 100 ms and at most 7 days".into()));
        }
        self.runtime.store.set_interval(&self.actor, charm, interval).await
    }

    async fn remove(&self, charm: &CharmRef) -> Result<bool, RuntimeError> {
        self.runtime.store.remove(&self.actor, charm).await
    }

    async fn record(&self, runs: &[Run]) -> Result<(), RuntimeError> {
        if runs.is_empty() {
            return Ok(());
        }
        if let Some(run) = runs.iter().find(|run| run.started_at > LAST_TIME) {
            let text = format!("startedAt is {}; expected milliseconds since 1970", run.started_at.0);
            return Err(RuntimeError::Invalid(text));
        }
        self.runtime.store.record(&self.actor, runs, self.runtime.runs_kept).await
    }

    async fn runs(&self, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, RuntimeError> {
        self.runtime.store.runs(&self.actor, charm, limit).await
    }

    async fn counters(&self, charm: &CharmRef) -> Result<Counters, RuntimeError> {
        self.runtime.store.counters(&self.actor, charm).await
    }

    async fn prepare_list(&self, integration: &IntegrationId) -> Result<(), RuntimeError> {
        self.runtime.store.prepare_list(&self.actor, integration).await
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
        let (store, first) = (&self.runtime.store, path.get(..1).unwrap_or_default());
        // Most spaces let anyone write. Their secrets are for the service alone.
        let (stored, cells) = store.cells(&self.actor, charm, &Right::Service, first).await?;
        let shown = path.join(".");
        let unfit = |text: String| Err(RuntimeError::Unfit(text));
        if !stored.secrets.covers(path) {
            return unfit(format!("{shown} of {charm} is not marked secret, so it is not used as a credential"));
        }
        let document = match cells.first_key_value() {
            None => Document::default(),
            Some((name, text)) => Document::parse(text).map_err(|_| store.damaged_cell(charm, name))?,
        };
        match at(document.node(), &path[1..]) {
            Some(Value::String(text)) if !text.is_empty() => Ok(Secret::new(text.clone())),
            Some(Value::String(_) | Value::Null) | None => {
                let text = format!("{shown} of {charm} is empty; authorize the charm first");
                Err(RuntimeError::unmet(FailureCause::SignInMissing, text))
            }
            Some(_) => unfit(format!("{shown} of {charm} is not a text")),
        }
    }
}
