use std::sync::Arc;
use std::time::Duration;

use bg_abuse::Attempt;
use bg_identity::CharmId;
use bg_poller::{Blame, CharmRuntime, Counters, DisabledBy, Outcome, OutcomeKind, Run, RuntimeError, UnixMillis};
use serde_json::json;

use crate::local::testing::{Home, handlers};

#[tokio::test]
async fn registering_again_re_enables_and_re_labels() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    let first = operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    assert_eq!((first.status.as_str(), first.is_enabled()), ("Initializing", true));
    assert!(!first.created_at.is_never());

    let disabled = operator.set_disabled(&charm, Some((DisabledBy::Hand, "by hand"))).await.unwrap();
    assert_eq!((disabled.status.as_str(), disabled.is_enabled()), ("Disabled: by hand", false));
    // A poll by hand is noted, and the reason stays.
    home.trigger(&charm, "append", json!({})).await.unwrap();
    let [noted] = operator.registrations().await.unwrap().try_into().unwrap();
    assert_eq!((noted.status.as_str(), noted.last_run.is_never()), ("Disabled: by hand", false));

    let again = operator.register(&charm, &"gcal".parse().unwrap()).await.unwrap();
    assert_eq!((again.status.as_str(), again.is_enabled()), ("Re-initializing", true));
    assert_eq!(
        (again.integration.as_str(), again.created_at, again.last_run),
        ("gcal", first.created_at, noted.last_run)
    );
    operator.set_disabled(&charm, Some((DisabledBy::Hand, ""))).await.unwrap();
    assert!(operator.set_disabled(&charm, None).await.unwrap().is_enabled());
    assert_eq!(operator.registrations().await.unwrap().len(), 1);

    assert!(operator.remove(&charm).await.unwrap());
    assert!(!operator.remove(&charm).await.unwrap());
    let error = operator.set_disabled(&charm, None).await.unwrap_err();
    assert!(error.to_string().contains("is not registered"), "{error}");
}

#[tokio::test]
async fn a_status_shows_the_start_of_a_long_text_and_the_history_all_of_it() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    let text = "ü".repeat(2_000);
    let outcome = Outcome::failure(OutcomeKind::HandlerFailed, format!("{text}\nsecond line"));
    let run = Run { charm: charm.clone(), started_at: UnixMillis::now(), duration: Duration::ZERO, outcome };
    operator.record(std::slice::from_ref(&run)).await.unwrap();
    let [noted] = operator.registrations().await.unwrap().try_into().unwrap();
    assert!(noted.status.starts_with("HandlerFailed: ü") && noted.status.ends_with("ü…"), "{}", noted.status);
    assert!(noted.status.len() < 310, "{}", noted.status);
    let disabled =
        operator.set_disabled(&charm, Some((DisabledBy::Hand, &format!("{text}\nsecond line")))).await.unwrap();
    assert!(disabled.status.starts_with("Disabled: ü") && disabled.status.ends_with("ü…"), "{}", disabled.status);
    assert!(disabled.status.len() < 320, "{}", disabled.status);
    assert_eq!(operator.runs(&charm, 1).await.unwrap(), [run]);
}

#[tokio::test]
async fn a_run_that_is_recorded_again_since_the_answer_was_lost_counts_once() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    let run = |started_at, message: &str| {
        let outcome = Outcome::failure(OutcomeKind::Invalid, message);
        Run { charm: charm.clone(), started_at: UnixMillis(started_at), duration: Duration::from_millis(3), outcome }
    };
    let runs = [run(1_700_000_000_000, "one"), run(1_700_000_000_001, "one")];
    operator.record(&runs).await.unwrap();
    operator.record(&runs).await.unwrap();
    operator.record(&[run(1_700_000_000_001, "one"), run(1_700_000_000_001, "another")]).await.unwrap();
    let kept: Vec<_> = operator.runs(&charm, 10).await.unwrap().into_iter().rev().collect();
    assert_eq!(kept, [runs.as_slice(), &[run(1_700_000_000_001, "another")]].concat());
    assert_eq!(operator.counters(&charm).await.unwrap().runs, 3);
}

