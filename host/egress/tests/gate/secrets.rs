//! Secrets that a guest knows, and where they may go.

use std::sync::Arc;

use bg_abuse::Attempt;
use bg_egress::{Decision, EgressError, GateClient, KnownSecret, Mode, Owner, RequestOptions, Rule};
use bg_identity::Secret;
use bytes::Bytes;
use http_body_util::Full;

use crate::requests::Pieces;
use crate::support::{Server, Setup, budget, request};

const TOKEN: &str = "ya29.a0AfH6_SECRET-x7/Q+z";

/// A token of charms, bound to the first of two granted servers.
struct Bound {
    setup: Setup,
    own: Server,
    other: Server,
}

impl Bound {
    async fn new() -> Self {
        let (own, other) = (Server::ok().await, Server::ok().await);
        let mut setup = Setup::to(&[&own, &other]);
        setup.owner = Owner::Charms;
        Self { setup, own, other }
    }

    fn known(&self, text: &str) -> Vec<KnownSecret> {
        let own = self.own.origin().parse::<bg_manifest::HttpGrant>().unwrap();
        let secret = |path: &str, text: &str, origins| KnownSecret {
            path: path.to_owned(),
            text: Secret::new(text.to_owned()),
            origins,
        };
        vec![
            secret("settings.pin", "pin-SECRET-2", None),
            secret("auth.token", text, Some(Arc::from([own]))),
            secret("auth.refreshToken", "1//refresh-SECRET-3", Some(Arc::from([]))),
        ]
    }

    async fn send(&self, request: http::Request<Full<Bytes>>) -> Result<(), EgressError> {
        self.send_with(&self.setup.client(), self.known(TOKEN), request).await
    }

    async fn send_with<B>(
        &self,
        client: &GateClient,
        known: Vec<KnownSecret>,
        request: http::Request<B>,
    ) -> Result<(), EgressError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<bg_egress::BoxError>,
    {
        client.send(request, &budget(client).with_secrets(known), RequestOptions::default()).await.map(drop)
    }
}

fn post(to: &Server, body: impl Into<Bytes>) -> http::Request<Full<Bytes>> {
    http::Request::post(to.origin()).body(Full::new(body.into())).unwrap()
}

/// Encodes each byte of a text.
fn each(text: &str, written: impl Fn(u8) -> String) -> String {
    text.bytes().map(written).collect::<Vec<_>>().concat()
}

