//! Nobody waits for others.

use std::sync::Arc;
use std::time::Duration;

use bg_poller::*;

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn a_slow_space_does_not_delay_another() {
    let world = World::new();
    let healthy: Vec<CharmRef> = (0..10).map(|number| charm(&format!("space {number}"), "1")).collect();
    let slow: Vec<CharmRef> = (0..30).map(|number| charm("slow", &number.to_string())).collect();
    for charm in &slow {
        world.behave(charm, Behaviour { takes: Duration::from_secs(50), ..Behaviour::default() });
    }
    for charm in slow.iter().chain(&healthy) {
        world.register(charm, "test");
    }
    let service = world.start_with(&Store::new(), vec![], PollerOptions { max_concurrent: 2, ..world.options() });
    seconds(600).await;
    for charm in &healthy {
        let starts = world.starts(charm);
        assert_eq!(starts.len(), 10, "{starts:?}");
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= 61), "{starts:?}");
    }
    // In the slow space itself, all get their turn before any gets a second one.
    let turns: Vec<usize> = slow.iter().map(|charm| world.starts(charm).len()).collect();
    assert!(turns.iter().all(|turns| *turns <= 1) && turns.iter().sum::<usize>() >= 11, "{turns:?}");
    service.stop().await;
}

/// Of one integration, each in a space of its own.
#[tokio::test(start_paused = true)]
async fn charms_that_take_long_leave_places_to_quick_ones_beside_them() {
    let world = World::new();
    let slow: Vec<CharmRef> = (0..40).map(|number| charm(&format!("slow {number}"), "1")).collect();
    let quick: Vec<CharmRef> = (0..40).map(|number| charm(&format!("quick {number}"), "1")).collect();
    for charm in slow.iter().chain(&quick) {
        world.register(charm, "mail");
    }
    for charm in &slow {
        world.behave(charm, Behaviour { takes: Duration::from_secs(100), ..Behaviour::default() });
    }
    let service = world.start_with(&Store::new(), vec![], world.options());
    seconds(3_600).await;
    // Once it is known who is slow, quick ones are polled in time.
    for charm in &quick {
        let starts: Vec<u64> = world.starts(charm).into_iter().filter(|at| *at > 600).collect();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= 61) && starts.len() >= 49, "{starts:?}");
    }
    // The others use the rest, and each has its turn.
    let turns: Vec<usize> = slow.iter().map(|charm| world.starts(charm).len()).collect();
    let (fewest, most) = (turns.iter().min().unwrap(), turns.iter().max().unwrap());
    assert!(most - fewest <= 2 && turns.iter().sum::<usize>() >= 12 * 33, "{turns:?}");
    assert_eq!(world.state().most_running, 16);
    let late = world.state().events.iter().filter(|event| slow.contains(&event.charm)).map(|event| event.late).max();
    assert!(late.unwrap() > Duration::from_mins(1), "that they wait is not hidden: {late:?}");
    service.stop().await;
}

/// However many come, each with one poll before another takes its place.
#[tokio::test(start_paused = true)]
async fn charms_that_nobody_knows_yet_leave_places_to_those_that_are_quick() {
    let world = World::new();
    let quick: Vec<CharmRef> = (0..3).map(|number| charm(&format!("quick {number}"), "1")).collect();
    for charm in &quick {
        world.register(charm, "mail");
    }
    let service = world.start_with(&Store::new(), vec![], world.options());
    seconds(300).await;
    for number in 0..400 {
        let one = charm(&format!("space {number}"), "1");
        world.behave(&one, Behaviour { takes: Duration::from_secs(45), ..Behaviour::default() });
        world.register(&one, "mail");
    }
    seconds(900).await;
    for charm in &quick {
        let starts = world.starts(charm);
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= 61) && starts.len() >= 19, "{starts:?}");
    }
    let others = world.state().events.iter().filter(|event| !quick.contains(&event.charm)).count();
    assert!(others >= 14 * 18, "they use the rest: {others}");
    service.stop().await;
}

/// How late, in seconds, each poll of three quick charms was from the tenth minute on, beside thirty of which each takes
/// 45 s for one of this many polls, all of them at the same time.
async fn late_beside_charms_that_take_long_now_and_then(one_of: usize) -> Vec<f64> {
    let world = World::new();
    let now_and_then: Vec<CharmRef> = (0..30).map(|number| charm(&format!("space {number}"), "1")).collect();
    let quick: Vec<CharmRef> = (0..3).map(|number| charm(&format!("quick {number}"), "1")).collect();
    for charm in now_and_then.iter().chain(&quick) {
        world.register(charm, "mail");
    }
    let turns = (0..one_of).map(|turn| Duration::from_secs(if turn + 1 == one_of { 45 } else { 0 })).collect();
    let behaviour = Behaviour { turns, ..Behaviour::default() };
    for charm in &now_and_then {
        world.behave(charm, behaviour.clone());
    }
    let options = PollerOptions { interval: Duration::from_secs(30), ..world.options() };
    let service = world.start_with(&Store::new(), vec![], options);
    seconds(600).await;
    world.state().events.clear();
    seconds(3_600).await;
    service.stop().await;
    let events = std::mem::take(&mut world.state().events);
    events.iter().filter(|event| quick.contains(&event.charm)).map(|event| event.late.as_secs_f64()).collect()
}

