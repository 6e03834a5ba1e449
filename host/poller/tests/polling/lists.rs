//! What integrations name, and what is registered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_poller::*;

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn what_an_integration_leaves_out_is_not_polled_until_it_is_named() {
    let world = World::new();
    let (busy, quiet) = (charm("a", "1"), charm("b", "2"));
    world.register(&busy, "gmail");
    world.register(&quiet, "gmail");
    let gmail = Component::new("gmail", &[&busy]);
    let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
    seconds(150).await;
    assert_eq!((world.starts(&busy).len(), world.starts(&quiet).len()), (3, 0));
    gmail.answers(Ok(vec![busy.clone(), quiet.clone()]));
    seconds(31).await;
    assert_eq!(world.starts(&quiet), [180], "named at 180 s, and long due");
    gmail.answers(Ok(vec![busy.clone()]));
    seconds(120).await;
    assert_eq!(world.starts(&quiet).len(), 1);
    let summary = service.stop().await;
    assert_eq!((summary.left_out, gmail.asked.load(Ordering::Relaxed)), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn what_is_named_but_not_registered_is_dropped_and_counted() {
    let world = World::new();
    let (mine, others, unknown) = (charm("a", "1"), charm("b", "2"), charm("c", "3"));
    world.register(&mine, "gmail");
    world.register(&others, "gcal");
    let gmail = Component::new("gmail", &[&mine, &others, &unknown]);
    let gcal = Component::new("gcal", &[]);
    let service = world.start_with(&Store::new(), vec![gmail, gcal], world.options());
    seconds(130).await;
    let polls = [&mine, &others, &unknown].map(|charm| world.starts(charm).len());
    assert_eq!(polls, [3, 0, 0]);
    assert_eq!(world.logs.count("names 2 charms that are not registered for it"), 1);
    assert_eq!(service.stop().await.named_unregistered, 6);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_had_is_replaced_by_the_last_one_for_five_minutes() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "gmail");
    let gmail = Component::new("gmail", &[&one]);
    let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
    seconds(70).await;
    // Temporary, as it says itself: that never pauses it.
    gmail.answers(Err(IntegrationError::new(OutcomeKind::Unavailable, "not now")));
    seconds(600).await;
    // Good lists came at 0 and 60 s.
    assert_eq!(world.starts(&one), [0, 60, 120, 180, 240, 300]);
    assert_eq!(world.logs.count("its last list is used for up to 5 minutes: Unavailable: not now"), 1);
    assert_eq!(world.logs.count("its charms are not polled until it works"), 1);
    gmail.answers(Ok(vec![one.clone()]));
    seconds(60).await;
    assert_eq!(world.starts(&one).len(), 7);
    assert_eq!(world.logs.count("works again"), 1);
    assert_eq!(service.stop().await.failed_lists, 10);
}

#[tokio::test(start_paused = true)]
async fn charms_of_integrations_without_component_are_polled_all_the_same() {
    let world = World::new();
    let (with, without, also) = (charm("a", "1"), charm("b", "2"), charm("c", "3"));
    world.register(&with, "gmail");
    world.register(&without, "mine");
    world.register(&also, "mine");
    let service = world.start_with(&Store::new(), vec![Component::new("gmail", &[])], world.options());
    seconds(61).await;
    assert_eq!((world.starts(&with).len(), world.starts(&without).len()), (0, 2));
    assert_eq!(world.logs.count("There is no component for the integration mine"), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_unfit_charm_fails_without_being_triggered() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "gmail");
    let gmail = Component::new("gmail", &[&one]);
    gmail.valid.store(false, Ordering::Relaxed);
    let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
    seconds(130).await;
    assert!(world.starts(&one).is_empty());
    assert_eq!(world.state().recorded.len(), 2);
    assert_eq!(
        world.state().recorded[1].outcome.to_string(),
        "Invalid: the integration gmail finds the charm unfit for it"
    );
    *gmail.reason.lock().unwrap() = Some("nobody has signed in".into());
    seconds(300).await;
    let last = world.state().recorded.last().unwrap().outcome.to_string();
    assert_eq!(last, "Invalid: the integration gmail finds the charm unfit for it: nobody has signed in");
    gmail.valid.store(true, Ordering::Relaxed);
    seconds(600).await;
    assert!(!world.starts(&one).is_empty());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_integration_can_have_an_interval_of_its_own() {
    let world = World::new();
    let (fast, normal) = (charm("a", "1"), charm("b", "2"));
    world.register(&fast, "gmail");
    world.register(&normal, "other");
    let gmail = Component::new("gmail", &[&fast]);
    let intervals = [(integration("gmail"), Duration::from_secs(20))].into();
    let service = world.start_with(&Store::new(), vec![gmail.clone()], PollerOptions { intervals, ..world.options() });
    seconds(61).await;
    assert_eq!(world.starts(&fast), [0, 20, 40, 60]);
    assert_eq!(world.starts(&normal), [0, 60]);
    assert_eq!(gmail.asked.load(Ordering::Relaxed), 4);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn once_polls_what_the_first_list_names() {
    let world = World::new();
    let (named, left_out, failing) = (charm("a", "1"), charm("b", "2"), charm("c", "3"));
    world.register(&named, "gmail");
    world.register(&left_out, "gmail");
    world.register(&failing, "broken");
    let broken = Component::new("broken", &[]);
    broken.fails();
    let integrations: Vec<Arc<dyn Integration>> = vec![Component::new("gmail", &[&named]), broken];
    let options = PollerOptions { limit: Limit::Once, initialize: true, ..world.options() };
    let summary = world.start_with(&Store::new(), integrations, options).end().await.unwrap();
    assert_eq!((summary.polls, summary.left_out, summary.failed_lists), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn integrations_are_initialized_when_that_is_wanted_and_two_of_a_name_are_refused() {
    let world = World::new();
    let gmail = Component::new("gmail", &[]);
    let service =
        world.start_with(&Store::new(), vec![gmail.clone()], PollerOptions { initialize: true, ..world.options() });
    seconds(1).await;
    assert_eq!(gmail.initialized.load(Ordering::Relaxed), 1);
    service.stop().await;
    let error = world.start_with(&Store::new(), vec![gmail.clone(), gmail], world.options()).end().await.unwrap_err();
    assert_eq!(error, PollerError::TwoComponents(integration("gmail")));
}

#[tokio::test(start_paused = true)]
async fn a_list_names_a_charm_for_one_poll() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "gmail");
    let gmail = Component::new("gmail", &[&one]);
    // Each list takes a while, so the charm is due while the next one is under way.
    *gmail.takes.lock().unwrap() = Duration::from_secs(2);
    let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
    seconds(61).await;
    assert_eq!(world.starts(&one), [2]);
    gmail.answers(Ok(Vec::new()));
    seconds(120).await;
    assert_eq!(world.starts(&one), [2]);
    gmail.answers(Ok(vec![one.clone()]));
    seconds(121).await;
    assert_eq!(world.starts(&one), [2, 182, 242], "as soon as it is named");
    service.stop().await;
}
