//! What follows when a server fails polls, and when it answers again.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::tools::{MINUTE, Make, Promise, SLACK, charms, check, claim_one, claim_within, settlement};
use crate::schedule::{Lease, Schedule, Settlement};
use crate::{CharmRef, Consequence, FailedServer, Servers};

const SERVER: &str = "https://mail.example:443";
const OTHER: &str = "https://news.example:443";
/// A charm whose polls fail because of a server is by itself polled no sooner than this after the third of them.
const BACKOFF: Duration = Duration::from_mins(7);

/// A poll that this server has failed.
fn failed_by(server: &str, lease: Lease, retry_after: Option<Duration>) -> Settlement {
    let failed = Some(FailedServer { origin: server.to_owned(), retry_after, refused: false });
    Settlement { servers: Servers { failed, ..Servers::default() }, ..settlement(lease, Consequence::TriesAgain) }
}

fn answered_by(server: &str) -> Servers {
    Servers { answered: vec![server.to_owned()], ..Servers::default() }
}

/// Whether a poll of a charm or a call of a component shows that the server works. Those that wait for another server
/// do not come.
pub(super) async fn charms_come_back_with_the_server_that_they_wait_for(make: Make<'_>) -> Promise {
    let all = charms(3, MINUTE);
    let [(waits, _), (waits_for_other, _), (works, _)] = &all[..] else { return Err("no three charms".to_owned()) };
    for by_poll in [true, false] {
        let mut schedule = make(&all);
        // Both have failed three times by then.
        let answers_at = Instant::now() + MINUTE * 9;
        let end = answers_at + MINUTE * 3;
        let (mut is_reported, mut back) = (false, BTreeSet::new());
        while Instant::now() < end {
            let answers = Instant::now() >= answers_at;
            if answers && !by_poll && !is_reported {
                schedule.servers_answered(&answered_by(SERVER)).await;
                is_reported = true;
            }
            for due in schedule.claim(16).await {
                let settlement = if due.charm == *works {
                    let servers = if answers && by_poll { answered_by(SERVER) } else { Servers::default() };
                    Settlement { servers, ..settlement(due.lease, Consequence::Clears) }
                } else {
                    failed_by(if due.charm == *waits { SERVER } else { OTHER }, due.lease, None)
                };
                schedule.settle(vec![settlement]).await;
                if answers && due.charm != *works {
                    back.insert(due.charm);
                }
            }
            sleep(SLACK / 5).await;
        }
        check(back.contains(waits), || format!("a charm waits though its server answers; shown by a poll: {by_poll}"))?;
        check(!back.contains(waits_for_other), || "a charm came back with a server that it does not need".to_owned())?;
    }
    Ok(())
}

/// Otherwise a caller who makes a server answer could have others polled faster.
pub(super) async fn no_charm_comes_back_sooner_than_its_server_and_its_failures_allow(make: Make<'_>) -> Promise {
    let all = charms(1, MINUTE);
    // An interval first, and twice as long after each poll that failed again.
    let mut schedule = waiting(make, &all, None).await?;
    for wait in [MINUTE, MINUTE * 2, MINUTE * 4] {
        let lease = comes_back_after(&mut *schedule, wait).await?;
        schedule.settle(vec![failed_by(SERVER, lease, None)]).await;
    }
    let asked = MINUTE * 3;
    let mut schedule = waiting(make, &all, Some(asked)).await?;
    comes_back_after(&mut *schedule, asked).await?;
    Ok(())
}

/// Also if its own wait would be shorter, and if the server says nothing of others.
pub(super) async fn a_charm_is_polled_no_sooner_than_its_server_asks(make: Make<'_>) -> Promise {
    let asked = MINUTE * 30;
    for server in [SERVER, ""] {
        let mut schedule = make(&charms(1, MINUTE));
        let due = claim_one(&mut *schedule, MINUTE).await?;
        schedule.settle(vec![failed_by(server, due.lease, Some(asked))]).await;
        let early = claim_within(&mut *schedule, 1, asked.saturating_sub(SLACK)).await;
        check(early.is_empty(), || format!("{early:?} was polled within {asked:?}"))?;
        let due = claim_one(&mut *schedule, MINUTE).await?;
        // An hour at most.
        schedule.settle(vec![failed_by(server, due.lease, Some(asked * 100))]).await;
        claim_one(&mut *schedule, MINUTE * 62).await?;
    }
    Ok(())
}

/// A schedule with a charm that a server has just failed for the third time.
async fn waiting(
    make: Make<'_>,
    all: &[(CharmRef, Duration)],
    retry_after: Option<Duration>,
) -> Result<Box<dyn Schedule>, String> {
    let mut schedule = make(all);
    for _ in 0..3 {
        let due = claim_one(&mut *schedule, BACKOFF).await?;
        schedule.settle(vec![failed_by(SERVER, due.lease, retry_after)]).await;
    }
    Ok(schedule)
}

/// The server answers: the charm, which it has just failed, comes back after this time, and no sooner.
async fn comes_back_after(schedule: &mut dyn Schedule, wait: Duration) -> Result<Lease, String> {
    schedule.servers_answered(&answered_by(SERVER)).await;
    let early = claim_within(schedule, 1, wait.saturating_sub(SLACK)).await;
    check(early.is_empty(), || format!("{early:?} came back within {wait:?}"))?;
    Ok(claim_one(schedule, MINUTE + SLACK * 2).await?.lease)
}
