//! Whatever makes everything due at once: it is spread over the interval again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_poller::*;

use crate::world::*;

/// Each in a space of its own, polled once a minute: ten in a second.
const CHARMS: usize = 600;
/// 1.5 times as many as in the long run.
const MOST: usize = 15;

fn register(world: &Arc<World>) -> Vec<CharmRef> {
    let charms: Vec<CharmRef> = (0..CHARMS).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &charms {
        world.register(charm, "gmail");
    }
    charms
}

/// The most polls that started within one second, of those that started since.
fn most_in_a_second(world: &World, since: f64) -> usize {
    let starts: Vec<f64> = world.state().starts.iter().map(|(_, at)| *at).filter(|at| *at >= since).collect();
    let within = |first: usize| starts[first..].iter().take_while(|at| **at < starts[first] + 1.0).count();
    (0..starts.len()).map(within).max().unwrap_or_default()
}

/// How many times each charm was polled in this time.
fn polls(world: &World, charms: &[CharmRef], from: u64, to: u64) -> (usize, usize) {
    let polls = |charm| world.starts(charm).iter().filter(|at| (from..to).contains(*at)).count();
    let counts: Vec<usize> = charms.iter().map(polls).collect();
    (*counts.iter().min().unwrap(), *counts.iter().max().unwrap())
}

#[tokio::test(start_paused = true)]
async fn after_a_process_stood_still_its_polls_are_as_frequent_as_before() {
    for (stall, with_component) in [(1, false), (20, false), (20, true), (61, true), (3_600, false), (3_600, true)] {
        let world = World::new();
        let charms = register(&world);
        let gmail = Component::new("gmail", &charms.iter().collect::<Vec<_>>());
        let components: Vec<Arc<dyn Integration>> = if with_component { vec![gmail] } else { vec![] };
        let service = world.start_with(&Store::new(), components, world.options());
        seconds(150).await;
        tokio::time::advance(Duration::from_secs(stall)).await;
        seconds(300).await;
        let most = most_in_a_second(&world, 150.0);
        assert!(most <= MOST, "{stall} s, {with_component}: {most} polls within a second");
        let (fewest, _) = polls(&world, &charms, 150 + stall, 150 + stall + 61);
        assert!(fewest >= 1, "{stall} s, {with_component}: one was not polled in the interval after the stall");
        if stall > 1 {
            assert_eq!(world.logs.count("The poll loop stood still for"), 1);
        }
        service.stop().await;
    }
}

