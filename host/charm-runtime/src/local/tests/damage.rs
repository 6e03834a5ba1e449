//! Rows of the database that are damaged cost their own charms, and nobody else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bg_charm_api::{LogQuery, RegistrationFilter, RegistrationQuery, Spaces};
use bg_identity::space_did;
use bg_poller::{
    CharmRef, CharmRuntime, Limit, Outcome, OutcomeKind, PollStore, Poller, PollerOptions, Run, RuntimeError,
    UnixMillis,
};
use rusqlite::{Connection, params_from_iter, types::Value as Sql};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::local::testing::{Home, source};
use crate::{LocalHandle, LocalOptions, LocalRuntime};

const MANY: usize = 20;
const SPACES: usize = 4;

/// Tables with rows of single charms: how a row `r` belongs to the charm of a row of `charms`, and the columns that can
/// be damaged.
const TABLES: [(&str, &str, &[&str]); 8] = [
    (
        "registrations",
        "charm = ?1",
        &[
            "charm",
            "integration",
            "created_at",
            "updated_at",
            "last_run",
            "disabled_at",
            "status",
            "interval_ms",
            "last_kind",
            "runs",
            "failed",
            "total_ms",
            "min_ms",
            "max_ms",
            "last_ms",
            "failed_at",
            "failure",
            "last_success",
            "woken_at",
            "last_blame",
            "last_cause",
            "disabled_by",
        ],
    ),
    ("runs", "charm = ?1", &["charm", "started_at", "duration_ms", "kind", "message", "stack", "blame", "cause"]),
    (
        "poll_states",
        "(space, charm) = (SELECT space, id FROM charms WHERE row = ?1)",
        &["space", "charm", "next_due", "failures", "disabled_at", "updated_at", "owed_since"],
    ),
    (
        "charms",
        "row = ?1",
        &["space", "id", "file_name", "name", "streams", "secrets", "version", "created_at", "updated_at", "changed"],
    ),
    ("cells", "charm = ?1", &["charm", "name", "sealed", "document"]),
    ("logs", "charm = ?1", &["charm", "at", "level", "text"]),
    ("programs", "charm = ?1", &["charm", "digest"]),
    (
        "registration_changes",
        "(space, id) = (SELECT space, id FROM charms WHERE row = ?1)",
        &["revision", "space", "id"],
    ),
];

fn damages() -> [Sql; 10] {
    [
        Sql::Null,
        Sql::Integer(-5),
        Sql::Integer(i64::MAX),
        Sql::Integer(i64::MIN),
        Sql::Integer(1 << 33),
        Sql::Real(1.5),
        Sql::Text("nonsense".to_owned()),
        Sql::Text("\n".to_owned()),
        Sql::Text("{\"cut\": ".to_owned()),
        Sql::Blob(vec![0xff, 0]),
    ]
}

/// Numbers that look random, the same ones for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// Charms in several spaces, with something in each table.
async fn charms(home: &Home) -> Vec<CharmRef> {
    let operator = home.operator();
    let mut charms = Vec::new();
    for number in 0..MANY {
        let space = space_did(&format!("space-{}", number % SPACES));
        let source = source("guest.js", json!({"log": number.to_string(), "at": number}));
        let charm = operator.deploy(&space, &source).await.unwrap().charm;
        operator.register(&charm, &"mail".parse().unwrap()).await.unwrap();
        charms.push(charm);
    }
    assert_eq!(polled(&operator, &home.runtime).await.len(), MANY);
    let failed = |charm: &CharmRef| Run {
        charm: charm.clone(),
        started_at: UnixMillis::now(),
        duration: std::time::Duration::ZERO,
        outcome: Outcome::failure(OutcomeKind::HandlerFailed, "no"),
    };
    operator.record(&charms.iter().map(failed).collect::<Vec<_>>()).await.unwrap();
    let database = Connection::open(home.database()).unwrap();
    database
        .execute_batch(
            "INSERT OR REPLACE INTO poll_states (space, charm, next_due, failures, disabled_at, updated_at, owed_since)
                 SELECT c.space, c.id, 1, 1, 0, r.updated_at, 1 FROM charms c JOIN registrations r ON r.charm = c.row;
             INSERT INTO logs (charm, at, level, text) SELECT row, 1, 'info', 'x' FROM charms;",
        )
        .unwrap();
    charms
}