fn denied(result: Result<(), EgressError>, path: &str) -> String {
    match result {
        Err(EgressError::Denied { rule: Rule::BoundSecret, message, option }) => {
            assert!(message.contains(path), "{message}");
            format!("{message} {option:?}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bound_token_goes_to_its_origin_and_to_no_other_granted_one() {
    let attempt = Attempt::begin("bound-secrets", "a token to another granted origin: in a header, a URL, a body");
    let bound = Bound::new().await;
    let bearer = format!("Bearer {TOKEN}");
    let encoded = each(TOKEN, |byte| format!("%{byte:02x}"));
    let basic = "Basic dXNlcjp5YTI5LmEwQWZINl9TRUNSRVQteDcvUSt6"; // user:TOKEN
    let parts = |to: &Server| {
        let origin = to.origin();
        [
            request("GET", &origin, &[("authorization", &bearer)]),
            request("GET", &origin, &[("authorization", basic)]),
            request("GET", &origin, &[("x-other", &TOKEN.chars().rev().collect::<String>())]),
            request("GET", &format!("{origin}/?token={encoded}"), &[]),
            request("GET", &format!("{origin}/{}/x", encoded.replace('%', "%25")), &[]),
            post(to, format!("{{\"token\": \"{TOKEN}\"}}")),
            post(to, each(TOKEN, |byte| format!("{},", char::from(byte)))),
            post(to, TOKEN.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
        ]
    };
    for request in parts(&bound.own) {
        bound.send(request).await.unwrap();
    }
    assert_eq!(bound.own.seen().len(), 8);
    for request in parts(&bound.other) {
        let shown = denied(bound.send(request).await, "auth.token");
        assert!(shown.contains(&bound.own.origin()), "{shown}");
        let option = format!("--charm-credential auth.token={}", bound.other.origin());
        assert!(shown.contains(&option) && !shown.contains("SECRET"), "{shown}");
    }
    assert_eq!(bound.other.connections(), 0, "nothing was sent");
    attempt.ended("denied, and named by its path");

    // Text without a secret may go to every granted origin, and so may a secret that is not bound.
    bound.send(post(&bound.other, "nothing")).await.unwrap();
    bound.send(post(&bound.other, "pin-SECRET-2")).await.unwrap();
    // No server that a guest can reach may get a refresh token.
    for to in [&bound.own, &bound.other] {
        let shown = denied(bound.send(post(to, "1//refresh-SECRET-3")).await, "auth.refreshToken");
        assert!(shown.contains("renews tokens only"), "{shown}");
    }
}

#[tokio::test]
async fn no_form_of_a_secret_is_in_the_record_of_a_request() {
    let attempt = Attempt::begin("bound-secrets", "a URL with a secret in its path, in the log");
    let bound = Bound::new().await;
    let hex = |text: &str| each(text, |byte| format!("{byte:02x}"));
    for text in [TOKEN, "pin-SECRET-2", "1//refresh-SECRET-3"] {
        let plain = each(text, |byte| format!("%{byte:02X}"));
        for written in [plain, hex(text), text.chars().rev().collect::<String>().replace('/', "-")] {
            for origin in [bound.own.origin(), bound.other.origin(), "https://ungranted.example".to_owned()] {
                let url = format!("{origin}/bot{written}/send");
                let error = bound.send(request("GET", &url, &[])).await.err().map(|error| error.to_string());
                assert!(error.is_none_or(|error| !error.contains(&written)));
            }
        }
    }
    for record in bound.setup.records.all() {
        let shown = format!("{record:?}");
        assert_eq!(record.path, "/(secret)", "{shown}");
        assert!(!shown.contains("SECRET") && !shown.contains(&hex("SECRET")) && !shown.contains("TERCES"), "{shown}");
    }
    attempt.ended("its path is masked");
}

#[tokio::test]
async fn a_secret_used_as_a_method_or_a_host_name_is_in_no_record_and_no_denial() {
    let attempt = Attempt::begin("bound-secrets", "a token as the method or the host name of a request, in the log");
    let bound = Bound::new().await;
    // Longer than the part of a method that is shown.
    let token = "ya29-a0AfH6-SECRET-x7-0123456789-0123456789-abcd";
    let host = format!("http://{token}.example");
    for (method, origin) in [
        (token, bound.own.origin()),
        (token, bound.other.origin()),
        (token, "https://ungranted.example".to_owned()),
        ("GET", host.clone()),
        ("GET", format!("{host}:8080")),
        ("GET", format!("http://user@{token}.example")),
    ] {
        let sent = bound.send_with(&bound.setup.client(), bound.known(token), request(method, &origin, &[])).await;
        // A granted request with a permitted secret is sent.
        let error = sent.err().map(|error| format!("{error:?} {error}")).unwrap_or_default();
        assert!(!error.to_uppercase().contains("SECRET-X7") && !error.contains("ya29"), "{error}");
    }
    let records = bound.setup.records.all();
    assert_eq!(records.len(), 6);
    for record in &records {
        let shown = format!("{record:?}");
        assert!(!shown.to_uppercase().contains("SECRET-X7") && !shown.contains("ya29"), "{shown}");
    }
    assert_eq!((records[2].method.as_str(), records[2].origin.as_str()), ("(secret)", "https://ungranted.example"));
    assert_eq!((records[3].method.as_str(), records[3].origin.as_str()), ("GET", "(secret)"));
    attempt.ended("masked");
}

#[tokio::test]
async fn a_body_is_searched_to_its_end_before_anything_is_sent() {
    let attempt = Attempt::begin(
        "bound-secrets",
        "a token split over chunks of a body, and after a mebibyte of other \
        bytes",
    );
    let bound = Bound::new().await;
    let client = bound.setup.client();
    let in_pieces = || Pieces::of(&["ya29.a0Af", "H6_SEC", "RET-x7/", "Q+z"]);
    let to = |server: &Server| http::Request::post(server.origin());
    let sent = bound.send_with(&client, bound.known(TOKEN), to(&bound.other).body(in_pieces()).unwrap());
    denied(sent.await, "auth.token");
    let limit = usize::try_from(bg_egress::HttpLimits::default().request_body_bytes).unwrap();
    let long = [&vec![b'x'; limit - TOKEN.len()], TOKEN.as_bytes()].concat();
    denied(bound.send(post(&bound.other, long)).await, "auth.token");
    assert_eq!(bound.other.connections(), 0);
    attempt.ended("denied before a byte was sent");
    // Nothing is held back from its own origin.
    bound.send_with(&client, bound.known(TOKEN), to(&bound.own).body(in_pieces()).unwrap()).await.unwrap();
    // A searched body arrives unchanged.
    let sent = bound.send_with(&client, bound.known(TOKEN), to(&bound.other).body(Pieces::of(&["a", "b"])).unwrap());
    sent.await.unwrap();
    let seen = bound.other.seen();
    assert!(seen[0].ends_with("\r\n\r\nab") && seen[0].to_lowercase().contains("content-length: 2"), "{seen:?}");
}

#[tokio::test]
async fn report_mode_lets_no_bound_secret_through() {
    let mut bound = Bound::new().await;
    bound.setup.gate.mode = Mode::Report;
    bound.setup.grants.clear();
    denied(bound.send(post(&bound.other, TOKEN)).await, "auth.token");
    assert_eq!(bound.setup.records.one().decision, Decision::Denied);
    assert_eq!(bound.other.connections(), 0);
}

#[tokio::test]
async fn short_secrets_are_not_searched_for_and_too_many_block_every_request() {
    let bound = Bound::new().await;
    let client = bound.setup.client();
    let sent = bound.send_with(&client, bound.known("primary"), post(&bound.other, "primary"));
    sent.await.unwrap();
    let many = (0..65).flat_map(|number| bound.known(&format!("token-SECRET-{number}"))).collect();
    let denied = bound.send_with(&client, many, post(&bound.other, "nothing")).await.unwrap_err();
    assert!(denied.to_string().contains("at most 64"), "{denied}");
}
