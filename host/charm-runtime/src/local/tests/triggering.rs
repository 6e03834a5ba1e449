use std::sync::Arc;
use std::time::Duration;

use bg_charm_api::{AccessLevel, Actor, Spaces, Subject};
use bg_poller::{Blame, CharmRuntime, OutcomeKind, RuntimeError, UnixMillis};
use serde_json::json;

use crate::local::RUNS_KEPT;
use crate::local::testing::{Home, source, space};

#[tokio::test]
async fn a_successful_handlers_writes_and_its_run_are_kept_together() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let before = home.operator().register(&charm, &"test".parse().unwrap()).await.unwrap();
    assert_eq!((before.last_run, before.last_outcome), (UnixMillis::NEVER, None));

    let outcome = home.trigger(&charm, "bgUpdater", json!({"n": 1})).await.unwrap();
    assert!(outcome.is_success(), "{outcome}");
    assert_eq!(home.cells(&charm).await["event"], json!({"n": 1}));
    assert!(home.trigger(&charm, "copy", json!({})).await.unwrap().is_success());
    assert_eq!(home.cells(&charm).await["copied"], json!({"n": 1}));

    let runs = home.operator().runs(&charm, 10).await.unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| run.outcome.is_success() && run.charm == charm));
    let [registration] = home.operator().registrations().await.unwrap().try_into().unwrap();
    assert_eq!((registration.status.as_str(), registration.last_run), ("Success", runs[0].started_at));
}

#[tokio::test]
async fn a_failed_handler_leaves_its_outcome_and_no_write() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    home.operator().register(&charm, &"test".parse().unwrap()).await.unwrap();
    home.trigger(&charm, "bgUpdater", json!("first")).await.unwrap();
    let before = home.cells(&charm).await;

    let failed = home.trigger(&charm, "fail", json!("written before the throw")).await.unwrap();
    assert_eq!(failed.kind, OutcomeKind::HandlerFailed);
    assert_eq!(failed.message.as_deref(), Some("\"written before the throw\""));
    let trapped = home.trigger(&charm, "trap", json!("written before the trap")).await.unwrap();
    assert_eq!(trapped.kind, OutcomeKind::Trapped);

    assert_eq!(home.cells(&charm).await, before);
    let kinds: Vec<_> = home.operator().runs(&charm, 10).await.unwrap().iter().map(|run| run.outcome.kind).collect();
    assert_eq!(kinds, [OutcomeKind::Trapped, OutcomeKind::HandlerFailed, OutcomeKind::Success]);
    let [registration] = home.operator().registrations().await.unwrap().try_into().unwrap();
    assert!(registration.status.starts_with("Trapped: handle"), "{}", registration.status);
    assert_eq!(registration.last_outcome, Some(OutcomeKind::Trapped));
    assert_eq!(registration.last_blame, Some(Blame::Charm));
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_leaves_nothing() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let before = home.cells(&charm).await;
    let hanging = home.trigger(&charm, "hang", json!("written before the end"));
    assert!(tokio::time::timeout(Duration::from_millis(200), hanging).await.is_err());
    assert_eq!(home.cells(&charm).await, before);
    assert_eq!(home.operator().runs(&charm, 10).await.unwrap(), []);
    assert!(home.trigger(&charm, "append", json!({})).await.unwrap().is_success(), "its turn is over");
}

#[tokio::test]
async fn what_cannot_be_triggered_is_an_error_that_says_what_there_is() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let error = home.trigger(&charm, "update", json!({})).await.unwrap_err();
    let expected = "has no stream \"update\"; its streams: append, bgUpdater, copy, fail, hang, trap";
    assert!(matches!(&error, RuntimeError::Unfit(text) if text.ends_with(expected)), "{error:?}");

    let mut other = charm.clone();
    other.charm = bg_identity::CharmId::for_content(b"another");
    let error = home.trigger(&other, "bgUpdater", json!({})).await.unwrap_err();
    assert_eq!(error, RuntimeError::NotFound(other.clone()));
    assert_eq!(home.operator().open(&other).await.err(), Some(RuntimeError::NotFound(other)));
}

#[tokio::test]
async fn the_run_history_keeps_the_newest() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    for number in 0..RUNS_KEPT + 5 {
        home.trigger(&charm, "fail", json!(format!("run {number}"))).await.unwrap();
    }
    let runs = home.operator().runs(&charm, usize::MAX).await.unwrap();
    let messages: Vec<_> = runs.iter().map(|run| run.outcome.message.clone().unwrap()).collect();
    let expected: Vec<_> = (5..RUNS_KEPT + 5).rev().map(|number| format!("\"run {number}\"")).collect();
    assert_eq!(messages, expected);
    assert_eq!(home.operator().runs(&charm, 3).await.unwrap(), runs[..3]);
}

#[tokio::test]
async fn calls_of_one_charm_lose_no_write() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let calls = (0..20).map(|_| {
        let (runtime, charm) = (Arc::clone(&home.runtime), charm.clone());
        tokio::spawn(async move { runtime.as_actor(Actor::Operator).trigger(&charm, "append", &json!({})).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(call.await.unwrap().unwrap().is_success());
    }
    assert_eq!(home.cells(&charm).await["log"], "a".repeat(20));
}

#[tokio::test]
async fn access_that_was_taken_away_counts_at_once() {
    let home = Home::new().await;
    let charm = home.signed("ann").deploy(&space(), &source("guest.js", json!({}))).await.unwrap().charm;
    let ben = home.signed("ben");
    assert!(ben.trigger(&charm, "append", &json!({})).await.unwrap().is_success());
    home.signed("ann").set_acl(&space(), &Subject::Anyone, Some(AccessLevel::Read)).await.unwrap();
    let error = ben.trigger(&charm, "append", &json!({})).await.unwrap_err();
    assert!(error.to_string().contains("has READ access and needs WRITE"), "{error}");
    assert!(ben.open(&charm).await.is_ok());
}