/// Takes from the copy of a database what keeps wrong values out of it. A disk that loses a bit asks no schema.
fn without_guards(path: &Path) -> Connection {
    let database = Connection::open(path).unwrap();
    let triggers: Vec<String> = {
        let mut statement = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.collect::<Result<_, _>>().unwrap()
    };
    for trigger in triggers {
        database.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    database
        .execute_batch(
            "PRAGMA foreign_keys = OFF; PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(replace(replace(replace(sql, ' STRICT, WITHOUT ROWID', ' WITHOUT ROWID'),
                 ' STRICT', ''), ' NOT NULL', ''), 'CHECK (', 'CHECK (TRUE OR ') WHERE type = 'table';
             PRAGMA writable_schema = RESET;",
        )
        .unwrap();
    database
}

/// Polls each charm once, and answers those whose polls succeeded.
async fn polled(operator: &LocalHandle, runtime: &Arc<LocalRuntime>) -> BTreeSet<CharmRef> {
    let done = Arc::<Mutex<BTreeSet<CharmRef>>>::default();
    let noted = done.clone();
    let options = PollerOptions {
        limit: Limit::Once,
        on_poll: Some(Arc::new(move |event| {
            if event.outcome.is_success() {
                noted.lock().unwrap().insert(event.charm.clone());
            }
        })),
        ..PollerOptions::default()
    };
    let poller = Poller::new(Arc::new(operator.clone()), Arc::new(runtime.poll_store()), vec![], options);
    poller.run(CancellationToken::new()).await.unwrap();
    let done = done.lock().unwrap();
    done.clone()
}

/// All charms in the pages of the list, which are small.
async fn in_pages(operator: &LocalHandle) -> BTreeSet<CharmRef> {
    let (mut all, mut cursor) = (BTreeSet::new(), None);
    loop {
        let query = RegistrationQuery { cursor: cursor.take(), limit: 3, ..RegistrationQuery::default() };
        let page = operator.overview(query).await.unwrap();
        all.extend(page.rows.iter().map(|row| row.registration.charm.clone()));
        match page.rows.last().filter(|_| page.more) {
            Some(last) => cursor = Some(bg_charm_api::Cursor::After(last.registration.charm.clone())),
            None => return all,
        }
    }
}

fn of_all(charms: &[CharmRef], damaged: &BTreeSet<usize>) -> BTreeSet<CharmRef> {
    let sound = charms.iter().enumerate().filter(|(number, _)| !damaged.contains(number));
    sound.map(|(_, charm)| charm.clone()).collect()
}

