//! The remote runtime against this server: it behaves like the local one.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bg_charm_api::wire::PollerReport;
use bg_charm_api::{AccessLevel, DeployRequest, LogQuery, RegistrationFilter, SetRequest, Spaces, Subject};
use bg_charm_client::RemoteRuntime;
use bg_identity::{CharmId, Identity, SYSTEM_SPACE_NAME, space_did, space_identity, system_space};
use bg_poller::{
    CharmRef, CharmRuntime, DisabledBy, Lookup, Outcome, OutcomeKind, PollState, PollStore, RegistrationChanges,
    RegistrationState, Run, RuntimeError, UnixMillis,
};
use common::{Fixture, code, counter, my_space};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn path(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

fn operator_identity() -> Identity {
    Identity::from_passphrase("implicit trust")
}

/// A remote runtime whose identity has access to the system space, as `add-admin-charm` grants it.
async fn with_access(fixture: &Fixture) -> RemoteRuntime {
    let admin = fixture.remote(space_identity(SYSTEM_SPACE_NAME));
    let subject = Subject::Did(operator_identity().did());
    admin.set_acl(&system_space(), &subject, Some(AccessLevel::Write)).await.unwrap();
    fixture.remote(operator_identity())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_reports_a_poll_loop() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let failing = PollState {
        charm: charm.clone(),
        next_due: UnixMillis(7),
        failures: 3,
        disabled_at: UnixMillis(0),
        updated_at: UnixMillis(1),
        owed_since: UnixMillis(6),
    };
    let elsewhere = PollState { charm: unknown_charm(), ..failing.clone() };
    let report =
        PollerReport { poller: "1".into(), failing: vec![failing.clone(), elsewhere], ..PollerReport::default() };
    // Access to the system space, its very key even, is not enough: anybody can have that.
    for remote in [with_access(&fixture).await, fixture.remote(space_identity(SYSTEM_SPACE_NAME))] {
        let refused = remote.report(&report).await.unwrap_err();
        assert!(matches!(&refused, RuntimeError::Authorization { .. }), "{refused}");
        assert!(refused.to_string().contains("IDENTITY or OPERATOR_PASS that the server has"), "{refused}");
    }
    let states = fixture.poll_store();
    assert_eq!(states.load().await.unwrap(), []);
    let operator = fixture.operator();
    operator.note_failing(report.failing, Vec::new()).await.unwrap();
    assert_eq!(states.load().await.unwrap(), std::slice::from_ref(&failing));
    let never = PollState { next_due: UnixMillis(u64::MAX), ..failing };
    let refused = operator.note_failing(vec![never], Vec::new()).await;
    assert!(matches!(refused, Err(RuntimeError::Invalid(_))), "{refused:?}");
    operator.note_failing(Vec::new(), vec![charm]).await.unwrap();
    assert_eq!(states.load().await.unwrap(), []);
}

fn unknown_charm() -> CharmRef {
    CharmRef { space: my_space(), charm: CharmId::for_content(b"nothing") }
}

#[tokio::test(flavor = "multi_thread")]
async fn charms_are_deployed_read_and_triggered() {
    let fixture = Fixture::start().await;
    let remote = fixture.remote(operator_identity());
    let deployed = remote.deploy(&my_space(), &counter()).await.unwrap();
    assert!(deployed.created);
    assert_eq!(deployed.streams, ["bgUpdater", "broken"]);
    let charm = deployed.charm;
    assert!(!remote.deploy(&my_space(), &counter()).await.unwrap().created);

    let opened = remote.open(&charm).await.unwrap();
    assert_eq!(opened.charm_ref(), &charm);
    assert_eq!(opened.keys().await.unwrap(), ["auth", "bgUpdater", "broken", "count"]);
    assert!(opened.has_stream("bgUpdater").await.unwrap());
    assert!(!opened.has_stream("count").await.unwrap());
    for (keys, expected) in [
        (&["count"][..], Lookup::Value(json!(0))),
        (&["auth", "user", "email"], Lookup::Value(json!("ann@example.com"))),
        (&["auth", "token"], Lookup::Secret),
        (&["nothing & \"more\" / ü"], Lookup::Absent),
        (&[], Lookup::Absent),
    ] {
        assert_eq!(opened.get(&path(keys)).await.unwrap(), expected, "{keys:?}");
    }

    assert_eq!(remote.trigger(&charm, "bgUpdater", &json!({})).await.unwrap(), Outcome::success());
    assert_eq!(opened.get(&path(&["count"])).await.unwrap(), Lookup::Value(json!(1)));
    let failed = remote.trigger(&charm, "broken", &json!({})).await.unwrap();
    assert_eq!(failed.kind, OutcomeKind::HandlerFailed);
    assert!(failed.message.is_some_and(|message| message.contains("it is broken")));

    let summaries = remote.charms(&my_space()).await.unwrap();
    assert_eq!(summaries.len(), 1);
    assert_eq!((&summaries[0].charm, summaries[0].name.as_deref()), (&charm, Some("Counter")));
    let shown = remote.show(&charm).await.unwrap();
    assert_eq!(shown.cells["count"], json!(1));
    assert!(!serde_json::to_string(&shown).unwrap().contains("sesame"));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_go_there_and_back() {
    let fixture = Fixture::start().await;
    let remote = with_access(&fixture).await;
    let charm = remote.deploy(&my_space(), &counter()).await.unwrap().charm;
    let gmail = "gmail".parse().unwrap();

    let registration = remote.register(&charm, &gmail).await.unwrap();
    assert_eq!((&registration.charm, &registration.integration), (&charm, &gmail));
    assert_eq!(remote.registrations().await.unwrap(), [registration]);
    assert_eq!(remote.registrations().await.unwrap(), fixture.operator().registrations().await.unwrap());

    let disabled = remote.set_disabled(&charm, Some((DisabledBy::Hand, "no longer needed"))).await.unwrap();
    assert!(!disabled.is_enabled() && disabled.status.contains("no longer needed"), "{disabled:?}");
    assert_eq!(disabled.disabled_by, Some(DisabledBy::Hand));
    let by_loop = remote.set_disabled(&charm, Some((DisabledBy::Failures, "5 failures in a row"))).await.unwrap();
    assert_eq!(by_loop.disabled_by, Some(DisabledBy::Failures));
    let by_hand =
        RegistrationFilter { state: Some(RegistrationState::DisabledByHand), ..RegistrationFilter::default() };
    let of_gmail = RegistrationFilter { integration: Some(gmail.clone()), ..RegistrationFilter::default() };
    assert_eq!(remote.enable_all(&by_hand).await.unwrap(), 0);
    assert_eq!(remote.enable_all(&of_gmail).await.unwrap(), 1);
    assert_eq!(remote.enable_all(&of_gmail).await.unwrap(), 0, "it runs already");
    let of_gmial =
        RegistrationFilter { integration: Some("gmial".parse().unwrap()), space: Some(space_did("no")), ..of_gmail };
    let refused = remote.enable_all(&of_gmial).await.unwrap_err();
    assert!(matches!(refused, RuntimeError::Invalid(_)), "{refused:?}");
    for part in
        ["for the integration gmial; did you mean gmail?", &format!("no charm in the space {}", space_did("no"))]
    {
        assert!(refused.to_string().contains(part), "{refused}");
    }
    remote.set_disabled(&charm, Some((DisabledBy::Hand, "by hand"))).await.unwrap();
    assert_eq!(remote.enable_all(&RegistrationFilter::default()).await.unwrap(), 0, "that is as somebody wants it");
    assert_eq!(remote.enable_all(&by_hand).await.unwrap(), 1);
    assert!(remote.set_disabled(&charm, None).await.unwrap().is_enabled());

    let interval = Some(Duration::from_mins(5));
    assert_eq!(remote.set_interval(&charm, interval).await.unwrap().interval, interval);
    assert_eq!(remote.registrations().await.unwrap()[0].interval, interval);
    let refused = remote.set_interval(&charm, Some(Duration::from_millis(1))).await.unwrap_err();
    assert!(refused.to_string().contains("at least 100 ms"), "{refused}");
    assert_eq!(remote.set_interval(&charm, None).await.unwrap().interval, None);

    let run = Run {
        charm: charm.clone(),
        started_at: UnixMillis(1_800_000_000_000),
        duration: Duration::from_millis(7),
        outcome: Outcome::failure(OutcomeKind::Invalid, "no auth cell"),
    };
    remote.record(std::slice::from_ref(&run)).await.unwrap();
    assert_eq!(remote.runs(&charm, 10).await.unwrap(), [run]);
    assert!(remote.registrations().await.unwrap()[0].status.contains("no auth cell"));
    remote.trigger(&charm, "bgUpdater", &json!({})).await.unwrap();
    assert_eq!(remote.runs(&charm, 10).await.unwrap().len(), 2);
    assert_eq!(remote.runs(&charm, 1).await.unwrap().len(), 1);
    let counters = remote.counters(&charm).await.unwrap();
    assert_eq!(counters, fixture.operator().counters(&charm).await.unwrap());
    assert_eq!((counters.runs, counters.failed), (2, 1));
    assert_eq!(counters.failure.as_deref(), Some("Invalid: no auth cell"));

    remote.prepare_list(&gmail).await.unwrap();
    assert_eq!(fixture.operator().integration_list(&gmail).await.unwrap(), Some(vec![charm.clone()]));

    assert!(remote.remove(&charm).await.unwrap());
    assert!(!remote.remove(&charm).await.unwrap());
    assert_eq!(remote.registrations().await.unwrap(), []);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_space_is_closed_until_its_own_key_grants_access() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let remote = fixture.remote(operator_identity());
    let gmail = "gmail".parse().unwrap();

    let refusals = [
        remote.registrations().await.err(),
        remote.changed(0).await.err(),
        remote.set_disabled(&charm, None).await.err(),
        remote.remove(&charm).await.err(),
        remote.prepare_list(&gmail).await.err(),
        remote.acl(&system_space()).await.err(),
        remote.set_acl(&system_space(), &Subject::Anyone, Some(AccessLevel::Owner)).await.err(),
    ];
    for refusal in refusals {
        let Some(RuntimeError::Authorization { space, message }) = refusal else { panic!("{refusal:?}") };
        assert_eq!(space, system_space());
        assert!(message.contains("add-admin-charm"), "{message}");
        assert!(message.contains(operator_identity().did().as_str()), "{message}");
    }

    let remote = with_access(&fixture).await;
    assert_eq!(remote.registrations().await.unwrap(), []);
    let acl = remote.acl(&system_space()).await.unwrap();
    assert_eq!(acl.0.get(&Subject::Did(operator_identity().did())), Some(&AccessLevel::Write));
    // Write access is not ownership.
    let refusal = remote.set_acl(&system_space(), &Subject::Anyone, Some(AccessLevel::Read)).await.unwrap_err();
    assert!(matches!(refusal, RuntimeError::Authorization { .. }), "{refusal:?}");

    let admin = fixture.remote(space_identity(SYSTEM_SPACE_NAME));
    admin.set_acl(&system_space(), &Subject::Did(operator_identity().did()), None).await.unwrap();
    assert!(matches!(remote.registrations().await, Err(RuntimeError::Authorization { .. })));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_the_same_on_both_sides() {
    let fixture = Fixture::start().await;
    let remote = with_access(&fixture).await;
    let operator = fixture.operator();
    let charm = fixture.deploy(&my_space()).await;
    let unknown = unknown_charm();
    let gmail = "gmail".parse().unwrap();

    assert_eq!(remote.open(&unknown).await.err(), operator.open(&unknown).await.err());
    assert_eq!(remote.open(&unknown).await.err(), Some(RuntimeError::NotFound(unknown.clone())));
    assert_eq!(remote.register(&unknown, &gmail).await, operator.register(&unknown, &gmail).await);
    assert_eq!(
        remote.trigger(&charm, "nothing", &json!({})).await,
        operator.trigger(&charm, "nothing", &json!({})).await
    );
    assert_eq!(remote.refresh_auth(&charm).await, operator.refresh_auth(&charm).await);
    let nowhere = space_did("nowhere");
    assert_eq!(remote.charms(&nowhere).await, operator.charms(&nowhere).await);
    assert_eq!(remote.acl(&nowhere).await, operator.acl(&nowhere).await);
    let [there, here] = [
        remote.set_acl(&nowhere, &Subject::Anyone, None).await,
        operator.set_acl(&nowhere, &Subject::Anyone, None).await,
    ];
    assert!(there.is_err() && there == here, "{there:?} {here:?}");
    let mut broken = counter();
    broken.source = "export default (".to_owned();
    assert_eq!(remote.deploy(&my_space(), &broken).await, operator.deploy(&my_space(), &broken).await);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_set_and_programs_replaced() {
    let fixture = Fixture::start().await;
    let remote = fixture.remote(operator_identity());
    let charm = remote.deploy(&my_space(), &counter()).await.unwrap().charm;
    let request = |keys: &[&str], create| SetRequest { path: path(keys), value: json!({"n": [1]}), create };
    remote.set(&charm, &request(&["count"], false)).await.unwrap();
    remote.set(&charm, &request(&["auth", "token"], false)).await.unwrap();
    remote.set(&charm, &request(&["new", "a.b"], true)).await.unwrap();
    let cells = remote.show(&charm).await.unwrap().cells;
    assert_eq!((&cells["count"], &cells["new"]), (&json!({"n": [1]}), &json!({"a.b": {"n": [1]}})));
    assert_eq!(cells["auth"], json!({"token": "(secret)", "user": {"email": "ann@example.com"}}));
    for keys in [&["nothing"][..], &["bgUpdater"], &[]] {
        let refused = request(keys, false);
        let (there, here) = (remote.set(&charm, &refused).await, fixture.operator().set(&charm, &refused).await);
        assert!(there.is_err() && there == here, "{there:?} {here:?}");
    }

    let mut update = DeployRequest { charm: Some(charm.charm.clone()), ..counter() };
    update.source.push_str("// changed");
    let updated = remote.deploy(&my_space(), &update).await.unwrap();
    assert_eq!((&updated.charm, updated.created, updated.updated), (&charm, false, true));
    update.charm = Some(unknown_charm().charm);
    assert_eq!(remote.deploy(&my_space(), &update).await, Err(RuntimeError::NotFound(unknown_charm())));
    let query = LogQuery { after: None, limit: 10, wait: false };
    assert_eq!(remote.logs(&charm, query).await, Ok(Vec::new()));
    assert_eq!(remote.logs(&unknown_charm(), query).await, Err(RuntimeError::NotFound(unknown_charm())));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_for_callers_that_may_write_to_the_system_space() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let token = path(&["auth", "token"]);
    let stranger = fixture.remote(operator_identity());
    assert!(matches!(stranger.secret(&charm, &token).await, Err(RuntimeError::Authorization { .. })));
    let remote = with_access(&fixture).await;
    assert_eq!(remote.secret(&charm, &token).await.unwrap().expose(), "sesame");
    assert!(matches!(remote.secret(&charm, &path(&["count"])).await, Err(RuntimeError::Unfit(_))));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_wakes_when_registrations_change() {
    let fixture = Fixture::start().await;
    let remote = with_access(&fixture).await;
    let charm = fixture.deploy(&my_space()).await;
    // First the present revision, which is answered at once unless it is 0, then a wait.
    let seen = remote.changed(u64::MAX).await.unwrap();
    let waiting = {
        let remote = remote.clone();
        tokio::spawn(async move { remote.changed(seen).await })
    };
    // As the button does it.
    let body = json!({ "charmId": charm.charm, "space": charm.space, "integration": "gmail" }).to_string();
    assert_eq!(fixture.send("POST", "/api/integrations/bg", &[], &body).status, 200);
    let revision = waiting.await.unwrap().unwrap();
    assert_ne!(revision, seen);
    assert_eq!(remote.registrations().await.unwrap().len(), 1);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_what_has_changed_and_an_earlier_one_all_of_it() {
    let fixture = Fixture::start().await;
    let remote = with_access(&fixture).await;
    let (charm, gmail) = (fixture.deploy(&my_space()).await, "gmail".parse().unwrap());
    let seen = remote.changed(u64::MAX).await.unwrap();
    let registration = remote.register(&charm, &gmail).await.unwrap();
    let changes = remote.changes(seen).await.unwrap();
    let revision = changes.revision.unwrap();
    assert_ne!(revision, seen);
    assert_eq!((changes.registrations, changes.removed), (vec![registration.clone()], Some(vec![])));
    let none = RegistrationChanges { revision: Some(revision), registrations: vec![], removed: Some(vec![]) };
    assert_eq!(remote.changes(revision).await.unwrap(), none);
    let all = RegistrationChanges { revision: Some(revision), registrations: vec![registration], removed: None };
    assert_eq!(remote.changes(0).await.unwrap(), all, "that revision is not remembered");
    // Clients that do not ask for changes get the same as before.
    let reply = fixture.send_signed(&operator_identity(), "GET", "/api/v1/registrations", "");
    let listed: serde_json::Value = serde_json::from_str(&reply.text()).unwrap();
    let mut members: Vec<&str> = listed.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["registrations", "revision"]);
    remote.remove(&charm).await.unwrap();
    let changes = remote.changes(revision).await.unwrap();
    assert_eq!((changes.registrations, changes.removed), (vec![], Some(vec![charm])));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_answers_long_polls_at_once() {
    let fixture = Fixture::start().await;
    let remote = with_access(&fixture).await;
    let seen = remote.changed(u64::MAX).await.unwrap();
    let waiting = {
        let remote = remote.clone();
        tokio::spawn(async move { remote.changed(seen).await })
    };
    // Another request on the way shows that the server is at work; the poll has been sent before it, or is sent after
    // the shutdown and then is refused.
    remote.registrations().await.unwrap();
    // Fails if a connection has to be cut off.
    fixture.stop().await;
    match waiting.await.unwrap() {
        Ok(revision) => assert_eq!(revision, seen),
        Err(error) => assert!(error.is_unavailable(), "{error:?}"),
    }
}

/// Not a test: `cargo test --test remote -- --ignored --nocapture figures` prints what one change among many
/// registrations takes, of the server and the client together: all are read again, as clients did before there were
/// changes to read, or what has changed alone.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures"]
async fn figures_of_one_change_among_100_000_registrations() {
    let fixture = Fixture::start().await;
    let remote = with_access(&fixture).await;
    let charm = fixture.deploy(&my_space()).await;
    remote.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    rusqlite::Connection::open(fixture.dir.path().join("runtime.db"))
        .unwrap()
        .execute_batch(
            "BEGIN;
            CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) SELECT i FROM n;
            INSERT INTO charms (space, id, file_name, source, module, streams, secrets, created_at, updated_at)
                SELECT space, printf('fid1:%064d', i), 'a.tsx', '', '', streams, secrets, created_at, updated_at FROM n, charms WHERE row = 1;
            INSERT INTO registrations (charm, integration, created_at, updated_at, last_run, status)
                SELECT row, 'gmail', created_at, updated_at, updated_at, 'Success' FROM charms WHERE row > 1;
            COMMIT",
        )
        .unwrap();
    let mut seen = remote.changed(u64::MAX).await.unwrap();
    let (all, changed) = ("/api/v1/registrations", format!("/api/v1/registrations?after={}", seen - 1));
    for (what, target) in [("all registrations", all), ("what has changed", &changed)] {
        let answer = fixture.send_signed(&operator_identity(), "GET", target, "").text().len();
        println!("{what}: {answer} bytes");
    }
    let own = || bg_test_support::processor_time(std::process::id()).unwrap();
    let mut taken = [Duration::ZERO; 2];
    let rounds = [5, 100];
    for (number, times) in (0_u64..).zip([rounds, rounds].concat()) {
        let reads_all = times == rounds[0];
        for time in 0..times {
            let interval = Duration::from_secs(1 + number + u64::from(time) % 2);
            fixture.operator().set_interval(&charm, Some(interval)).await.unwrap();
            let before = own();
            let revision = remote.changed(seen).await.unwrap();
            if reads_all {
                assert_eq!(remote.registrations().await.unwrap().len(), 100_000);
            } else {
                assert_eq!(remote.changes(seen).await.unwrap().registrations[0].interval, Some(interval));
            }
            seen = revision;
            taken[usize::from(!reads_all)] += own().saturating_sub(before);
        }
    }
    for ((what, taken), times) in ["all are read", "what has changed is read"].into_iter().zip(taken).zip(rounds) {
        println!("{what}: {:?} of processor time for each change", taken / (2 * times));
    }
    fixture.stop().await;
}

/// Stands between a client and a server, and loses an answer when that is wanted: its request has arrived by then.
async fn losing(server: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, lose) = (listener.local_addr().unwrap(), Arc::<AtomicBool>::default());
    let wanted = lose.clone();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let (wanted, upstream) = (wanted.clone(), TcpStream::connect(server).await.unwrap());
            tokio::spawn(async move {
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), upstream.into_split());
                let sending = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut buffer = vec![0; 65_536];
                while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                    if wanted.swap(false, Ordering::SeqCst) || to_client.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
                sending.abort();
            });
        }
    });
    (address, lose)
}

