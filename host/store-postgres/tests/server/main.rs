//! What is particular to a store that several processes share over a network.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod claims;
mod figures;
mod home;
mod plans;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bg_charm_api::Actor;
use bg_poller::{Outcome, OutcomeKind, RuntimeError};
use bg_store::document::Document;
use bg_store::{
    CellEdit, CellUpdate, Charms as _, Deploys as _, Quotas, Reach, Registrations as _, Spaces as _, Tenancy,
};
use bg_store_postgres::{OpenError, PostgresStore, Target, create};
use serde_json::json;

use home::{Home, STREAM, begin, charm, deployment, finished, known, line, signer, space};

/// A home, if this machine has PostgreSQL.
macro_rules! a_home {
    () => {
        match Home::new(Tenancy { reach: Some(Reach::Loopback), ..Tenancy::default() }).await {
            Some(home) => home,
            None => return,
        }
    };
}
pub(crate) use a_home;

/// What a process says to the database while it does something: statements, and waits for answers.
async fn traffic<T>(store: &PostgresStore, work: impl Future<Output = T>) -> (T, (u64, u64)) {
    let before = store.traffic();
    let value = work.await;
    let after = store.traffic();
    (value, (after.statements - before.statements, after.round_trips - before.round_trips))
}

#[tokio::test]
async fn a_poll_takes_one_statement_to_look_one_to_begin_and_two_round_trips_to_be_kept() {
    let home = a_home!();
    let store = &home.store;
    let one = home.deploy("a").await;
    home.register(&one).await;
    let (look, took) = traffic(store, store.look(&Actor::Operator, &one, known())).await;
    assert_eq!((look.unwrap().program, took), (None, (1, 1)));
    let (begun, took) = traffic(store, store.begin(&Actor::Operator, &one, STREAM, known())).await;
    assert_eq!(took, (1, 1));
    let call = finished(&Arc::new(begun.unwrap().charm), &[("n", "2"), ("m", "\"x\"")]);
    let (kept, (_, round_trips)) = traffic(store, store.keep(vec![call])).await;
    assert_eq!((kept, round_trips), (vec![Ok(Some(Outcome::success()))], 2));
}

#[tokio::test]
async fn calls_that_end_together_are_kept_by_the_statements_of_one() {
    let home = a_home!();
    let store = &home.store;
    let mut taken = BTreeSet::new();
    for size in [1, 40] {
        let mut group = Vec::new();
        for number in 0..size {
            let one = home.deploy(&format!("{size} {number}")).await;
            home.register(&one).await;
            group.push(finished(&begin(store, &one).await, &[("n", "2")]));
        }
        let (kept, took) = traffic(store, store.keep(group)).await;
        assert!(kept.iter().all(|kept| *kept == Ok(Some(Outcome::success()))), "{kept:?}");
        taken.insert(took);
    }
    assert_eq!(taken.len(), 1, "{taken:?}");
}

#[tokio::test]
async fn a_call_with_something_that_cannot_be_kept_keeps_nothing_from_the_others() {
    let home = a_home!();
    home.psql("ALTER TABLE runs ADD CHECK (message <> 'bad')");
    let (one, two) = (home.deploy("a").await, home.deploy("b").await);
    let mut bad = finished(&begin(&home.store, &one).await, &[("n", "2")]);
    bad.run.outcome = Outcome::failure(OutcomeKind::HandlerFailed, "bad");
    let good = finished(&begin(&home.store, &two).await, &[("n", "2")]);
    let kept = home.store.keep(vec![bad, good]).await;
    assert!(kept[0].as_ref().is_err_and(RuntimeError::is_unavailable), "{kept:?}");
    assert_eq!(kept[1], Ok(Some(Outcome::success())));
    assert_eq!(home.psql("SELECT count(*) FROM runs"), "1");
}

#[tokio::test]
async fn two_calls_of_one_charm_that_end_together_are_kept_one_after_the_other() {
    let home = a_home!();
    let one = home.deploy("a").await;
    let begun = begin(&home.store, &one).await;
    let kept = home.store.keep(vec![finished(&begun, &[("n", "2")]), finished(&begun, &[("n", "3")])]).await;
    assert_eq!(kept, [Ok(Some(Outcome::success())), Ok(None)]);
    let kept = home.store.keep(vec![finished(&begun, &[]), finished(&begun, &[])]).await;
    assert_eq!(kept, [Ok(Some(Outcome::success())), Ok(Some(Outcome::success()))]);
    assert_eq!(home.psql("SELECT count(*) FROM runs"), "3");
}