#[tokio::test]
async fn whatever_is_damaged_in_rows_of_some_charms_all_others_are_listed_and_polled() {
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (rounds, seed) = (number("DAMAGE_ROUNDS", 40), number("DAMAGE_SEED", 9));
    let home = Home::new().await;
    let charms = charms(&home).await;
    let mut numbers = Numbers(seed * 7_919 + 1);
    for round in 0..rounds {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runtime.db");
        Connection::open(home.database()).unwrap().execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
        let database = without_guards(&path);
        let mut damaged = BTreeSet::new();
        let mut done = Vec::new();
        for _ in 0..=numbers.below(3) {
            let (table, belongs, columns) = TABLES[numbers.below(TABLES.len())];
            let (column, charm) = (columns[numbers.below(columns.len())], numbers.below(MANY));
            let value = damages()[numbers.below(damages().len())].clone();
            let row: i64 = database
                .query_row("SELECT row FROM charms WHERE id = ?1", [charms[charm].charm.as_str()], |row| row.get(0))
                .unwrap_or_default();
            let changed = database.execute(
                &format!("UPDATE {table} SET {column} = ?2 WHERE {belongs}"),
                params_from_iter([Sql::Integer(row), value.clone()]),
            );
            // What SQLite never takes, such as a text for the number of a row, cannot be there.
            if changed.is_ok_and(|rows| rows > 0) {
                damaged.insert(charm);
                done.push(format!("{table}.{column} = {value:?}"));
            }
        }
        drop(database);
        let case = format!("round {round}, seed {seed}: {done:?}");

        let mut options = LocalOptions::new(path);
        options.secrets_key = Some(home.dir().join("secrets.key"));
        options.handlers.clone_from(&home.runtime.handlers);
        let runtime = Arc::new(LocalRuntime::open(options).unwrap_or_else(|error| panic!("{case}: {error}")));
        let operator = runtime.as_actor(bg_charm_api::Actor::Operator);
        let registered = operator.revision().await.unwrap();
        runtime.wake_waiting().await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let expected = of_all(&charms, &damaged);

        let registrations = operator.registrations().await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let listed: BTreeSet<CharmRef> = registrations.iter().map(|one| one.charm.clone()).collect();
        let reported = operator.damaged().await.unwrap();
        // As a loop reads it that has not seen yet what was registered.
        let earlier = registered - charms.len() as u64;
        let since = operator.changes(earlier).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let found: BTreeSet<CharmRef> = since.registrations.iter().map(|one| one.charm.clone()).collect();
        assert!(found.is_superset(&expected) && found.is_subset(&listed), "{case}");
        for charm in &charms {
            let is_reported = reported.iter().any(|one| one.charm == charm.to_string());
            let by_another_name = reported.len() >= charms.len() - listed.len();
            assert!(
                listed.contains(charm) || is_reported || by_another_name,
                "{charm} is nowhere: {case}: {reported:?}"
            );
        }
        assert!(listed.is_superset(&expected), "{case}");
        assert!(in_pages(&operator).await.is_superset(&expected), "{case}");
        let mail = "mail".parse().unwrap();
        for named in [
            operator.registered(&mail).await.unwrap(),
            operator.integration_list(&mail).await.unwrap().unwrap_or_default(),
        ] {
            assert!(named.is_empty() || named.into_iter().collect::<BTreeSet<_>>().is_superset(&expected), "{case}");
        }
        let counted: u64 = operator.registration_counts().await.unwrap().iter().map(|one| one.count).sum();
        assert!(counted >= expected.len() as u64, "{case}: {counted}");
        let states = runtime.poll_store().load().await.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(states.iter().filter(|state| state.failures == 1).count() >= expected.len(), "{case}");
        for space in 0..SPACES {
            operator
                .charms(&space_did(&format!("space-{space}")))
                .await
                .unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        for charm in &expected {
            operator.set_interval(charm, None).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        let since = operator.changes(registered).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let found: BTreeSet<CharmRef> = since.registrations.into_iter().map(|one| one.charm).collect();
        assert!(found.is_superset(&expected), "{case}");
        // Notes of polls come together: one that cannot be kept keeps back no other.
        let run = |charm: &CharmRef| Run {
            charm: charm.clone(),
            started_at: UnixMillis::now(),
            duration: std::time::Duration::ZERO,
            outcome: Outcome::failure(OutcomeKind::Invalid, "noted"),
        };
        operator
            .record(&charms.iter().map(run).collect::<Vec<_>>())
            .await
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        for charm in &expected {
            let newest = operator.runs(charm, 1).await.unwrap();
            assert_eq!(newest[0].outcome.message.as_deref(), Some("noted"), "{case}");
        }
        let polled = polled(&operator, &runtime).await;
        let missing: Vec<_> = expected.difference(&polled).collect();
        assert!(missing.is_empty(), "{case}: {missing:?}");
    }
}

/// A home with one registered charm, one of whose columns was changed so; the charm, and the operator.
async fn with(statement: &str) -> (Home, LocalHandle, CharmRef) {
    let home = Home::new().await;
    let operator = home.operator();
    let charm = home.deploy(json!({})).await;
    operator.register(&charm, &"mail".parse().unwrap()).await.unwrap();
    Connection::open(home.database()).unwrap().execute_batch(statement).unwrap();
    (home, operator, charm)
}

#[tokio::test]
async fn a_damaged_registration_names_its_charm_and_its_column_and_what_it_says_fixes_it() {
    for (column, value, problem) in [
        ("interval_ms", "-5", "-5 is out of range"),
        ("interval_ms", "8589934592", "8589934592 is out of range"),
        ("updated_at", "-1", "-1 is out of range"),
        ("last_run", "9223372036854775807", "9223372036854775807 is no time that can be"),
        ("integration", "'No One'", "\"No One\" is not what it should be"),
    ] {
        let (_home, operator, charm) = with(&format!("UPDATE registrations SET {column} = {value}")).await;
        assert_eq!(operator.registrations().await.unwrap(), [], "{column}");
        let [found] = operator.damaged().await.unwrap().try_into().unwrap();
        assert_eq!((found.charm.as_str(), found.problem.as_str()), (charm.to_string().as_str(), problem));
        assert_eq!(found.column, format!("registrations.{column}"));
        assert!(found.fix.contains(&format!("remove {charm}")), "{found}");
        let error = operator.overview_of(&charm).await.unwrap_err().to_string();
        assert!(error.contains(column) && error.contains(&charm.to_string()), "{error}");
        assert!(operator.remove(&charm).await.unwrap());
        operator.register(&charm, &"mail".parse().unwrap()).await.unwrap();
        assert_eq!(operator.damaged().await.unwrap(), []);
        assert_eq!(operator.registrations().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_cell_that_is_no_json_makes_the_poll_invalid_and_is_named() {
    let (home, operator, charm) =
        with("UPDATE cells SET document = x'5b312c2032' WHERE name = 'log' AND sealed = 0").await;
    let error = operator.trigger(&charm, "append", &json!({})).await.unwrap_err();
    let named = format!("the cell log of {charm} is damaged");
    assert!(matches!(&error, RuntimeError::Unmet { message, .. } if message.contains(&named)), "{error:?}");
    assert_eq!(polled(&operator, &home.runtime).await.len(), 0);
    let [registration] = operator.registrations().await.unwrap().try_into().unwrap();
    assert_eq!(registration.last_outcome, Some(OutcomeKind::Invalid), "{registration:?}");
    assert!(registration.status.contains("the cell log of"), "{registration:?}");
}

#[tokio::test]
async fn a_change_of_many_registrations_is_not_stopped_by_a_time_of_one_that_cannot_be() {
    let home = Home::new().await;
    let operator = home.operator();
    let mut charms = Vec::new();
    for name in ["one", "two"] {
        let charm = operator.deploy(&space_did(name), &source("guest.js", json!({}))).await.unwrap().charm;
        operator.register(&charm, &"mail".parse().unwrap()).await.unwrap();
        charms.push(charm);
    }
    let database = Connection::open(home.database()).unwrap();
    database
        .execute_batch(
            "UPDATE registrations SET last_run = updated_at, last_kind = 'Denied', last_blame = 'configuration';
             UPDATE registrations SET updated_at = 9223372036854775807 WHERE charm = (SELECT min(charm) FROM registrations);",
        )
        .unwrap();
    let [before] = operator.registrations().await.unwrap().try_into().unwrap();
    home.runtime.wake_waiting().await.unwrap();
    let [after] = operator.registrations().await.unwrap().try_into().unwrap();
    assert!(after.woken_at > before.updated_at, "{after:?}");
    // Who enables the other one gives it a time that can be.
    operator.set_disabled(&charms[0], None).await.unwrap();
    assert_eq!(operator.registrations().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_row_of_one_space_hides_no_other_space() {
    for damage in [
        "UPDATE holdings SET charms = -5 WHERE space = ?1",
        "UPDATE holdings SET bytes = 'many' WHERE space = ?1",
        "DELETE FROM holdings WHERE space = ?1",
        "UPDATE acl SET level = 'EMPEROR' WHERE space = ?1 AND subject = '*'",
        "UPDATE spaces SET did = 'nonsense' WHERE did = ?1",
    ] {
        let home = Home::new().await;
        let operator = home.operator();
        let [damaged, sound] = ["damaged", "sound"].map(space_did);
        for space in [&damaged, &sound] {
            operator.deploy(space, &source("guest.js", json!({}))).await.unwrap();
        }
        assert_eq!(without_guards(&home.database()).execute(damage, [damaged.as_str()]).unwrap(), 1, "{damage}");
        let listed = operator.spaces(None).await.unwrap_or_else(|error| panic!("{damage}: {error}"));
        let listed: Vec<_> = listed.into_iter().map(|one| one.space).collect();
        assert!(listed.contains(&sound) && !listed.contains(&damaged), "{damage}: {listed:?}");
    }
}

#[tokio::test]
async fn a_damaged_revision_stops_nothing_and_the_next_change_replaces_it() {
    for damage in ["value = 'seven'", "value = -1", "value = 9223372036854775807", "value = x'00'", "value = NULL"] {
        let (home, operator, charm) = with("SELECT 1").await;
        let seen = operator.changed(u64::MAX).await.unwrap();
        let statement = format!("UPDATE meta SET {damage} WHERE key = 'registrations_revision'");
        without_guards(&home.database()).execute_batch(&statement).unwrap();
        for runtime in [home.runtime.clone(), Arc::new(LocalRuntime::open(LocalOptions::new(home.database())).unwrap())]
        {
            let operator = runtime.as_actor(bg_charm_api::Actor::Operator);
            assert_eq!(operator.registrations().await.unwrap().len(), 1, "{damage}");
            operator.changed(u64::MAX).await.unwrap();
        }
        operator.set_disabled(&charm, None).await.unwrap();
        let changed = operator.changed(seen).await.unwrap();
        operator.set_disabled(&charm, None).await.unwrap();
        assert!(changed > seen && operator.changed(changed).await.unwrap() == changed + 1, "{damage}");
    }
    let (home, operator, charm) = with("DELETE FROM meta WHERE key = 'registrations_revision'").await;
    let again = Arc::new(LocalRuntime::open(LocalOptions::new(home.database())).unwrap());
    operator.set_disabled(&charm, None).await.unwrap();
    assert_ne!(again.as_actor(bg_charm_api::Actor::Operator).changed(0).await.unwrap(), 0);
}

#[tokio::test]
async fn a_damaged_number_of_the_last_charm_keeps_nobody_from_deploying() {
    let (home, operator, _) = with("INSERT OR REPLACE INTO meta VALUES ('last_charm_row', 'x')").await;
    for name in ["one", "two"] {
        operator.deploy(&space_did(name), &source("guest.js", json!({}))).await.unwrap();
    }
    drop(home);
}

#[tokio::test]
async fn a_damaged_run_log_line_or_cell_hides_no_other() {
    let (home, operator, charm) = with(
        "INSERT INTO logs (charm, at, level, text) SELECT row, 1, 'info', 'first' FROM charms;
         INSERT INTO logs (charm, at, level, text) SELECT row, 2, 'shout', 'second' FROM charms;
         INSERT INTO logs (charm, at, level, text) SELECT row, -3, 'info', 'third' FROM charms;
         INSERT INTO logs (charm, at, level, text) SELECT row, 4, 'info', 'fourth' FROM charms;
         INSERT INTO runs (charm, started_at, duration_ms, kind, message) SELECT row, 1, 1, 'Success', 'first' FROM charms;
         INSERT INTO runs (charm, started_at, duration_ms, kind, message) SELECT row, -2, 1, 'Success', 'second' FROM charms;
         INSERT INTO runs (charm, started_at, duration_ms, kind, message) SELECT row, 3, 1, 'Odd', 'third' FROM charms;
         INSERT INTO runs (charm, started_at, duration_ms, kind, message) SELECT row, 4, 1, 'Success', 'fourth' FROM charms;
         INSERT INTO cells (charm, name, sealed, document) SELECT row, 'sound', 0, x'37' FROM charms;
         INSERT INTO cells (charm, name, sealed, document) SELECT row, 'cut', 0, x'5b' FROM charms;",
    )
    .await;
    for after in [None, Some(0)] {
        let lines = operator.logs(&charm, LogQuery { after, limit: 10, wait: false }).await.unwrap();
        let lines: Vec<_> = lines.iter().map(|entry| entry.line.text.as_str()).collect();
        assert_eq!(lines, ["set up", "first", "fourth"], "{after:?}");
    }
    let runs = operator.runs(&charm, 10).await.unwrap();
    let runs: Vec<_> = runs.iter().filter_map(|run| run.outcome.message.as_deref()).collect();
    assert_eq!(runs, ["fourth", "first"]);
    let cells = operator.show(&charm).await.unwrap().cells;
    assert_eq!((&cells["sound"], &cells["cut"]), (&json!(7), &json!("(damaged)")));
    drop(home);
}

#[tokio::test]
async fn a_change_of_many_registrations_passes_over_one_whose_row_cannot_be_written() {
    let home = Home::new().await;
    let operator = home.operator();
    for name in ["one", "two", "three"] {
        let charm = operator.deploy(&space_did(name), &source("guest.js", json!({}))).await.unwrap().charm;
        operator.register(&charm, &"mail".parse().unwrap()).await.unwrap();
    }
    let database = Connection::open(home.database()).unwrap();
    database
        .execute_batch(
            "UPDATE registrations SET last_run = updated_at, last_kind = 'Denied', last_blame = 'configuration';
             PRAGMA writable_schema = ON;
             CREATE TEMP TABLE was AS SELECT sql FROM sqlite_schema WHERE name = 'registrations';
             UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE name = 'registrations';
             PRAGMA writable_schema = RESET;
             UPDATE registrations SET last_ms = 'long' WHERE charm = (SELECT min(charm) FROM registrations);
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = (SELECT sql FROM was) WHERE name = 'registrations';
             PRAGMA writable_schema = RESET;",
        )
        .unwrap();
    drop(database);
    let options = LocalOptions::new(home.database());
    let runtime = Arc::new(LocalRuntime::open(options).unwrap());
    let operator = runtime.as_actor(bg_charm_api::Actor::Operator);
    let woken = async || operator.registrations().await.unwrap().iter().filter(|one| one.woken_at.0 > 0).count();
    assert_eq!(woken().await, 0);
    runtime.wake_waiting().await.unwrap();
    assert!(woken().await >= 2);
    let mail = RegistrationFilter { integration: Some("mail".parse().unwrap()), ..RegistrationFilter::default() };
    operator.enable_all(&mail).await.unwrap();
}
