use std::time::Duration;

use bg_charm_api::{AccessLevel, LogEntry, LogQuery, Spaces, Subject};
use bg_poller::{CharmRef, CharmRuntime, LogLevel, OutcomeKind, RuntimeError};
use serde_json::json;

use crate::LocalHandle;
use crate::local::testing::{Home, source, space};
use bg_store::LINES_KEPT;

const ALL: LogQuery = LogQuery { after: None, limit: usize::MAX, wait: false };

async fn logs(handle: &LocalHandle, charm: &CharmRef, query: LogQuery) -> Vec<LogEntry> {
    handle.logs(charm, query).await.unwrap()
}

fn texts(entries: &[LogEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.line.text.as_str()).collect()
}

#[tokio::test]
async fn what_a_charm_logs_is_kept_with_its_run_whatever_came_of_it() {
    let home = Home::new().await;
    let charm = home.deploy(json!({"token": "tok-SECRET-1"})).await;
    home.trigger(&charm, "bgUpdater", json!("one")).await.unwrap();
    home.trigger(&charm, "fail", json!("tok-SECRET-1")).await.unwrap();
    assert_eq!(home.trigger(&charm, "trap", json!("three\n")).await.unwrap().kind, OutcomeKind::Trapped);
    let kept = logs(&home.operator(), &charm, ALL).await;
    assert_eq!(texts(&kept), ["set up", "\"one\"", "\"(secret)\"", "\"three\\n\""]);
    assert_eq!((kept[0].line.level, kept[1].line.level), (LogLevel::Debug, LogLevel::Info));
    let runs = home.operator().runs(&charm, 10).await.unwrap();
    assert!(runs[2].started_at <= kept[1].line.at && kept[1].line.at <= kept[2].line.at);

    // Pages, and the newest.
    let page = logs(&home.operator(), &charm, LogQuery { after: Some(kept[0].cursor), limit: 2, wait: false }).await;
    assert_eq!(page, kept[1..3]);
    assert_eq!(logs(&home.operator(), &charm, LogQuery { limit: 1, ..ALL }).await, kept[3..]);
    assert_eq!(logs(&home.operator(), &charm, LogQuery { after: Some(u64::MAX), ..ALL }).await, []);
    // The next process finds them, and another charm has its own.
    assert_eq!(logs(&home.another().as_actor(bg_charm_api::Actor::Operator), &charm, ALL).await, kept);
    let other = home.deploy(json!({"token": "another"})).await;
    assert_eq!(texts(&logs(&home.operator(), &other, ALL).await), ["set up"]);
}

#[tokio::test]
async fn the_newest_lines_are_kept_and_their_places_are_not_used_again() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let first = logs(&home.operator(), &charm, ALL).await[0].cursor;
    for number in 0..LINES_KEPT + 3 {
        home.trigger(&charm, "bgUpdater", json!(number)).await.unwrap();
    }
    let kept = logs(&home.operator(), &charm, ALL).await;
    assert_eq!(kept.len(), LINES_KEPT);
    let expected: Vec<String> = (3..LINES_KEPT + 3).map(|number| number.to_string()).collect();
    assert_eq!(texts(&kept), expected);
    assert!(kept.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    assert!(kept[0].cursor > first);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_lines_gets_them_from_other_processes_too() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let after = logs(&home.operator(), &charm, ALL).await.last().map(|entry| entry.cursor);
    let (waiting, query) = (home.operator(), LogQuery { after, limit: 10, wait: true });
    let name = charm.clone();
    let waits = tokio::spawn(async move { waiting.logs(&name, query).await });
    let other = home.another().as_actor(bg_charm_api::Actor::Operator);
    // A call that logs nothing is no reason to answer.
    other.trigger(&charm, "append", &json!({})).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waits.is_finished());
    other.trigger(&charm, "bgUpdater", &json!("late")).await.unwrap();
    assert_eq!(texts(&waits.await.unwrap().unwrap()), ["\"late\""]);
}

#[tokio::test]
async fn nobody_waits_for_no_lines() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    // From here on, time passes only while somebody waits for it.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    for after in [None, Some(0), Some(u64::MAX)] {
        assert_eq!(logs(&home.operator(), &charm, LogQuery { after, limit: 0, wait: true }).await, []);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_log_is_for_those_who_may_read_the_space_and_for_the_service() {
    let home = Home::new().await;
    let charm = home.signed("ann").deploy(&space(), &source("guest.js", json!({}))).await.unwrap().charm;
    assert_eq!(logs(&home.signed("ben"), &charm, ALL).await.len(), 1);
    home.signed("ann").set_acl(&space(), &Subject::Anyone, None).await.unwrap();
    let refused = home.signed("ben").logs(&charm, ALL).await.unwrap_err();
    assert!(matches!(refused, RuntimeError::Authorization { .. }), "{refused}");
    let service = Subject::Did(crate::local::testing::did("service"));
    let system = bg_identity::system_space();
    home.operator().set_acl(&system, &service, Some(AccessLevel::Read)).await.unwrap();
    assert_eq!(logs(&home.signed("service"), &charm, ALL).await.len(), 1);
    let mut nothing = charm;
    nothing.charm = bg_identity::CharmId::for_content(b"nothing");
    assert_eq!(home.operator().logs(&nothing, ALL).await, Err(RuntimeError::NotFound(nothing)));
}
