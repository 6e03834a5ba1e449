//! Signatures, paths and methods of the Charm Runtime API. What is wrongly signed is tried on every endpoint in
//! `abuse`.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

mod common;

use bg_charm_api::{AccessLevel, Spaces, Subject};
use bg_identity::{CharmId, Identity, space_did, space_identity, system_space};
use bg_test_support::HttpReply;
use common::{Fixture, borrowed, code, error, my_space};
use serde_json::json;

const KIB: usize = 1024;
const LIST: &str = "/api/v1/registrations";

fn ann() -> Identity {
    Identity::from_passphrase("ann")
}

/// Sends with headers as they were signed for something else.
fn send_as(
    fixture: &Fixture,
    signed: &[(String, String)],
    method: &str,
    target: &str,
    host: &str,
    body: &str,
) -> HttpReply {
    let mut headers = borrowed(signed);
    headers.push(("Host", host));
    fixture.send(method, target, &headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_good_for_one_request_as_it_was_made() {
    let fixture = Fixture::start().await;
    fixture.deploy(&my_space()).await;
    let owner = space_identity("my-space");
    let host = fixture.address.to_string();
    let space = format!("/api/v1/spaces/{}/acl", my_space());
    let good = json!({ "subject": "*", "level": "READ" }).to_string();
    let other = json!({ "subject": "*", "level": "OWNER" }).to_string();
    let signed = || fixture.sign(&owner, "PUT", &space, &good);
    let for_another_method = fixture.sign(&owner, "POST", &space, &good);
    let with_query = format!("{space}?x=1");

    for (what, reply) in [
        ("another body", send_as(&fixture, &signed(), "PUT", &space, &host, &other)),
        ("another method", send_as(&fixture, &for_another_method, "PUT", &space, &host, &good)),
        ("another query", send_as(&fixture, &signed(), "PUT", &with_query, &host, &good)),
        ("another host", send_as(&fixture, &signed(), "PUT", &space, "localhost", &good)),
    ] {
        assert_eq!((reply.status, code(&reply)), (401, json!("signature")), "{what}: {}", reply.text());
    }

    let once = signed();
    let first = send_as(&fixture, &once, "PUT", &space, &host, &good);
    assert_ne!(first.status, 401, "{}", first.text());
    let again = send_as(&fixture, &once, "PUT", &space, &host, &good);
    assert_eq!((again.status, code(&again)), (401, json!("signature")));
    assert!(error(&again).contains("received before"), "{}", error(&again));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_to_a_host_name_that_is_not_ours_is_refused() {
    let fixture = Fixture::start().await;
    let signed = fixture.sign(&ann(), "GET", LIST, "");
    let reply = send_as(&fixture, &signed, "GET", LIST, "other-server.example.com", "");
    assert_eq!((reply.status, code(&reply)), (421, json!("invalid")));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_with_what_is_wrong() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    // Rights come first: a caller without them learns nothing about the input.
    let owner = space_identity("my-space");
    let subject = Subject::Did(owner.did());
    fixture.operator().set_acl(&system_space(), &subject, Some(AccessLevel::Write)).await.unwrap();
    let of_charm = format!("/api/v1/charms/{}/{}", charm.space, charm.charm);
    let acl = format!("/api/v1/spaces/{}/acl", charm.space);
    let deploy = format!("/api/v1/spaces/{}/charms", charm.space);
    let run = json!({ "runs": [{
        "space": charm.space, "charmId": charm.charm, "startedAt": u64::MAX, "duration": 1, "outcome": { "kind": "Success" },
    }] })
    .to_string();
    for (method, target, body, status, expected) in [
        ("GET", "/api/v1/charms/my-space/baedrei".to_owned(), "", 400, "my-space"),
        ("GET", format!("/api/v1/charms/{}/baedrei", charm.space), "", 400, "baedrei"),
        ("GET", format!("/api/v1/charms/{}/%ff", charm.space), "", 400, "UTF-8"),
        ("GET", "/api/v1/spaces/x/charms".to_owned(), "", 400, "\"x\""),
        ("PUT", "/api/v1/integrations/-/list".to_owned(), "", 400, "\"-\""),
        ("GET", format!("{of_charm}/value"), "", 400, "path is missing"),
        ("GET", format!("{of_charm}/value?path=count"), "", 400, "JSON array"),
        ("GET", format!("{of_charm}/value?path=%5B%5D&path=%5B%5D"), "", 400, "more than once"),
        ("GET", format!("{of_charm}/runs?limit=many"), "", 400, "limit"),
        ("GET", format!("{LIST}/changes?after=-1"), "", 400, "after"),
        ("POST", format!("{of_charm}/trigger"), "", 400, "not the expected JSON"),
        ("POST", format!("{of_charm}/trigger"), "{\"stream\":7,\"event\":{}}", 400, "string"),
        ("PUT", acl.clone(), "{\"subject\":\"ann\",\"level\":\"READ\"}", 400, "ann"),
        ("PUT", acl, "{\"subject\":\"*\",\"level\":\"ROOT\"}", 400, "ROOT"),
        ("POST", deploy.clone(), "{\"fileName\":\"a.ts\"}", 400, "source"),
        ("POST", deploy, "{\"fileName\":\"a.ts\",\"source\":\"export default (\",\"inputs\":{}}", 400, "a.ts"),
        ("POST", LIST.to_owned(), "[]", 400, "not the expected JSON"),
        ("POST", "/api/v1/runs".to_owned(), &run, 400, "startedAt"),
    ] {
        let reply = fixture.send_signed(&owner, method, &target, body);
        assert_eq!(reply.status, status, "{method} {target}: {}", reply.text());
        assert_eq!(code(&reply), "invalid", "{method} {target}");
        assert!(error(&reply).contains(expected), "{method} {target}: {}", error(&reply));
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_things_are_not_found_and_malformed_names_are_invalid() {
    let fixture = Fixture::start().await;
    let known = my_space();
    fixture.deploy(&known).await;
    let (nowhere, none) = (space_did("nowhere"), CharmId::for_content(b"none"));
    let acl = json!({ "subject": "*", "level": null }).to_string();
    for (method, more, body) in [("GET", "charms", ""), ("GET", "acl", ""), ("PUT", "acl", acl.as_str())] {
        let at = |space: &str| fixture.send_signed(&ann(), method, &format!("/api/v1/spaces/{space}/{more}"), body);
        let reply = at(nowhere.as_ref());
        assert_eq!((reply.status, code(&reply)), (404, "not-found".into()), "{method} {more}: {}", reply.text());
        assert_eq!(reply.json().unwrap()["space"], json!(nowhere));
        assert!(error(&reply).starts_with(&format!("there is no space {nowhere}")), "{}", error(&reply));
        let reply = at("did:key:z6Mk");
        assert_eq!((reply.status, code(&reply)), (400, "invalid".into()), "{method} {more}: {}", reply.text());
    }
    for space in [&nowhere, &known] {
        let reply = fixture.send_signed(&ann(), "GET", &format!("/api/v1/charms/{space}/{none}"), "");
        assert_eq!((reply.status, code(&reply)), (404, "not-found".into()), "{}", reply.text());
        assert_eq!(error(&reply), format!("no charm {space}/{none}"));
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_limits_by_endpoint() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let trigger = format!("/api/v1/charms/{}/{}/trigger", charm.space, charm.charm);
    let deploy = format!("/api/v1/spaces/{}/charms", charm.space);
    for (method, target, limit) in
        [("POST", LIST, 64 * KIB), ("POST", &trigger, 1024 * KIB), ("POST", &deploy, 8192 * KIB)]
    {
        for (size, too_large) in [(limit, false), (limit + 1, true)] {
            let reply = fixture.send_signed(&ann(), method, target, "x".repeat(size));
            assert_eq!(reply.status, if too_large { 413 } else { 400 }, "{target} {size}: {}", reply.text());
            assert_eq!(code(&reply), "invalid");
        }
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_and_methods_are_answered_in_json() {
    let fixture = Fixture::start().await;
    for (method, target, status) in [
        ("GET", "/nothing", 404),
        ("GET", "/api/v2/registrations", 404),
        ("POST", "/api/v1/registrations/x", 404),
        ("DELETE", LIST, 405),
        ("GET", "/api/v1/runs", 405),
        ("POST", "/api/health", 405),
    ] {
        let reply = fixture.send(method, target, &[], "");
        assert_eq!(reply.status, status, "{method} {target}: {}", reply.text());
        assert!(!error(&reply).is_empty());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        assert_eq!(reply.json().unwrap()["status"], status);
        assert_eq!(reply.header("allow").is_some(), status == 405, "{method} {target}");
    }
    let health = fixture.send("GET", "/api/health", &[], "");
    assert_eq!((health.status, health.json().unwrap()["status"].clone()), (200, json!("ok")));
    assert_eq!(health.header("cache-control"), Some("no-store"));
    fixture.stop().await;
}