/// Whatever polls wait for together (a slow runtime, an upstream, a lock), for less or more than an interval:
/// afterwards they are as far from each other as before, also those that ended together.
#[tokio::test(start_paused = true)]
async fn polls_that_were_held_up_together_do_not_stay_together() {
    let failure = Ok(Outcome::failure(OutcomeKind::HandlerFailed, "it throws"));
    for (time, places, fail) in [
        (2, 16, false),
        (5, 4, false),
        (45, 4, false),
        (45, 500, false),
        (150, 16, false),
        (150, 500, false),
        (150, 500, true),
    ] {
        let world = World::new();
        let charms = register(&world);
        let options =
            PollerOptions { max_concurrent: places, poll_timeout: Duration::from_hours(1), ..world.options() };
        let service = world.start_with(&Store::new(), vec![], options);
        seconds(150).await;
        world.hold_up(Duration::from_secs(time));
        if fail {
            for charm in &charms {
                let outcomes = [failure.clone(), Ok(Outcome::success())].into();
                world.behave(charm, Behaviour { outcomes, ..Behaviour::default() });
            }
        }
        seconds(time + 600).await;
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let most = most_in_a_second(&world, (150 + time) as f64);
        assert!(most <= MOST, "held up for {time} s, {places} places, {fail}: {most} polls within a second");
        let (fewest, _) = polls(&world, &charms, 150 + time, 150 + time + if fail { 180 } else { 61 });
        assert!(fewest >= 1, "{time} s, {places} places, {fail}: one was not polled afterwards");
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn charms_that_waited_for_a_late_list_do_not_stay_together() {
    let world = World::new();
    let charms = register(&world);
    let gmail = Component::new("gmail", &charms.iter().collect::<Vec<_>>());
    let service = world.start_with(&Store::new(), vec![gmail.clone()], world.options());
    seconds(170).await;
    *gmail.takes.lock().unwrap() = Duration::from_secs(9);
    seconds(15).await;
    *gmail.takes.lock().unwrap() = Duration::ZERO;
    seconds(300).await;
    let most = most_in_a_second(&world, 150.0);
    assert!(most <= MOST, "{most} polls within a second");
    assert!(polls(&world, &charms, 190, 251).0 >= 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn charms_with_a_shorter_interval_than_before_are_not_polled_together() {
    let world = World::new();
    let charms = register(&world);
    let options = PollerOptions { min_interval: Some(Duration::from_secs(1)), ..world.options() };
    let service = world.start_with(&Store::new(), vec![], options);
    seconds(150).await;
    for charm in &charms {
        world.asks(charm, Duration::from_secs(30));
    }
    seconds(300).await;
    let most = most_in_a_second(&world, 150.0);
    assert!(most <= 2 * MOST, "{most} polls within a second");
    assert!(polls(&world, &charms, 190, 221).0 >= 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_that_only_some_polls_have_noticed_polls_are_as_frequent_as_before() {
    let world = World::new();
    let charms = register(&world);
    let service = world.start_with(&Store::new(), vec![], world.options());
    seconds(150).await;
    world.down.store(true, Ordering::Relaxed);
    seconds(45).await;
    world.down.store(false, Ordering::Relaxed);
    seconds(300).await;
    let most = most_in_a_second(&world, 150.0);
    assert!(most <= MOST, "{most} polls within a second");
    assert!(polls(&world, &charms, 230, 291).0 >= 1);
    assert_eq!(world.logs.count("answers again after"), 1);
    assert_eq!(world.logs.count("The poll loop stood still"), 0, "they are spread once");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_charms_that_are_enabled_together_are_not_polled_together() {
    let world = World::new();
    let charms = register(&world);
    for charm in &charms {
        world.set(charm, Some((DisabledBy::Hand, "by hand")));
    }
    let service = world.start_with(&Store::new(), vec![], world.options());
    seconds(150).await;
    for charm in &charms {
        world.set(charm, None);
    }
    seconds(65).await;
    assert!(polls(&world, &charms, 150, 216).0 >= 1);
    let soon = world.state().starts.iter().filter(|(_, at)| *at < 152.0).count();
    assert!((100..130).contains(&soon), "{soon} polls at once");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn charms_whose_day_is_over_when_the_service_starts_come_back_one_by_one() {
    let world = World::new();
    let charms = register(&world);
    let store = Store::new();
    for charm in &charms {
        world.fail(charm);
    }
    let options = || PollerOptions { failures: 1, ..world.options() };
    let service = world.start_with(&store, vec![], options());
    seconds(90).await;
    service.stop().await;
    for charm in &charms {
        world.behave(charm, Behaviour::default());
    }
    let since = world.state().starts.last().unwrap().1 + 1.0;
    seconds(100_000).await;
    let service = world.start_with(&store, vec![], options());
    seconds(300).await;
    let most = most_in_a_second(&world, since);
    assert!(most <= MOST, "{most} polls within a second");
    assert!(polls(&world, &charms, 100_000, 200_000).0 >= 4);
    service.stop().await;
}

/// Those whose turn has come may find their spaces busy.
#[tokio::test(start_paused = true)]
async fn charms_that_wait_for_a_place_after_a_stall_are_not_taken_for_another_stall() {
    let world = World::new();
    let charms: Vec<CharmRef> =
        (0..50).map(|number| charm(&format!("space {}", number % 10), &number.to_string())).collect();
    for charm in &charms {
        world.register(charm, "gmail");
        world.behave(charm, Behaviour { takes: Duration::from_secs(9), ..Behaviour::default() });
    }
    let options = PollerOptions { max_concurrent: 8, ..world.options() };
    let service = world.start_with(&Store::new(), vec![], options);
    seconds(300).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    seconds(600).await;
    assert_eq!(world.logs.count("The poll loop stood still for"), 1, "{}", world.logs.text());
    assert!(polls(&world, &charms, 320, 920).0 >= 4, "each has its turns");
    service.stop().await;
}

/// A registration that is changed while its charm is polled has had that poll; the next one keeps its pace.
#[tokio::test(start_paused = true)]
async fn charms_that_are_enabled_while_they_are_polled_are_spread_after_a_stall_like_others() {
    let world = World::new();
    register(&world);
    let options = PollerOptions { max_concurrent: 500, ..world.options() };
    let service = world.start_with(&Store::new(), vec![], options);
    seconds(150).await;
    world.hold_up(Duration::from_secs(8));
    seconds(7).await;
    let running = world.state().running.clone();
    assert!(running.len() > 4 * MOST, "{}", running.len());
    for charm in &running {
        world.register(charm, "gmail");
    }
    seconds(52).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    seconds(120).await;
    let most = most_in_a_second(&world, 209.0);
    assert!(most <= MOST, "{most} polls within a second");
    service.stop().await;
}

/// As after `run --once`, or with a longer interval than the one before: nothing but the start itself spreads them.
#[tokio::test(start_paused = true)]
async fn charms_that_were_polled_together_before_a_start_are_spread_by_it() {
    for with_component in [false, true] {
        let world = World::new();
        let charms = register(&world);
        for charm in &charms {
            let now = world.wall();
            world.state().registrations.get_mut(charm).unwrap().last_run = now;
        }
        let gmail = Component::new("gmail", &charms.iter().collect::<Vec<_>>());
        let components: Vec<Arc<dyn Integration>> = if with_component { vec![gmail] } else { vec![] };
        let service = world.start_with(&Store::new(), components, world.options());
        seconds(300).await;
        let most = most_in_a_second(&world, 0.0);
        assert!(most <= MOST, "{with_component}: {most} polls within a second");
        let (fewest, _) = polls(&world, &charms, 0, 121);
        assert!(fewest >= 1, "{with_component}: one was not polled within an interval of its time");
        service.stop().await;
    }
}

/// How many polls there are in a second in the long run of charms with these intervals.
fn steady_rate(intervals: impl IntoIterator<Item = u64>) -> f64 {
    intervals.into_iter().map(|seconds| Duration::from_secs(seconds).as_secs_f64().recip()).sum()
}

/// Neither a start nor a stall has charms of many intervals polled together, and each gets its turn within its
/// interval.
#[tokio::test(start_paused = true)]
async fn charms_with_a_thousand_intervals_are_spread_like_those_with_one() {
    const SHORTEST: u64 = 60;
    for (stall, with_component) in [(2, false), (45, false), (600, false), (3_600, false), (3_600, true)] {
        let world = World::new();
        let charms: Vec<(CharmRef, u64)> = (0..1_000)
            .map(|number| (charm(&format!("space {number}"), "1"), SHORTEST + number * (3_600 - SHORTEST) / 999))
            .collect();
        for (charm, interval) in &charms {
            world.register(charm, "gmail");
            world.asks(charm, Duration::from_secs(*interval));
            // So that nobody waits for its first poll.
            let now = world.wall();
            world.state().registrations.get_mut(charm).unwrap().last_run = now;
        }
        seconds(7_200).await;
        let gmail = Component::new("gmail", &charms.iter().map(|(charm, _)| charm).collect::<Vec<_>>());
        let components: Vec<Arc<dyn Integration>> = if with_component { vec![gmail] } else { vec![] };
        let service = world.start_with(&Store::new(), components, world.options());
        seconds(4_000).await;
        tokio::time::advance(Duration::from_secs(stall)).await;
        let on = 11_200 + stall;
        seconds(8_000).await;
        let starts: Vec<f64> = world.state().starts.iter().map(|(_, at)| *at).collect();
        let window = 60.0;
        let most = 1.5 * steady_rate(charms.iter().map(|(_, interval)| *interval)) * window;
        for (index, first) in starts.iter().enumerate() {
            let together = starts[index..].iter().take_while(|at| **at < first + window).count();
            let what = format!("{stall} s, {with_component}: {together} polls within a minute from {first:.1} s on");
            assert!(f64::from(u32::try_from(together).unwrap()) <= most, "{what}; {most:.0} are allowed");
        }
        for (charm, interval) in &charms {
            let late = if with_component { 61 } else { 2 };
            let next = world.starts(charm).into_iter().find(|at| *at >= on).unwrap_or(u64::MAX) - on;
            assert!(next <= interval + late, "{stall} s, {with_component}: polled after {next} s of {interval}");
        }
        service.stop().await;
    }
}

/// Integrations that stand still together keep their paces one by one; those with few charms add up to a poll a second
/// at most.
#[tokio::test(start_paused = true)]
async fn many_integrations_with_a_few_charms_are_polled_one_by_one_after_a_stall() {
    let world = World::new();
    let names: Vec<String> = (0..20).map(|number| format!("integration-{number}")).collect();
    let mut components: Vec<Arc<dyn Integration>> = Vec::new();
    for name in &names {
        let charms: Vec<CharmRef> = (0..3).map(|number| charm(name, &number.to_string())).collect();
        for charm in &charms {
            world.register(charm, name);
        }
        components.push(Component::new(name, &charms.iter().collect::<Vec<_>>()));
    }
    let options = PollerOptions { interval: Duration::from_hours(1), ..world.options() };
    let service = world.start_with(&Store::new(), components, options);
    seconds(4_000).await;
    tokio::time::advance(Duration::from_hours(2)).await;
    seconds(3_600).await;
    let most = most_in_a_second(&world, 11_202.0);
    assert!(most <= 2, "{most} polls within a second");
    service.stop().await;
}
