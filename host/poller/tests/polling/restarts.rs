//! What is remembered from one run of the service to the next.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_poller::*;

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn a_restart_neither_bursts_nor_forgets() {
    let world = World::new();
    let store = Store::new();
    let charms: Vec<CharmRef> = (0..600).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &charms {
        world.register(charm, "test");
    }
    // (seconds of running, seconds of rest)
    for (running, rest) in [(100, 0), (65, 30), (90, 3_000), (70, 1)] {
        let service = world.start_with(&store, vec![], world.options());
        seconds(running).await;
        service.kill().await;
        world.state().running.clear();
        seconds(rest).await;
    }
    let state = world.state();
    for charm in &charms {
        let starts: Vec<f64> = state.starts.iter().filter(|(of, _)| of == charm).map(|(_, at)| *at).collect();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] > 59.9), "{starts:?}");
        // 325 s of running: five or six turns less what is lost around the rests.
        assert!(starts.len() >= 4, "{starts:?}");
    }
    let mut times: Vec<f64> = state.starts.iter().map(|(_, at)| *at).collect();
    times.sort_by(f64::total_cmp);
    // The steady rate is 10 a second.
    for start in &times {
        let burst = times.iter().filter(|at| (*start..*start + 5.0).contains(at)).count();
        assert!(burst <= 75, "{burst} in the 5 s after {start}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_charm_that_is_overdue_is_polled_at_once_and_one_that_is_not_waits() {
    let world = World::new();
    let store = Store::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    for (running, rest) in [(10, 10), (50, 100), (1, 0)] {
        let service = world.start_with(&store, vec![], world.options());
        seconds(running).await;
        service.stop().await;
        seconds(rest).await;
    }
    assert_eq!(world.starts(&one), [0, 60, 170]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_whose_note_was_lost_is_not_repeated_within_the_interval() {
    let world = World::new();
    let store = Store::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let service = world.start_with(&store, vec![], world.options());
    seconds(1).await;
    service.kill().await;
    store.states.lock().unwrap().clear();
    let service = world.start_with(&store, vec![], world.options());
    seconds(70).await;
    assert_eq!(world.starts(&one), [0, 60]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn failures_and_the_disabled_survive() {
    let world = World::new();
    let store = Store::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.fail(&one);
    for _ in 0..20 {
        let service = world.start_with(&store, vec![], world.options());
        seconds(100).await;
        service.kill().await;
    }
    assert_eq!(world.starts(&one).len(), 5, "{:?}", world.starts(&one));
    assert!(!world.state().registrations[&one].is_enabled());
    let service = world.start_with(&store, vec![], world.options());
    seconds(86_400).await;
    assert!(world.starts(&one).len() > 5);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_happened_to_a_registration_meanwhile_counts() {
    let world = World::new();
    let store = Store::new();
    let charms: Vec<CharmRef> =
        ["enabled", "kept", "gone", "backing off"].iter().map(|name| charm(name, name)).collect();
    for charm in &charms {
        world.register(charm, "test");
        world.fail(charm);
    }
    let service = world.start_with(&store, vec![], world.options());
    seconds(2_100).await;
    service.stop().await;
    seconds(10).await;
    let [enabled, kept, gone, again] = &charms[..] else { panic!() };
    world.set(enabled, None);
    world.set(kept, Some((DisabledBy::Hand, "by hand")));
    world.unregister(gone);
    world.register(again, "test");
    let before = charms.iter().map(|charm| world.starts(charm).len()).collect::<Vec<_>>();
    let service = world.start_with(&store, vec![], world.options());
    seconds(3 * 86_400).await;
    let polls = charms.iter().zip(before).map(|(charm, before)| world.starts(charm).len() - before).collect::<Vec<_>>();
    assert!(polls[0] > 0 && polls[3] > 0, "{polls:?}");
    assert_eq!((polls[1], polls[2]), (0, 0));
    assert!(store.get(gone).is_none());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_does_not_change_the_rhythm() {
    let world = World::new();
    let store = Store::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let service = world.start_with(&store, vec![], world.options());
    seconds(10).await;
    world.wall_step.store(86_400, Ordering::Relaxed);
    seconds(100).await;
    world.wall_step.store(7_200, Ordering::Relaxed);
    seconds(100).await;
    assert_eq!(world.starts(&one), [0, 60, 120, 180]);
    service.stop().await;
    // What was written by a clock ahead of this one is no reason to wait for a day.
    world.wall_step.store(-5 * 86_400, Ordering::Relaxed);
    let options = PollerOptions { interval: Duration::from_mins(1), ..world.options() };
    let service = world.start_with(&store, vec![], options);
    seconds(61).await;
    assert_eq!(world.starts(&one).len(), 5);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_makes_no_charm_due_at_each_restart() {
    for shares_clock in [true, false] {
        let world = World::new();
        world.shares_clock.store(shares_clock, Ordering::Relaxed);
        let store = Store::new();
        let (one, failing) = (charm("a", "1"), charm("b", "2"));
        world.register(&one, "test");
        world.register(&failing, "test");
        world.fail(&failing);
        // Their registrations are of a time that is still to come.
        world.wall_step.store(-3_600, Ordering::Relaxed);
        for _ in 0..30 {
            let service = world.start_with(&store, vec![], world.options());
            seconds(5).await;
            service.kill().await;
            seconds(5).await;
        }
        let starts = world.starts(&one);
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 60), "{starts:?}");
        let starts = world.starts(&failing);
        assert!(starts.len() <= 3, "it backs off: {starts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_charm_that_goes_on_at_a_start_keeps_its_interval_also_if_the_clock_was_set_back() {
    for step in [0, -3_600] {
        let world = World::new();
        let store = Store::new();
        let one = charm("a", "1");
        world.register(&one, "test");
        let failed = || Ok(Outcome::failure(OutcomeKind::HandlerFailed, "x"));
        let denied = Ok(Outcome::failure(OutcomeKind::Denied, "x").blaming(Blame::Configuration));
        let outcomes = [failed(), failed(), failed(), failed(), denied, Ok(Outcome::success())].into();
        world.behave(&one, Behaviour { takes: Duration::ZERO, outcomes, ..Behaviour::default() });
        world.wall_step.store(step, Ordering::Relaxed);
        let service = world.start_with(&store, vec![], world.options());
        while world.starts(&one).len() < 5 {
            seconds(10).await;
        }
        service.stop().await;
        let service = world.start_with(&store, vec![], world.options());
        seconds(200).await;
        let starts = &world.starts(&one)[5..];
        assert!(starts.len() >= 3, "{step} s: its failures are over: {starts:?}");
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn failures_from_before_a_charm_was_enabled_again_are_forgotten_also_if_nothing_was_written_since() {
    let world = World::new();
    let store = Store::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let old = world.wall();
    seconds(100).await;
    world.register(&one, "test");
    seconds(1).await;
    let polled = world.wall();
    world.state().registrations.get_mut(&one).unwrap().last_run = polled;
    let next_due = polled + Duration::from_mins(30);
    let state = PollState {
        charm: one.clone(),
        next_due,
        failures: 4,
        disabled_at: UnixMillis::NEVER,
        updated_at: old,
        owed_since: UnixMillis::NEVER,
    };
    store.save(&[state]).await.unwrap();
    let service = world.start_with(&store, vec![], world.options());
    seconds(65).await;
    assert_eq!(world.starts(&one), [161]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_success_that_the_runtime_noted_ends_the_failures_also_if_the_loop_could_not_write_it() {
    let world = World::new();
    let store = Store::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let updated_at = world.wall();
    seconds(1).await;
    let polled = world.wall();
    {
        let mut state = world.state();
        let registration = state.registrations.get_mut(&one).unwrap();
        (registration.last_run, registration.last_outcome) = (polled, Some(OutcomeKind::Success));
    }
    let next_due = polled + Duration::from_mins(30);
    let state = PollState {
        charm: one.clone(),
        next_due,
        failures: 4,
        disabled_at: UnixMillis::NEVER,
        updated_at,
        owed_since: UnixMillis::NEVER,
    };
    store.save(&[state]).await.unwrap();
    let service = world.start_with(&store, vec![], world.options());
    seconds(65).await;
    assert_eq!(world.starts(&one), [61]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_the_loop_disabled_comes_back_also_if_that_was_not_written() {
    let world = World::new();
    let (by_loop, by_hand) = (charm("a", "1"), charm("b", "2"));
    for (charm, by) in [(&by_loop, DisabledBy::Failures), (&by_hand, DisabledBy::Hand)] {
        world.register(charm, "test");
        // The text says nothing.
        world.set(charm, Some((by, "5 failures in a row")));
    }
    let service = world.start_with(&Store::new(), vec![], world.options());
    seconds(86_300).await;
    assert!(world.starts(&by_loop).is_empty());
    seconds(130).await;
    assert_eq!(world.starts(&by_loop).len(), 1);
    assert!(world.starts(&by_hand).is_empty());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_polls_that_succeed_nothing_is_written_where_the_runtime_notes_them_by_the_same_clock() {
    for (shares_clock, writes) in [(true, 0), (false, 3)] {
        let world = World::new();
        world.shares_clock.store(shares_clock, Ordering::Relaxed);
        let store = Store::new();
        let one = charm("a", "1");
        world.register(&one, "test");
        let service = world.start_with(&store, vec![], world.options());
        seconds(130).await;
        service.kill().await;
        assert_eq!((world.starts(&one).len(), store.writes.load(Ordering::Relaxed)), (3, writes));
        let service = world.start_with(&store, vec![], world.options());
        seconds(51).await;
        assert_eq!(world.starts(&one), [0, 60, 120, 180]);
        service.stop().await;
    }
}