#[tokio::test]
async fn many_hosts_that_deploy_at_once_keep_no_more_than_a_space_and_a_maker_may_have() {
    let quotas = Quotas { charms_per_space: 5, spaces_per_signer: 3, ..Quotas::default() };
    let tenancy = Tenancy { reach: Some(Reach::Others { open_spaces: true }), quotas };
    let Some(home) = Home::new(tenancy).await else { return };
    let stores = [home.store.clone(), home.another().await, home.another().await];
    let ann = signer("ann");
    let mut deploying = Vec::new();
    for number in 0..24 {
        let (store, ann) = (stores[number % 3].clone(), ann.clone());
        deploying.push(tokio::spawn(async move {
            store.deploy(&ann, deployment(&space("shared"), &number.to_string(), &[])).await.is_ok()
        }));
    }
    for number in 0..9 {
        let (store, ann) = (stores[number % 3].clone(), ann.clone());
        deploying.push(tokio::spawn(async move { store.new_space(&ann, &format!("space {number}")).await.is_ok() }));
    }
    let mut done = 0;
    for one in deploying {
        done += usize::from(one.await.unwrap());
    }
    assert_eq!(home.psql("SELECT count(*) FROM charms"), "5");
    assert_eq!(home.psql("SELECT count(*) FROM holdings WHERE creator IS NOT NULL"), "3");
    assert_eq!(home.psql("SELECT sum(charms) FROM holdings"), "5");
    // The shared space is one of the three.
    assert_eq!(done, 5 + 2);
}

