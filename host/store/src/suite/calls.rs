//! Calls of charms: all of one is kept, or nothing.

use bg_charm_api::Actor;
use bg_poller::{Outcome, OutcomeKind, RuntimeError};

use super::Fixture;
use super::scene::{begin, cells, deploy, finished, home, keep, lines, register, registration, run, runs, texts};
use crate::store::Finished;

pub(super) async fn a_call_is_kept_if_the_cells_are_still_those_that_it_read(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[("n", "1")]).await;
    let (first, second) = (begin(store, &charm).await, begin(store, &charm).await);
    assert_eq!(keep(store, finished(&first, &[("n", "2")])).await, Ok(Some(Outcome::success())));
    assert_eq!(keep(store, finished(&second, &[("n", "3")])).await, Ok(None));
    assert_eq!(cells(store, &charm).await, texts(&[("n", "2")]));
    // One that writes nothing has run a moment earlier, as it were.
    assert_eq!(keep(store, finished(&second, &[])).await, Ok(Some(Outcome::success())));
    // By another process, too.
    let third = begin(store, &charm).await;
    let other = home.another().await;
    let fourth = begin(&*other, &charm).await;
    assert_eq!(keep(&*other, finished(&fourth, &[("n", "4")])).await, Ok(Some(Outcome::success())));
    assert_eq!(keep(store, finished(&third, &[("n", "5")])).await, Ok(None));
    assert_eq!(cells(store, &charm).await, texts(&[("n", "4")]));
}

pub(super) async fn of_a_call_all_is_kept_or_nothing(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[("n", "1")]).await;
    register(store, &charm, "mail").await;
    let (first, second) = (begin(store, &charm).await, begin(store, &charm).await);
    let kept = finished(&first, &[("n", "2"), ("m", "1")]);
    let started_at = kept.run.started_at;
    keep(store, kept).await.unwrap().unwrap();
    let state = async || {
        let counters = store.counters(&Actor::Operator, &charm).await.unwrap();
        let registration = registration(store, &charm).await;
        (cells(store, &charm).await, runs(store, &charm).await, lines(store, &charm).await, counters, registration)
    };
    let (now, all, log, counters, noted) = state().await;
    assert_eq!(now, texts(&[("n", "2"), ("m", "1")]));
    assert_eq!((all.len(), all[0].started_at, log), (1, started_at, vec!["a line".to_owned()]));
    assert_eq!((counters.runs, counters.failed, noted.last_run), (1, 0, started_at));
    assert_eq!((noted.last_outcome, noted.last_success), (Some(OutcomeKind::Success), started_at));
    let before = state().await;
    assert_eq!(keep(store, finished(&second, &[("n", "3"), ("k", "1")])).await, Ok(None));
    assert_eq!(state().await, before);
}

pub(super) async fn calls_that_are_kept_together_succeed_and_fail_each_for_itself(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let mut charms = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        charms.push(deploy(store, name, &[("n", "1")]).await);
    }
    let mut group: Vec<Finished> = Vec::new();
    for charm in &charms {
        group.push(finished(&begin(store, charm).await, &[("n", "2")]));
    }
    // The third has another version by now, and the fourth is gone.
    keep(store, finished(&group[2].charm, &[("n", "9")])).await.unwrap().unwrap();
    store.delete(&Actor::Operator, &charms[3]).await.unwrap();
    let kept = store.keep(group).await;
    let success = || Ok(Some(Outcome::success()));
    let gone = Err(RuntimeError::NotFound(charms[3].clone()));
    assert_eq!(kept, [success(), success(), Ok(None), gone, success()]);
    for (charm, expected) in [(0, "2"), (1, "2"), (2, "9"), (4, "2")] {
        assert_eq!(cells(store, &charms[charm]).await["n"], expected, "{charm}");
        assert_eq!(runs(store, &charms[charm]).await.len(), 1, "{charm}");
    }
}

pub(super) async fn a_failed_call_keeps_its_run_without_its_secrets(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[("auth", "{\"token\":\"tok-SECRET\"}")]).await;
    register(store, &charm, "mail").await;
    let begun = store.begin(&Actor::Operator, &charm, super::scene::STREAM, super::scene::unknown()).await.unwrap();
    assert!(begun.secrets.iter().any(|secret| secret.text.expose() == "tok-SECRET"));
    let mut failed = finished(&begin(store, &charm).await, &[]);
    failed.run = run(&charm, Outcome::failure(OutcomeKind::HandlerFailed, "401 for tok-SECRET"));
    failed.log = vec![super::scene::line("sent tok-SECRET")];
    let outcome = keep(store, failed).await.unwrap().unwrap();
    assert_eq!(outcome.message.as_deref(), Some("401 for (secret)"));
    assert_eq!(runs(store, &charm).await[0].outcome, outcome);
    assert_eq!(lines(store, &charm).await, ["sent (secret)"]);
    assert_eq!(registration(store, &charm).await.status, "HandlerFailed: 401 for (secret)");
    // It knew the token that it replaces, and the one that it writes.
    let mut failed = finished(&begin(store, &charm).await, &[("auth", "{\"token\":\"new-SECRET\"}")]);
    failed.run = run(&charm, Outcome::failure(OutcomeKind::HandlerFailed, "tok-SECRET and new-SECRET"));
    failed.log = vec![super::scene::line("tok-SECRET, new-SECRET")];
    let outcome = keep(store, failed).await.unwrap().unwrap();
    assert_eq!(outcome.message.as_deref(), Some("(secret) and (secret)"));
    assert_eq!(lines(store, &charm).await.last().map(String::as_str), Some("(secret), (secret)"));
}

pub(super) async fn a_reader_gets_the_cells_of_the_version_that_it_began_with(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[("n", "1"), ("m", "2")]).await;
    let begun = begin(store, &charm).await;
    assert_eq!(store.cell_names_at(&begun).await, Ok(Some(vec!["m".to_owned(), "n".to_owned()])));
    assert_eq!(store.cell_at(&begun, "n").await, Ok(Some(Some("1".to_owned()))));
    assert_eq!(store.cell_at(&begun, "other").await, Ok(Some(None)));
    keep(store, finished(&begun, &[("n", "3")])).await.unwrap().unwrap();
    assert_eq!(store.cell_at(&begun, "n").await, Ok(None));
    assert_eq!(store.cell_at(&begun, "m").await, Ok(None));
    assert_eq!(store.cell_names_at(&begun).await, Ok(None));
}
