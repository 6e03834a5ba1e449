use bg_charm_api::{AccessLevel, Actor, Spaces, Subject};
use bg_identity::system_space;
use bg_poller::{CharmRuntime, RuntimeError};
use serde_json::json;

use crate::LocalHandle;
use crate::local::testing::{Home, did, source, space};

/// With any other error it got as far as finding that something is missing.
fn refused<T>(result: Result<T, RuntimeError>) -> bool {
    result.is_err_and(|error| matches!(error, RuntimeError::Authorization { .. }))
}

/// Which of all that a handle does is refused.
async fn refusals(handle: &LocalHandle, charm: &bg_poller::CharmRef) -> Vec<&'static str> {
    let gmail = "gmail".parse().unwrap();
    let path = ["auth".to_owned(), "token".to_owned()];
    let request = source("other.js", json!({}));
    let results = [
        ("register", refused(handle.register(charm, &gmail).await)),
        ("registrations", refused(handle.registrations().await)),
        ("changed", refused(handle.changed(0).await)),
        ("set_disabled", refused(handle.set_disabled(charm, None).await)),
        ("record", refused(handle.record(&handle_run(charm)).await)),
        ("prepare_list", refused(handle.prepare_list(&gmail).await)),
        ("remove", refused(handle.remove(charm).await)),
        ("runs", refused(handle.runs(charm, 1).await)),
        ("open", refused(handle.open(charm).await)),
        ("show", refused(handle.show(charm).await)),
        ("charms", refused(handle.charms(&space()).await)),
        ("acl", refused(handle.acl(&space()).await)),
        ("trigger", refused(handle.trigger(charm, "append", &json!({})).await)),
        ("deploy", refused(handle.deploy(&space(), &request).await)),
        ("refresh_auth", refused(handle.refresh_auth(charm).await)),
        ("secret", refused(handle.secret(charm, &path).await)),
        ("set_acl", refused(handle.set_acl(&space(), &Subject::Did(did("zoe")), Some(AccessLevel::Read)).await)),
    ];
    results.into_iter().filter_map(|(name, refused)| refused.then_some(name)).collect()
}

fn handle_run(charm: &bg_poller::CharmRef) -> Vec<bg_poller::Run> {
    vec![bg_poller::Run {
        charm: charm.clone(),
        started_at: bg_poller::UnixMillis(1),
        duration: std::time::Duration::ZERO,
        outcome: bg_poller::Outcome::success(),
    }]
}

#[tokio::test]
async fn who_may_do_what() {
    let home = Home::new().await;
    let ann = home.signed("ann");
    let charm = ann.deploy(&space(), &source("guest.js", json!({"token": "t"}))).await.unwrap().charm;
    ann.set_acl(&space(), &Subject::Anyone, None).await.unwrap();
    ann.set_acl(&space(), &Subject::Did(did("reader")), Some(AccessLevel::Read)).await.unwrap();
    ann.set_acl(&space(), &Subject::Did(did("writer")), Some(AccessLevel::Write)).await.unwrap();
    ann.set_acl(&space(), &Subject::Did(did("service")), Some(AccessLevel::Write)).await.unwrap();
    home.operator().set_acl(&system_space(), &Subject::Did(did("service")), Some(AccessLevel::Write)).await.unwrap();
    home.operator().set_acl(&system_space(), &Subject::Did(did("watcher")), Some(AccessLevel::Read)).await.unwrap();

    let system = ["registrations", "changed", "set_disabled", "record", "prepare_list", "remove"];
    let reading = ["runs", "open", "show", "charms", "acl"];
    let writing = ["trigger", "deploy", "refresh_auth", "secret"];
    let all = [&system[..], &reading, &writing, &["set_acl"]].concat();
    let space_key = home.runtime.as_actor(Actor::Did(space().did().clone()));
    let cases = [
        (home.operator(), vec![]),
        (home.signed("service"), vec!["set_acl"]),
        (ann, [&system[..], &["secret"]].concat()),
        (space_key, [&system[..], &["secret"]].concat()),
        (home.signed("writer"), [&system[..], &["refresh_auth", "secret", "set_acl"]].concat()),
        (home.signed("reader"), [&system[..], &writing, &["set_acl"]].concat()),
        (home.signed("watcher"), [&system[2..], &reading[1..], &writing, &["set_acl"]].concat()),
        (home.signed("eve"), all.clone()),
        (home.runtime.as_actor(Actor::Anonymous), all),
    ];
    for (handle, expected) in cases {
        assert_eq!(refusals(&handle, &charm).await, expected, "{:?}", handle.actor());
    }
}

#[tokio::test]
async fn only_who_signs_creates_a_space() {
    let home = Home::new().await;
    let anonymous = home.runtime.as_actor(Actor::Anonymous);
    assert!(refused(anonymous.deploy(&space(), &source("guest.js", json!({}))).await));
    assert!(refused(home.signed("eve").deploy(&system_space(), &source("guest.js", json!({}))).await));
    assert!(!refused(home.signed("eve").deploy(&space(), &source("guest.js", json!({}))).await));
}
