//! The poll loop of this process, for its pages and its reports.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bg_charm_api::wire::IntegrationView;
use bg_identity::IntegrationId;
use bg_poller::{CharmRef, Gauges, PollRequest};
use tokio::sync::{mpsc, oneshot};

/// The poll loop of this process.
#[derive(Debug)]
pub struct Polling {
    pub(crate) gauges: Arc<Gauges>,
    requests: mpsc::Sender<PollRequest>,
    pub(crate) interval: Duration,
    min_interval: Option<Duration>,
    pub(crate) integrations: RwLock<BTreeMap<IntegrationId, IntegrationView>>,
}

impl Polling {
    /// From the loop's parts: its gauges, the receiver of requests, and its default and shortest interval.
    pub fn new(
        gauges: Arc<Gauges>,
        requests: mpsc::Sender<PollRequest>,
        interval: Duration,
        min_interval: Option<Duration>,
    ) -> Self {
        Self { gauges, requests, interval, min_interval, integrations: RwLock::default() }
    }

    /// Adds an integration whose component was loaded, or loaded again.
    pub fn set_integration(&self, view: IntegrationView) {
        self.integrations.write().unwrap_or_else(PoisonError::into_inner).insert(view.id.clone(), view);
    }

    /// The default interval.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The shortest interval that a registration may ask for.
    pub fn min_interval(&self) -> Option<Duration> {
        self.min_interval
    }

    /// Polls a charm at once; false if it is not registered, or disabled.
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

/// The loop is ending, and takes no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopping and no longer polls")]
pub struct LoopEnded;
