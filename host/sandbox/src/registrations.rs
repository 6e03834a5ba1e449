//! The registrations of one integration.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_poller::{CharmRef, CharmRuntime, RuntimeError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// For how long the gate may go by what it knows of registrations. One call makes up to 64 requests, often for as many charms,
/// within seconds; a registration that is disabled loses its credential after this time.
const RECENT: Duration = Duration::from_secs(2);

/// Which charms are an integration's: registered for it, and enabled.
pub(crate) struct Registrations {
    id: IntegrationId,
    runtime: Arc<dyn CharmRuntime>,
    /// What was fetched last. Held while fetching, so that many who ask at once make one request.
    recent: Mutex<Option<(Instant, Arc<BTreeSet<CharmRef>>)>>,
}

impl Registrations {
    pub(crate) fn new(id: IntegrationId, runtime: Arc<dyn CharmRuntime>) -> Self {
        Self { id, runtime, recent: Mutex::new(None) }
    }

    /// As the runtime has them now.
    pub(crate) async fn fresh(&self) -> Result<Arc<BTreeSet<CharmRef>>, RuntimeError> {
        self.fetch(&mut *self.recent.lock().await).await
    }

    /// As the runtime had them at most [`RECENT`] ago.
    pub(crate) async fn recent(&self) -> Result<Arc<BTreeSet<CharmRef>>, RuntimeError> {
        let mut recent = self.recent.lock().await;
        match &*recent {
            Some((at, charms)) if at.elapsed() < RECENT => Ok(charms.clone()),
            _ => self.fetch(&mut recent).await,
        }
    }

    async fn fetch(
        &self,
        recent: &mut Option<(Instant, Arc<BTreeSet<CharmRef>>)>,
    ) -> Result<Arc<BTreeSet<CharmRef>>, RuntimeError> {
        let at = Instant::now();
        let all = self.runtime.registrations().await?;
        let own = all.into_iter().filter(|one| one.is_enabled() && one.integration == self.id);
        let charms = Arc::new(own.map(|one| one.charm).collect::<BTreeSet<_>>());
        *recent = Some((at, charms.clone()));
        Ok(charms)
    }
}
