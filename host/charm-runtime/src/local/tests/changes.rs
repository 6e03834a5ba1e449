//! What has changed among the registrations.

use std::time::Duration;

use bg_charm_api::{Actor, RegistrationFilter, Spaces};
use bg_poller::{CharmRef, CharmRuntime, DisabledBy, RegistrationChanges};
use rusqlite::Connection;
use serde_json::json;

use crate::local::LocalHandle;
use crate::local::testing::Home;

/// What has changed since `seen`, and the number to go on from; none if all registrations are answered instead.
async fn since(operator: &LocalHandle, seen: &mut u64) -> Option<(Vec<CharmRef>, Vec<CharmRef>)> {
    let RegistrationChanges { revision, registrations, removed } = operator.changes(*seen).await.unwrap();
    *seen = revision.unwrap();
    assert_eq!(*seen, operator.revision().await.unwrap());
    let all = operator.registrations().await.unwrap();
    assert!(registrations.iter().all(|one| all.contains(one)), "they are as they are now");
    Some((registrations.into_iter().map(|one| one.charm).collect(), removed?))
}

#[tokio::test]
async fn each_change_names_the_registration_that_has_changed() {
    let home = Home::new().await;
    let (operator, gmail) = (home.operator(), "gmail".parse().unwrap());
    let (one, two) = (home.deploy(json!({})).await, home.deploy(json!({"n": 2})).await);
    let mut seen = operator.revision().await.unwrap();
    let only = |charm: &CharmRef| Some((vec![charm.clone()], vec![]));
    assert_eq!(since(&operator, &mut seen).await, Some((vec![], vec![])));
    operator.register(&one, &gmail).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, only(&one));
    operator.register(&two, &gmail).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, only(&two));
    operator.set_disabled(&one, Some((DisabledBy::Hand, "by hand"))).await.unwrap();
    operator.set_interval(&one, Some(Duration::from_hours(1))).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, only(&one), "once, however often it changed");
    operator.set_disabled(&one, None).await.unwrap();
    operator.remove(&two).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, Some((vec![one.clone()], vec![two.clone()])));
    operator.register(&two, &gmail).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, only(&two));
    // By another process, too.
    let failures = Some((DisabledBy::Failures, "5 failures in a row"));
    home.another().as_actor(Actor::Operator).set_disabled(&two, failures).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, only(&two));
    assert_eq!(operator.enable_all(&RegistrationFilter::default()).await.unwrap(), 1);
    assert_eq!(since(&operator, &mut seen).await, only(&two));
    // Polls are no change.
    assert!(home.trigger(&two, "bgUpdater", json!({})).await.unwrap().is_success());
    assert_eq!(since(&operator, &mut seen).await, Some((vec![], vec![])));
    // Nothing is remembered of a charm that is deleted, so all are read.
    operator.delete(&one).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, None);
    operator.set_disabled(&two, failures).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, only(&two));
}

#[tokio::test]
async fn who_has_missed_more_than_is_remembered_gets_all_registrations() {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    let begun = operator.revision().await.unwrap();
    for number in 0..1_000_u64 {
        operator.set_interval(&charm, Some(Duration::from_secs(1 + number % 2))).await.unwrap();
    }
    assert_eq!(since(&operator, &mut begun.clone()).await, Some((vec![charm.clone()], vec![])));
    operator.set_interval(&charm, None).await.unwrap();
    let database = Connection::open(home.database()).unwrap();
    let rows: i64 = database.query_row("SELECT count(*) FROM registration_changes", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1_000);
    let now = operator.revision().await.unwrap();
    for unknown in [0, begun, now + 1, u64::MAX] {
        assert_eq!(since(&operator, &mut unknown.clone()).await, None, "{unknown} of {now}");
    }
    // A version of the service that remembers nothing was in between.
    database.execute("UPDATE meta SET value = value + 1 WHERE key = 'registrations_revision'", []).unwrap();
    assert_eq!(since(&operator, &mut now.clone()).await, None);
    operator.set_interval(&charm, Some(Duration::from_secs(1))).await.unwrap();
    assert_eq!(since(&operator, &mut now.clone()).await, None);
    assert_eq!(since(&operator, &mut (now + 1)).await, Some((vec![charm], vec![])));
}

#[tokio::test]
async fn a_registration_that_is_damaged_is_passed_over_among_the_changes_until_it_is_fixed() {
    let home = Home::new().await;
    let (operator, gmail) = (home.operator(), "gmail".parse().unwrap());
    let (one, two) = (home.deploy(json!({})).await, home.deploy(json!({"n": 2})).await);
    let mut seen = operator.revision().await.unwrap();
    for charm in [&one, &two] {
        operator.register(charm, &gmail).await.unwrap();
    }
    let database = Connection::open(home.database()).unwrap();
    let damage = "UPDATE registrations SET interval_ms = -5 WHERE charm = (SELECT row FROM charms WHERE id = ?1)";
    database.execute(damage, [one.charm.as_str()]).unwrap();
    assert_eq!(since(&operator, &mut seen).await, Some((vec![two.clone()], vec![one.clone()])));
    assert_eq!(operator.damaged().await.unwrap().len(), 1);
    assert!(operator.remove(&one).await.unwrap());
    operator.register(&one, &gmail).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, Some((vec![one.clone()], vec![])));
    // What may have changed for many at once, as at the start of a service, wherever one of them is damaged.
    for (column, (expected, gone)) in [("woken_at", (2, vec![])), ("updated_at", (1, vec![one.clone()]))] {
        database
            .execute_batch(&format!(
                "UPDATE registrations SET last_run = updated_at, last_kind = 'Unavailable', last_blame = 'upstream';
                 UPDATE registrations SET {column} = 9223372036854775807
                 WHERE charm = (SELECT min(charm) FROM registrations);",
            ))
            .unwrap();
        home.runtime.wake_waiting().await.unwrap();
        // A wake writes its own time again, and leaves that of the last change alone.
        let (changed, removed) = since(&operator, &mut seen).await.unwrap();
        assert_eq!((changed.len(), removed), (expected, gone), "{column}");
    }
}

#[tokio::test]
async fn a_charm_whose_name_is_damaged_stops_no_change_of_others_and_has_all_registrations_read() {
    let home = Home::new().await;
    let (operator, gmail) = (home.operator(), "gmail".parse().unwrap());
    let (one, two) = (home.deploy(json!({})).await, home.deploy(json!({"n": 2})).await);
    for charm in [&one, &two] {
        operator.register(charm, &gmail).await.unwrap();
    }
    let mut seen = operator.revision().await.unwrap();
    let database = Connection::open(home.database()).unwrap();
    database
        .execute_batch(
            "UPDATE registrations SET last_run = updated_at, last_kind = 'Denied', last_blame = 'configuration';
             UPDATE charms SET id = CAST(x'ff41' AS TEXT) WHERE row = (SELECT min(row) FROM charms);",
        )
        .unwrap();
    home.runtime.wake_waiting().await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, None);
    operator.set_interval(&two, Some(Duration::from_secs(1))).await.unwrap();
    assert_eq!(since(&operator, &mut seen).await, Some((vec![two], vec![])));
}
