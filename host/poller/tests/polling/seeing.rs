//! What a running loop shows of itself: how integrations stand, how busy it is; and whom it polls if it is not to poll
//! all.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_poller::*;

use crate::world::*;

fn error(kind: OutcomeKind, message: &str) -> Answer {
    Err(IntegrationError::new(kind, message))
}

fn standing(options: &PollerOptions, name: &str) -> Standing {
    options.gauges.integrations().remove(&integration(name)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_failing_list_is_shown_with_its_reason_until_the_next_answer() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "mail");
    let mail = Component::new("mail", &[&one]);
    let options = world.options();
    let service = world.start_with(&Store::new(), vec![mail.clone()], options.clone());
    seconds(70).await;
    let works = standing(&options, "mail");
    assert!(!works.failing && works.failure.is_none() && works.named == 1, "{works:?}");
    mail.answers(error(OutcomeKind::Timeout, "5 s are\nover"));
    seconds(120).await;
    let fails = standing(&options, "mail");
    let failure = fails.failure.clone().unwrap();
    assert!(fails.failing && !fails.paused && !fails.without_list, "its last list is still used: {fails:?}");
    assert_eq!((failure.function.as_str(), failure.kind, failure.in_a_row), ("fetch-charms", OutcomeKind::Timeout, 2));
    assert_eq!(failure.reason, "5 s are\\nover");
    assert_eq!(failure.at.0 / 1_000, WALL / 1_000 + 180);
    // Five minutes later there is no list, and then it is paused.
    seconds(300).await;
    let stopped = standing(&options, "mail");
    assert!(stopped.without_list && stopped.failing, "{stopped:?}");
    seconds(600).await;
    let paused = standing(&options, "mail");
    assert!(paused.paused && paused.paused_until > world.wall(), "{paused:?}");
    mail.answers(Ok(vec![one.clone()]));
    seconds(3_700).await;
    let again = standing(&options, "mail");
    assert!(!again.paused && !again.failing && !again.without_list && again.paused_until.is_never(), "{again:?}");
    assert!(again.failure.is_some(), "the last failure can still be looked at");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_change_of_the_kind_of_failure_is_logged_once() {
    let world = World::new();
    let mail = Component::new("mail", &[]);
    let service = world.start_with(&Store::new(), vec![mail.clone()], world.options());
    seconds(30).await;
    for (kind, message, lasts) in [
        (OutcomeKind::Unavailable, "no network", 120),
        (OutcomeKind::Denied, "no grant", 60),
        (OutcomeKind::Unavailable, "gone", 60),
    ] {
        mail.answers(error(kind, message));
        seconds(lasts).await;
    }
    let logs = &world.logs;
    assert_eq!(logs.count("fetch-charms of the integration mail failed"), 1, "{}", logs.text());
    assert_eq!(logs.count("still fails, with Denied instead of Unavailable: no grant"), 1, "{}", logs.text());
    assert_eq!(logs.count("still fails, with Unavailable instead of Denied: gone"), 1, "{}", logs.text());
    assert_eq!(logs.count("still fails"), 2, "{}", logs.text());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn kinds_of_failures_that_alternate_are_logged_once_each_until_it_works_again() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "mail");
    let mail = Component::new("mail", &[&one]);
    let options = PollerOptions { interval: Duration::from_secs(10), ..world.options() };
    let service = world.start_with(&Store::new(), vec![mail.clone()], options);
    let kinds = [OutcomeKind::Unavailable, OutcomeKind::Denied, OutcomeKind::Unavailable, OutcomeKind::NotFound];
    seconds(5).await;
    for round in 1..=2 {
        let mut lines = Vec::new();
        for number in 0..600 {
            mail.answers(error(kinds[number % kinds.len()], "no news"));
            seconds(10).await;
            lines.push(world.logs.count("still fails"));
        }
        assert_eq!(world.logs.count("still fails"), 4 * round, "{}", world.logs.text());
        assert!(lines.windows(5).all(|five| five[4] - five[0] <= 1), "one line at a time: {lines:?}");
        mail.answers(Ok(vec![one.clone()]));
        seconds(10).await;
        assert_eq!(world.logs.count("works again"), round);
    }
    // The other function.
    for number in 0..600 {
        mail.breaks(None, kinds[number % 2]);
        seconds(100).await;
    }
    assert!((1..=3).contains(&world.logs.count("and has answered for no charm lately")), "{}", world.logs.text());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_validation_that_fails_is_logged_once_and_so_is_each_change_of_its_kind_and_that_it_works_again() {
    let world = World::new();
    let all: Vec<CharmRef> = (0..3).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &all {
        world.register(charm, "mail");
    }
    let mail = Component::new("mail", &all.iter().collect::<Vec<_>>());
    let service = world.start_with(&Store::new(), vec![mail.clone()], world.options());
    seconds(300).await;
    // One of them breaks it: that is this charm's trouble, and its polls say so.
    mail.breaks(Some(&all[0]), OutcomeKind::Trapped);
    seconds(600).await;
    let lines = |text: &str| {
        world
            .logs
            .text()
            .lines()
            .filter(|line| {
                line.contains("is-valid-charm of the integration mail ")
                    && line.contains(text)
                    && !line.contains(" failed: ")
            })
            .count()
    };
    assert_eq!(lines(""), 0, "{}", world.logs.text());
    for (kind, text) in [
        (OutcomeKind::Trapped, "fails, and has answered for no charm lately: wasm trap: unreachable"),
        (OutcomeKind::Denied, "still fails, with Denied instead of Trapped"),
        (OutcomeKind::Timeout, "still fails, with Timeout instead of Denied"),
    ] {
        mail.is_fixed();
        mail.breaks(None, kind);
        seconds(4_000).await;
        assert_eq!(lines(text), 1, "{}", world.logs.text());
    }
    mail.is_fixed();
    seconds(8_000).await;
    assert_eq!((lines("works again"), lines("")), (1, 4), "{}", world.logs.text());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_validation_that_fails_for_every_charm_is_shown_and_one_charm_of_many_is_not() {
    let world = World::new();
    let all: Vec<CharmRef> = (0..4).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &all {
        world.register(charm, "mail");
    }
    let mail = Component::new("mail", &all.iter().collect::<Vec<_>>());
    mail.breaks(Some(&all[0]), OutcomeKind::Trapped);
    let options = world.options();
    let service = world.start_with(&Store::new(), vec![mail.clone()], options.clone());
    seconds(300).await;
    let one = standing(&options, "mail");
    assert!(!one.failing && one.failure.is_some(), "{one:?}");
    mail.breaks(None, OutcomeKind::Trapped);
    seconds(300).await;
    let every = standing(&options, "mail");
    let failure = every.failure.clone().unwrap();
    assert!(every.failing, "{every:?}");
    assert_eq!((failure.function.as_str(), failure.reason.as_str()), ("is-valid-charm", "wasm trap: unreachable"));
    mail.is_fixed();
    seconds(3_700).await;
    assert!(!standing(&options, "mail").failing);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn gauges_go_on_in_an_outage() {
    let world = World::new();
    let slow = charm("a", "1");
    world.register(&slow, "mine");
    world.behave(&slow, Behaviour { takes: Duration::from_secs(50), ..Behaviour::default() });
    let other = charm("b", "1");
    world.register(&other, "mine");
    let options = world.options();
    let service = world.start_with(&Store::new(), Vec::new(), options.clone());
    seconds(40).await;
    assert_eq!(options.gauges.running(), 1);
    world.down.store(true, Ordering::Relaxed);
    seconds(60).await;
    assert_eq!(world.logs.count("polling pauses until it answers"), 1, "{}", world.logs.text());
    assert_eq!(options.gauges.running(), 0, "the slow poll has ended since");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_lost_gives_its_place_back_and_its_charm_is_polled_again() {
    let world = World::new();
    let (lost, neighbour) = (charm("a", "lost"), charm("a", "neighbour"));
    for charm in [&lost, &neighbour] {
        world.register(charm, "mine");
    }
    let takes = Duration::from_secs(30);
    world.behave(&lost, Behaviour { takes, panics_late: true, ..Behaviour::default() });
    let options = PollerOptions { poll_timeout: Duration::from_secs(5), ..world.options() };
    let service = world.start_with(&Store::new(), Vec::new(), options.clone());
    seconds(50).await;
    assert!(world.logs.count("was lost, which is a fault of this program") >= 1, "{}", world.logs.text());
    world.behave(&lost, Behaviour::default());
    seconds(300).await;
    assert!(world.starts(&neighbour).len() >= 5, "{:?}", world.starts(&neighbour));
    assert!(world.starts(&lost).len() >= 4, "{:?}", world.starts(&lost));
    assert_eq!(options.gauges.running(), 0);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn registrations_are_read_once_at_the_start_and_once_more_for_a_change() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "mine");
    let service = world.start();
    seconds(30).await;
    assert_eq!(world.state().listed, 1);
    world.register(&charm("b", "1"), "mine");
    seconds(10).await;
    assert_eq!(world.state().listed, 2);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_all_charms_those_of_the_named_integrations_are_polled() {
    let world = World::new();
    let (mail, feed) = (charm("a", "mail"), charm("b", "feed"));
    world.register(&mail, "mail");
    world.register(&feed, "feed");
    let options = PollerOptions { integrations: Some([integration("feed")].into()), ..world.options() };
    let service = world.start_with(&Store::new(), Vec::new(), options);
    seconds(100).await;
    assert!(world.starts(&mail).is_empty() && world.starts(&feed).len() >= 2);
    // One that moves to another integration moves out of what is polled, and one that comes is polled.
    world.register(&feed, "other");
    world.register(&mail, "feed");
    seconds(200).await;
    let before = world.starts(&feed).len();
    assert!(world.starts(&mail).len() >= 2);
    seconds(200).await;
    assert_eq!(world.starts(&feed).len(), before);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_single_round_leaves_out_what_backs_off_if_it_is_to_be_patient() {
    let world = World::new();
    let (good, bad) = (charm("a", "good"), charm("b", "bad"));
    for charm in [&good, &bad] {
        world.register(charm, "mine");
    }
    world.fail(&bad);
    let store = Store::new();
    let once = |patient| PollerOptions { limit: Limit::Once, patient, ..world.options() };
    let round = async |patient| {
        let before = (world.starts(&good).len(), world.starts(&bad).len());
        let summary: Arc<Summary> = Arc::new(world.start_with(&store, Vec::new(), once(patient)).end().await.unwrap());
        seconds(1).await;
        assert_eq!(summary.registrations, 2);
        (world.starts(&good).len() - before.0, world.starts(&bad).len() - before.1)
    };
    assert_eq!(round(true).await, (1, 1), "it has not failed yet");
    assert_eq!(round(true).await, (1, 0));
    assert_eq!(round(false).await, (1, 1));
    assert_eq!(world.logs.count("are not polled before their time: 1"), 1, "{}", world.logs.text());
    seconds(4_000).await;
    assert_eq!(round(true).await, (1, 1), "its time has come");
}
