//! Reports of a service that polls the charms of another process, so that that process's admin page also shows the poll
//! loop.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bg_charm_api::wire::{IntegrationReport, KeptHealth, PollerReport, REPORT_EVERY};
use bg_charm_client::RemoteRuntime;
use bg_charm_runtime::SqlitePollStore;
use bg_identity::IntegrationId;
use bg_poller::{CharmRef, PollState, PollStore, RuntimeError, StoreError, UnixMillis};
use bg_server::{Activity, Polling};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::degraded::Degraded;
use crate::services;

/// Limits of one report, so that it stays below the size that a server accepts.
const INTEGRATIONS: usize = 8;
const CHARMS: usize = 2_000;
/// How long an ending service waits for its last report.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Whether the server at `url` is on this machine, so that reports do not leave it.
pub(crate) fn is_here(url: &Url) -> bool {
    services::loopback(url).is_some()
}

/// Stores poll states, and remembers those of failing charms.
pub(crate) struct Recording {
    pub(crate) store: Arc<dyn PollStore>,
    pub(crate) failing: Arc<Failing>,
}

#[async_trait]
impl PollStore for Recording {
    async fn load(&self) -> Result<Vec<PollState>, StoreError> {
        let states = self.store.load().await?;
        self.failing.note(&states);
        Ok(states)
    }

    async fn save(&self, states: &[PollState]) -> Result<(), StoreError> {
        self.failing.note(states);
        self.store.save(states).await
    }

    async fn forget(&self, charms: &[CharmRef]) -> Result<(), StoreError> {
        self.failing.forget(charms);
        self.store.forget(charms).await
    }
}

/// The failing charms, and which of them must be reported to the server.
#[derive(Debug, Default)]
pub(crate) struct Failing(Mutex<Charms>);

#[derive(Debug, Default)]
struct Charms {
    /// All failing charms.
    failing: HashMap<CharmRef, PollState>,
    /// Those to report: with their state, or `None` if they do not fail any more.
    unreported: HashMap<CharmRef, Option<PollState>>,
}

impl Failing {
    fn lock(&self) -> MutexGuard<'_, Charms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, states: &[PollState]) {
        let mut charms = self.lock();
        for state in states {
            if state.failures > 0 {
                charms.failing.insert(state.charm.clone(), state.clone());
                charms.unreported.insert(state.charm.clone(), Some(state.clone()));
            } else {
                charms.recovers(&state.charm);
            }
        }
    }

    fn forget(&self, recovered: &[CharmRef]) {
        let mut charms = self.lock();
        for charm in recovered {
            charms.recovers(charm);
        }
    }

    /// Takes some of the changes to report. If reporting fails, they must be given [back](Self::give_back).
    fn take(&self) -> Vec<(CharmRef, Option<PollState>)> {
        let mut charms = self.lock();
        let some: Vec<CharmRef> = charms.unreported.keys().take(CHARMS).cloned().collect();
        some.into_iter().filter_map(|charm| charms.unreported.remove_entry(&charm)).collect()
    }

    fn give_back(&self, taken: Vec<(CharmRef, Option<PollState>)>) {
        let mut charms = self.lock();
        for (charm, state) in taken {
            charms.unreported.entry(charm).or_insert(state);
        }
    }

    /// Marks everything as unreported.
    fn start_over(&self) {
        let mut charms = self.lock();
        let Charms { failing, unreported } = &mut *charms;
        for (charm, state) in failing {
            unreported.entry(charm.clone()).or_insert_with(|| Some(state.clone()));
        }
    }
}

impl Charms {
    fn recovers(&mut self, charm: &CharmRef) {
        if self.failing.remove(charm).is_some() {
            self.unreported.insert(charm.clone(), None);
        }
    }
}

/// Keeps how the integrations of this process are doing where commands look, until `ended`. `is_part`: this process
/// polls a part of what a service does, and what is known of the others stays.
pub(crate) async fn keep_health(
    store: SqlitePollStore,
    polling: Arc<Polling>,
    activity: Arc<Activity>,
    ended: CancellationToken,
    is_part: bool,
) {
    let before = if is_part { store.health().await.unwrap_or_default() } else { KeptHealth::default() };
    let mut kept: Option<KeptHealth> = None;
    let mut degraded = Degraded::default();
    loop {
        let at = UnixMillis::now();
        let integrations: Vec<_> = polling.report(&activity).iter().map(|report| report.health(at)).collect();
        degraded.log(&integrations);
        let (process, ended_now) = (Some(std::process::id()), ended.is_cancelled());
        let now = KeptHealth { at, process, ended: ended_now, integrations, ..KeptHealth::default() };
        let now = now.with_others_of(&before);
        let is_known = |kept: &KeptHealth| {
            at.since(kept.at) < KeptHealth::AGAIN && !now.ended && kept.integrations == now.integrations
        };
        if !kept.as_ref().is_some_and(is_known) {
            match store.save_health(&now).await {
                Ok(()) => kept = Some(now),
                // It is retried; the loop logs that the database cannot be written.
                Err(error) => tracing::debug!(%error, "the health of integrations could not be stored"),
            }
        }
        if ended.is_cancelled() {
            return;
        }
        let _ = ended.run_until_cancelled(tokio::time::sleep(REPORT_EVERY)).await;
    }
}

/// Reports the state of this process's poll loop.
pub(crate) struct Reporter {
    runtime: RemoteRuntime,
    polling: Arc<Polling>,
    activity: Arc<Activity>,
    failing: Arc<Failing>,
    /// Whether the server has accepted a report.
    was_heard: bool,
    /// What it knows of integrations.
    known: BTreeMap<IntegrationId, IntegrationReport>,
    /// A name that no other poll loop has.
    name: String,
}

