use std::path::Path;

use bg_abuse::Attempt;
use bg_charm_api::{AccessLevel, Actor, DeployRequest, LogQuery, Spaces, Subject};
use bg_identity::{IntegrationId, system_space};
use bg_poller::{CharmRuntime, PollState, PollStore, RuntimeError, UnixMillis};
use serde_json::{Value, json};

use crate::local::testing::{Home, did, source, space};

fn gmail() -> IntegrationId {
    "gmail".parse().unwrap()
}

/// A charm whose source has that word in it.
fn request(word: &str) -> DeployRequest {
    let mut request = source("guest.js", json!({"user": "ann"}));
    request.source = format!("// {word}\n{}", request.source);
    request
}

/// How often a text is in the files of a folder: the database, its log and what its processes share.
fn found(folder: &Path, text: &str) -> usize {
    let files = std::fs::read_dir(folder).unwrap();
    let count = |bytes: Vec<u8>| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
    files.map(|file| count(std::fs::read(file.unwrap().path()).unwrap())).sum()
}

#[tokio::test]
async fn nothing_of_a_deleted_charm_stays_and_all_of_its_neighbours() {
    let home = Home::new().await;
    // Another process has the database open.
    let other = home.another();
    let mut charms = Vec::new();
    for number in 0..5 {
        let charm = home.operator().deploy(&space(), &request(&format!("plain-{number}-source"))).await.unwrap().charm;
        home.operator().register(&charm, &gmail()).await.unwrap();
        charms.push(charm);
    }
    let states: Vec<PollState> = charms
        .iter()
        .map(|charm| PollState {
            charm: charm.clone(),
            next_due: UnixMillis(1),
            failures: 1,
            disabled_at: UnixMillis(0),
            updated_at: UnixMillis(1),
            owed_since: UnixMillis::NEVER,
        })
        .collect();
    let poll_store = home.runtime.poll_store();
    poll_store.save(&states).await.unwrap();
    // Values that lie within pages, fill some, and are overwritten; of all charms by turns, so that they share pages.
    for round in 0..24 {
        for (number, charm) in charms.iter().enumerate() {
            let size = [20, 300, 1_500, 5_000, 30_000, 3][round % 6];
            let event = format!("plain-{number}-round-{round}-{}", "x".repeat(size + number * 7));
            home.trigger(charm, "bgUpdater", json!(event)).await.unwrap();
            home.trigger(charm, "copy", json!({})).await.unwrap();
            home.trigger(charm, "fail", json!(format!("plain-{number}-failure"))).await.unwrap();
        }
    }
    assert!(found(home.dir(), "plain-2-source") > 0 && found(home.dir(), "plain-2-round-") > 24);
    let before = home.cells(&charms[3]).await;

    let attempt = Attempt::begin("deleted", "what a deleted charm leaves in the database, its log and free pages");
    home.operator().delete(&charms[2]).await.unwrap();
    assert_eq!(found(home.dir(), "plain-2-"), 0);
    assert_eq!(found(home.dir(), charms[2].charm.as_str()), 0, "not even its name");
    attempt.ended("nothing");
    assert!(found(home.dir(), "plain-3-source") > 0 && found(home.dir(), "plain-3-round-") > 0);
    assert_eq!(home.cells(&charms[3]).await, before);

    for runtime in [&home.runtime, &other] {
        let operator = runtime.as_actor(Actor::Operator);
        let not_found = Some(RuntimeError::NotFound(charms[2].clone()));
        assert_eq!(operator.show(&charms[2]).await.err(), not_found);
        assert_eq!(operator.open(&charms[2]).await.err(), not_found);
        assert_eq!(operator.runs(&charms[2], 1).await.err(), not_found);
        assert_eq!(operator.trigger(&charms[2], "bgUpdater", &json!({})).await.err(), not_found);
        let query = LogQuery { after: None, limit: 1, wait: false };
        assert_eq!(operator.logs(&charms[2], query).await.err(), not_found);
        assert_eq!(operator.delete(&charms[2]).await.err(), not_found);
        assert_eq!(operator.charms(&space()).await.unwrap().len(), 4);
        assert_eq!(operator.registrations().await.unwrap().len(), 4);
    }
    let left = poll_store.load().await.unwrap();
    assert!(left.len() == 4 && left.iter().all(|state| state.charm != charms[2]));
}

#[tokio::test]
async fn who_waits_for_changes_of_registrations_hears_of_a_deleted_one() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    home.operator().register(&charm, &gmail()).await.unwrap();
    let other = home.another().as_actor(Actor::Operator);
    let seen = other.revision().await.unwrap();
    home.operator().delete(&charm).await.unwrap();
    assert!(other.changed(seen).await.unwrap() > seen);
    assert_eq!(other.registrations().await.unwrap(), []);
}

#[tokio::test]
async fn an_owner_and_the_service_delete_and_nobody_else() {
    let home = Home::new().await;
    let ann = home.signed("ann");
    let charm = ann.deploy(&space(), &source("guest.js", json!({}))).await.unwrap().charm;
    home.operator().set_acl(&system_space(), &Subject::Did(did("service")), Some(AccessLevel::Write)).await.unwrap();
    home.operator().set_acl(&system_space(), &Subject::Did(did("watcher")), Some(AccessLevel::Read)).await.unwrap();
    for handle in [home.signed("eve"), home.signed("watcher"), home.runtime.as_actor(Actor::Anonymous)] {
        let attempt = Attempt::begin("deleted", format!("{:?} deletes a charm of another's", handle.actor()));
        let error = handle.delete(&charm).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Authorization { .. }), "{error}");
        attempt.ended("Authorization");
    }
    ann.delete(&charm).await.unwrap();
    for handle in [home.signed("service"), home.operator()] {
        let again = ann.deploy(&space(), &source("guest.js", json!({}))).await.unwrap();
        assert!(again.created, "it is another than the one that was deleted");
        handle.delete(&again.charm).await.unwrap();
    }
}

#[tokio::test]
async fn a_charm_that_is_deployed_again_starts_from_nothing() {
    let home = Home::new().await;
    let charm = home.deploy(json!({"token": "tok-SECRET-1"})).await;
    home.trigger(&charm, "append", json!({})).await.unwrap();
    home.operator().delete(&charm).await.unwrap();
    assert_eq!(home.deploy(json!({"token": "tok-SECRET-1"})).await, charm);
    assert_eq!(home.cells(&charm).await["log"], Value::from(""));
    assert_eq!(home.operator().registrations().await.unwrap(), []);
    let path = ["auth", "token"].map(str::to_owned);
    assert_eq!(home.operator().secret(&charm, &path).await.unwrap().expose(), "tok-SECRET-1");
}
