//! The poll loop of this process, as its operator sees it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_manifest::{AskedHttp, EffectiveGrant, Manifest, Withheld};
use bg_poller::{CharmRef, Gauges, PollRequest, Registration, UnixMillis};
use tokio::sync::{mpsc, oneshot};

/// An integration with a component, as the operator configured it.
#[derive(Clone, Debug)]
pub struct IntegrationView {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The component's file.
    pub file: PathBuf,
    /// The digest of what was loaded from it.
    pub sha256: String,
    /// When that was.
    pub loaded_at: UnixMillis,
    /// The HTTP that it asks for.
    pub asked: Vec<AskedHttp>,
    /// What of it is granted.
    pub granted: Vec<EffectiveGrant>,
    /// What is not.
    pub withheld: Vec<Withheld>,
    /// Its configuration, as it finds it.
    pub config: BTreeMap<String, String>,
}

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
        let id = view.manifest.integration.id.clone();
        self.integrations.write().unwrap_or_else(PoisonError::into_inner).insert(id, view);
    }

    pub(crate) fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// All integrations with a component, by their IDs.
    pub(crate) fn integrations(&self) -> Vec<IntegrationView> {
        self.integrations.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn integration(&self, id: &IntegrationId) -> Option<IntegrationView> {
        self.integrations.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Has a charm polled at once; false if it is not registered, or disabled.
    pub(crate) async fn poll(&self, charm: &CharmRef) -> Result<bool, LoopEnded> {
        let (answer, answered) = oneshot::channel();
        let request = PollRequest { charm: charm.clone(), answer };
        self.requests.send(request).await.map_err(|_| LoopEnded)?;
        answered.await.map_err(|_| LoopEnded)
    }

    /// From one poll of a registered charm to the next, if it does not fail.
    pub(crate) fn interval_of(&self, registration: &Registration) -> Duration {
        let standing = self.gauges.integrations().get(&registration.integration).copied();
        let usual = standing.map_or(self.interval, |standing| standing.interval);
        registration.interval.map_or(usual, |asks| asks.max(self.min_interval.unwrap_or(usual)))
    }
}

/// The loop is about to end, and takes no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopping and polls no more")]
pub(crate) struct LoopEnded;