#[tokio::test]
async fn what_all_runs_came_to_is_counted_also_of_those_that_the_history_has_no_more() {
    let home = Home::with(|options| options.runs_kept = 2).await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    assert!(operator.counters(&charm).await.unwrap_err().to_string().contains("is not registered"));
    operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    assert_eq!(operator.counters(&charm).await.unwrap(), Counters::default());
    let failure = Outcome::failure(OutcomeKind::Invalid, "unfit");
    let runs = [(20, Outcome::success()), (5, failure), (40, Outcome::success()), (10, Outcome::success())];
    for (number, (millis, outcome)) in (1_700_000_000_000..).zip(runs) {
        let duration = Duration::from_millis(millis);
        operator
            .record(&[Run { charm: charm.clone(), started_at: UnixMillis(number), duration, outcome }])
            .await
            .unwrap();
    }
    let counters = operator.counters(&charm).await.unwrap();
    let millis = Duration::from_millis;
    let expected = Counters {
        runs: 4,
        failed: 1,
        total: millis(75),
        shortest: millis(5),
        longest: millis(40),
        last: millis(10),
        failed_at: UnixMillis(1_700_000_000_001),
        failure: Some("Invalid: unfit".to_owned()),
    };
    assert_eq!((counters.mean(), counters), (Duration::from_micros(18_750), expected));
    assert_eq!(operator.runs(&charm, 10).await.unwrap().len(), 2);
    let [listed] = operator.registrations().await.unwrap().try_into().unwrap();
    assert_eq!(listed.last_outcome, Some(OutcomeKind::Success));
}

#[tokio::test]
async fn a_run_that_is_noted_late_hides_none_that_came_after_it() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    let now = UnixMillis::now().0;
    let late = Outcome::failure(OutcomeKind::Denied, "no token");
    for (started_at, outcome) in [(now - 10, Outcome::success()), (now - 20, late)] {
        let run = Run { charm: charm.clone(), started_at: UnixMillis(started_at), duration: Duration::ZERO, outcome };
        operator.record(&[run]).await.unwrap();
    }
    let [noted] = operator.registrations().await.unwrap().try_into().unwrap();
    assert_eq!(
        (noted.status.as_str(), noted.last_outcome, noted.last_blame),
        ("Success", Some(OutcomeKind::Success), None)
    );
    assert_eq!(operator.counters(&charm).await.unwrap().failed, 1);
}

#[tokio::test]
async fn a_charm_that_waits_begins_again_once_for_each_change_and_for_none_that_is_still_to_come() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    let database = rusqlite::Connection::open(home.database()).unwrap();
    let note = async |started_at: u64, changed_at: u64| {
        database.execute("UPDATE charms SET updated_at = ?1", [changed_at]).unwrap();
        database.execute("UPDATE registrations SET updated_at = ?1, woken_at = 0", [started_at - 1]).unwrap();
        let mut begun = Vec::new();
        for _ in 0..2 {
            let before = operator.registrations().await.unwrap()[0].woken_at;
            let outcome = Outcome::failure(OutcomeKind::Denied, "no grant").blaming(Blame::Configuration);
            let (charm, started_at) = (charm.clone(), UnixMillis(started_at));
            operator.record(&[Run { charm, started_at, duration: Duration::ZERO, outcome }]).await.unwrap();
            begun.push(operator.registrations().await.unwrap()[0].woken_at > before);
        }
        begun
    };
    let now = UnixMillis::now().0;
    assert_eq!(note(now - 20_000, now - 30_000).await, [false, false], "it has seen that one");
    assert_eq!(note(now - 10_000, now - 9_000).await, [true, false]);
    assert_eq!(note(now - 5_000, now + 3_600_000).await, [false, false], "the clock was set back since");
}

#[tokio::test]
async fn another_interval_is_a_change_and_forgives_no_failure() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    let registered = operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    let seen = operator.changed(0).await.unwrap();
    let hour = Some(Duration::from_hours(1));
    let changed = operator.set_interval(&charm, hour).await.unwrap();
    assert_eq!((changed.interval, changed.updated_at), (hour, registered.updated_at));
    assert_ne!(operator.changed(seen).await.unwrap(), seen);
    assert_eq!(operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap().interval, hour, "it keeps it");
    assert_eq!(operator.set_interval(&charm, None).await.unwrap().interval, None);
    assert_eq!(operator.registered(&"gmail".parse().unwrap()).await.unwrap(), std::slice::from_ref(&charm));
    operator.set_disabled(&charm, Some((DisabledBy::Hand, "by hand"))).await.unwrap();
    assert_eq!(operator.registered(&"gmail".parse().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn what_cannot_be_polled_is_not_registered() {
    let other = handlers("someUpdater").await;
    let home = Home::with(|options| options.handlers = Some(other)).await;
    let charm = home.deploy(json!({})).await;
    let error = home.operator().register(&charm, &"gmail".parse().unwrap()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RuntimeError::Unfit(_)), "{error:?}");
    assert!(text.contains("bgUpdater, integrationUpdater,"), "{text}");
    assert!(text.ends_with("its streams: append, copy, fail, hang, someUpdater, trap"), "{text}");

    let mut missing = charm;
    missing.charm = CharmId::for_content(b"another");
    let error = home.operator().register(&missing, &"gmail".parse().unwrap()).await.unwrap_err();
    assert_eq!(error, RuntimeError::NotFound(missing));
    assert_eq!(home.operator().registrations().await.unwrap(), []);
}

#[tokio::test]
async fn polls_that_triggered_nothing_are_noted_where_registered() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    let run = |at: u64| Run {
        charm: charm.clone(),
        started_at: UnixMillis(at),
        duration: Duration::from_millis(3),
        outcome: Outcome::failure(OutcomeKind::Invalid, "the integration finds it unfit\nfor two reasons"),
    };
    operator.record(&[run(1)]).await.unwrap();
    assert_eq!(operator.runs(&charm, 10).await.unwrap(), [], "it is not registered");

    operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    let mut unknown = run(2);
    unknown.charm.charm = CharmId::for_content(b"another");
    operator.record(&[run(2), unknown, run(3)]).await.unwrap();
    assert_eq!(operator.runs(&charm, 10).await.unwrap(), [run(3), run(2)]);
    let [registration] = operator.registrations().await.unwrap().try_into().unwrap();
    assert_eq!(registration.last_run, UnixMillis(3));
    assert_eq!(registration.status, "Invalid: the integration finds it unfit");
}

