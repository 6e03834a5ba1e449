//! The poll loop of this process, as its operator sees it, and as it tells of itself elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bg_charm_api::wire::{IntegrationReport, IntegrationView};
use bg_egress::Owner;
use bg_identity::IntegrationId;
use bg_poller::{CharmRef, Gauges, PollRequest, Standing};
use tokio::sync::{mpsc, oneshot};

use crate::activity::Activity;

/// The poll loop of this process.
#[derive(Debug)]
pub struct Polling {
    gauges: Arc<Gauges>,
    requests: mpsc::Sender<PollRequest>,
    interval: Duration,
    min_interval: Option<Duration>,
    integrations: RwLock<BTreeMap<IntegrationId, IntegrationView>>,
}

impl Polling {
    /// What the loop was started with: its gauges, who takes requests, and its usual and its shortest interval.
    pub fn new(
        gauges: Arc<Gauges>,
        requests: mpsc::Sender<PollRequest>,
        interval: Duration,
        min_interval: Option<Duration>,
    ) -> Self {
        Self { gauges, requests, interval, min_interval, integrations: RwLock::default() }
    }

    /// An integration whose component was loaded, or loaded anew.
    pub fn set_integration(&self, view: IntegrationView) {
        self.integrations.write().unwrap_or_else(PoisonError::into_inner).insert(view.id.clone(), view);
    }

    /// From one poll of a charm to the next, if nothing else is asked for.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The shortest interval that a registration may ask for.
    pub fn min_interval(&self) -> Option<Duration> {
        self.min_interval
    }

    /// All integrations with a component, by their IDs, with what they do.
    pub fn report(&self, activity: &Activity) -> Vec<IntegrationReport> {
        let standings = self.gauges.integrations();
        let views = self.integrations.read().unwrap_or_else(PoisonError::into_inner);
        // So it stands before the loop has come to it.
        let at_first = Standing { interval: self.interval, ..Standing::default() };
        let report = |(id, view): (&IntegrationId, &IntegrationView)| {
            let owner = Owner::Integration(id.clone());
            IntegrationReport {
                view: view.clone(),
                standing: standings.get(id).unwrap_or(&at_first).clone(),
                calls: activity.calls_of(&owner),
                egress: activity.egress_of(&owner),
                log: activity.failed_log_of(&owner),
            }
        };
        views.iter().map(report).collect()
    }

    /// Has a charm polled at once; false if it is not registered, or disabled.
    pub async fn poll(&self, charm: &CharmRef) -> Result<bool, LoopEnded> {
        let (answer, answered) = oneshot::channel();
        let request = PollRequest { charm: charm.clone(), answer };
        self.requests.send(request).await.map_err(|_| LoopEnded)?;
        answered.await.map_err(|_| LoopEnded)
    }

    pub(crate) fn gauges(&self) -> &Gauges {
        &self.gauges
    }
}

/// The loop is about to end, and takes no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopping and polls no more")]
pub struct LoopEnded;
