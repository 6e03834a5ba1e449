//! What every [`Schedule`](super::Schedule) must do, as tests that take any implementation: [`broken_promises`].
//!
//! `host/poller/tests/schedule/` runs it with the schedule in memory, and with a planted fault for each promise.

mod servers;
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

pub use self::tools::{FAILURES, LEASE, Make, charms, settlement};
use self::tools::{MINUTE, Promise, SLACK, check, claim_one, claim_within, kept, settle};
use super::{Due, Settled};
use crate::{CharmRef, Consequence};

/// The promises that a schedule breaks: name, and what it did.
pub async fn broken_promises(make: Make<'_>) -> Vec<(&'static str, String)> {
    let results = [
        ("room", no_more_is_handed_out_than_there_is_room_for(make).await),
        ("one lease", no_charm_has_two_leases(make).await),
        ("not early", nothing_is_handed_out_before_it_is_due(make).await),
        ("all in turn", each_of_many_charms_has_its_turn(make).await),
        ("wake", what_is_due_is_handed_out_at_the_time_that_was_named(make).await),
        ("end", a_lease_that_is_not_renewed_ends(make).await),
        ("renewal", a_lease_that_is_renewed_lasts(make).await),
        ("lost", nothing_of_a_lease_that_has_ended_is_kept(make).await),
        ("once", a_lease_is_settled_once(make).await),
        ("release", what_is_released_is_due_again_and_nothing_counts(make).await),
        ("as before", charms_whose_leases_end_unsettled_are_as_due_as_before(make).await),
        ("counts", failures_count_and_back_off_and_a_success_clears_them(make).await),
        ("servers", servers::charms_come_back_with_the_server_that_they_wait_for(make).await),
        ("no sooner", servers::no_charm_comes_back_sooner_than_its_server_and_its_failures_allow(make).await),
        ("as asked", servers::a_charm_is_polled_no_sooner_than_its_server_asks(make).await),
    ];
    results.into_iter().filter_map(|(name, result)| Some((name, result.err()?))).collect()
}

async fn no_more_is_handed_out_than_there_is_room_for(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(10, MINUTE));
    sleep(MINUTE).await;
    for room in [0, 1, 3] {
        let due = schedule.claim(room).await;
        check(due.len() <= room, || format!("{} charms for a room of {room}", due.len()))?;
    }
    Ok(())
}

async fn no_charm_has_two_leases(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(5, MINUTE));
    let (mut held, mut leases) = (BTreeSet::new(), Vec::new());
    // Several intervals, so that each would be due again.
    for _ in 0..100 {
        for due in schedule.claim(16).await {
            check(held.insert(due.charm.clone()), || format!("{} was handed out twice", due.charm))?;
            leases.push(due.lease);
        }
        let ended = schedule.renew(&leases).await;
        check(ended.is_empty(), || "a lease that was renewed has ended".to_owned())?;
        sleep(LEASE / 4).await;
    }
    check(leases.iter().collect::<BTreeSet<_>>().len() == leases.len(), || "two leases have one number".to_owned())
}

async fn nothing_is_handed_out_before_it_is_due(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(5, MINUTE));
    let mut last: BTreeMap<CharmRef, Instant> = BTreeMap::new();
    let end = Instant::now() + MINUTE * 6;
    while Instant::now() < end {
        for due in schedule.claim(16).await {
            let now = Instant::now();
            if let Some(before) = last.insert(due.charm.clone(), now) {
                check(now >= before + MINUTE, || format!("{} came {:?} after its last poll", due.charm, now - before))?;
            }
            settle(&mut *schedule, due.lease, Consequence::Clears).await;
        }
        sleep(Duration::from_millis(200)).await;
    }
    check(last.len() == 5, || "a charm was never handed out".to_owned())
}

/// Also with room for few at a time, and those that nobody settles hold up no other.
async fn each_of_many_charms_has_its_turn(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(200, MINUTE));
    let mut polls: BTreeMap<CharmRef, u32> = BTreeMap::new();
    let end = Instant::now() + MINUTE * 5;
    while Instant::now() < end {
        for due in schedule.claim(2).await {
            *polls.entry(due.charm).or_default() += 1;
            settle(&mut *schedule, due.lease, Consequence::Clears).await;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let fewest = if polls.len() == 200 { polls.values().min().copied().unwrap_or_default() } else { 0 };
    check(fewest >= 3, || format!("a charm had {fewest} of 5 polls"))
}

/// Nobody looks in between.
async fn what_is_due_is_handed_out_at_the_time_that_was_named(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(3, MINUTE));
    let (mut polls, end) = (0, Instant::now() + MINUTE * 5);
    while Instant::now() < end {
        for due in schedule.claim(16).await {
            polls += 1;
            settle(&mut *schedule, due.lease, Consequence::Clears).await;
        }
        let Some(next) = schedule.next_claim() else { break };
        sleep_until(next.max(Instant::now() + Duration::from_millis(1)).min(end)).await;
    }
    check(polls >= 12, || format!("{polls} polls of three charms in five intervals"))
}

async fn a_lease_that_is_not_renewed_ends(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(1, MINUTE));
    let first = claim_one(&mut *schedule, MINUTE + SLACK).await?;
    let again = claim_one(&mut *schedule, LEASE + SLACK).await?;
    check(again.charm == first.charm && again.lease != first.lease, || format!("{again:?} after {first:?}"))
}

