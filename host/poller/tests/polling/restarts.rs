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
    world.set(kept, Some("by hand"));
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
