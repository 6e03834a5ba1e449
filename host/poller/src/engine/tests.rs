//! Leases that end. Those of the schedule in memory don't, unless a test says so.

use std::sync::Mutex;

use bg_identity::{CharmId, space_did};

use super::*;
use crate::schedule::memory::MemorySchedule;
use crate::testing::{Idle, Nowhere, registration};
use crate::{Cause, PollEvent};

const LEASE: Duration = Duration::from_secs(3);
/// Several leases, and less than a shutdown waits for.
const POLL: Duration = Duration::from_secs(8);

/// An engine with one charm, whose poll has just started by a lease that ends before the poll does; and the polls that
/// were settled.
async fn engine() -> (Engine, Arc<Mutex<Vec<PollEvent>>>) {
    let (runtime, settled) = (Arc::new(Idle::new(Vec::new, POLL)), Arc::new(Mutex::new(Vec::new())));
    let outbox = Arc::new(Outbox::new(Arc::new(Nowhere), runtime.clone()));
    let events = settled.clone();
    let on_poll = Arc::new(move |event: &PollEvent| events.lock().unwrap().push(event.clone()));
    let options = PollerOptions { on_poll: Some(on_poll), ..PollerOptions::default() };
    let schedule = MemorySchedule::new(&[], options.clone(), outbox.clone(), false, Vec::new()).with_lease_time(LEASE);
    let mut engine = Engine::new(runtime, &[], options, outbox, Box::new(schedule));
    let charm = CharmRef { space: space_did("a space"), charm: CharmId::for_content(b"a charm") };
    let registrations = vec![registration(charm, "test".parse().unwrap())];
    engine.hear(News::Registrations(registrations)).await.unwrap();
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
            engine.hear(News::Unavailable(Cause::RuntimeAway, "connection refused".into())).await.unwrap();
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