#[tokio::test]
async fn the_list_of_an_integration_holds_its_registrations() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    let (gmail, gcal) = ("gmail".parse().unwrap(), "gcal".parse().unwrap());
    assert_eq!(operator.integration_list(&gmail).await.unwrap(), None);
    operator.register(&charm, &gmail).await.unwrap();
    operator.prepare_list(&gmail).await.unwrap();
    operator.prepare_list(&gmail).await.unwrap();
    operator.prepare_list(&gcal).await.unwrap();
    assert_eq!(operator.integration_list(&gmail).await.unwrap(), Some(vec![charm]));
    assert_eq!(operator.integration_list(&gcal).await.unwrap(), Some(vec![]));
}

#[tokio::test]
async fn a_change_here_or_in_another_process_wakes_who_waits() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    for other in [Arc::clone(&home.runtime), home.another()] {
        let here = home.operator();
        let seen = here.changed(0).await.unwrap();
        assert_eq!(here.revision().await.unwrap(), seen);
        let waiting: Vec<_> = (0..5).map(|_| home.operator()).collect();
        let waiting: Vec<_> =
            waiting.into_iter().map(|here| tokio::spawn(async move { here.changed(seen).await })).collect();
        tokio::task::yield_now().await;
        // What polls note wakes nobody.
        home.trigger(&charm, "append", json!({})).await.unwrap();
        other.as_actor(bg_charm_api::Actor::Operator).register(&charm, &"gmail".parse().unwrap()).await.unwrap();
        for one in waiting {
            assert_eq!(one.await.unwrap().unwrap(), seen + 1);
        }
    }
}

#[tokio::test]
async fn what_changes_after_the_clock_was_set_back_is_seen_as_a_change() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    let gmail = "gmail".parse().unwrap();
    operator.register(&charm, &gmail).await.unwrap();
    home.trigger(&charm, "append", json!({})).await.unwrap();
    let attempt = Attempt::begin("clock", "set back by years between registrations and polls");
    // All that was noted so far was noted in the year 2100.
    let later = 4_102_444_800_000_u64;
    let database = rusqlite::Connection::open(home.database()).unwrap();
    database.execute("UPDATE registrations SET updated_at = ?1, last_run = ?1", [later]).unwrap();
    database.execute("UPDATE runs SET started_at = ?1", [later]).unwrap();

    let mut before = UnixMillis(later);
    for _ in 0..2 {
        let changes = [
            operator.register(&charm, &gmail).await.unwrap(),
            operator.set_disabled(&charm, Some((DisabledBy::Hand, "by hand"))).await.unwrap(),
            operator.set_disabled(&charm, None).await.unwrap(),
        ];
        for change in changes {
            assert!(change.updated_at > before, "{change:?}");
            before = change.updated_at;
        }
    }
    let now = UnixMillis::now();
    home.trigger(&charm, "append", json!({})).await.unwrap();
    let [registration] = operator.registrations().await.unwrap().try_into().unwrap();
    assert!(registration.last_run >= now && registration.last_run < UnixMillis(later), "{registration:?}");
    let runs = operator.runs(&charm, 10).await.unwrap();
    let times: Vec<UnixMillis> = runs.iter().map(|run| run.started_at).collect();
    assert_eq!(times, [registration.last_run, UnixMillis(later)], "newest first, whatever the clock said");
    attempt.ended("each change is later than the last; history in order");
}
