//! Fakes of what the loop drives, for tests and benchmarks that are about something else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::{IntegrationId, Secret};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    Charm, CharmRef, CharmRuntime, Counters, DisabledBy, Lookup, Outcome, PollState, PollStore, Registration, Run,
    RuntimeError, StoreError, UPDATER_STREAMS, UnixMillis,
};

/// A registration that is enabled, and was never polled.
pub fn registration(charm: CharmRef, integration: IntegrationId) -> Registration {
    Registration {
        charm,
        integration,
        created_at: UnixMillis(1),
        updated_at: UnixMillis(1),
        last_run: UnixMillis::NEVER,
        disabled_at: UnixMillis::NEVER,
        disabled_by: None,
        interval: None,
        status: String::new(),
        last_success: UnixMillis::NEVER,
        woken_at: UnixMillis::NEVER,
        last_outcome: None,
        last_blame: None,
        last_cause: None,
    }
}

/// A charm with a stream for polls, and without cells.
#[derive(Debug)]
pub struct Opened(pub CharmRef);

#[async_trait]
impl Charm for Opened {
    fn charm_ref(&self) -> &CharmRef {
        &self.0
    }

    async fn keys(&self) -> Result<Vec<String>, RuntimeError> {
        Ok(Vec::new())
    }

    async fn has_stream(&self, name: &str) -> Result<bool, RuntimeError> {
        Ok(name == UPDATER_STREAMS[0])
    }

    async fn get(&self, _: &[String]) -> Result<Lookup, RuntimeError> {
        Ok(Lookup::Absent)
    }
}

/// A runtime whose handlers do nothing, and whose registrations do not change.
pub struct Idle {
    registrations: Box<dyn Fn() -> Vec<Registration> + Send + Sync>,
    takes: Duration,
    polls: AtomicUsize,
}

impl Idle {
    /// `registrations` makes the registrations each time that they are read; `takes` is the time of each handler.
    pub fn new(registrations: impl Fn() -> Vec<Registration> + Send + Sync + 'static, takes: Duration) -> Self {
        Self { registrations: Box::new(registrations), takes, polls: AtomicUsize::new(0) }
    }

    /// How many handlers have started.
    pub fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").finish_non_exhaustive()
    }
}

fn unused<T>() -> Result<T, RuntimeError> {
    Err(RuntimeError::Invalid("nothing here asks for this".into()))
}

#[async_trait]
impl CharmRuntime for Idle {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        Ok((self.registrations)())
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        if seen == 0 {
            return Ok(1);
        }
        std::future::pending().await
    }

    fn shares_clock(&self) -> bool {
        true
    }

    async fn register(&self, _: &CharmRef, _: &IntegrationId) -> Result<Registration, RuntimeError> {
        unused()
    }

    async fn set_disabled(&self, _: &CharmRef, _: Option<(DisabledBy, &str)>) -> Result<Registration, RuntimeError> {
        unused()
    }

    async fn set_interval(&self, _: &CharmRef, _: Option<Duration>) -> Result<Registration, RuntimeError> {
        unused()
    }

    async fn remove(&self, _: &CharmRef) -> Result<bool, RuntimeError> {
        unused()
    }

    async fn record(&self, _: &[Run]) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn runs(&self, _: &CharmRef, _: usize) -> Result<Vec<Run>, RuntimeError> {
        unused()
    }

    async fn counters(&self, _: &CharmRef) -> Result<Counters, RuntimeError> {
        unused()
    }

    async fn prepare_list(&self, _: &IntegrationId) -> Result<(), RuntimeError> {
        unused()
    }

    async fn open(&self, charm: &CharmRef) -> Result<Arc<dyn Charm>, RuntimeError> {
        Ok(Arc::new(Opened(charm.clone())))
    }

    async fn trigger(&self, _: &CharmRef, _: &str, _: &Value) -> Result<Outcome, RuntimeError> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        Ok(Outcome::success())
    }

    async fn refresh_auth(&self, _: &CharmRef) -> Result<(), RuntimeError> {
        unused()
    }

    async fn secret(&self, _: &CharmRef, _: &[String]) -> Result<Secret, RuntimeError> {
        unused()
    }
}

/// Remembers nothing.
#[derive(Debug)]
pub struct Nowhere;

#[async_trait]
impl PollStore for Nowhere {
    async fn load(&self) -> Result<Vec<PollState>, StoreError> {
        Ok(Vec::new())
    }

    async fn save(&self, _: &[PollState]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn forget(&self, _: &[CharmRef]) -> Result<(), StoreError> {
        Ok(())
    }
}
