//! The [suite](bg_poller::schedule::suite) with the schedule in memory, and with schedules that break a promise.

#![allow(clippy::unwrap_used, reason = "tests, also where they are no #[test] functions")]

mod faults;
mod spread;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_poller::schedule::Schedule;
use bg_poller::schedule::memory::{MemorySchedule, Notes};
use bg_poller::schedule::suite::{FAILURES, LEASE, broken_promises};
use bg_poller::testing::registration;
use bg_poller::{CharmRef, PollState, PollerOptions, Registration};

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
    let registered = |(charm, interval): &(CharmRef, Duration)| Registration {
        interval: Some(*interval),
        ..registration(charm.clone(), "test".parse().unwrap())
    };
    schedule.apply(&charms.iter().map(registered).collect::<Vec<_>>());
    Box::new(schedule)
}

#[tokio::test(start_paused = true)]
async fn the_schedule_in_memory_keeps_every_promise() {
    let broken = broken_promises(&memory).await;
    assert!(broken.is_empty(), "{broken:?}");
}