async fn a_lease_that_is_renewed_lasts(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(1, MINUTE));
    let first = claim_one(&mut *schedule, MINUTE + SLACK).await?;
    for _ in 0..20 {
        sleep(LEASE * 2 / 3).await;
        let ended = schedule.renew(&[first.lease]).await;
        check(ended.is_empty(), || "it has ended before its time".to_owned())?;
        check(schedule.claim(1).await.is_empty(), || "its charm was handed out again".to_owned())?;
    }
    let settled = settle(&mut *schedule, first.lease, Consequence::Clears).await;
    check(matches!(settled, Settled::Kept(_)), || "it cannot be settled".to_owned())
}

async fn nothing_of_a_lease_that_has_ended_is_kept(make: Make<'_>) -> Promise {
    for claimed_again in [false, true] {
        let mut schedule = make(&charms(1, MINUTE));
        let old = claim_one(&mut *schedule, MINUTE + SLACK).await?;
        sleep(LEASE + SLACK).await;
        let new = if claimed_again { Some(claim_one(&mut *schedule, SLACK).await?) } else { None };
        let ended = schedule.renew(&[old.lease]).await;
        check(ended == [old.lease], || format!("renewed after its end: {ended:?}"))?;
        let settled = settle(&mut *schedule, old.lease, Consequence::Counts).await;
        check(settled == Settled::Lost, || format!("settled after its end: {settled:?}"))?;
        let new = match new {
            Some(new) => new,
            None => claim_one(&mut *schedule, SLACK).await?,
        };
        let failures = kept(settle(&mut *schedule, new.lease, Consequence::Counts).await)?.failures;
        check(failures == 1, || format!("{failures} failures are counted of one"))?;
    }
    Ok(())
}

async fn a_lease_is_settled_once(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(1, MINUTE));
    let due = claim_one(&mut *schedule, MINUTE + SLACK).await?;
    kept(settle(&mut *schedule, due.lease, Consequence::Counts).await)?;
    let again = settle(&mut *schedule, due.lease, Consequence::Counts).await;
    check(again == Settled::Lost, || format!("settled a second time: {again:?}"))?;
    schedule.release(&[due.lease]).await;
    check(schedule.claim(1).await.is_empty(), || "a release after the settlement has made it due".to_owned())?;
    let next = claim_one(&mut *schedule, MINUTE * 2 + SLACK).await?;
    let failures = kept(settle(&mut *schedule, next.lease, Consequence::Counts).await)?.failures;
    check(failures == 2, || format!("{failures} failures are counted of two"))
}

async fn what_is_released_is_due_again_and_nothing_counts(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(1, MINUTE));
    let due = claim_one(&mut *schedule, MINUTE + SLACK).await?;
    schedule.release(&[due.lease]).await;
    // Before the lease would have ended by itself.
    let again = claim_one(&mut *schedule, SLACK * 2).await?;
    check(again.lease != due.lease, || "a lease was given twice".to_owned())?;
    let settled = settle(&mut *schedule, due.lease, Consequence::Counts).await;
    check(settled == Settled::Lost, || format!("settled after its release: {settled:?}"))?;
    let failures = kept(settle(&mut *schedule, again.lease, Consequence::Counts).await)?.failures;
    check(failures == 1, || format!("{failures} failures are counted of one"))
}

/// What could be handed out together can be so again, whether the leases were released or have ended.
async fn charms_whose_leases_end_unsettled_are_as_due_as_before(make: Make<'_>) -> Promise {
    for released in [true, false] {
        let mut schedule = make(&charms(60, MINUTE));
        let (start, mut before) = (Instant::now(), Vec::new());
        while start.elapsed() < LEASE / 2 {
            before.extend(schedule.claim(100).await);
            sleep(SLACK / 10).await;
        }
        check(before.len() > 1, || format!("{} of 60 were handed out within {:?}", before.len(), LEASE / 2))?;
        if released {
            schedule.release(&before.iter().map(|due| due.lease).collect::<Vec<_>>()).await;
        } else {
            sleep(LEASE + SLACK).await;
        }
        let again = schedule.claim(100).await;
        let names = |due: &[Due]| due.iter().map(|due| due.charm.clone()).collect::<BTreeSet<_>>();
        check(names(&before).is_subset(&names(&again)), || {
            format!("{} of {} were due afterwards, released: {released}", again.len(), before.len())
        })?;
    }
    Ok(())
}

async fn failures_count_and_back_off_and_a_success_clears_them(make: Make<'_>) -> Promise {
    let mut schedule = make(&charms(1, MINUTE));
    let mut due = claim_one(&mut *schedule, MINUTE + SLACK).await?;
    kept(settle(&mut *schedule, due.lease, Consequence::Counts).await)?;
    due = claim_one(&mut *schedule, MINUTE * 3).await?;
    let kept_success = kept(settle(&mut *schedule, due.lease, Consequence::Clears).await)?;
    check(kept_success.failures == 0, || format!("{kept_success:?} after a success"))?;
    for failures in 1..=FAILURES {
        due = claim_one(&mut *schedule, MINUTE * 40).await?;
        let before = Instant::now();
        let kept = kept(settle(&mut *schedule, due.lease, Consequence::Counts).await)?;
        check(kept.failures == failures, || format!("{kept:?} after {failures} failures"))?;
        let disabled = failures == FAILURES;
        check(kept.disabled == disabled, || format!("{kept:?} after {failures} failures"))?;
        let shortest = MINUTE * 2_u32.pow(failures) * 9 / 10;
        if !disabled {
            check(claim_within(&mut *schedule, 1, shortest).await.is_empty(), || {
                format!("polled {:?} after {failures} failures", before.elapsed())
            })?;
        }
    }
    check(claim_within(&mut *schedule, 1, MINUTE * 60).await.is_empty(), || "polled though disabled".to_owned())
}
