//! How many registrations there are, not counted anew for each page that is looked at.

use std::time::{Duration, Instant};

use bg_charm_api::RegistrationCount;
use bg_charm_runtime::LocalHandle;
use bg_poller::{RegistrationState, RuntimeError};
use tokio::sync::Mutex;

/// Counting takes 50 ms of a processor for a hundred thousand; so it is not done again for this many times as long.
const REST: u32 = 20;
/// Nor for less than this.
const LEAST_REST: Duration = Duration::from_millis(500);

/// The counts, and until when they are good.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<Option<(Vec<RegistrationCount>, Instant)>>);

impl Counts {
    /// The counts of a moment ago.
    pub(crate) async fn get(&self, handle: &LocalHandle) -> Result<Vec<RegistrationCount>, RuntimeError> {
        let mut kept = self.0.lock().await;
        if let Some((counts, until)) = &*kept
            && Instant::now() < *until
        {
            return Ok(counts.clone());
        }
        let started = Instant::now();
        let counts = handle.registration_counts().await?;
        let rest = (started.elapsed() * REST).max(LEAST_REST);
        *kept = Some((counts.clone(), Instant::now() + rest));
        Ok(counts)
    }

    /// Whoever has changed something sees it at once.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

/// Sums by state, in their order; those that are zero as well.
pub(crate) fn by_state(counts: &[RegistrationCount]) -> Vec<(RegistrationState, u64)> {
    let sum = |state| counts.iter().filter(|one| one.state == state).map(|one| one.count).sum();
    RegistrationState::ALL.into_iter().map(|state| (state, sum(state))).collect()
}
