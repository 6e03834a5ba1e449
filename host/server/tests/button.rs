//! The original's registration endpoint.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

mod common;

use bg_poller::CharmRuntime;
use bg_server::ServerOptions;
use bg_test_support::HttpReply;
use common::{Fixture, error, my_space};
use serde_json::{Value, json};

const PATH: &str = "/api/integrations/bg";

fn post(fixture: &Fixture, headers: &[(&str, &str)], body: &str) -> HttpReply {
    fixture.send("POST", PATH, headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charm_is_registered_with_any_content_type() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let body = json!({ "charmId": charm.charm, "space": charm.space, "integration": "my-test" }).to_string();
    for headers in [
        &[][..],
        &[("Content-Type", "application/json")],
        &[("Content-Type", "text/plain;charset=UTF-8")],
        &[("Content-Type", "application/x-www-form-urlencoded")],
        &[("Transfer-Encoding", "chunked")],
    ] {
        let chunked = headers.iter().any(|(name, _)| *name == "Transfer-Encoding");
        let body = if chunked { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) } else { body.clone() };
        let reply = post(&fixture, headers, &body);
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, r#"{"message":"success","success":true}"#),
            "{headers:?}"
        );
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }
    let registrations = fixture.operator().registrations().await.unwrap();
    assert_eq!(registrations.len(), 1);
    assert_eq!(registrations[0].charm, charm);
    assert_eq!(registrations[0].integration.to_string(), "my-test");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_registration_enables_again_and_may_say_piece_id() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let operator = fixture.operator();
    operator.register(&charm, &"first".parse().unwrap()).await.unwrap();
    operator.set_disabled(&charm, Some((bg_poller::DisabledBy::Hand, "by hand"))).await.unwrap();
    let body = json!({ "pieceId": charm.charm, "space": charm.space, "integration": "second" }).to_string();
    assert_eq!(post(&fixture, &[], &body).status, 200);
    let registrations = operator.registrations().await.unwrap();
    assert_eq!(registrations.len(), 1);
    assert!(registrations[0].is_enabled());
    assert_eq!(registrations[0].integration.to_string(), "second");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_with_400_and_what_is_wrong() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let good = json!({ "charmId": charm.charm, "space": charm.space, "integration": "my-test" });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string()
    };
    let without = |field: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        body.to_string()
    };
    let unknown = "baedreiew6ioyvfnvp2bdvmgkkz64ffk6gssvgmibh7yaw43yqhtv2nq75a";
    let cases = [
        (String::new(), "not the expected JSON"),
        ("charmId=x&space=y".to_owned(), "not the expected JSON"),
        ("null".to_owned(), "a JSON object"),
        (without("charmId"), "charmId is missing"),
        (without("space"), "space is missing"),
        (without("integration"), "integration is missing"),
        (with("space", json!(7)), "space is a number"),
        (with("charmId", json!(["x"])), "charmId is an array"),
        (with("space", json!("my-space")), "space: "),
        (with("space", json!("did:key:z6Mk")), "space: "),
        (with("charmId", json!("baedrei")), "charmId: "),
        (with("integration", json!("no spaces")), "integration: "),
        (with("charmId", json!(unknown)), unknown),
        (with("charmId", json!("fid1:unknown")), "fid1:unknown"),
        (good.to_string().replacen('{', "{\"space\":\"x\",", 1), "space is given more than once"),
    ];
    for (body, expected) in cases {
        let reply = post(&fixture, &[], &body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        assert!(error(&reply).contains(expected), "{body}: {}", error(&reply));
        assert_eq!(reply.json().unwrap().as_object().unwrap().len(), 1, "nothing but `error`: {}", reply.text());
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(fixture.send("GET", "/api/health", &[], "").status, 200);
    assert_eq!(fixture.operator().registrations().await.unwrap(), []);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_64_kib_is_answered_with_413() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let body_of = |size: usize| {
        let body = json!({ "charmId": charm.charm, "space": charm.space, "integration": "a", "more": "" }).to_string();
        body.replace("\"more\":\"\"", &format!("\"more\":\"{}\"", "x".repeat(size - body.len())))
    };
    assert_eq!(post(&fixture, &[], &body_of(64 * 1024)).status, 200);
    for size in [64 * 1024 + 1, 3 * 1024 * 1024] {
        let reply = post(&fixture, &[], &body_of(size));
        assert_eq!(reply.status, 413);
        assert!(error(&reply).contains("65536"));
    }
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 70_000, "x".repeat(70_000));
    assert_eq!(post(&fixture, &[("Transfer-Encoding", "chunked")], &chunk).status, 413);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_allowed_origins_may_post() {
    let allowed_origins = vec!["https://charms.example.com".parse().unwrap()];
    let fixture = Fixture::start_with(ServerOptions { allowed_origins, ..ServerOptions::default() }).await;
    let charm = fixture.deploy(&my_space()).await;
    let body = json!({ "charmId": charm.charm, "space": charm.space, "integration": "my-test" }).to_string();
    let own = format!("http://{}", fixture.address);
    for (origin, status) in [
        ("https://charms.example.com", 200),
        ("http://localhost:5173", 200),
        (own.as_str(), 200),
        ("http://charms.example.com", 403),
        ("https://charms.example.com.evil.example", 403),
        ("null", 403),
    ] {
        let reply = post(&fixture, &[("Origin", origin)], &body);
        assert_eq!(reply.status, status, "{origin}: {}", reply.text());
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "so that the page can say why");
    }
    let asked = [
        ("Origin", "https://charms.example.com"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
        ("Access-Control-Request-Private-Network", "true"),
    ];
    let reply = fixture.send("OPTIONS", PATH, &asked, "");
    assert_eq!(reply.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-allow-private-network", "true"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert_eq!(fixture.send("OPTIONS", PATH, &asked[..3], "").header("access-control-allow-private-network"), None);
    // And nowhere else.
    let reply = fixture.send("OPTIONS", "/api/v1/registrations", &asked, "");
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, None));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_answered_with_405() {
    let fixture = Fixture::start().await;
    for method in ["GET", "PUT", "DELETE"] {
        let reply = fixture.send(method, PATH, &[], "");
        assert_eq!(reply.status, 405);
        assert!(error(&reply).contains("POST"));
        assert!(reply.header("allow").is_some_and(|allow| allow.contains("POST")));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_that_is_not_ours_is_refused_with_the_reason() {
    let fixture = Fixture::start().await;
    let charm = fixture.deploy(&my_space()).await;
    let body = json!({ "charmId": charm.charm, "space": charm.space, "integration": "my-test" }).to_string();
    let port = fixture.address.port();
    for (host, status) in [
        (format!("localhost:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        (format!("rebound.example.com:{port}"), 421),
        ("a@localhost".to_owned(), 400),
    ] {
        let reply = post(&fixture, &[("Host", &host)], &body);
        assert_eq!(reply.status, status, "{host}: {}", reply.text());
    }
    let reply = post(&fixture, &[("Host", "rebound.example.com")], &body);
    assert!(error(&reply).contains("rebound.example.com") && error(&reply).contains("--allow-host"));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charm_without_a_known_updater_stream_is_refused() {
    let wat = common::CHARM.replace("bgUpdater", "bgUpdateX");
    let fixture = Fixture::start_with_charm(&wat, ServerOptions::default()).await;
    let charm = fixture.deploy(&my_space()).await;
    let body = json!({ "charmId": charm.charm, "space": charm.space, "integration": "my-test" }).to_string();
    let reply = post(&fixture, &[], &body);
    assert_eq!(reply.status, 400);
    assert!(error(&reply).contains("bgUpdater") && error(&reply).contains("bgUpdateX"), "{}", error(&reply));
    fixture.stop().await;
}
