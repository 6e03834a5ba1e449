//! What failures of charms and of the runtime lead to.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_poller::*;
use serde_json::json;

use crate::world::*;

/// Start times, less what jitter may have taken off.
fn is_about(starts: &[u64], expected: &[u64]) {
    assert_eq!(starts.len(), expected.len(), "{starts:?}");
    let waits = |times: &[u64]| times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
    for (wait, expected) in waits(starts).into_iter().zip(waits(expected)) {
        assert!(wait <= expected && wait >= expected * 9 / 10 - 1, "{starts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_then_disable_then_come_back_after_a_day() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.fail(&one);
    let store = Store::new();
    let service = world.start_with(&store, vec![], world.options());
    seconds(3_600).await;
    is_about(&world.starts(&one), &[0, 120, 360, 840, 1_800]);
    let registration = world.state().registrations[&one].clone();
    assert!(!registration.is_enabled());
    assert_eq!(registration.status, "Disabled: 5 failures in a row: HandlerFailed: TypeError: x is not a function");
    assert_eq!(world.logs.count("HandlerFailed: TypeError: x is not a function"), 5);
    assert_eq!(world.logs.count(&format!("bg-wasm-host enable {one}")), 1);
    assert!(!store.get(&one).unwrap().disabled_at.is_never());
    let events = world.state().events.clone();
    assert_eq!(events.iter().map(|event| event.failures).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(events[4].disabled && !events[3].disabled);

    world.behave(&one, Behaviour::default());
    seconds(86_400).await;
    assert!(world.state().registrations[&one].is_enabled());
    let fifth = world.starts(&one)[4];
    let sixth = world.starts(&one)[5];
    assert!((86_400..86_410).contains(&(sixth - fifth)), "{fifth} {sixth}");
    assert_eq!(store.get(&one).unwrap().failures, 0);
    let summary = service.stop().await;
    assert_eq!(summary.disabled, 1);
}

#[tokio::test(start_paused = true)]
async fn a_backoff_counts_from_the_end_of_the_poll_that_failed() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.fail(&one);
    let takes = Duration::from_secs(150);
    let failing = world.state().behaviours[&one].clone();
    world.behave(&one, Behaviour { takes, ..failing });
    let service = world.start();
    seconds(1_500).await;
    // What passes between the end of each poll and the start of the next.
    let pauses: Vec<u64> = world.starts(&one).windows(2).map(|pair| pair[1] - pair[0] - 150).collect();
    let backoffs = [120, 240, 480];
    let is_kept = |(pause, backoff): (&u64, u64)| (backoff * 9 / 10 - 1..=backoff + 1).contains(pause);
    assert!(pauses.len() == 3 && pauses.iter().zip(backoffs).all(is_kept), "{pauses:?}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_success_clears_the_failures() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let bad = Ok(Outcome::failure(OutcomeKind::Trapped, "unreachable"));
    let outcomes = [bad.clone(), bad.clone(), bad.clone(), bad.clone(), Ok(Outcome::success()), bad];
    world.behave(&one, Behaviour { outcomes: outcomes.into(), ..Behaviour::default() });
    let service = world.start();
    seconds(1_900).await;
    let failures: Vec<u32> = world.state().events.iter().map(|event| event.failures).collect();
    assert_eq!(failures[..6], [1, 2, 3, 4, 0, 1]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn registering_again_clears_failures_and_enables() {
    let world = World::new();
    let (failing, disabled) = (charm("a", "1"), charm("b", "2"));
    world.register(&failing, "test");
    world.register(&disabled, "test");
    world.fail(&failing);
    world.fail(&disabled);
    let service = world.start();
    seconds(2_000).await;
    assert_eq!(world.starts(&disabled).len(), 5);
    for charm in [&failing, &disabled] {
        world.behave(charm, Behaviour::default());
        world.register(charm, "test");
    }
    seconds(2).await;
    for charm in [&failing, &disabled] {
        assert!(matches!(world.starts(charm).last(), Some(2_000 | 2_001)), "{:?}", world.starts(charm));
        let last = world.state().events.iter().rfind(|event| event.charm == *charm).unwrap().clone();
        assert_eq!(last.failures, 0);
    }
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_disabled_by_hand_does_not_come_back_by_itself() {
    let world = World::new();
    let (by_hand, both) = (charm("a", "1"), charm("b", "2"));
    world.register(&by_hand, "test");
    world.register(&both, "test");
    world.fail(&both);
    let service = world.start();
    seconds(2_000).await;
    world.set(&by_hand, Some((DisabledBy::Hand, "by hand")));
    // The loop has disabled it already; now somebody says that it is to stay so.
    world.set(&both, Some((DisabledBy::Hand, "by hand")));
    seconds(1).await;
    let polls = world.state().starts.len();
    seconds(3 * 86_400).await;
    assert_eq!(world.state().starts.len(), polls);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_poll_is_an_outcome() {
    let world = World::new();
    let (one, two) = (charm("a", "1"), charm("b", "2"));
    world.register(&one, "test");
    world.register(&two, "test");
    world.behave(&one, Behaviour { panics: true, ..Behaviour::default() });
    let service = world.start();
    seconds(130).await;
    let event = world.state().events.iter().find(|event| event.charm == one).unwrap().clone();
    assert_eq!(event.outcome.kind, OutcomeKind::Trapped);
    assert!(event.outcome.message.unwrap().contains("this charm panics"));
    assert!(world.starts(&two).len() >= 2);
    assert!(world.state().running.is_empty());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_goes_away_pauses_polling_and_counts_against_nobody() {
    let world = World::new();
    let charms: Vec<CharmRef> = (0..20).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &charms {
        world.register(charm, "test");
    }
    let service = world.start();
    seconds(90).await;
    world.down.store(true, Ordering::Relaxed);
    seconds(1_000).await;
    let polls = world.state().starts.len();
    world.down.store(false, Ordering::Relaxed);
    seconds(31).await;
    assert!(world.state().starts.len() > polls, "polling goes on within 30 s");
    // Not all at once, either: they are spread over the interval again.
    assert!(world.state().starts.len() < polls + charms.len());
    seconds(60).await;
    assert!(charms.iter().all(|charm| world.starts(charm).last().is_some_and(|at| *at > 1_090)));
    let logs = &world.logs;
    assert_eq!(logs.count("the charm runtime is unavailable: connection refused; polling pauses"), 1);
    assert_eq!(logs.count("The charm runtime answers again after"), 1);
    assert!(logs.count("failed: Unavailable") <= 1, "{}", logs.text());
    assert!(world.state().events.iter().all(|event| event.failures == 0));
    let summary = service.stop().await;
    assert_eq!(summary.failed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_alone_gets_no_answer_pauses_nobody() {
    let world = World::new();
    let (one, two) = (charm("a", "1"), charm("b", "2"));
    world.register(&one, "test");
    world.register(&two, "test");
    let away = Err(RuntimeError::unavailable("its shard is away"));
    world.behave(&one, Behaviour { outcomes: [away].into(), ..Behaviour::default() });
    let service = world.start();
    seconds(301).await;
    assert!(world.starts(&one).len() >= 5 && world.starts(&two).len() >= 5);
    assert!(world.state().events.iter().all(|event| event.failures == 0));
    assert_eq!(world.logs.count("polling pauses"), 0);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_service_that_is_away_counts_against_nobody() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.behave(&one, Behaviour { auth_expires: Some(json!(1)), ..Behaviour::default() });
    world.oauth_down.store(true, Ordering::Relaxed);
    let service = world.start();
    seconds(601).await;
    assert_eq!(world.state().events.len(), 3, "after 2 and 4 minutes, less up to a tenth, and then 8");
    assert!(
        world.state().events.iter().all(|event| event.failures == 0 && event.outcome.kind == OutcomeKind::Unavailable)
    );
    assert_eq!(world.logs.count("polling pauses"), 0);
    world.oauth_down.store(false, Ordering::Relaxed);
    seconds(15 * 60).await;
    assert!(!world.starts(&one).is_empty());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_soon_ends_and_cannot_be_renewed_is_used_while_it_lasts() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.behave(&one, Behaviour { auth_expires: Some(json!(WALL + 50_000)), ..Behaviour::default() });
    world.oauth_down.store(true, Ordering::Relaxed);
    let service = world.start();
    seconds(1).await;
    assert_eq!(world.starts(&one), [0]);
    assert_eq!(world.logs.count("ends within a minute and cannot be renewed: no token service"), 1);
    // A minute later it has ended.
    seconds(60).await;
    assert_eq!((world.starts(&one), world.state().events.len()), (vec![0], 2));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_away_at_the_start_is_an_error() {
    let world = World::new();
    world.down.store(true, Ordering::Relaxed);
    let error = world.start().end().await.unwrap_err();
    assert_eq!(error.to_string(), "the charm runtime is unavailable: connection refused");
}

#[tokio::test(start_paused = true)]
async fn without_access_to_the_system_space_the_service_keeps_trying() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.refuses.store(true, Ordering::Relaxed);
    let service = world.start();
    seconds(200).await;
    assert_eq!(world.logs.count("AuthorizationError: did:key:z6Mkfuw7h6jDwqVb6wimYGys14JFcyTem4Kqvdj9DjpFhY88"), 1);
    assert_eq!(world.logs.count("bg-wasm-host add-admin-charm"), 1);
    seconds(400).await;
    assert!((2..=3).contains(&world.logs.count("AuthorizationError")), "{}", world.logs.text());
    world.refuses.store(false, Ordering::Relaxed);
    seconds(3).await;
    assert_eq!(world.starts(&one).len(), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_access_a_service_that_is_to_end_by_itself_ends_with_the_error() {
    for limit in [Limit::Once, Limit::Polls(1)] {
        let world = World::new();
        world.refuses.store(true, Ordering::Relaxed);
        let error = world
            .start_with(&Store::new(), vec![], PollerOptions { limit, ..world.options() })
            .end()
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("AuthorizationError"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn access_that_is_lost_later_stops_nothing_that_still_works() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let service = world.start();
    seconds(30).await;
    world.refuses.store(true, Ordering::Relaxed);
    world.register(&charm("b", "2"), "test");
    seconds(120).await;
    assert_eq!(world.starts(&one), [0, 60, 120]);
    assert_eq!(world.logs.count("AuthorizationError"), 1);
    world.refuses.store(false, Ordering::Relaxed);
    seconds(3).await;
    assert_eq!(world.starts(&charm("b", "2")).len(), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_once_and_written_later() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let store = Store::new();
    store.fails.store(true, Ordering::Relaxed);
    let service = world.start_with(&store, vec![], world.options());
    seconds(300).await;
    assert_eq!(world.starts(&one).len(), 5);
    assert_eq!(world.logs.count("the disk is full"), 1);
    assert_eq!(world.logs.count("cause=\"storage-fails\" fix=\"see what"), 1, "{}", world.logs.text());
    assert!(store.get(&one).is_none());
    store.fails.store(false, Ordering::Relaxed);
    seconds(35).await;
    assert!(store.get(&one).is_some());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_polls_end_and_gives_up_those_that_do_not() {
    let world = World::new();
    let (quick, slow) = (charm("a", "1"), charm("b", "2"));
    for (charm, takes) in [(&quick, 8), (&slow, 100)] {
        world.register(charm, "test");
        world.behave(charm, Behaviour { takes: Duration::from_secs(takes), ..Behaviour::default() });
    }
    let store = Store::new();
    let service =
        world.start_with(&store, vec![], PollerOptions { interval: Duration::from_secs(2), ..world.options() });
    seconds(3).await;
    let before = tokio::time::Instant::now();
    let summary = service.stop().await;
    assert!(before.elapsed() < Duration::from_secs(11), "{:?}", before.elapsed());
    assert_eq!((summary.polls, summary.abandoned), (1, 1));
    assert!(store.get(&quick).is_some() && store.get(&slow).is_none());
    assert_eq!(world.state().starts.len(), 2, "nothing starts after a shutdown");
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_charm_stays_on_its_line() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let outcome = Outcome::failure(OutcomeKind::HandlerFailed, "x\nSuccessfully executed charm\u{1b}[2J")
        .with_stack(Some("at y\nSuccessfully executed charm".into()));
    world.behave(&one, Behaviour { outcomes: [Ok(outcome)].into(), ..Behaviour::default() });
    let service = world.start();
    seconds(1).await;
    service.stop().await;
    assert!(world.logs.text().lines().all(|line| !line.starts_with("Successfully")));
    assert!(!world.logs.text().contains('\u{1b}'));
}
