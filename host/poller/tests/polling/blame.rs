//! Who is to blame, and what follows: the table of docs/polling.md, row by row.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_poller::*;

use crate::world::*;

const HOUR: u64 = 3_600;

/// When a charm is polled within two hours that always ends so, and whether it is disabled then. A neighbour is polled as ever.
async fn polls(ends: Result<Outcome, RuntimeError>) -> (Vec<u64>, bool) {
    let world = World::new();
    let (one, other) = (charm("a", "1"), charm("b", "2"));
    world.register(&one, "test");
    world.register(&other, "test");
    world.behave(&one, Behaviour { takes: Duration::ZERO, outcomes: [ends].into(), ..Behaviour::default() });
    let service = world.start();
    seconds(2 * HOUR + 61).await;
    assert!(world.starts(&other).len() >= 120, "one charm's trouble stops no other");
    assert_eq!(world.logs.count("polling pauses"), 0);
    let disabled = !world.state().registrations[&one].is_enabled();
    let counted = world.state().events.iter().any(|event| event.charm == one && event.failures > 0);
    assert_eq!(disabled, counted, "what does not count never disables");
    service.stop().await;
    (world.starts(&one), disabled)
}

fn waits_between(starts: &[u64]) -> Vec<u64> {
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_the_charms_own_fault_counts_and_disables_it() {
    use OutcomeKind::*;
    let kinds = [HandlerFailed, Timeout, OutOfMemory, LimitExceeded, Trapped, Invalid, NoStream, NotFound];
    let outcomes = kinds.map(|kind| Ok(Outcome::failure(kind, "x")));
    let denied = Ok(Outcome::failure(Denied, "a header").blaming(Blame::Charm));
    let of = CharmRef { space: charm("a", "1").space, charm: charm("a", "1").charm };
    let errors = [
        RuntimeError::Unfit("no such cell".into()),
        RuntimeError::unmet(Cause::Damaged, "a damaged cell"),
        RuntimeError::Invalid("x".into()),
        RuntimeError::NotFound(of),
        RuntimeError::Quota("x".into()),
    ];
    for ends in outcomes.into_iter().chain([denied]).chain(errors.map(Err)) {
        let (starts, disabled) = polls(ends.clone()).await;
        assert_eq!((starts.len(), disabled), (5, true), "{ends:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_change_is_looked_at_once_an_hour_and_costs_nothing() {
    let space = charm("a", "1").space;
    for ends in [
        Ok(Outcome::failure(OutcomeKind::Denied, "not granted").blaming(Blame::Configuration)),
        Ok(Outcome::failure(OutcomeKind::Denied, "from an earlier version")),
        Ok(Outcome::failure(OutcomeKind::Denied, "no token").blaming(Blame::Credential)),
        Err(RuntimeError::unmet(Cause::SignInMissing, "sign in")),
        Err(RuntimeError::unmet(Cause::NoRefreshUrl, "--oauth-refresh-url")),
        Err(RuntimeError::Authorization { space, message: "x".into() }),
    ] {
        let (starts, disabled) = polls(ends.clone()).await;
        assert_eq!((waits_between(&starts), disabled), (vec![HOUR; 2], false), "{ends:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_reasons_elsewhere_is_tried_again_ever_more_rarely_and_costs_nothing() {
    for ends in [
        Err(RuntimeError::unavailable_in(Scope::Upstream, "the token service is away")),
        Err(RuntimeError::unavailable_in(Scope::Charm, "its turn did not come")),
        Err(RuntimeError::unavailable_in(Scope::Space, "its access list is damaged")),
        Ok(Outcome::failure(OutcomeKind::Unavailable, "no room in the pool").blaming(Blame::Service)),
        Ok(Outcome::failure(OutcomeKind::Trapped, "a fault of this program").blaming(Blame::Service)),
    ] {
        let (starts, disabled) = polls(ends.clone()).await;
        let waits = waits_between(&starts);
        assert!(!disabled && waits.is_sorted() && waits[0] >= 107, "{ends:?}: {waits:?}");
        assert!(waits.last().is_some_and(|wait| (800..=900).contains(wait)), "{ends:?}: {waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_charm_that_gets_no_answer_does_not_bring_the_runtime_under_suspicion_and_two_do() {
    for charms in [1, 2] {
        let world = World::new();
        world.register(&charm("sound", "1"), "test");
        for number in 0..charms {
            let one = charm(&format!("space {number}"), "1");
            world.register(&one, "test");
            let away = Err(RuntimeError::unavailable("its shard is away"));
            world.behave(&one, Behaviour { takes: Duration::ZERO, outcomes: [away].into(), ..Behaviour::default() });
        }
        let service = world.start();
        seconds(1).await;
        let listed = world.state().listed;
        seconds(600).await;
        let asked = world.state().listed > listed;
        assert_eq!(asked, charms > 1, "{charms}");
        assert!(world.starts(&charm("sound", "1")).len() >= 9);
        assert!(world.state().events.iter().all(|event| event.failures == 0));
        service.stop().await;
    }
}

/// Nor do one and another that is no longer registered: that its poll got no answer may be just for that.
#[tokio::test(start_paused = true)]
async fn a_charm_that_is_removed_while_it_is_polled_brings_the_runtime_under_no_suspicion() {
    for is_removed in [false, true] {
        let world = World::new();
        let (sound, other, removed) = (charm("sound", "1"), charm("other", "1"), charm("removed", "1"));
        for (charm, takes, outcome) in [
            (&sound, 300, Ok(Outcome::success())),
            (&other, 0, Err(RuntimeError::unavailable("its shard is away"))),
            (&removed, 150, Err(RuntimeError::unavailable("it is gone"))),
        ] {
            world.register(charm, "test");
            let takes = Duration::from_secs(takes);
            world.behave(charm, Behaviour { takes, outcomes: [outcome].into(), ..Behaviour::default() });
        }
        let options = PollerOptions { poll_timeout: Duration::from_hours(1), ..world.options() };
        let service = world.start_with(&Store::new(), vec![], options);
        seconds(70).await;
        assert!(world.state().running.contains(&removed));
        if is_removed {
            world.unregister(&removed);
        }
        seconds(5).await;
        let listed = world.state().listed;
        seconds(200).await;
        assert_eq!(world.starts(&removed).len() > 1, !is_removed, "its poll is over");
        assert!(!is_removed || !world.state().running.contains(&removed));
        assert_eq!(world.state().listed > listed, !is_removed, "{is_removed}");
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_away_is_found_out_by_its_only_charm_too() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    let service = world.start();
    seconds(30).await;
    world.down.store(true, Ordering::Relaxed);
    seconds(200).await;
    assert_eq!(world.logs.count("polling pauses"), 1, "{}", world.logs.text());
    world.down.store(false, Ordering::Relaxed);
    seconds(120).await;
    assert!(world.state().events.iter().all(|event| event.failures == 0));
    assert_eq!(world.logs.count("The charm runtime answers again"), 1);
    service.stop().await;
}

fn waits() -> Behaviour {
    let outcome = Outcome::failure(OutcomeKind::Denied, "not granted").blaming(Blame::Configuration);
    Behaviour { takes: Duration::ZERO, outcomes: [Ok(outcome)].into(), ..Behaviour::default() }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_charm_is_polled_within_a_second_when_its_registration_says_that_something_changed() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.behave(&one, waits());
    let service = world.start();
    seconds(100).await;
    assert_eq!(world.starts(&one), [0]);
    world.behave(&one, Behaviour::default());
    world.wake(&one);
    seconds(1).await;
    assert_eq!(world.starts(&one), [0, 100]);
    seconds(60).await;
    assert_eq!(world.starts(&one), [0, 100, 160], "and goes on");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_comes_while_a_charm_is_polled_is_not_waited_for_an_hour() {
    let world = World::new();
    let one = charm("a", "1");
    world.register(&one, "test");
    world.behave(&one, Behaviour { takes: Duration::from_secs(10), ..waits() });
    let service = world.start();
    seconds(5).await;
    world.wake(&one);
    world.behave(&one, Behaviour::default());
    seconds(6).await;
    assert_eq!(world.starts(&one), [0, 10]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_goes_on_within_a_second_when_its_registration_says_that_something_changed() {
    for ends in [
        Err(RuntimeError::unavailable_in(Scope::Upstream, "400 without a code")),
        Err(RuntimeError::unavailable_in(Scope::Space, "its access list is damaged")),
        Ok(Outcome::failure(OutcomeKind::Unavailable, "no room in the pool").blaming(Blame::Service)),
    ] {
        let world = World::new();
        let (one, other) = (charm("a", "1"), charm("b", "2"));
        world.register(&one, "test");
        world.register(&other, "test");
        let fails =
            Behaviour { takes: Duration::from_secs(10), outcomes: [ends.clone()].into(), ..Behaviour::default() };
        world.behave(&one, fails);
        let service = world.start();
        seconds(HOUR).await;
        // It waits for a quarter of an hour by now.
        let before = world.starts(&one).len();
        world.wake(&one);
        seconds(1).await;
        assert_eq!(world.starts(&one).len(), before + 1, "{ends:?}");
        // What is changed while it is polled counts as well.
        world.wake(&one);
        seconds(10).await;
        assert_eq!(world.starts(&one).len(), before + 2, "{ends:?}");
        world.behave(&one, Behaviour::default());
        world.wake(&one);
        seconds(10 + 61).await;
        assert_eq!(world.starts(&one).len(), before + 4, "{ends:?}: and goes on");
        service.stop().await;
    }
}

/// Four failures of its own, then one that is not its fault and is fixed, then a fifth.
async fn fails_on_both_sides_of_a_fix(restarts: bool) {
    for elsewhere in [Blame::Configuration, Blame::Upstream, Blame::Runtime] {
        let world = World::new();
        let store = Store::new();
        let one = charm("a", "1");
        world.register(&one, "test");
        let failed = || Ok(Outcome::failure(OutcomeKind::HandlerFailed, "x"));
        let kind = if elsewhere == Blame::Configuration { OutcomeKind::Denied } else { OutcomeKind::Unavailable };
        let not_its_fault = Ok(Outcome::failure(kind, "x").blaming(elsewhere));
        let outcomes = [failed(), failed(), failed(), failed(), not_its_fault, failed()].into();
        world.behave(&one, Behaviour { takes: Duration::ZERO, outcomes, ..Behaviour::default() });
        let service = world.start_with(&store, vec![], world.options());
        while world.starts(&one).len() < 5 {
            seconds(10).await;
        }
        assert!(world.state().registrations[&one].is_enabled());
        let service = if restarts {
            service.stop().await;
            world.wake(&one);
            world.start_with(&store, vec![], world.options())
        } else {
            world.wake(&one);
            service
        };
        seconds(2).await;
        assert_eq!(world.starts(&one).len(), 6, "{elsewhere}: it is polled soon");
        let failures: Vec<u32> = world.state().events.iter().map(|event| event.failures).collect();
        assert_eq!(failures, [1, 2, 3, 4, 4, 5], "{elsewhere}");
        assert!(!world.state().registrations[&one].is_enabled(), "{elsewhere}: the fifth disables it");
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fixed_cause_clears_no_failures_of_the_charms_own() {
    fails_on_both_sides_of_a_fix(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_fixed_cause_clears_no_failures_of_the_charms_own_over_a_restart() {
    fails_on_both_sides_of_a_fix(true).await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_enabled_before_it_was_woken_begins_again_without_failures() {
    for restarts in [false, true] {
        let world = World::new();
        let store = Store::new();
        let one = charm("a", "1");
        world.register(&one, "test");
        world.fail(&one);
        let service = world.start_with(&store, vec![], world.options());
        while world.starts(&one).len() < 4 {
            seconds(10).await;
        }
        seconds(1).await;
        // Both before the loop reads it.
        let enabled_and_woken = || {
            let enabled = world.set(&one, None).unwrap();
            world.state().registrations.get_mut(&one).unwrap().woken_at = enabled.updated_at + Duration::from_millis(1);
        };
        let service = if restarts {
            service.stop().await;
            enabled_and_woken();
            world.start_with(&store, vec![], world.options())
        } else {
            enabled_and_woken();
            service
        };
        seconds(10).await;
        let last = world.state().events.last().map(|event| event.failures);
        assert_eq!(last, Some(1), "restarts: {restarts}");
        service.stop().await;
    }
}

/// In which second charms are polled, and how often in each.
#[expect(clippy::cast_possible_truncation, reason = "a few minutes")]
fn per_second(world: &World, from: f64) -> Vec<usize> {
    let mut polls = Vec::new();
    for (_, at) in world.state().starts.iter().filter(|(_, at)| *at >= from) {
        let second = usize::try_from((at - from).floor() as i64).unwrap();
        polls.resize(polls.len().max(second + 1), 0);
        polls[second] += 1;
    }
    polls
}

/// A grant is added by a restart.
#[tokio::test(start_paused = true)]
async fn at_a_start_waiting_charms_are_polled_as_fast_as_places_allow_and_stay_together_never_after() {
    const MANY: usize = 1_200;
    let world = World::new();
    let store = Store::new();
    let charms: Vec<CharmRef> = (0..MANY).map(|number| charm(&format!("space {number}"), "1")).collect();
    for charm in &charms {
        world.register(charm, "test");
        world.behave(charm, waits());
    }
    let service = world.start_with(&store, vec![], world.options());
    seconds(90).await;
    service.stop().await;
    assert_eq!(world.state().starts.len(), MANY);
    let ok = Behaviour { takes: Duration::from_millis(10), ..Behaviour::default() };
    for charm in &charms {
        world.behave(charm, ok.clone());
    }
    let (from, service) = (90.0, world.start_with(&store, vec![], world.options()));
    seconds(300).await;
    let polls = per_second(&world, from);
    // 16 at once, 10 ms each.
    assert_eq!(polls[..2].iter().sum::<usize>(), MANY, "{polls:?}");
    let steady = MANY / 60;
    let after = &polls[2..];
    assert!(after.iter().all(|polls| *polls <= steady * 3 / 2), "no more than {steady} a second: {polls:?}");
    assert!(after[58..].iter().all(|polls| *polls >= steady / 2), "{polls:?}");
    assert!(charms.iter().all(|charm| world.starts(charm).windows(2).skip(1).all(|pair| pair[1] - pair[0] >= 60)));
    assert!(world.state().events.iter().all(|event| event.failures == 0));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn waiting_charms_that_go_on_take_no_place_that_another_charm_wants() {
    let world = World::new();
    let store = Store::new();
    let charms: Vec<CharmRef> = (0..600).map(|number| charm(&format!("space {number}"), "1")).collect();
    let neighbours: Vec<CharmRef> = (0..60).map(|number| charm(&format!("neighbour {number}"), "1")).collect();
    for charm in charms.iter().chain(&neighbours) {
        world.register(charm, "test");
    }
    for charm in &charms {
        world.behave(charm, waits());
    }
    let service = world.start_with(&store, vec![], world.options());
    seconds(90).await;
    service.stop().await;
    // Each takes a second now: 600 of them take a good half of a minute in 16 places.
    let slow = Behaviour { takes: Duration::from_secs(1), ..Behaviour::default() };
    for charm in &charms {
        world.behave(charm, slow.clone());
    }
    let (from, service) = (90, world.start_with(&store, vec![], world.options()));
    seconds(60).await;
    let first = |charm: &CharmRef| world.starts(charm).into_iter().find(|at| *at >= from);
    assert!(charms.iter().all(|charm| first(charm).is_some()));
    let late =
        world.state().events.iter().filter(|event| neighbours.contains(&event.charm)).map(|event| event.late).max();
    assert!(late.is_some_and(|late| late <= Duration::from_millis(1_100)), "{late:?}");
    service.stop().await;
}
