//! A hundred thousand registrations.

use std::collections::HashSet;

use bg_abuse::Attempt;
use bg_identity::{CharmId, space_did};
use bg_test_support::{Running, TestHost};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::{SOON, deploy, host, register, wait_for_success};

/// The number of registered charms, and of their spaces.
const CHARMS: usize = 100_000;
const SPACES: usize = 1_000;

/// How many of them are polled.
const POLLS: usize = 300;

/// The memory limit. Measured were 290 MiB for `run`, mostly two lists of registrations, since one is added while it
/// runs, and 205 MiB for `serve`; twice that leaves room for other allocators, and for more concurrent handlers.
const PEAK_MIB: u64 = 600;

/// A minimal charm, which the others are copies of.
const SOURCE: &str = "import { Cell, Default, handler, pattern } from \"commontools\";\n\
    const poll = handler<unknown, { n: Cell<number> }>((_, { n }) => n.set(n.get() + 1));\n\
    export default pattern<{ n: Default<number, 0> }>(({ n }) => ({ n, bgUpdater: poll({ n }) }));\n";

/// Makes registered copies of a charm up to the full number, as real deployments and registrations would leave them in
/// the database, without a hundred thousand starts of the program.
fn multiply(host: &TestHost, charm: &str) {
    let (space, id) = charm.split_once('/').unwrap();
    let mut database = Connection::open(host.data_dir().join("runtime.db")).unwrap();
    database.pragma_update(None, "synchronous", "OFF").unwrap();
    let tx = database.transaction().unwrap();
    let execute = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        tx.prepare_cached(sql).unwrap().execute(values).unwrap();
    };
    let spaces: Vec<String> = (0..SPACES).map(|number| space_did(&format!("crowd-{number}")).to_string()).collect();
    for copy in &spaces {
        execute("INSERT INTO spaces SELECT ?1, created_at FROM spaces WHERE did = ?2", &[copy, &space]);
        execute("INSERT INTO acl SELECT ?1, subject, level FROM acl WHERE space = ?2", &[copy, &space]);
    }
    let row: i64 =
        tx.query_row("SELECT row FROM charms WHERE space = ?1 AND id = ?2", [space, id], |row| row.get(0)).unwrap();
    for number in 1..CHARMS {
        let copy = CharmId::for_content(&number.to_le_bytes());
        execute(
            "INSERT INTO charms (space, id, file_name, source, module, name, streams, secrets, created_at, updated_at) \
             SELECT ?1, ?2, file_name, source, module, name, streams, secrets, created_at, updated_at FROM charms WHERE row = ?3",
            &[&spaces[number % SPACES], &copy.as_str(), &row],
        );
        let new = tx.last_insert_rowid();
        execute("INSERT INTO cells SELECT ?1, name, sealed, document FROM cells WHERE charm = ?2", &[&new, &row]);
        execute(
            "INSERT INTO registrations (charm, integration, created_at, updated_at, last_run, disabled_at, status) \
             SELECT ?1, integration, created_at, updated_at, last_run, disabled_at, status \
             FROM registrations WHERE charm = ?2",
            &[&new, &row],
        );
    }
    // The longest status of a failed charm: as JSON it doubles again.
    let status = "\\".repeat(300);
    tx.execute("UPDATE registrations SET status = ?1 WHERE charm <> ?2", (status, row)).unwrap();
    tx.execute("UPDATE meta SET value = value + ?1 WHERE key = 'registrations_revision'", [CHARMS]).unwrap();
    tx.commit().unwrap();
}

/// The output of `list`, in which all entries differ.
fn listed(host: &TestHost) -> Vec<Value> {
    let printed = host.command(["list", "--json"]).unwrap().success().unwrap();
    let listed: Vec<Value> = serde_json::from_str(&printed.stdout).unwrap();
    let different: HashSet<_> =
        listed.iter().map(|entry| (entry["space"].as_str(), entry["charmId"].as_str())).collect();
    assert_eq!(different.len(), listed.len());
    listed
}

/// Checks the peak memory of a process.
fn assert_bounded(process: &Running) {
    let peak = process.peak_kib().unwrap() / 1024;
    assert!(peak < PEAK_MIB, "{peak} MiB");
}

#[test]
fn a_hundred_thousand_registrations_are_accepted_polled_and_listed_in_limited_memory() {
    let host = host();
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let source = host.write("small.tsx", SOURCE).unwrap();
    let first = deploy(&host, source.to_str().unwrap(), "my-space", &json!({}));
    register(&host, &first, "my-test");
    multiply(&host, &first);

    let mut service = host.spawn(["run", "--interval", "30m"]).unwrap();
    let attempt = Attempt::begin("crowd", "100,000 registrations, polled").of_process(service.pid());
    let mut polled = HashSet::new();
    while polled.len() < POLLS {
        let line = service.wait_for_line(|line| line.contains("Successfully executed charm"), SOON).unwrap();
        let charm = line.split("executed charm ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(polled.insert(charm.to_owned()), "polled twice: {line}");
    }
    // One more is accepted, and polled at once.
    let another = deploy(&host, source.to_str().unwrap(), "another-space", &json!({}));
    register(&host, &another, "my-test");
    wait_for_success(&mut service, &another);
    assert_bounded(&service);
    attempt.ended(format!("{POLLS} polled, none twice; one more is polled at once"));
    let ended = service.terminate().unwrap().success().unwrap();
    assert!(!ended.stderr.contains(" failed: "), "{ended}");

    let listed_here = listed(&host);
    assert_eq!(listed_here.len(), CHARMS + 1);
    let successes = listed_here.iter().filter(|entry| entry["lastOutcome"] == "Success").count();
    assert!(successes > POLLS, "{successes}");
    let status = host.command(["status", "--json"]).unwrap().success().unwrap().stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["registrations"], CHARMS + 1);

    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let attempt = Attempt::begin("crowd", "100,000 registrations, listed over the API").of_process(server.pid());
    assert_eq!(listed(&host), listed_here);
    assert_bounded(&server);
    attempt.ended("listed");
    server.terminate().unwrap().success().unwrap();
}
