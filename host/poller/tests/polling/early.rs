//! Charms whose cause may have been fixed are polled before their turn, in places that nobody else wants.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bg_identity::space_did;
use bg_poller::*;

use crate::world::*;

const HOUR: Duration = Duration::from_hours(1);

/// Registers a charm whose last poll lacked a sign-in.
fn register_waiting(world: &World, charm: &CharmRef, name: &str) {
    world.register(charm, name);
    let mut state = world.state();
    let registration = state.registrations.get_mut(charm).unwrap();
    registration.last_run = registration.updated_at;
    (registration.last_outcome, registration.last_blame) = (Some(OutcomeKind::Denied), Some(Blame::Credential));
}

fn takes(world: &World, charm: &CharmRef, seconds: u64) {
    world.behave(charm, Behaviour { takes: Duration::from_secs(seconds), ..Behaviour::default() });
}

/// How many of them were polled at all.
fn polled(world: &World, charms: &[CharmRef]) -> usize {
    let polled: HashSet<CharmRef> = world.state().starts.iter().map(|(charm, _)| charm.clone()).collect();
    charms.iter().filter(|charm| polled.contains(charm)).count()
}

#[tokio::test(start_paused = true)]
async fn charms_of_many_spaces_go_on_in_parallel_however_many_each_space_has() {
    let world = World::new();
    let charms: Vec<CharmRef> =
        (0..10_000).map(|number| charm(&format!("space {}", number / 100), &number.to_string())).collect();
    for charm in &charms {
        register_waiting(&world, charm, "mail");
        takes(&world, charm, 1);
    }
    let service = world.start_with(&Store::new(), vec![], PollerOptions { interval: HOUR, ..world.options() });
    // Sixteen at a time.
    seconds(650).await;
    assert_eq!(polled(&world, &charms), charms.len());
    service.stop().await;
}