#[tokio::test]
async fn an_event_whose_answer_is_lost_is_sent_again_and_handled_once() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let (address, lose) = losing(fixture.address).await;
    let remote = RemoteRuntime::new(format!("http://{address}").parse().unwrap(), space_identity("my-space"));
    let runs = || async { fixture.operator().runs(&charm, 100).await.unwrap().len() };
    let attempt = bg_abuse::Attempt::begin("connections", "an answer to a trigger is lost on the way");
    // It is not known yet whether the server keeps keys: then nothing is sent a second time.
    lose.store(true, Ordering::SeqCst);
    let error = remote.trigger(&charm, "bgUpdater", &json!({})).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    let before = runs().await;
    assert!(remote.trigger(&charm, "bgUpdater", &json!({})).await.unwrap().is_success());
    assert_eq!(runs().await, before + 1);
    for again in 1..=5 {
        lose.store(true, Ordering::SeqCst);
        let outcome = remote.trigger(&charm, "bgUpdater", &json!({})).await.unwrap();
        assert!(outcome.is_success() && !lose.load(Ordering::SeqCst), "{outcome:?}");
        assert_eq!(runs().await, before + 1 + again, "each event was handled once");
    }
    attempt.ended("sent again, handled once");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_sent_again_is_refused_by_a_server_that_cannot_know_it() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let path = format!("/api/v1/charms/{}/{}/trigger", charm.space, charm.charm);
    let send = |body: Value| fixture.send_signed(&space_identity("my-space"), "POST", &path, body.to_string());
    let event = |key: &str, again: Value| json!({ "stream": "bgUpdater", "event": {}, "key": key, "again": again });
    // As before there were keys.
    let first: Value = serde_json::from_slice(&send(json!({ "stream": "bgUpdater", "event": {} })).body).unwrap();
    let server = first["server"].clone();
    assert_eq!((&first["kind"], server.is_string()), (&json!("Success"), true));
    let refused = send(event("k", json!("another")));
    assert_eq!((refused.status, code(&refused)), (400, json!("unknown-event")), "{}", refused.text());
    assert!(refused.text().contains("it is unknown whether the event was handled"));
    let runs = || async { fixture.operator().runs(&charm, 100).await.unwrap().len() };
    assert_eq!(runs().await, 1);
    // The first of them did not arrive.
    assert_eq!(send(event("k", server.clone())).status, 200);
    assert_eq!(send(event("k", server)).status, 200);
    assert_eq!(send(event("k", Value::Null)).status, 200);
    assert_eq!(runs().await, 2);
    assert_eq!(send(event(&"k".repeat(65), Value::Null)).status, 400);
    fixture.stop().await;
}
