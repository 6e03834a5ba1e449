//! The registrations of one integration.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_poller::{CharmRef, CharmRuntime, Registration, RuntimeError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long the gate may use a cached list of registrations. One call makes up to 64 requests within seconds, often for
/// as many charms. A registration that is disabled loses its credential after this time.
const RECENT: Duration = Duration::from_secs(2);

/// The charms of an integration at one moment.
#[derive(Debug, Default)]
pub(crate) struct Own {
    list: Vec<CharmRef>,
    set: HashSet<CharmRef>,
}

impl Own {
    fn new(list: Vec<CharmRef>) -> Self {
        Self { set: list.iter().cloned().collect(), list }
    }

    /// All of them, in the order of registration.
    pub(crate) fn list(&self) -> &[CharmRef] {
        &self.list
    }

    pub(crate) fn contains(&self, charm: &CharmRef) -> bool {
        self.set.contains(charm)
    }
}

/// Which charms belong to an integration: registered for it, and enabled. Its component and the gate's
/// [`CharmCredentials`] share it.
///
/// [`CharmCredentials`]: crate::CharmCredentials
pub struct Registrations {
    id: IntegrationId,
    runtime: Arc<dyn CharmRuntime>,
    /// The last fetched list. Locked while fetching, so that concurrent callers make one request.
    recent: Mutex<Option<(Instant, Arc<Own>)>>,
}

impl Registrations {
    /// The registrations of an integration.
    pub fn new(id: IntegrationId, runtime: Arc<dyn CharmRuntime>) -> Arc<Self> {
        Arc::new(Self { id, runtime, recent: Mutex::new(None) })
    }

    /// The integration.
    pub(crate) fn id(&self) -> &IntegrationId {
        &self.id
    }

    /// The runtime that stores them.
    pub(crate) fn runtime(&self) -> &Arc<dyn CharmRuntime> {
        &self.runtime
    }

    /// The runtime's current list.
    pub(crate) async fn fresh(&self) -> Result<Arc<Own>, RuntimeError> {
        self.fetch(&mut *self.recent.lock().await).await
    }

    /// The runtime's list, at most [`RECENT`] old.
    pub(crate) async fn recent(&self) -> Result<Arc<Own>, RuntimeError> {
        let mut recent = self.recent.lock().await;
        match &*recent {
            Some((at, charms)) if at.elapsed() < RECENT => Ok(charms.clone()),
            _ => self.fetch(&mut recent).await,
        }
    }

    /// The runtime's current list, with the results of their polls.
    pub(crate) async fn with_polls(&self) -> Result<(Arc<Own>, Vec<Registration>), RuntimeError> {
        let mut recent = self.recent.lock().await;
        let at = Instant::now();
        let registrations = self.runtime.enabled(&self.id).await?;
        let charms = Arc::new(Own::new(registrations.iter().map(|one| one.charm.clone()).collect()));
        *recent = Some((at, charms.clone()));
        Ok((charms, registrations))
    }

    async fn fetch(&self, recent: &mut Option<(Instant, Arc<Own>)>) -> Result<Arc<Own>, RuntimeError> {
        let at = Instant::now();
        let charms = Arc::new(Own::new(self.runtime.registered(&self.id).await?));
        *recent = Some((at, charms.clone()));
        Ok(charms)
    }
}
