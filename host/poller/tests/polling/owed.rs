//! A charm that its integration has named is owed a poll until one succeeds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_poller::*;

use crate::world::*;

/// Polls of this charm fail this many times, then succeed.
fn fails(world: &World, charm: &CharmRef, times: usize) {
    let failure = Ok(Outcome::failure(OutcomeKind::HandlerFailed, "it throws"));
    let outcomes = std::iter::repeat_n(failure, times).chain([Ok(Outcome::success())]).collect();
    world.behave(charm, Behaviour { outcomes, ..Behaviour::default() });
}

/// A charm that its integration names in its first list, at 0 s, and never again.
async fn named_once(world: &Arc<World>, store: &Arc<Store>, failures: usize) -> (CharmRef, Arc<Component>, Service) {
    let one = charm("a", "1");
    world.register(&one, "gmail");
    fails(world, &one, failures);
    let gmail = Component::new("gmail", &[&one]);
    let service = world.start_with(store, vec![gmail.clone()], world.options());
    seconds(1).await;
    gmail.answers(Ok(Vec::new()));
    (one, gmail, service)
}

/// The starts of its polls in whole minutes: a backoff is up to a tenth shorter.
fn minutes(world: &World, charm: &CharmRef) -> Vec<u64> {
    world.starts(charm).iter().map(|at| at.div_ceil(60)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_was_named_once_is_polled_until_that_succeeds() {
    let world = World::new();
    let (one, _, service) = named_once(&world, &Store::new(), 3).await;
    seconds(3_600).await;
    assert_eq!(minutes(&world, &one), [0, 2, 6, 14], "and not again: there is nothing new");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn being_named_again_makes_no_difference() {
    let world = World::new();
    let store = Store::new();
    let (one, gmail, service) = named_once(&world, &store, 3).await;
    gmail.answers(Ok(vec![one.clone()]));
    seconds(600).await;
    gmail.answers(Ok(Vec::new()));
    seconds(3_000).await;
    assert_eq!(minutes(&world, &one), [0, 2, 6, 14]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_outlives_restarts_kills_failed_lists_and_new_components() {
    let world = World::new();
    let store = Store::new();
    let (one, _, service) = named_once(&world, &store, 4).await;
    seconds(10).await;
    service.kill().await;
    // The next lists name nobody, or there is none.
    for (running, failing) in [(150, false), (60, true), (400, true)] {
        let gmail = Component::new("gmail", &[]);
        if failing {
            gmail.fails();
        }
        let (replace, replacements) = tokio::sync::mpsc::channel(1);
        let service = world.start_with_replacements(&store, vec![gmail.clone()], world.options(), replacements);
        seconds(running / 2).await;
        let replacement = Component::new("gmail", &[]);
        assert!(replace.send(Replacement { integration: replacement, interval: None }).await.is_ok());
        seconds(running / 2).await;
        service.kill().await;
    }
    let service = world.start_with(&store, vec![Component::new("gmail", &[])], world.options());
    seconds(3_600).await;
    assert_eq!(world.starts(&one).len(), 5, "four failures and a success: {:?}", world.starts(&one));
    service.stop().await;
    let service = world.start_with(&store, vec![Component::new("gmail", &[])], world.options());
    seconds(600).await;
    assert_eq!(world.starts(&one).len(), 5, "nothing is owed after the success");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_announced_while_the_charm_is_polled_is_owed_another_poll() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "gmail");
    world.behave(&one, Behaviour { takes: Duration::from_secs(70), ..Behaviour::default() });
    let gmail = Component::new("gmail", &[&one]);
    let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
    // Its first poll goes from 0 to 70 s; a list at 60 s names it.
    seconds(65).await;
    gmail.answers(Ok(Vec::new()));
    seconds(3_600).await;
    assert_eq!(world.starts(&one), [0, 70]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_the_integration_finds_unfit_is_still_owed_its_poll() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "gmail");
    let gmail = Component::new("gmail", &[&one]);
    gmail.valid.store(false, Ordering::Relaxed);
    let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
    seconds(1).await;
    gmail.answers(Ok(Vec::new()));
    seconds(400).await;
    assert!(world.starts(&one).is_empty());
    gmail.valid.store(true, Ordering::Relaxed);
    seconds(3_600).await;
    assert_eq!(world.starts(&one).len(), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_component_keeps_its_state_only_when_it_is_written_down_what_is_owed() {
    let world = World::new();
    let store = Store::new();
    store.fails.store(true, Ordering::Relaxed);
    let one = charm("a", "1");
    world.register(&one, "gmail");
    fails(&world, &one, 2);
    let gmail = Component::new("gmail", &[&one]);
    *gmail.writes.lock().unwrap() = Some("etag".into());
    let service = world.start_with(&store, vec![gmail.clone()], world.options());
    seconds(45).await;
    assert!(gmail.kept.lock().unwrap().is_empty(), "the disk is full");
    assert_eq!(world.logs.count("goes on with the state from before its last fetch-charms"), 1);
    store.fails.store(false, Ordering::Relaxed);
    seconds(60).await;
    assert_eq!(*gmail.kept.lock().unwrap(), ["etag"]);
    assert!(!store.get(&one).unwrap().owed_since.is_never());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_succeeds_writes_nothing_more_also_if_it_was_owed() {
    let world = World::new();
    world.shares_clock.store(true, Ordering::Relaxed);
    let store = Store::new();
    let one = charm("a", "1");
    world.register(&one, "gmail");
    seconds(1).await;
    let gmail = Component::new("gmail", &[&one]);
    let service = world.start_with(&store, vec![gmail.clone()], world.options());
    seconds(630).await;
    assert_eq!((world.starts(&one).len(), store.writes.load(Ordering::Relaxed)), (11, 0), "no state, no note");
    *gmail.writes.lock().unwrap() = Some("etag".into());
    seconds(600).await;
    assert_eq!((world.starts(&one).len(), store.writes.load(Ordering::Relaxed)), (21, 10), "one note for each list");
    service.kill().await;
    // The runtime's own note of the last success says that nothing is owed.
    world.state().registrations.get_mut(&one).unwrap().last_outcome = Some(OutcomeKind::Success);
    let service = world.start_with(&store, vec![Component::new("gmail", &[])], world.options());
    seconds(600).await;
    assert_eq!(world.starts(&one).len(), 21);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_component_keeps_no_state_by_which_charms_that_the_loop_does_not_poll_would_lose_a_change() {
    let world = World::new();
    let (one, two) = (charm("a", "1"), charm("b", "2"));
    world.register(&one, "gmail");
    world.register(&two, "gmail");
    let gmail = Component::new("gmail", &[&one, &two]);
    *gmail.writes.lock().unwrap() = Some("etag".into());
    let options = PollerOptions { charms: Some(vec![one.clone()]), ..world.options() };
    let service = world.start_with(&Store::new(), vec![gmail.clone()], options);
    seconds(200).await;
    assert!(gmail.kept.lock().unwrap().is_empty(), "another loop polls the other charm");
    service.stop().await;

    // One that the loop has not heard of yet, and one that nobody ever registers.
    let (early, nobody) = (charm("c", "3"), charm("d", "4"));
    gmail.answers(Ok(vec![early.clone(), nobody]));
    let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
    seconds(30).await;
    assert!(gmail.kept.lock().unwrap().is_empty());
    world.register(&early, "gmail");
    seconds(60).await;
    assert_eq!(gmail.kept.lock().unwrap().len(), 1, "what is still not registered is the component's own mistake");
    service.stop().await;
}

/// Each is registered, and then goes while `fetch-charms` runs, which names it.
#[tokio::test(start_paused = true)]
async fn charms_that_go_while_they_are_named_keep_no_state_from_being_kept_and_nobody_is_blamed_for_it() {
    for relabelled in [false, true] {
        let world = World::new();
        let one = charm("a", "1");
        world.register(&one, "gmail");
        let gmail = Component::new("gmail", &[&one]);
        *gmail.takes.lock().unwrap() = Duration::from_secs(3);
        *gmail.writes.lock().unwrap() = Some("etag".into());
        let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
        for number in 0..20 {
            let passing = charm("b", &number.to_string());
            seconds(50).await;
            world.register(&passing, "gmail");
            gmail.answers(Ok(vec![one.clone(), passing.clone()]));
            seconds(if number == 0 { 11 } else { 10 }).await;
            if relabelled {
                world.register(&passing, "gcal");
            } else {
                world.unregister(&passing);
            }
        }
        seconds(30).await;
        assert!(gmail.kept.lock().unwrap().len() >= 20, "{relabelled}: {:?}", gmail.kept.lock().unwrap());
        assert_eq!(world.logs.count("that are not registered for it"), 0, "{relabelled}: {}", world.logs.text());
        assert!(world.starts(&one).len() >= 20, "{relabelled}: {:?}", world.starts(&one));
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_already_is_not_written_again() {
    let world = World::new();
    let store = Store::new();
    let one = charm("a", "1");
    world.register(&one, "gmail");
    fails(&world, &one, 10);
    let gmail = Component::new("gmail", &[&one]);
    *gmail.writes.lock().unwrap() = Some("etag".into());
    let service = world.start_with(&store, vec![gmail.clone()], world.options());
    seconds(30).await;
    let writes = store.writes.load(Ordering::Relaxed);
    seconds(40).await;
    assert_eq!((gmail.kept.lock().unwrap().len(), store.writes.load(Ordering::Relaxed)), (2, writes));
    service.stop().await;
}
