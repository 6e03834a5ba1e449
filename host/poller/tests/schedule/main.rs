//! The [suite](bg_poller::schedule::suite) with the schedule in memory, and with schedules that break a promise.

#![allow(clippy::unwrap_used, reason = "tests, also where they are no #[test] functions")]

mod faults;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_poller::schedule::Schedule;
use bg_poller::schedule::memory::{MemorySchedule, Notes};
use bg_poller::schedule::suite::{FAILURES, LEASE, broken_promises};
use bg_poller::{CharmRef, PollState, PollerOptions, Registration, UnixMillis};

/// A store that forgets.
pub struct NoNotes;

#[async_trait]
impl Notes for NoNotes {
    fn save(&self, _: PollState) {}

    fn forget(&self, _: CharmRef) {}

    async fn flushed(&self) -> bool {
        true
    }
}

/// A schedule in memory with these charms.
fn memory(charms: &[(CharmRef, Duration)]) -> Box<dyn Schedule> {
    let options = PollerOptions {
        min_interval: Some(Duration::from_secs(1)),
        failures: FAILURES,
        max_concurrent: 1_000,
        ..PollerOptions::default()
    };
    let mut schedule = MemorySchedule::new(&[], options, Arc::new(NoNotes), false, Vec::new()).with_lease_time(LEASE);
    let registration = |(charm, interval): &(CharmRef, Duration)| Registration {
        charm: charm.clone(),
        integration: "test".parse().unwrap(),
        created_at: UnixMillis(1),
        updated_at: UnixMillis(1),
        last_run: UnixMillis::NEVER,
        disabled_at: UnixMillis::NEVER,
        disabled_by: None,
        interval: Some(*interval),
        status: String::new(),
        last_success: UnixMillis::NEVER,
        woken_at: UnixMillis::NEVER,
        last_outcome: None,
        last_blame: None,
        last_cause: None,
    };
    schedule.apply(&charms.iter().map(registration).collect::<Vec<_>>());
    Box::new(schedule)
}

#[tokio::test(start_paused = true)]
async fn the_schedule_in_memory_keeps_every_promise() {
    let broken = broken_promises(&memory).await;
    assert!(broken.is_empty(), "{broken:?}");
}