#[tokio::test(start_paused = true)]
async fn charms_that_take_long_now_and_then_leave_places_to_quick_ones() {
    for one_of in [1, 2, 3, 5, 9, 16] {
        let late = late_beside_charms_that_take_long_now_and_then(one_of).await;
        assert!(late.len() > 350 && late.iter().all(|late| *late < 0.25), "one of {one_of}: {late:?}");
    }
    // As rarely as they would have to be for that, others hardly notice.
    for one_of in [17, 18, 20, 30] {
        let late = late_beside_charms_that_take_long_now_and_then(one_of).await;
        let noticed = late.iter().filter(|late| **late >= 1.0).count();
        assert!(noticed * 12 <= late.len(), "one of {one_of}: {late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_take_long_all_places_are_used() {
    let world = World::new();
    let slow: Vec<CharmRef> = (0..40).map(|number| charm(&format!("slow {number}"), "1")).collect();
    for charm in &slow {
        world.register(charm, "mail");
        world.behave(charm, Behaviour { takes: Duration::from_secs(20), ..Behaviour::default() });
    }
    let options = PollerOptions { max_concurrent: 14, ..world.options() };
    let service = world.start_with(&Store::new(), vec![], options);
    seconds(1_800).await;
    let turns = slow.iter().map(|charm| world.starts(charm).len()).min().unwrap();
    assert!(turns >= 28, "{turns}: a round takes 57 s");
    service.stop().await;
}

/// One that was slow comes after those that have waited longer.
#[tokio::test(start_paused = true)]
async fn a_slow_charm_does_not_come_before_neighbours_that_wait() {
    let world = World::new();
    let all: Vec<CharmRef> = (0..5).map(|number| charm("a", &number.to_string())).collect();
    for charm in &all {
        world.register(charm, "mail");
    }
    world.behave(&all[0], Behaviour { takes: Duration::from_secs(150), ..Behaviour::default() });
    let service = world.start_with(&Store::new(), vec![], world.options());
    seconds(3_600).await;
    let starts: Vec<CharmRef> = world.state().starts.iter().map(|(charm, _)| charm.clone()).collect();
    let slow: Vec<usize> = (0..starts.len()).filter(|at| starts[*at] == all[0]).collect();
    assert!(slow.len() > 10, "{slow:?}");
    for pair in slow.windows(2) {
        let between = &starts[pair[0] + 1..pair[1]];
        assert!(all[1..].iter().all(|other| between.contains(other)), "each other has had its turn");
    }
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_charm_of_a_space_is_polled_at_a_time_and_only_so_many_in_all() {
    for (spaces, per_space, max_concurrent, most) in [(1, 1, 9, 1), (1, 2, 9, 2), (10, 1, 4, 4)] {
        let world = World::new();
        for number in 0..20 {
            let charm = charm(&format!("space {}", number % spaces), &number.to_string());
            world.register(&charm, "test");
            world.behave(&charm, Behaviour { takes: Duration::from_secs(1), ..Behaviour::default() });
        }
        let options = PollerOptions { per_space, max_concurrent, limit: Limit::Once, ..world.options() };
        world.start_with(&Store::new(), vec![], options).end().await.unwrap();
        assert_eq!(world.state().most_running, most);
    }
}

#[tokio::test(start_paused = true)]
async fn an_integration_with_slow_charms_does_not_delay_anothers() {
    let world = World::new();
    let slow: Vec<CharmRef> = (0..50).map(|number| charm(&format!("slow {number}"), "1")).collect();
    let healthy = charm("healthy", "1");
    for charm in &slow {
        world.register(charm, "slow");
        world.behave(charm, Behaviour { takes: Duration::from_secs(55), ..Behaviour::default() });
    }
    world.register(&healthy, "healthy");
    let integrations: Vec<Arc<dyn Integration>> =
        vec![Component::new("slow", &slow.iter().collect::<Vec<_>>()), Component::new("healthy", &[&healthy])];
    let options = PollerOptions { max_concurrent: 5, ..world.options() };
    let service = world.start_with(&Store::new(), integrations, options);
    seconds(601).await;
    assert_eq!(world.starts(&healthy), [0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_integration_that_never_answers_does_not_delay_anothers() {
    let world = World::new();
    let (stuck, healthy) = (charm("a", "1"), charm("b", "2"));
    world.register(&stuck, "stuck");
    world.register(&healthy, "healthy");
    let hanging = Component::new("stuck", &[&stuck]);
    *hanging.takes.lock().unwrap() = Duration::from_secs(1_000_000);
    let integrations: Vec<Arc<dyn Integration>> = vec![hanging, Component::new("healthy", &[&healthy])];
    let service = world.start_with(&Store::new(), integrations, world.options());
    seconds(301).await;
    assert_eq!((world.starts(&stuck).len(), world.starts(&healthy).len()), (0, 6));
    assert_eq!(world.logs.count("fetch-charms of the integration stuck failed"), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_integration_has_so_many_charms_polled_at_once() {
    let world = World::new();
    let charms: Vec<CharmRef> = (0..10).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &charms {
        world.register(charm, "gmail");
        world.behave(charm, Behaviour { takes: Duration::from_secs(1), ..Behaviour::default() });
    }
    let gmail = Component::new("gmail", &charms.iter().collect::<Vec<_>>());
    let options = PollerOptions { per_integration: 3, limit: Limit::Once, ..world.options() };
    world.start_with(&Store::new(), vec![gmail], options).end().await.unwrap();
    assert_eq!(world.state().most_running, 3);
}

/// However many integrations have slow charms, and none of them polled.
#[tokio::test(start_paused = true)]
async fn slow_charms_of_many_integrations_leave_places_to_quick_ones() {
    let world = World::new();
    let mut integrations: Vec<Arc<dyn Integration>> = Vec::new();
    let mut slow: Vec<CharmRef> = Vec::new();
    for number in 0..20 {
        let name = format!("mail-{number}");
        let charms: Vec<CharmRef> = (0..3).map(|which| charm(&format!("space {number} {which}"), "1")).collect();
        for charm in &charms {
            world.register(charm, &name);
        }
        for charm in &charms[1..] {
            world.behave(charm, Behaviour { takes: Duration::from_secs(100), ..Behaviour::default() });
        }
        integrations.push(Component::new(&name, &charms.iter().collect::<Vec<_>>()));
        slow.extend_from_slice(&charms[1..]);
    }
    let service = world.start_with(&Store::new(), integrations, world.options());
    seconds(900).await;
    let mut most = 0;
    for _ in 0..600 {
        seconds(1).await;
        most = most.max(world.state().running.iter().filter(|charm| slow.contains(charm)).count());
    }
    assert!((12..=14).contains(&most), "{most} of 16 places");
    let turns: Vec<usize> = slow.iter().map(|charm| world.starts(charm).len()).collect();
    let (fewest, most) = (turns.iter().min().unwrap(), turns.iter().max().unwrap());
    assert!(most - fewest <= 2, "{turns:?}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn slow_charms_of_each_integration_have_their_turns_in_the_order_in_which_they_wait() {
    let world = World::new();
    let mut integrations: Vec<Arc<dyn Integration>> = Vec::new();
    let mut slow: Vec<Vec<CharmRef>> = Vec::new();
    for number in 0..3 {
        let name = format!("mail-{number}");
        let charms: Vec<CharmRef> = (0..9).map(|which| charm(&format!("space {number} {which}"), "1")).collect();
        for charm in &charms {
            world.register(charm, &name);
        }
        for charm in &charms[1..] {
            world.behave(charm, Behaviour { takes: Duration::from_secs(50), ..Behaviour::default() });
        }
        integrations.push(Component::new(&name, &charms.iter().collect::<Vec<_>>()));
        slow.push(charms[1..].to_vec());
    }
    let options = PollerOptions { max_concurrent: 9, ..world.options() };
    let service = world.start_with(&Store::new(), integrations, options);
    seconds(7_200).await;
    let starts = world.state().starts.clone();
    for charms in &slow {
        let turns: Vec<usize> = starts
            .iter()
            .filter(|(_, at)| *at > 600.0)
            .filter_map(|(charm, _)| charms.iter().position(|other| other == charm))
            .collect();
        for round in turns.windows(charms.len() - 1) {
            assert!(!round[1..].contains(&round[0]), "one comes again before the others: {turns:?}");
        }
    }
    service.stop().await;
}

/// A poll that was lost says nothing of how long the charm's polls take.
#[tokio::test(start_paused = true)]
async fn polls_that_are_lost_take_no_places_from_slow_charms() {
    let world = World::new();
    for number in 0..42 {
        let charm = charm(&format!("space {number}"), "1");
        world.register(&charm, "mail");
        let (takes, panics_late) = if number < 2 { (300, true) } else { (100, false) };
        world.behave(&charm, Behaviour { takes: Duration::from_secs(takes), panics_late, ..Behaviour::default() });
    }
    let options = PollerOptions { poll_timeout: Duration::from_secs(110), ..world.options() };
    let service = world.start_with(&Store::new(), vec![], options);
    seconds(900).await;
    let mut places = 0;
    for _ in 0..600 {
        seconds(1).await;
        places += world.state().running.len();
    }
    assert!(world.logs.count("was lost, which is a fault of this program") > 4);
    assert!(places >= 600 * 15, "{places}");
    service.stop().await;
}
