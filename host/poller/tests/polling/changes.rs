//! Changes of registrations while the loop runs.

use std::time::Duration;

use bg_poller::*;

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn a_new_registration_is_polled_at_once_without_a_restart() {
    let world = World::new();
    let service = world.start();
    seconds(100).await;
    let one = charm("a", "1");
    world.register(&one, "test");
    seconds(65).await;
    assert_eq!(world.starts(&one), [100, 160]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_registration_is_polled_before_its_integration_could_name_it() {
    let world = World::new();
    let gmail = Component::new("gmail", &[]);
    let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
    seconds(130).await;
    let one = charm("a", "1");
    world.register(&one, "gmail");
    seconds(300).await;
    assert_eq!(world.starts(&one), [130], "once; then the next list leaves it out");
    gmail.answers(Ok(vec![one.clone()]));
    seconds(61).await;
    assert_eq!(world.starts(&one).len(), 2);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_registrations_at_once_are_all_polled_at_once() {
    let world = World::new();
    let service = world.start();
    seconds(10).await;
    for number in 0..1_000 {
        world.register(&charm(&format!("space {number}"), "1"), "test");
    }
    seconds(2).await;
    let soon = world.state().starts.len();
    assert!((100..200).contains(&soon), "{soon}");
    seconds(60).await;
    assert!(world.state().starts.len() >= 1_000);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_removed_or_disabled_is_polled_no_more_and_comes_back_when_registered() {
    let world = World::new();
    let (removed, disabled) = (charm("a", "1"), charm("b", "2"));
    world.register(&removed, "test");
    world.register(&disabled, "test");
    let store = Store::new();
    let service = world.start_with(&store, vec![], world.options());
    seconds(70).await;
    assert!(store.get(&removed).is_some());
    world.unregister(&removed);
    world.set(&disabled, Some((DisabledBy::Hand, "by hand")));
    let before = world.state().starts.len();
    seconds(300).await;
    assert_eq!(world.state().starts.len(), before);
    assert!(store.get(&removed).is_none());
    world.register(&removed, "test");
    world.set(&disabled, None);
    seconds(1).await;
    assert_eq!(world.state().starts.len(), before + 2);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn changes_during_a_poll_wait_for_its_end() {
    let world = World::new();
    let charms: Vec<CharmRef> = (0..4).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &charms {
        world.register(charm, "test");
        world.behave(charm, Behaviour { takes: Duration::from_secs(40), ..Behaviour::default() });
    }
    let moved = Component::new("other", &[&charms[3]]);
    let service = world.start_with(
        &Store::new(),
        vec![moved],
        PollerOptions { limit: Limit::None, interval: Duration::from_secs(4), ..world.options() },
    );
    seconds(10).await;
    assert_eq!(world.state().running.len(), 4);
    world.unregister(&charms[0]);
    world.set(&charms[1], Some((DisabledBy::Hand, "by hand")));
    // Removed and registered again: the world checks that it is never polled twice at once.
    world.unregister(&charms[2]);
    seconds(5).await;
    world.register(&charms[2], "test");
    world.register(&charms[3], "other");
    seconds(100).await;
    assert_eq!(world.starts(&charms[0]).len(), 1);
    assert_eq!(world.starts(&charms[1]).len(), 1);
    assert!(world.starts(&charms[2]).len() >= 3);
    assert!(world.starts(&charms[3]).len() >= 3);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn polls_alone_do_not_make_the_registrations_be_read_again() {
    let world = World::new();
    world.register(&charm("a", "1"), "test");
    let service = world.start();
    seconds(10_000).await;
    assert_eq!(world.state().listed, 1, "at the start alone");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_interval_counts_from_the_last_poll() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let min_interval = Some(Duration::from_secs(1));
    let service = world.start_with(&Store::new(), vec![], PollerOptions { min_interval, ..world.options() });
    seconds(30).await;
    world.asks(&one, Duration::from_mins(5));
    seconds(290).await;
    world.asks(&one, Duration::from_secs(50));
    seconds(100).await;
    world.asks(&one, Duration::from_secs(10));
    seconds(5).await;
    assert_eq!(world.starts(&one), [0, 300, 350, 400, 420], "the last at once: 10 s are over");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_interval_counts_for_a_charm_that_waits_for_its_integrations_next_list() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "gmail");
    world.asks(&one, Duration::from_secs(20));
    let min_interval = Some(Duration::from_secs(1));
    let options = PollerOptions { min_interval, ..world.options() };
    let service = world.start_with(&Store::new(), vec![Component::new("gmail", &[&one])], options);
    seconds(40).await;
    // Due since 20 s; the list that names it comes at 60 s.
    world.asks(&one, Duration::from_mins(3));
    seconds(150).await;
    assert_eq!(world.starts(&one), [0, 180]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_component_is_asked_at_once_with_its_own_interval_and_without_the_old_ones_failures() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "gmail");
    let (old, new) = (Component::new("gmail", &[&one]), Component::new("gmail", &[&one]));
    old.fails();
    let (replaced, replacements) = tokio::sync::mpsc::channel(1);
    let service = world.start_with_replacements(&Store::new(), vec![old.clone()], world.options(), replacements);
    seconds(1_000).await;
    assert!(world.starts(&one).is_empty());
    assert!(world.logs.count("The integration gmail is paused") > 1, "{}", world.logs.text());
    let interval = Some(Duration::from_secs(20));
    replaced.send(Replacement { integration: new.clone(), interval }).await.ok().unwrap();
    seconds(45).await;
    assert_eq!(world.starts(&one), [1_000, 1_020, 1_040]);
    assert_eq!(new.asked_at(), [1_000, 1_020, 1_040]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn charms_that_wait_because_of_the_old_component_are_polled_soon_by_the_new_one() {
    let world = World::new();
    let charms: Vec<CharmRef> = (0..3).map(|number| charm(&format!("space {number}"), "1")).collect();
    let all: Vec<&CharmRef> = charms.iter().collect();
    for charm in &charms {
        world.register(charm, "gmail");
    }
    let (old, new) = (Component::new("gmail", &all), Component::new("gmail", &all));
    // Too few to pause it.
    old.breaks(None, OutcomeKind::Trapped);
    let (replaced, replacements) = tokio::sync::mpsc::channel(1);
    let service = world.start_with_replacements(&Store::new(), vec![old], world.options(), replacements);
    seconds(1_000).await;
    assert!(charms.iter().all(|charm| world.starts(charm).is_empty()));
    replaced.send(Replacement { integration: new, interval: None }).await.ok().unwrap();
    seconds(62).await;
    for charm in &charms {
        assert_eq!(world.starts(charm), [1_000, 1_060], "and no failure is left");
    }
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_interval_that_is_set_right_after_registering_does_not_put_off_the_first_poll() {
    let world = World::new();
    let (slow, one) = (charm("a", "slow"), charm("a", "1"));
    world.register(&slow, "test");
    world.behave(&slow, Behaviour { takes: Duration::from_secs(30), ..Behaviour::default() });
    let service = world.start();
    seconds(10).await;
    // It is due, and waits for its space.
    world.register(&one, "test");
    seconds(2).await;
    world.asks(&one, Duration::from_mins(5));
    seconds(330).await;
    assert_eq!(world.starts(&one), [30, 330]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_asked_for_comes_at_once_and_the_next_an_interval_later() {
    let world = World::new();
    let (one, other) = (charm("a", "1"), charm("b", "2"));
    world.register(&one, "test");
    world.register(&other, "test");
    let service = world.start();
    seconds(100).await;
    let before = world.starts(&one).len();
    assert!(service.request(&one).await);
    seconds(50).await;
    let starts = world.starts(&one);
    assert_eq!(starts[before..], [100]);
    seconds(12).await;
    assert_eq!(world.starts(&one)[before..], [100, 160]);
    world.set(&other, Some((DisabledBy::Hand, "by hand")));
    seconds(2).await;
    assert!(!service.request(&other).await, "it is disabled");
    assert!(!service.request(&charm("c", "3")).await, "it is not registered");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_asked_for_is_made_also_of_a_charm_that_backs_off_or_is_left_out() {
    let world = World::new();
    let (failing, left_out) = (charm("a", "1"), charm("b", "2"));
    world.register(&failing, "test");
    world.register(&left_out, "gmail");
    world.fail(&failing);
    let gmail = Component::new("gmail", &[]);
    let service = world.start_with(&Store::new(), vec![gmail], world.options());
    seconds(130).await;
    let (fails, polls) = (world.starts(&failing).len(), world.starts(&left_out).len());
    assert!(service.request(&failing).await);
    assert!(service.request(&left_out).await);
    seconds(1).await;
    assert_eq!((world.starts(&failing).len(), world.starts(&left_out).len()), (fails + 1, polls + 1));
    let last = world.state().events.iter().rfind(|event| event.charm == failing).unwrap().clone();
    assert_eq!(last.failures as usize, fails + 1, "it counts as any other poll");
    seconds(120).await;
    assert_eq!(world.starts(&left_out).len(), polls + 1, "once");
    service.stop().await;
}
