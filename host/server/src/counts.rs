//! Counts of registrations, cached for a moment.

use std::time::{Duration, Instant};

use bg_charm_api::{DamagedRegistration, RegistrationCount, Spaces};
use bg_charm_runtime::LocalHandle;
use bg_poller::{RegistrationState, RuntimeError};
use tokio::sync::Mutex;

/// Counting takes 50 ms of processor time for 100,000 registrations, so it is not repeated for this many times as long.
const REST: u32 = 20;
/// The shortest time for which a count is cached.
const LEAST_REST: Duration = Duration::from_millis(500);

/// Results that require reading all registrations.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    counts: Kept<Vec<RegistrationCount>>,
    damaged: Kept<Vec<DamagedRegistration>>,
}

impl Counts {
    /// The counts of a moment ago.
    pub(crate) async fn get(&self, handle: &LocalHandle) -> Result<Vec<RegistrationCount>, RuntimeError> {
        self.counts.get(handle.registration_counts()).await
    }

    /// The damaged registrations of a moment ago.
    pub(crate) async fn damaged(&self, handle: &LocalHandle) -> Result<Vec<DamagedRegistration>, RuntimeError> {
        self.damaged.get(handle.damaged()).await
    }

    /// Clears the cache, so that a change is visible at once.
    pub(crate) async fn forget(&self) {
        self.counts.forget().await;
        self.damaged.forget().await;
    }
}

/// A cached value, and when it expires.
#[derive(Debug, Default)]
struct Kept<T>(Mutex<Option<(T, Instant)>>);

impl<T: Clone> Kept<T> {
    async fn get(&self, read: impl Future<Output = Result<T, RuntimeError>>) -> Result<T, RuntimeError> {
        let mut kept = self.0.lock().await;
        if let Some((value, until)) = &*kept
            && Instant::now() < *until
        {
            return Ok(value.clone());
        }
        let started = Instant::now();
        let value = read.await?;
        let rest = (started.elapsed() * REST).max(LEAST_REST);
        *kept = Some((value.clone(), Instant::now() + rest));
        Ok(value)
    }

    async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

/// Sums by state, in order, including zeros.
pub(crate) fn by_state(counts: &[RegistrationCount]) -> Vec<(RegistrationState, u64)> {
    let sum = |state| counts.iter().filter(|one| one.state == state).map(|one| one.count).sum();
    RegistrationState::ALL.into_iter().map(|state| (state, sum(state))).collect()
}
