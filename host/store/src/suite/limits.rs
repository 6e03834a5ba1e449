//! How much is kept.

use bg_charm_api::Actor;
use bg_poller::{Outcome, OutcomeKind, RuntimeError};

use super::Fixture;
use super::scene::{
    begin, cells, deploy, deploy_as, finished, home, keep, line, lines, register, registration, run, runs, signer,
    space, texts,
};
use crate::charm::MAX_CELLS;
use crate::rules::LINES_KEPT;
use crate::tenancy::{Quotas, Reach, Tenancy};

/// A server where anyone who signs may write, with these quotas.
fn open_to_others(quotas: Quotas) -> Tenancy {
    Tenancy { reach: Some(Reach::Others { open_spaces: true }), quotas }
}

pub(super) async fn a_stranger_keeps_no_more_charms_than_a_space_may_have(fixture: &dyn Fixture) {
    let quotas = Quotas { charms_per_space: 2, ..Quotas::default() };
    let home = fixture.home(open_to_others(quotas)).await;
    let (store, ann) = (&*home.store(), signer("ann"));
    for name in ["a", "b"] {
        store.admit_charm(&ann, &space()).await.unwrap();
        deploy_as(store, &ann, &space(), name, &[]).await.unwrap();
    }
    let over = |result: Result<(), RuntimeError>| assert!(matches!(result, Err(RuntimeError::Quota(_))), "{result:?}");
    over(store.admit_charm(&ann, &space()).await);
    over(deploy_as(store, &ann, &space(), "c", &[]).await.map(drop));
    assert_eq!(store.charms(&Actor::Operator, &space()).await.unwrap().len(), 2);
    // The operator is bounded by the disk alone.
    deploy(store, "d", &[]).await;
    assert_eq!(store.charms(&Actor::Operator, &space()).await.unwrap().len(), 3);
    let spaces = store.spaces(&Actor::Operator, None).await.unwrap();
    let counted = spaces.iter().find(|one| one.space == space()).unwrap();
    assert_eq!(counted.charms, 3);
}

pub(super) async fn a_call_over_a_limit_keeps_its_run_and_no_cell(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[("n", "1")]).await;
    register(store, &charm, "mail").await;
    let begun = begin(store, &charm).await;
    let mut too_many = finished(&begun, &[("n", "2")]);
    too_many.writes.extend((0..MAX_CELLS).map(|number| (format!("cell {number}"), "0".to_owned())));
    let outcome = keep(store, too_many).await.unwrap().unwrap();
    assert_eq!(outcome.kind, OutcomeKind::LimitExceeded);
    assert_eq!(cells(store, &charm).await, texts(&[("n", "1")]));
    assert_eq!(runs(store, &charm).await[0].outcome.kind, OutcomeKind::LimitExceeded);
    assert_eq!(registration(store, &charm).await.last_outcome, Some(OutcomeKind::LimitExceeded));
    // The cells are still those that it read.
    assert_eq!(keep(store, finished(&begun, &[("n", "2")])).await, Ok(Some(Outcome::success())));
}

pub(super) async fn a_call_of_a_stranger_over_the_quota_of_bytes_keeps_no_cell(fixture: &dyn Fixture) {
    let quotas = Quotas { bytes_per_signer: 20_000, ..Quotas::default() };
    let home = fixture.home(open_to_others(quotas)).await;
    let (store, ann) = (&*home.store(), signer("ann"));
    let charm = deploy_as(store, &ann, &space(), "a", &[("n", "1")]).await.unwrap();
    let large = format!("\"{}\"", "x".repeat(15_000));
    let begun = begin(store, &charm).await;
    assert_eq!(keep(store, finished(&begun, &[("n", &large)])).await, Ok(Some(Outcome::success())));
    let begun = begin(store, &charm).await;
    let outcome = keep(store, finished(&begun, &[("m", &large)])).await.unwrap().unwrap();
    assert_eq!(outcome.kind, OutcomeKind::LimitExceeded);
    assert_eq!(cells(store, &charm).await.keys().collect::<Vec<_>>(), ["n"]);
    // What does not grow is kept.
    assert_eq!(keep(store, finished(&begun, &[("n", "2")])).await, Ok(Some(Outcome::success())));
}

pub(super) async fn the_log_keeps_its_newest_lines_and_a_cursor_goes_on_after_a_line(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[]).await;
    let begun = begin(store, &charm).await;
    for number in 0..4 {
        let mut chatty = finished(&begun, &[]);
        let lines = LINES_KEPT / 3;
        chatty.log = (0..lines).map(|at| line(&(number * lines + at).to_string())).collect();
        keep(store, chatty).await.unwrap().unwrap();
    }
    let said = LINES_KEPT / 3 * 4;
    let expected: Vec<String> = (said - LINES_KEPT..said).map(|number| number.to_string()).collect();
    assert_eq!(lines(store, &charm).await, expected);
    let newest = store.logs(&Actor::Operator, &charm, None, 3).await.unwrap();
    let texts: Vec<&str> = newest.iter().map(|entry| entry.line.text.as_str()).collect();
    assert_eq!(texts, expected[LINES_KEPT - 3..]);
    let next = store.logs(&Actor::Operator, &charm, Some(newest[0].cursor), 1).await.unwrap();
    assert_eq!(next, newest[1..2]);
    assert_eq!(store.logs(&Actor::Operator, &charm, Some(newest[2].cursor), 9).await, Ok(Vec::new()));
}

pub(super) async fn the_history_keeps_the_newest_runs(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[]).await;
    register(store, &charm, "mail").await;
    let begun = begin(store, &charm).await;
    for number in 0..8 {
        let mut failed = finished(&begun, &[]);
        failed.run = run(&charm, Outcome::failure(OutcomeKind::HandlerFailed, number.to_string()));
        failed.runs_kept = 5;
        keep(store, failed).await.unwrap().unwrap();
    }
    let said = async |limit| {
        let runs = store.runs(&Actor::Operator, &charm, limit).await.unwrap();
        runs.into_iter().filter_map(|run| run.outcome.message).collect::<Vec<_>>()
    };
    assert_eq!(said(100).await, ["7", "6", "5", "4", "3"]);
    assert_eq!(said(2).await, ["7", "6"]);
    let counters = store.counters(&Actor::Operator, &charm).await.unwrap();
    assert_eq!((counters.runs, counters.failed), (8, 8));
}