#[tokio::test]
async fn who_follows_the_changes_misses_none_that_many_hosts_make_at_once() {
    let home = a_home!();
    let stores = [home.store.clone(), home.another().await];
    let mut registering = Vec::new();
    let mut expected = BTreeSet::new();
    for number in 0..30 {
        let one = home.deploy_in(&space(&format!("space {}", number % 7)), &number.to_string()).await;
        expected.insert(one.clone());
        let store = stores[number % 2].clone();
        registering.push(tokio::spawn(async move {
            store.register(&Actor::Operator, &one, &"mail".parse().unwrap(), &[STREAM]).await.unwrap();
        }));
    }
    let follower = home.another().await;
    let (mut seen, mut found) = (1, BTreeSet::new());
    while found.len() < expected.len() {
        let (changes, damaged) = follower.changes(&Actor::Operator, Some(seen)).await.unwrap();
        assert!(damaged.is_empty() && changes.removed.as_ref().is_some_and(Vec::is_empty), "{changes:?}");
        found.extend(changes.registrations.into_iter().map(|one| one.charm));
        seen = changes.revision.unwrap();
        if found.len() < expected.len() {
            seen = follower.changed(seen).await.map(|_| seen).unwrap();
        }
    }
    for one in registering {
        one.await.unwrap();
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_dump_of_the_database_has_no_secret_in_it() {
    let home = a_home!();
    let mut new = deployment(&space("a"), "a", &[("auth", r#"{"token":"SECRET-1"}"#), ("n", "1")]);
    new.log = vec![line("the token is SECRET-1")];
    let one = home.store.deploy(&Actor::Operator, new).await.unwrap().charm;
    home.register(&one).await;
    let edit = Box::new(|_: bg_store::Editor<'_>| Ok(Document::of(json!({"token": "SECRET-2"}))));
    let edit = CellEdit { cell: "auth".to_owned(), edit, update: CellUpdate::Set };
    home.store.edit(&Actor::Operator, &one, edit).await.unwrap();
    let mut call = finished(&begin(&home.store, &one).await, &[("auth", r#"{"token":"SECRET-3"}"#)]);
    call.run.outcome = Outcome::failure(OutcomeKind::HandlerFailed, "SECRET-2 and SECRET-3");
    call.log = vec![line("SECRET-3")];
    assert!(home.store.keep(vec![call]).await[0].is_ok());
    home.store.new_space(&Actor::Operator, "notes").await.unwrap();
    let dump = home.dump();
    assert!(dump.contains("(secret)") && dump.contains("a.tsx"));
    assert!(!dump.contains("SECRET") && !dump.contains("PRIVATE KEY"), "{dump}");
    // As bytes, too.
    for secret in ["SECRET", "PRIVATE"] {
        let hex = secret.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert!(!dump.contains(&hex));
    }
}

#[tokio::test]
async fn a_host_with_another_key_is_refused() {
    let home = a_home!();
    let other = tempfile::tempdir().unwrap();
    let key = other.path().join("secrets.key");
    let error = home.open_with(key.clone()).await.unwrap_err();
    assert!(error.to_string().contains("secrets.key is missing"), "{error}");
    assert!(!key.exists(), "no new key takes the place of the right one");
    std::fs::write(&key, "0".repeat(64)).unwrap();
    let error = home.open_with(key).await.unwrap_err();
    assert!(matches!(error, OpenError::Key(_)) && error.to_string().contains("is not the one"), "{error}");
}

#[tokio::test]
async fn a_database_that_is_none_of_ours_is_left_as_it_is() {
    let Some(postgres) = bg_test_support::Postgres::shared() else { return };
    let target = |url: &str| Target::parse(url).unwrap();
    let empty = postgres.database();
    let error = Home::open(&empty).await.unwrap_err();
    assert!(matches!(error, OpenError::Empty { .. }), "{error}");
    let name = empty.rsplit('/').next().unwrap();
    postgres.psql(name, "CREATE TABLE of_others ()").unwrap();
    let error = create(&target(&empty)).await.unwrap_err();
    assert!(matches!(&error, OpenError::Foreign { found, .. } if found == "of_others"), "{error}");
    let error = create(&target(&postgres.url("nowhere"))).await.unwrap_err();
    assert!(error.to_string().contains("\"nowhere\" does not exist"), "{error}");
    let latin = "CREATE DATABASE latin ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    postgres.psql("postgres", latin).unwrap();
    let error = create(&target(&postgres.url("latin"))).await.unwrap_err();
    assert!(matches!(&error, OpenError::Encoding { found, .. } if found == "LATIN1"), "{error}");
}

#[tokio::test]
async fn a_version_that_does_not_know_the_format_refuses_also_while_it_runs() {
    let home = a_home!();
    let one = home.deploy("a").await;
    // A newer version has added something, which this one does not notice.
    home.psql("UPDATE bg_wasm_host SET expanded = 99");
    home.another().await.counters(&Actor::Operator, &one).await.unwrap_err();
    assert_eq!(home.psql("SELECT expanded FROM bg_wasm_host"), "99");
    // Then all hosts are of the newer version, and it takes away what this one needs.
    home.psql("UPDATE bg_wasm_host SET needed = 99");
    let error = Home::open(&home.url).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { needed: 99, .. }), "{error}");
    // One that runs finds out when it looks for changes.
    drop(home.store.changed(0).await);
    let error = home.store.look(&Actor::Operator, &one, known()).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("newer"), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_lost_costs_one_operation_and_nothing_that_was_acknowledged() {
    let home = a_home!();
    let one = home.deploy("a").await;
    for number in 1..=5 {
        let begun = begin(&home.store, &one).await;
        let kept = home.store.keep(vec![finished(&begun, &[("n", &number.to_string())])]).await;
        assert_eq!(kept, [Ok(Some(Outcome::success()))]);
        home.psql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> \
             pg_backend_pid()",
        );
        while let Err(error) = home.store.look(&Actor::Operator, &one, known()).await {
            assert!(error.is_unavailable(), "{error}");
        }
        assert_eq!(home.psql("SELECT convert_from(document, 'UTF8') FROM cells"), number.to_string());
    }
}

#[tokio::test]
async fn the_server_ends_a_transaction_that_does_nothing_and_a_statement_that_waits_for_ever() {
    let home = a_home!();
    let settings = home.settings().await;
    for (name, value) in [
        ("idle_in_transaction_session_timeout", "10s"),
        ("statement_timeout", "1min"),
        ("lock_timeout", "30s"),
        ("transaction_isolation", "read committed"),
    ] {
        assert_eq!(settings[name], value, "{name}");
    }
}

#[tokio::test]
async fn every_text_of_a_charm_may_have_null_characters() {
    let home = a_home!();
    let nasty = "a\0b\u{10FFFF}0";
    let mut new = deployment(&space("a"), "a", &[(nasty, "1")]);
    new.new.file_name = nasty.to_owned();
    new.new.name = Some(nasty.to_owned());
    new.new.source = nasty.to_owned();
    new.new.program.module = nasty.to_owned();
    new.log = vec![line(nasty)];
    let one = home.store.deploy(&Actor::Operator, new).await.unwrap().charm;
    home.register(&one).await;
    let mut call = finished(&begin(&home.store, &one).await, &[(nasty, "2")]);
    call.run.outcome = Outcome::failure(OutcomeKind::HandlerFailed, nasty);
    assert!(home.store.keep(vec![call]).await[0].is_ok());
    let sources = home.store.sources(&Actor::Operator, &one).await.unwrap();
    let summary = sources.charm.summary;
    assert_eq!(
        (sources.source.as_str(), summary.file_name.as_str(), summary.name.as_deref()),
        (nasty, nasty, Some(nasty))
    );
    assert_eq!(home.store.cell_names(&Actor::Operator, &one).await.unwrap(), [nasty]);
    let runs = home.store.runs(&Actor::Operator, &one, 9).await.unwrap();
    assert_eq!(runs[0].outcome.message.as_deref(), Some(nasty));
    let logs = home.store.logs(&Actor::Operator, &one, None, 9).await.unwrap();
    assert_eq!(logs[0].line.text, nasty);
    assert!(home.store.overview_of(&Actor::Operator, &one).await.unwrap().unwrap().registration.status.contains('\0'));
}

#[tokio::test]
async fn what_is_counted_is_what_is_there_whatever_was_written() {
    let home = a_home!();
    for name in ["a", "b", "c"] {
        let one = home.deploy(name).await;
        home.register(&one).await;
        for number in 0..4 {
            let mut call = finished(&begin(&home.store, &one).await, &[("n", &"1".repeat(number + 1)), ("é", "2")]);
            call.runs_kept = 2;
            call.log = vec![line("Größe")];
            call.run.outcome = Outcome::failure(OutcomeKind::HandlerFailed, "é");
            home.store.keep(vec![call]).await[0].as_ref().unwrap();
        }
    }
    home.store.delete(&Actor::Operator, &charm(&space("a"), "b")).await.unwrap();
    let counted = "SELECT sum(charms), sum(bytes) FROM holdings";
    let there = "SELECT (SELECT count(*) FROM charms), (SELECT sum(64 + octet_length(file_name) + \
                 coalesce(octet_length(name), 0) + octet_length(streams) + octet_length(secrets)) FROM charms) + (SELECT \
                 sum(octet_length(source) + octet_length(module) + octet_length(further_sources) + \
                 octet_length(further_modules)) FROM programs) + (SELECT sum(64 + octet_length(name) + \
                 octet_length(document)) FROM cells) + (SELECT sum(64 + octet_length(text)) FROM logs) + (SELECT sum(64 + \
                 coalesce(octet_length(message), 0) + coalesce(octet_length(stack), 0)) FROM runs)";
    assert_eq!(home.psql(counted), home.psql(there));
    assert_eq!(home.psql("SELECT count(*), count(DISTINCT charm) FROM runs"), "4|2");
}

#[tokio::test]
async fn an_operation_goes_on_when_its_caller_stops_waiting() {
    let home = a_home!();
    let one = home.deploy("a").await;
    let call = finished(&begin(&home.store, &one).await, &[("n", "2")]);
    // Another holds the space.
    let held = home.lock_of(&one).await;
    let store = home.store.clone();
    let keeping = tokio::spawn(async move { store.keep(vec![call]).await });
    home.waits_for_a_lock().await;
    keeping.abort();
    assert!(keeping.await.unwrap_err().is_cancelled());
    drop(held);
    while home.psql("SELECT convert_from(document, 'UTF8') FROM cells") != "2" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
