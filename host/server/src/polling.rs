//! The poll loop of this process, as its operator sees it, and as it tells of itself elsewhere.

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