impl Reporter {
    /// A reporter to `runtime`.
    pub(crate) fn new(
        runtime: RemoteRuntime,
        polling: Arc<Polling>,
        activity: Arc<Activity>,
        failing: Arc<Failing>,
    ) -> Self {
        // The start time makes the ID unique, even among containers with the same process ID.
        let name = format!("{}-{}", std::process::id(), UnixMillis::now().0);
        Self { runtime, polling, activity, failing, was_heard: false, known: BTreeMap::new(), name }
    }

    /// Reports until `ended`, and then reports the end.
    pub(crate) async fn run(mut self, ended: CancellationToken) {
        let mut fails = false;
        loop {
            let sent = self.report(false).await;
            match &sent {
                Err(error) if !fails => {
                    tracing::warn!("cannot report to the admin page of the charm runtime: {error}");
                }
                Ok(()) if fails => tracing::info!("reports to the admin page of the charm runtime work again"),
                _ => {}
            }
            fails = sent.is_err();
            if ended.run_until_cancelled(tokio::time::sleep(REPORT_EVERY)).await.is_none() {
                break;
            }
        }
        match timeout(LAST_WAIT, self.report(true)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the last report is lost"),
            Err(_) => tracing::debug!("the last report is lost"),
        }
    }

    async fn report(&mut self, ends: bool) -> Result<(), RuntimeError> {
        let now = self.polling.report(&self.activity);
        let integrations = now.iter().map(|report| report.view.id.clone()).collect();
        let is_news = |report: &IntegrationReport| self.known.get(&report.view.id) != Some(report);
        let changed: Vec<_> = now.into_iter().filter(is_news).take(INTEGRATIONS).collect();
        let taken = self.failing.take();
        let report = PollerReport {
            poller: self.name.clone(),
            ends,
            interval: self.polling.interval(),
            min_interval: self.polling.min_interval(),
            integrations,
            changed,
            failing: taken.iter().filter_map(|(_, state)| state.clone()).collect(),
            recovered: taken.iter().filter(|(_, state)| state.is_none()).map(|(charm, _)| charm.clone()).collect(),
        };
        let answer = match self.runtime.report(&report).await {
            Ok(answer) => answer,
            Err(error) => {
                self.failing.give_back(taken);
                return Err(error);
            }
        };
        if std::mem::replace(&mut self.was_heard, true) && !answer.known {
            self.known.clear();
            self.failing.start_over();
        }
        self.known.extend(report.changed.into_iter().map(|report| (report.view.id.clone(), report)));
        for charm in answer.poll {
            // Another service may poll it.
            let polled = self.polling.poll(&charm).await;
            tracing::debug!(%charm, ?polled, "asked for by the operator");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

    use super::*;

    fn state(name: &str, failures: u32) -> PollState {
        let charm = CharmRef { space: space_did("my-space"), charm: CharmId::for_content(name.as_bytes()) };
        PollState {
            charm,
            next_due: UnixMillis(9),
            failures,
            disabled_at: UnixMillis(0),
            updated_at: UnixMillis(7),
            owed_since: UnixMillis::NEVER,
        }
    }

    /// The reported charms, each with its number of failures, if it still fails.
    fn reported(failing: &Failing) -> Vec<(CharmRef, Option<u32>)> {
        let taken = failing.take().into_iter();
        let mut reported: Vec<_> = taken.map(|(charm, state)| (charm, state.map(|state| state.failures))).collect();
        reported.sort();
        reported
    }

    fn all(expected: [(&str, Option<u32>); 2]) -> Vec<(CharmRef, Option<u32>)> {
        let mut all = expected.map(|(name, failures)| (state(name, 0).charm, failures)).to_vec();
        all.sort();
        all
    }

    #[test]
    fn only_charms_that_fail_or_failed_are_reported_with_their_newest_state() {
        let failing = Failing::default();
        failing.note(&[state("a", 0), state("b", 1), state("c", 1)]);
        failing.note(&[state("b", 2)]);
        assert_eq!(reported(&failing), all([("b", Some(2)), ("c", Some(1))]));
        assert_eq!(reported(&failing), []);
        failing.note(&[state("a", 0), state("b", 0)]);
        failing.forget(&[state("a", 0).charm, state("c", 0).charm]);
        assert_eq!(reported(&failing), all([("b", None), ("c", None)]));
    }

    #[test]
    fn a_failed_report_is_sent_later_unless_there_is_a_newer_state() {
        let failing = Failing::default();
        failing.note(&[state("a", 1), state("b", 1)]);
        let taken = failing.take();
        failing.note(&[state("b", 2)]);
        failing.give_back(taken);
        assert_eq!(reported(&failing), all([("a", Some(1)), ("b", Some(2))]));
        // A restarted server knows none.
        failing.start_over();
        assert_eq!(reported(&failing), all([("a", Some(1)), ("b", Some(2))]));
    }

    #[test]
    fn a_server_of_this_machine_is_recognized_by_its_address() {
        for (url, here) in [
            ("http://127.0.0.1:8000", true),
            ("http://[::1]:8000/", true),
            ("https://localhost", true),
            ("https://localhost.example", false),
            ("http://10.0.0.1:8000", false),
        ] {
            assert_eq!(is_here(&url.parse().unwrap()), here, "{url}");
        }
    }
}
