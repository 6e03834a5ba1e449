//! What the cases of the suite have in common.

use std::time::Duration;

use bg_identity::{CharmId, space_did};
use tokio::time::{Instant, sleep, timeout};

use crate::schedule::{ComponentAnswer, Due, Kept, Lease, Schedule, Settled, Settlement};
use crate::{CharmRef, Consequence, Servers, UnixMillis};

/// How long the leases of a schedule under test last.
pub const LEASE: Duration = Duration::from_secs(10);
/// How late a claim may hand out what is due, where nothing else is.
pub(super) const SLACK: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
/// Failures that disable a charm.
pub const FAILURES: u32 = 5;

/// Makes a schedule with these charms, each in its own space, and their intervals.
pub type Make<'a> = &'a (dyn Fn(&[(CharmRef, Duration)]) -> Box<dyn Schedule> + Sync);

pub(super) type Promise = Result<(), String>;

/// As many charms with this interval, each in its own space: always the same.
pub fn charms(count: usize, interval: Duration) -> Vec<(CharmRef, Duration)> {
    let charm = |number: usize| CharmRef {
        space: space_did(&format!("space {number}")),
        charm: CharmId::for_content(&number.to_be_bytes()),
    };
    (0..count).map(|number| (charm(number), interval)).collect()
}

/// A poll that has just been made.
pub fn settlement(lease: Lease, consequence: Consequence) -> Settlement {
    Settlement {
        lease,
        started_at: UnixMillis::now(),
        start: Instant::now(),
        duration: Duration::ZERO,
        consequence: Some(consequence),
        outcome_awaits_a_fix: consequence.awaits_a_fix(),
        noted: true,
        component: ComponentAnswer::default(),
        servers: Servers::default(),
    }
}

pub(super) async fn settle(schedule: &mut dyn Schedule, lease: Lease, consequence: Consequence) -> Settled {
    schedule.settle(vec![settlement(lease, consequence)]).await.pop().unwrap_or(Settled::Lost)
}

/// Waits until something is due, for this long at most.
pub(super) async fn claim_within(schedule: &mut dyn Schedule, room: usize, most: Duration) -> Vec<Due> {
    let claiming = async {
        loop {
            let due = schedule.claim(room).await;
            if !due.is_empty() {
                return due;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(most, claiming).await.unwrap_or_default()
}

pub(super) async fn claim_one(schedule: &mut dyn Schedule, most: Duration) -> Result<Due, String> {
    let due = claim_within(schedule, 1, most).await;
    due.into_iter().next().ok_or_else(|| format!("nothing was handed out within {most:?}"))
}

pub(super) fn check(holds: bool, what: impl FnOnce() -> String) -> Promise {
    if holds { Ok(()) } else { Err(what()) }
}

pub(super) fn kept(settled: Settled) -> Result<Kept, String> {
    match settled {
        Settled::Kept(kept) => Ok(kept),
        Settled::Lost => Err("a lease that is held counts as lost".to_owned()),
    }
}
