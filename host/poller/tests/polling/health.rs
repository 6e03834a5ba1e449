//! Components that keep failing: they are paused, and neither their charms nor others lose anything by it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_poller::*;

use crate::world::*;

const TRAP: OutcomeKind = OutcomeKind::Trapped;

/// So many charms, each in a space of its own, registered for an integration.
fn charms(world: &World, count: usize, integration: &str) -> Vec<CharmRef> {
    let charms: Vec<CharmRef> = (0..count).map(|number| charm(&format!("{integration} {number}"), "1")).collect();
    for charm in &charms {
        world.register(charm, integration);
    }
    charms
}

fn component(name: &str, charms: &[CharmRef]) -> Arc<Component> {
    Component::new(name, &charms.iter().collect::<Vec<_>>())
}

fn traps() -> Answer {
    Err(IntegrationError::new(TRAP, "wasm trap: unreachable"))
}

/// Times from each to the next.
fn waits(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Whether these are the waits, less what jitter may have taken off.
fn are_about(waits: &[u64], expected: &[u64]) -> bool {
    waits.len() == expected.len()
        && waits.iter().zip(expected).all(|(wait, expected)| wait <= expected && *wait >= expected * 9 / 10 - 1)
}

fn disabled(world: &World) -> usize {
    world.state().registrations.values().filter(|registration| !registration.is_enabled()).count()
}

#[tokio::test(start_paused = true)]
async fn a_component_that_keeps_failing_is_paused_longer_and_longer_and_its_neighbour_is_not() {
    let world = World::new();
    let (of_bad, of_good) = (charms(&world, 3, "bad"), charms(&world, 3, "good"));
    let (bad, good) = (component("bad", &of_bad), component("good", &of_good));
    bad.answers(traps());
    let service = world.start_with(&Store::new(), vec![bad.clone(), good.clone()], world.options());
    seconds(16_000).await;
    let asked = waits(&bad.asked_at());
    // Minutes: four intervals, then pauses that double up to an hour.
    let expected = [1, 1, 1, 1, 2, 4, 8, 16, 32, 60, 60, 60].map(|minutes| minutes * 60);
    assert!(are_about(&asked, &expected), "{asked:?}");
    assert!(of_bad.iter().all(|charm| world.starts(charm).is_empty()));
    assert_eq!(good.asked.load(Ordering::Relaxed), 267);
    assert!(of_good.iter().all(|charm| world.starts(charm).len() >= 266));
    let logs = &world.logs;
    assert_eq!(
        logs.count("fetch-charms failed 5 times in a row or more, the first time 240 s ago"),
        1,
        "{}",
        logs.text()
    );
    assert_eq!(logs.count("no failures are counted: Trapped: wasm trap: unreachable"), 9, "{}", logs.text());
    assert_eq!(logs.count("outcome=Trapped"), 10, "{}", logs.text());
    assert!(logs.count("paused=1") >= 50, "{}", logs.text());
    assert_eq!(disabled(&world), 0);
    assert_eq!(service.stop().await.paused, 1);
}

#[tokio::test(start_paused = true)]
async fn after_the_pause_its_charms_are_polled_again_spread_over_the_interval_and_have_lost_nothing() {
    let world = World::new();
    let all = charms(&world, 60, "mail");
    let mail = component("mail", &all);
    let store = Store::new();
    let service = world.start_with(&store, vec![mail.clone()], world.options());
    seconds(100).await;
    mail.answers(traps());
    seconds(3_000).await;
    // The last good list was used for a while; since the pause nothing is polled.
    let last = all.iter().filter_map(|charm| world.starts(charm).last().copied()).max().unwrap();
    assert!(last < 400, "{last}");
    assert_eq!(world.logs.count("is paused for"), 5, "{}", world.logs.text());
    assert!(all.iter().all(|charm| store.get(charm).unwrap().failures == 0));

    mail.answers(Ok(all.clone()));
    let polls = world.state().starts.len();
    while world.state().starts.len() == polls {
        seconds(1).await;
    }
    let first = world.state().starts[polls].1;
    seconds(60).await;
    assert_eq!(world.logs.count("The integration mail works again after a pause of"), 1);
    assert_eq!(world.logs.count("works again"), 1, "it is logged once: {}", world.logs.text());
    let again: Vec<f64> = world.state().starts[polls..].iter().map(|(_, at)| at - first).collect();
    assert!(again.len() >= 60, "{}", again.len());
    assert!(again.iter().filter(|at| **at < 30.0).count() <= 31, "not all at once: {again:?}");
    assert!(world.state().events.iter().all(|event| event.failures == 0 && event.outcome.is_success()));
    assert_eq!((disabled(&world), service.stop().await.paused), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_charm_that_makes_the_component_trap_pauses_nobody_and_is_disabled_like_any_that_fails() {
    let world = World::new();
    let (poisonous, healthy) = (charm("poison", "1"), charms(&world, 4, "mail"));
    world.register(&poisonous, "mail");
    let all: Vec<CharmRef> = healthy.iter().chain([&poisonous]).cloned().collect();
    let mail = component("mail", &all);
    mail.breaks(Some(&poisonous), TRAP);
    let service = world.start_with(&Store::new(), vec![mail.clone()], world.options());
    seconds(3_600).await;
    assert!(healthy.iter().all(|charm| world.starts(charm).len() == 60));
    assert_eq!(world.logs.count("is paused"), 0, "{}", world.logs.text());
    assert!(!world.state().registrations[&poisonous].is_enabled());
    let status = world.state().registrations[&poisonous].status.clone();
    assert!(status.starts_with("Disabled: 5 failures in a row: Trapped: is-valid-charm"), "{status}");
    assert_eq!(disabled(&world), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_charms_that_make_the_component_trap_pauses_nobody_beside_one_healthy_charm() {
    let world = World::new();
    let (healthy, poisonous) = (charms(&world, 1, "mail"), charms(&world, 200, "mail-of-others"));
    for charm in &poisonous {
        world.register(charm, "mail");
    }
    let all: Vec<CharmRef> = healthy.iter().chain(&poisonous).cloned().collect();
    let mail = component("mail", &all);
    for charm in &poisonous {
        mail.breaks(Some(charm), TRAP);
    }
    let service = world.start_with(&Store::new(), vec![mail.clone()], world.options());
    for _ in 0..60 {
        seconds(60).await;
        // A charm that is registered again is polled at once, so that there are failures all the time.
        for charm in &poisonous[..20] {
            world.register(charm, "mail");
        }
    }
    assert_eq!(world.logs.count("is paused"), 0);
    assert!(world.starts(&healthy[0]).len() >= 60, "{:?}", world.starts(&healthy[0]));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_component_that_fails_for_every_charm_disables_none_of_them() {
    for count in [1, 4, 100] {
        let world = World::new();
        let all = charms(&world, count, "mail");
        let mail = component("mail", &all);
        mail.breaks(None, OutcomeKind::OutOfMemory);
        let store = Store::new();
        let service = world.start_with(&store, vec![mail.clone()], world.options());
        seconds(86_400).await;
        assert_eq!(disabled(&world), 0, "{count} charms");
        assert!(all.iter().all(|charm| store.get(charm).unwrap().failures == 0), "nothing is remembered against them");
        assert!(world.logs.count("is paused") > 0, "{count} charms");
        // Without any backoff it would be asked once a minute for each charm.
        let judged = mail.judged.load(Ordering::Relaxed);
        assert!(judged < 40 * count, "{count} charms: {judged}");

        mail.is_fixed();
        seconds(2 * 3_600).await;
        assert!(all.iter().all(|charm| !world.starts(charm).is_empty()), "{count} charms");
        // An own failure is the first in a row.
        world.fail(&all[0]);
        seconds(60).await;
        let failed = world.state().events.iter().rfind(|event| event.charm == all[0]).unwrap().clone();
        assert_eq!((failed.outcome.kind, failed.failures), (OutcomeKind::HandlerFailed, 1), "{count} charms");
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_for_charms_says_why_and_lasts_longer_while_no_charm_is_answered_for() {
    let world = World::new();
    let all = charms(&world, 30, "mail");
    let mail = component("mail", &all);
    mail.breaks(None, OutcomeKind::Timeout);
    let service = world.start_with(&Store::new(), vec![mail.clone()], world.options());
    seconds(7_200).await;
    let logs = world.logs.text();
    let reason = "is-valid-charm failed for 5 charms and answered for none";
    assert!(logs.lines().filter(|line| line.contains(reason)).all(|line| line.contains("outcome=Timeout")), "{logs}");
    let lengths: Vec<u64> = logs
        .lines()
        .filter(|line| line.contains(reason))
        .filter_map(|line| line.split("paused_s=").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    assert!(lengths.len() >= 3 && lengths.is_sorted() && lengths[0] <= 120 && lengths[2] > 400, "{lengths:?}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_components_fault_does_not_pause_it() {
    for kind in [OutcomeKind::Unavailable, OutcomeKind::Denied] {
        let world = World::new();
        let all = charms(&world, 20, "mail");
        let mail = component("mail", &all);
        mail.breaks(None, kind);
        mail.answers(Err(IntegrationError::new(kind, "not now")));
        let service = world.start_with(&Store::new(), vec![mail.clone()], world.options());
        seconds(1_801).await;
        assert_eq!((mail.asked.load(Ordering::Relaxed), world.logs.count("is paused")), (31, 0), "{kind}");
        mail.answers(Ok(all.clone()));
        seconds(7_200).await;
        assert_eq!((world.logs.count("is paused"), disabled(&world)), (0, 0), "{kind}");
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_charm_registered_in_a_pause_is_polled_after_it() {
    let world = World::new();
    let mail = component("mail", &[]);
    mail.answers(traps());
    let service = world.start_with(&Store::new(), vec![mail.clone()], world.options());
    seconds(250).await;
    let late = charm("late", "1");
    world.register(&late, "mail");
    seconds(60).await;
    assert!(world.starts(&late).is_empty());
    // It is not named, since it was not registered yet when the probe began; as without a pause, it is polled all the
    // same.
    mail.answers(Ok(vec![late.clone()]));
    seconds(120).await;
    assert!(!world.starts(&late).is_empty(), "{}", world.logs.text());
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_the_pause_does_not_end_it() {
    let world = World::new();
    let all = charms(&world, 20, "mail");
    let mail = component("mail", &all);
    let intervals = [(integration("mail"), Duration::from_secs(10))].into();
    let service = world.start_with(&Store::new(), vec![mail.clone()], PollerOptions { intervals, ..world.options() });
    seconds(5).await;
    mail.breaks(None, TRAP);
    // From 10 s on a list takes as long as an interval, so one is under way when the pause begins.
    *mail.takes.lock().unwrap() = Duration::from_secs(9);
    while world.logs.count("is paused") == 0 {
        seconds(1).await;
    }
    let asked = mail.asked.load(Ordering::Relaxed);
    seconds(15).await;
    assert_eq!(
        (mail.asked.load(Ordering::Relaxed), world.logs.count("works again")),
        (asked, 0),
        "{}",
        world.logs.text()
    );
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_away_is_no_fault_of_a_component_that_gives_up_then() {
    let world = World::new();
    let all = charms(&world, 20, "mail");
    let mail = component("mail", &all);
    let service = world.start_with(&Store::new(), vec![mail.clone()], world.options());
    seconds(70).await;
    mail.answers(traps());
    mail.breaks(None, OutcomeKind::HandlerFailed);
    world.down.store(true, Ordering::Relaxed);
    seconds(1_800).await;
    mail.answers(Ok(all.clone()));
    mail.is_fixed();
    world.down.store(false, Ordering::Relaxed);
    seconds(120).await;
    assert_eq!((world.logs.count("integration mail is paused"), disabled(&world)), (0, 0), "{}", world.logs.text());
    service.stop().await;
}