/// They were polled without success, and their cause is fixed for all of them at one moment.
#[tokio::test(start_paused = true)]
async fn charms_whose_cause_is_fixed_while_the_service_runs_all_go_on_as_fast_as_places_allow() {
    let world = World::new();
    let charms: Vec<CharmRef> =
        (0..10_000).map(|number| charm(&format!("space {}", number / 100), &number.to_string())).collect();
    for charm in &charms {
        register_waiting(&world, charm, "mail");
        let denied = Outcome::failure(OutcomeKind::Denied, "not granted").blaming(Blame::Configuration);
        world.behave(charm, Behaviour { takes: Duration::ZERO, outcomes: [Ok(denied)].into(), ..Behaviour::default() });
    }
    let service = world.start_with(&Store::new(), vec![], PollerOptions { interval: HOUR, ..world.options() });
    seconds(1_000).await;
    assert_eq!(polled(&world, &charms), charms.len());
    world.state().starts.clear();
    for charm in &charms {
        takes(&world, charm, 1);
        world.wake(charm);
    }
    seconds(650).await;
    assert_eq!(polled(&world, &charms), charms.len());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_space_that_is_busy_holds_up_no_other() {
    let world = World::new();
    let mut spaces: Vec<String> = (0..20).map(|number| format!("space {number}")).collect();
    spaces.sort_unstable_by_key(|space| space_did(space));
    let busy: Vec<CharmRef> = (0..50).map(|number| charm(&spaces[0], &number.to_string())).collect();
    let others: Vec<CharmRef> =
        spaces[1..].iter().flat_map(|space| (0..5).map(|number| charm(space, &number.to_string()))).collect();
    for charm in busy.iter().chain(&others) {
        register_waiting(&world, charm, "mail");
    }
    for charm in &busy {
        takes(&world, charm, 150);
    }
    let service = world.start_with(&Store::new(), vec![], PollerOptions { interval: HOUR, ..world.options() });
    seconds(5).await;
    assert_eq!(polled(&world, &others), others.len());
    seconds(595).await;
    assert!(polled(&world, &busy) >= 4, "its own go on one after the other");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_is_due_comes_before_those_that_are_early() {
    let world = World::new();
    let early: Vec<CharmRef> = (0..20).map(|number| charm("a", &number.to_string())).collect();
    for charm in &early {
        register_waiting(&world, charm, "mail");
        takes(&world, charm, 3);
    }
    let due = charm("a", "due");
    world.register(&due, "mail");
    let now = world.wall();
    world.state().registrations.get_mut(&due).unwrap().last_run = now;
    let service = world.start_with(&Store::new(), vec![], PollerOptions { interval: HOUR, ..world.options() });
    seconds(10).await;
    assert!(world.starts(&due).is_empty());
    assert!(service.request(&due).await);
    seconds(4).await;
    assert_eq!(world.starts(&due).len(), 1);
    seconds(60).await;
    assert_eq!(polled(&world, &early), early.len());
    service.stop().await;
}

/// The first list gives all charms of its component other times.
#[tokio::test(start_paused = true)]
async fn charms_of_a_component_go_on_before_their_turn_also_after_its_first_list() {
    let world = World::new();
    let charms: Vec<CharmRef> = (0..200).map(|number| charm(&format!("space {number}"), "1")).collect();
    let (waiting, healthy) = charms.split_at(100);
    for charm in waiting {
        register_waiting(&world, charm, "mail");
        takes(&world, charm, 1);
    }
    for charm in healthy {
        world.register(charm, "mail");
        let now = world.wall();
        let mut state = world.state();
        let registration = state.registrations.get_mut(charm).unwrap();
        (registration.last_run, registration.last_outcome) = (now, Some(OutcomeKind::Success));
    }
    // The others are overdue, and come first.
    seconds(7_200).await;
    let mail = Component::new("mail", &charms.iter().collect::<Vec<_>>());
    let options = PollerOptions { interval: HOUR, ..world.options() };
    let service = world.start_with(&Store::new(), vec![mail], options);
    seconds(30).await;
    assert_eq!(polled(&world, waiting), waiting.len());
    assert!((1..5).contains(&polled(&world, healthy)), "these have their turns");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn charms_that_were_enabled_right_before_a_start_go_on_before_their_turn_as_well() {
    let world = World::new();
    let charms: Vec<CharmRef> = (0..200).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &charms {
        register_waiting(&world, charm, "mail");
    }
    seconds(60).await;
    for charm in &charms {
        world.set(charm, None);
    }
    let service = world.start_with(&Store::new(), vec![], PollerOptions { interval: HOUR, ..world.options() });
    seconds(10).await;
    assert_eq!(polled(&world, &charms), charms.len());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_component_has_those_polled_soon_that_got_no_answer_of_the_runtime() {
    let world = World::new();
    let (one, healthy) = (charm("a", "1"), charm("b", "2"));
    for charm in [&one, &healthy] {
        world.register(charm, "mail");
    }
    let outcome = Ok(Outcome::failure(OutcomeKind::Unavailable, "no answer").blaming(Blame::Runtime));
    world.behave(&one, Behaviour { outcomes: [outcome].into(), ..Behaviour::default() });
    let (old, new) = (Component::new("mail", &[&one, &healthy]), Component::new("mail", &[&one, &healthy]));
    let (replaced, replacements) = tokio::sync::mpsc::channel(1);
    let options = PollerOptions { interval: HOUR, ..world.options() };
    let service = world.start_with_replacements(&Store::new(), vec![old], options, replacements);
    seconds(2_000).await;
    let before = world.starts(&one).len();
    world.behave(&one, Behaviour::default());
    assert!(replaced.send(Replacement { integration: new as Arc<dyn Integration>, interval: None }).await.is_ok());
    seconds(2).await;
    assert_eq!((world.starts(&one).len() - before, world.starts(&healthy).len()), (1, 1));
    service.stop().await;
}

/// How often a charm is polled while somebody changes something about it ten times a second: in the first minute, and
/// in each of the next four.
async fn polls_in_a_flood(outcome: Outcome, change: impl Fn(&World, &CharmRef)) -> (usize, usize) {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.behave(&one, Behaviour { outcomes: [Ok(outcome)].into(), ..Behaviour::default() });
    let service = world.start();
    seconds(100).await;
    for _ in 0..3_000 {
        change(&world, &one);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    service.stop().await;
    let polls = |from: u64, to: u64| world.starts(&one).iter().filter(|at| (from..to).contains(*at)).count();
    (polls(100, 160), (2..6).map(|minute| polls(40 + minute * 60, 100 + minute * 60)).max().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_somebody_changes_all_the_time_is_polled_no_more_than_once_an_interval() {
    let failures = [
        Outcome::failure(OutcomeKind::Denied, "not granted").blaming(Blame::Configuration),
        Outcome::failure(OutcomeKind::Denied, "no sign-in").blaming(Blame::Credential),
        Outcome::failure(OutcomeKind::Unavailable, "503").blaming(Blame::Upstream),
    ];
    for outcome in failures {
        let what = format!("{outcome:?}");
        let (first, later) = polls_in_a_flood(outcome, World::wake).await;
        assert!(
            (2..9).contains(&first) && later == 1,
            "{what}: {first} polls in the first minute, {later} in a later one"
        );
    }
    for outcome in [Outcome::success(), Outcome::failure(OutcomeKind::HandlerFailed, "x is not a function")] {
        let what = format!("{outcome:?}");
        let (first, later) = polls_in_a_flood(outcome, |world, charm| world.register(charm, "test")).await;
        assert!(
            (2..9).contains(&first) && later <= 2,
            "{what}: {first} polls in the first minute, {later} in a later one"
        );
    }
}

/// Unregisters a charm, or registers it if it is not registered.
fn toggle(world: &World, charm: &CharmRef) {
    let is_registered = world.state().registrations.contains_key(charm);
    if is_registered { world.unregister(charm) } else { world.register(charm, "test") }
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_somebody_deletes_and_registers_again_all_the_time_is_polled_no_more_than_once_an_interval() {
    let failure = Outcome::failure(OutcomeKind::HandlerFailed, "x is not a function");
    for (outcome, takes) in [(Outcome::success(), 50), (failure.clone(), 50), (Outcome::success(), 400), (failure, 400)]
    {
        for gap in [150, 330, 1_300, 7_000] {
            let world = World::new();
            let one = charm("a", "1");
            let (takes, outcomes) = (Duration::from_millis(takes), [Ok(outcome.clone())].into());
            world.behave(&one, Behaviour { takes, outcomes, ..Behaviour::default() });
            let service = world.start();
            seconds(10).await;
            world.register(&one, "test");
            let begin = tokio::time::Instant::now();
            seconds(1).await;
            assert_eq!(world.starts(&one), [10], "a new registration is polled at once");
            while begin.elapsed() < Duration::from_mins(20) {
                toggle(&world, &one);
                tokio::time::sleep(Duration::from_millis(gap)).await;
            }
            service.stop().await;
            let starts = world.starts(&one);
            let polls = |from: u64, to: u64| starts.iter().filter(|at| (from..to).contains(*at)).count();
            let (first, later) = (polls(0, 70), polls(130, 1_210));
            assert!(first < 10 && (2..=2 * 18).contains(&later), "{outcome:?}, {takes:?}, {gap} ms: {starts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_was_deleted_and_is_registered_again_after_a_while_is_polled_at_once() {
    let world = World::new();
    let one = charm("a", "1");
    let service = world.start();
    for round in 0..10 {
        world.register(&one, "test");
        seconds(1).await;
        assert_eq!(world.starts(&one).len(), round + 1);
        world.unregister(&one);
        seconds(60).await;
    }
    service.stop().await;
}

/// As one whose row was damaged, and then repaired.
#[tokio::test(start_paused = true)]
async fn a_charm_that_is_gone_for_a_moment_and_back_with_the_same_registration_goes_on_backing_off() {
    let world = World::new();
    let one = charm("a", "1");
    let service = world.start();
    world.register(&one, "test");
    world.fail(&one);
    seconds(200).await;
    let before = world.starts(&one);
    let registration = world.state().registrations[&one].clone();
    world.unregister(&one);
    seconds(1).await;
    world.restore(registration);
    seconds(100).await;
    assert_eq!(world.starts(&one), before, "it waits four intervals, and then eight");
    seconds(600).await;
    assert_eq!(world.starts(&one).len(), before.len() + 2);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_two_fixes_of_a_charm_count_within_a_second_and_later_ones_within_an_interval() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let denied = Outcome::failure(OutcomeKind::Denied, "no sign-in").blaming(Blame::Credential);
    world.behave(&one, Behaviour { takes: Duration::ZERO, outcomes: [Ok(denied)].into(), ..Behaviour::default() });
    let service = world.start();
    for round in 0..30 {
        seconds(if round < 2 { 120 } else { 10 }).await;
        let before = world.state().starts.len();
        world.wake(&one);
        seconds(if round < 2 { 1 } else { 61 }).await;
        let after = world.state().starts.len();
        assert!((1..3).contains(&(after - before)), "{round}: {} polls", after - before);
    }
    service.stop().await;
}

/// Its pauses have become as long as they can be with the interval before.
#[tokio::test(start_paused = true)]
async fn a_charm_that_was_changed_often_waits_no_longer_than_its_new_interval() {
    for (outcome, goes_on) in [(OutcomeKind::Denied, true), (OutcomeKind::Denied, false), (OutcomeKind::Success, false)]
    {
        let world = World::new();
        let one = charm("a", "1");
        world.register(&one, "test");
        let outcome = match outcome {
            OutcomeKind::Success => Outcome::success(),
            kind => Outcome::failure(kind, "no sign-in").blaming(Blame::Credential),
        };
        let what = format!("{outcome:?}, {goes_on}");
        world.behave(&one, Behaviour { takes: Duration::ZERO, outcomes: [Ok(outcome)].into(), ..Behaviour::default() });
        let options = PollerOptions { interval: HOUR, min_interval: Some(Duration::from_secs(1)), ..world.options() };
        let service = world.start_with(&Store::new(), vec![], options);
        seconds(HOUR.as_secs()).await;
        // Until a poll has just been made, and the next one is a quarter of an hour away.
        let mut before = world.state().starts.len();
        for _ in 0..20_000 {
            world.register(&one, "test");
            seconds(1).await;
            let polls = world.state().starts.len();
            if polls > before && world.wall().0 > WALL + 10_000_000 {
                break;
            }
            before = polls;
        }
        let before = world.state().starts.len();
        world.register(&one, "test");
        seconds(1).await;
        world.asks(&one, Duration::from_mins(1));
        for _ in 0..62 {
            if goes_on {
                world.register(&one, "test");
            }
            seconds(1).await;
        }
        let polls = world.state().starts.len() - before;
        assert!((1..3).contains(&polls), "{what}: {polls} polls");
        service.stop().await;
    }
}

/// It costs a poll an hour: nothing about it backs off further, and nothing needs to.
#[tokio::test(start_paused = true)]
async fn a_charm_that_waits_and_that_nobody_changes_is_polled_once_an_hour_or_an_interval() {
    for (interval, with_component) in [(60, false), (60, true), (7_200, false), (7_200, true)] {
        let world = World::new();
        let one = charm("a", "1");
        world.register(&one, "mail");
        let denied = Outcome::failure(OutcomeKind::Denied, "not granted").blaming(Blame::Configuration);
        world.behave(&one, Behaviour { outcomes: [Ok(denied)].into(), ..Behaviour::default() });
        // It names the charm in each of its lists.
        let components: Vec<Arc<dyn Integration>> =
            if with_component { vec![Component::new("mail", &[&one])] } else { vec![] };
        let options = PollerOptions { interval: Duration::from_secs(interval), ..world.options() };
        let service = world.start_with(&Store::new(), components, options);
        seconds(86_400).await;
        let starts = world.starts(&one);
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= interval.max(3_600)), "{interval} s: {starts:?}");
        assert!(starts.len() >= 11, "{interval} s: {starts:?}");
        service.stop().await;
    }
}
