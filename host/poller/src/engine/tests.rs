//! Leases that end. Those of the schedule in memory don't, unless a test says so.

use std::sync::Mutex;

use async_trait::async_trait;
use bg_identity::{IntegrationId, Secret};
use serde_json::Value;

use super::*;
use crate::slots::tests::registration;
use crate::{Charm, Counters, DisabledBy, Lookup, Outcome, PollEvent, PollStore, Run, StoreError};

const LEASE: Duration = Duration::from_secs(3);
/// Several leases, and less than a shutdown waits for.
const POLL: Duration = Duration::from_secs(8);

/// A runtime whose handlers take some time.
struct Slow;

struct Opened(CharmRef);

#[async_trait]
impl Charm for Opened {
    fn charm_ref(&self) -> &CharmRef {
        &self.0
    }

    async fn keys(&self) -> Result<Vec<String>, RuntimeError> {
        Ok(Vec::new())
    }

    async fn has_stream(&self, _: &str) -> Result<bool, RuntimeError> {
        Ok(true)
    }

    async fn get(&self, _: &[String]) -> Result<Lookup, RuntimeError> {
        Ok(Lookup::Absent)
    }
}

fn unused<T>() -> Result<T, RuntimeError> {
    Err(RuntimeError::Invalid("nothing here asks for this".into()))
}

#[async_trait]
impl CharmRuntime for Slow {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        unused()
    }

    async fn changed(&self, _: u64) -> Result<u64, RuntimeError> {
        unused()
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
        unused()
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
        tokio::time::sleep(POLL).await;
        Ok(Outcome::success())
    }

    async fn refresh_auth(&self, _: &CharmRef) -> Result<(), RuntimeError> {
        unused()
    }

    async fn secret(&self, _: &CharmRef, _: &[String]) -> Result<Secret, RuntimeError> {
        unused()
    }
}

/// Keeps nothing.
struct Nowhere;

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

/// An engine with one charm, whose poll has just started by a lease that ends before the poll does; and the polls that
/// were settled.
async fn engine() -> (Engine, Arc<Mutex<Vec<PollEvent>>>) {
    let (runtime, settled) = (Arc::new(Slow), Arc::new(Mutex::new(Vec::new())));
    let outbox = Arc::new(Outbox::new(Arc::new(Nowhere), runtime.clone()));
    let events = settled.clone();
    let on_poll = Arc::new(move |event: &PollEvent| events.lock().unwrap().push(event.clone()));
    let options = PollerOptions { on_poll: Some(on_poll), ..PollerOptions::default() };
    let mut engine = Engine::new(runtime, &[], options.clone(), outbox.clone(), Vec::new());
    engine.schedule = MemorySchedule::new(&[], options, outbox, false, Vec::new()).with_lease_time(LEASE);
    engine.hear(News::Registrations(vec![registration(0, 0, 0)])).unwrap();
    while engine.under_way.is_empty() {
        step(&mut engine).await;
    }
    (engine, settled)
}

/// Takes a step of the loop, and waits for the next. There is none without something to wait for: otherwise the loop
/// would take one step after the other.
async fn step(engine: &mut Engine) {
    engine.advance().await;
    let wake = engine.wake().unwrap_or_else(|| Instant::now() + POLL);
    assert!(wake > Instant::now(), "the loop waits for what is over");
    if let Ok(Some(ended)) = timeout_at(wake, engine.polls.join_next_with_id()).await {
        engine.poll_ended(ended).await;
    } else {
        sleep_until(wake).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_poll_is_renewed_until_it_ends_also_while_the_runtime_is_away() {
    for is_away in [false, true] {
        let (mut engine, settled) = engine().await;
        if is_away {
            engine.hear(News::Unavailable("connection refused".into())).unwrap();
        }
        let end = Instant::now() + POLL * 2;
        while Instant::now() < end {
            step(&mut engine).await;
        }
        assert_eq!((engine.summary.polls, settled.lock().unwrap().len()), (1, 1), "away: {is_away}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_poll_is_renewed_until_it_ends_also_after_a_shutdown() {
    let (mut engine, settled) = engine().await;
    engine.drain().await;
    assert_eq!((engine.summary.abandoned, settled.lock().unwrap().len()), (0, 1));
}
