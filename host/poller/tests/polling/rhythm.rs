//! When charms are polled while all is well.

use std::time::Duration;

use bg_poller::*;
use serde_json::json;

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn a_charm_is_polled_once_an_interval_from_start_to_start() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.behave(&one, Behaviour { takes: Duration::from_secs(20), ..Behaviour::default() });
    let service = world.start();
    seconds(200).await;
    assert_eq!(world.starts(&one), [0, 60, 120, 180]);
    let summary = service.stop().await;
    assert_eq!((summary.polls, summary.count(OutcomeKind::Success), summary.failed()), (4, 4, 0));
    let line = format!("Successfully executed charm {one}");
    assert_eq!(world.logs.count(&line), 4);
}

#[tokio::test(start_paused = true)]
async fn many_charms_are_spread_over_the_interval_at_the_start() {
    let world = World::new();
    let charms: Vec<CharmRef> = (0..60).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &charms {
        world.register(charm, "test");
    }
    let service = world.start();
    tokio::time::sleep(Duration::from_millis(121_500)).await;
    let mut starts: Vec<u64> = charms.iter().map(|charm| world.starts(charm)[0]).collect();
    starts.sort_unstable();
    assert_eq!(starts, (0..60).collect::<Vec<_>>());
    assert_eq!(service.stop().await.polls, 122);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_takes_long_is_not_doubled_and_missed_polls_are_made_up_once() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.behave(&one, Behaviour { takes: Duration::from_secs(150), ..Behaviour::default() });
    let service = world.start();
    seconds(10).await;
    // Later polls are quick again.
    world.behave(&one, Behaviour::default());
    seconds(280).await;
    assert_eq!(world.starts(&one), [0, 150, 210, 270]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_never_ends_is_given_up() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.behave(&one, Behaviour { takes: Duration::from_secs(1_000_000), ..Behaviour::default() });
    let service = world.start();
    seconds(181).await;
    let event = world.state().events[0].clone();
    // Nobody knows whose fault that is: the limits of handlers are the runtime's to enforce.
    let Outcome { kind, blame, .. } = event.outcome;
    assert_eq!((kind, blame, event.failures), (OutcomeKind::Timeout, Some(Blame::Service), 0));
    assert_eq!(world.state().recorded[0].outcome.kind, OutcomeKind::Timeout);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_of_the_known_streams_is_triggered() {
    for (streams, triggered) in [
        (vec!["googleUpdater", "updater"], Some("updater")),
        (vec!["discordUpdater"], Some("discordUpdater")),
        (vec!["refresh"], None),
    ] {
        let world = World::new();
        let one = charm("a", "1");
        world.register(&one, "test");
        world.behave(&one, Behaviour { streams, ..Behaviour::default() });
        let summary = world
            .start_with(&Store::new(), vec![], PollerOptions { limit: Limit::Once, ..world.options() })
            .end()
            .await
            .unwrap();
        let event = world.state().events[0].clone();
        assert_eq!(event.stream, triggered);
        assert_eq!(summary.count(OutcomeKind::NoStream), u64::from(triggered.is_none()));
        assert_eq!(
            world.state().recorded.len(),
            usize::from(triggered.is_none()),
            "what was triggered is noted already"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_expired_or_soon_will_is_renewed_before_the_poll() {
    // (auth.expiresAt, renewals)
    for (expires, renewals) in [
        (json!(WALL - 1), 1),
        (json!(1.7e12), 1),
        (json!(WALL + 30_000), 1),
        (json!(WALL + 180_000), 0),
        (json!(0), 0),
        (json!("soon"), 0),
        (json!(null), 0),
    ] {
        let world = World::new();
        let one = charm("a", "1");
        world.register(&one, "test");
        world.behave(&one, Behaviour { auth_expires: Some(expires.clone()), ..Behaviour::default() });
        let summary = world
            .start_with(&Store::new(), vec![], PollerOptions { limit: Limit::Once, ..world.options() })
            .end()
            .await
            .unwrap();
        assert_eq!((world.state().refreshed, summary.count(OutcomeKind::Success)), (renewals, 1), "{expires}");
    }
}

#[tokio::test(start_paused = true)]
async fn once_polls_every_enabled_charm_once_and_ends() {
    let world = World::new();
    let charms: Vec<CharmRef> =
        (0..50).map(|number| charm(&format!("space {}", number % 7), &number.to_string())).collect();
    for charm in &charms {
        world.register(charm, "test");
    }
    world.set(&charms[3], Some((DisabledBy::Hand, "by hand")));
    world.fail(&charms[4]);
    let options = PollerOptions { limit: Limit::Once, ..world.options() };
    let summary = world.start_with(&Store::new(), vec![], options).end().await.unwrap();
    assert_eq!((summary.polls, summary.failed(), summary.registrations), (49, 1, 50));
    assert!(world.starts(&charms[3]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_service_ends_after_so_many_polls() {
    let world = World::new();
    for number in 0..5 {
        world.register(&charm("a", &number.to_string()), "test");
    }
    let options = PollerOptions { limit: Limit::Polls(12), ..world.options() };
    let summary = world.start_with(&Store::new(), vec![], options).end().await.unwrap();
    assert_eq!((summary.polls, world.state().starts.len()), (12, 12));
}

#[tokio::test(start_paused = true)]
async fn only_the_charms_that_were_named_are_polled() {
    let world = World::new();
    let (one, two, three) = (charm("a", "1"), charm("a", "2"), charm("b", "3"));
    world.register(&one, "test");
    world.register(&two, "test");
    let options = PollerOptions { charms: Some(vec![two.clone(), three.clone()]), ..world.options() };
    let service = world.start_with(&Store::new(), vec![], options);
    seconds(61).await;
    assert_eq!((world.starts(&one).len(), world.starts(&two).len()), (0, 2));
    assert_eq!(world.logs.count(&format!("Charm {three} is to be polled, but is not registered")), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn that_a_charm_which_is_to_be_polled_is_disabled_is_said_with_what_to_do() {
    let world = World::new();
    let (one, two) = (charm("a", "1"), charm("a", "2"));
    world.register(&one, "test");
    world.register(&two, "test");
    world.set(&one, Some((DisabledBy::Hand, "by hand")));
    let options = PollerOptions { charms: Some(vec![one.clone(), two.clone()]), limit: Limit::Once, ..world.options() };
    let summary = world.start_with(&Store::new(), vec![], options).end().await.unwrap();
    assert_eq!((summary.polls, world.starts(&one).len()), (1, 0));
    let line =
        format!("Charm {one} is to be polled, but is disabled, so it is not; to enable it: bg-wasm-host enable {one}");
    assert_eq!((world.logs.count(&line), world.logs.count("but is disabled")), (1, 1), "{}", world.logs.text());
}

#[tokio::test(start_paused = true)]
async fn totals_are_logged_at_intervals() {
    let world = World::new();
    world.register(&charm("a", "1"), "test");
    let service = world.start();
    seconds(601).await;
    assert_eq!(world.logs.count("5 polls in 300 s: 5 succeeded"), 1);
    assert_eq!(world.logs.count("polls in 600 s"), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_registration_has_the_interval_that_it_asks_for_as_far_as_the_operator_lets_it() {
    // (what it asks for, the shortest that the operator allows, what it gets), seconds
    for (asks, shortest, gets) in [(300, None, 300), (10, None, 60), (10, Some(20), 20), (30, Some(20), 30)] {
        let world = World::new();
        let one = charm("a", "1");
        world.register(&one, "test");
        world.asks(&one, Duration::from_secs(asks));
        let min_interval = shortest.map(Duration::from_secs);
        let service = world.start_with(&Store::new(), vec![], PollerOptions { min_interval, ..world.options() });
        seconds(gets * 2 + 1).await;
        assert_eq!(world.starts(&one), [0, gets, gets * 2], "{asks} {shortest:?}");
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_makes_intervals_longer_and_different() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let service = world.start_with(&Store::new(), vec![], PollerOptions { jitter: 0.5, ..world.options() });
    seconds(3_600).await;
    let starts = world.starts(&one);
    let mut gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (60..=90).contains(gap)), "{gaps:?}");
    gaps.sort_unstable();
    gaps.dedup();
    assert!(gaps.len() > 10, "{gaps:?}");
    service.stop().await;
}

/// Also where they are spread after a stall.
#[tokio::test(start_paused = true)]
async fn how_late_polls_are_counts_from_when_they_were_due() {
    let world = World::new();
    let charms: Vec<CharmRef> = (0..60).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &charms {
        world.register(charm, "test");
    }
    let service = world.start();
    seconds(100).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    seconds(61).await;
    let events = world.state().events.clone();
    let after: Vec<u64> = events.iter().map(|event| event.late.as_secs()).filter(|late| *late > 0).collect();
    assert_eq!(after.len(), 30, "{after:?}: one was due in each second");
    assert!(after[0] >= 29 && after.iter().sum::<u64>() >= 30 * 29, "{after:?}");
    assert!(service.stop().await.lateness.longest() >= Duration::from_secs(29));
}

#[tokio::test(start_paused = true)]
async fn how_late_polls_are_and_how_many_were_dropped_is_counted() {
    let world = World::new();
    let (slow, waits) = (charm("a", "slow"), charm("a", "waits"));
    world.register(&slow, "test");
    world.behave(&slow, Behaviour { takes: Duration::from_secs(150), ..Behaviour::default() });
    let service = world.start();
    seconds(10).await;
    // It is due at once, and its space is busy until 150 s.
    world.register(&waits, "test");
    world.behave(&slow, Behaviour::default());
    seconds(145).await;
    assert_eq!((world.starts(&slow), world.starts(&waits)), (vec![0, 150], vec![150]));
    let late = world.state().events.iter().map(|event| event.late.as_secs()).collect::<Vec<_>>();
    assert_eq!(late, [0, 140, 0]);
    let summary = service.stop().await;
    // The slow one was due at 60 s and at 120 s and is polled once for both; of the other's three turns two are gone.
    assert_eq!(summary.dropped, 1 + 2);
    assert_eq!((summary.lateness.count(), summary.lateness.longest().as_secs()), (3, 140));
    assert_eq!(summary.last, Duration::from_millis(50));
}
