//! What a guest sends.

use std::convert::Infallible;

use bg_abuse::Attempt;
use bg_egress::{BoxError, Decision, EgressError, Part, RequestOptions, Rule};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::support::{Server, Setup, budget, get};

/// Pieces of a body whose length is not known before.
pub(crate) struct Pieces(Vec<Result<Frame<Bytes>, BoxError>>);

impl Pieces {
    pub(crate) fn of(pieces: &[&'static str]) -> Self {
        Self(pieces.iter().rev().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.pop())
    }
}

/// For ever the same piece.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

async fn post<B>(setup: &Setup, server: &Server, length: Option<&str>, body: B) -> Result<(), EgressError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let client = setup.client();
    let mut request = http::Request::post(server.origin());
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    client.send(request.body(body).unwrap(), &budget(&client), RequestOptions::default()).await.map(drop)
}

#[tokio::test]
async fn a_body_is_sent_as_it_is() {
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    post(&setup, &server, None, Full::new(Bytes::from("whole"))).await.unwrap();
    post(&setup, &server, Some("6"), Pieces::of(&["one", "two"])).await.unwrap();
    post(&setup, &server, None, Pieces::of(&["one", "two"])).await.unwrap();
    post(&setup, &server, Some("0"), Pieces::of(&[])).await.unwrap();
    let seen = server.seen();
    assert!(seen[0].contains("content-length: 5\r\n") && seen[0].ends_with("\r\n\r\nwhole"), "{}", seen[0]);
    assert!(seen[1].contains("content-length: 6\r\n") && seen[1].ends_with("\r\n\r\nonetwo"), "{}", seen[1]);
    assert!(!seen[1].contains("transfer-encoding"), "{}", seen[1]);
    assert!(seen[2].contains("transfer-encoding: chunked\r\n") && seen[2].ends_with("0\r\n\r\n"), "{}", seen[2]);
    assert!(seen[3].contains("content-length: 0\r\n"), "{}", seen[3]);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_or_cut_off() {
    let attempt = Attempt::begin("headers", "a request's body over its limit, announced or without an end");
    let server = Server::ok().await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.request_body_bytes = 10_000;
    let large = Full::new(Bytes::from(vec![b'x'; 10_001]));
    let error = post(&setup, &server, None, large).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { what: Part::RequestBody, limit: 10_000 }), "{error}");
    let error = post(&setup, &server, Some("10001"), Pieces::of(&[])).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { what: Part::RequestBody, limit: 10_000 }), "{error}");
    assert_eq!(server.connections(), 0);

    let error = post(&setup, &server, None, Endless).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { what: Part::RequestBody, limit: 10_000 }), "{error}");
    assert!(server.seen().is_empty());
    attempt.ended("TooLarge");
}

#[tokio::test]
async fn a_body_must_be_as_long_as_its_header_says() {
    let attempt = Attempt::begin("headers", "a Content-Length that is not the body's");
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    let error = post(&setup, &server, Some("4"), Full::new(Bytes::from("whole"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the content-length header does not match the body");
    let short = post(&setup, &server, Some("7"), Pieces::of(&["one", "two"])).await.unwrap_err();
    assert!(matches!(short, EgressError::RequestBody(_)), "{short}");
    let _ = post(&setup, &server, Some("4"), Pieces::of(&["one", "two"])).await;
    // Whatever arrived of the last one, no byte followed that a server could take for the next request.
    assert!(server.seen().iter().all(|seen| !seen.contains("onetwo")), "{:?}", server.seen());
    attempt.ended("Request, RequestBody");
}

#[tokio::test]
async fn a_body_that_fails_fails_the_request() {
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    let failing = Pieces(vec![Err("gone".into()), Ok(Frame::data(Bytes::from_static(b"some")))]);
    let error = post(&setup, &server, None, failing).await.unwrap_err();
    assert_eq!(error.to_string(), "the request's body failed: the guest gave it up");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_body_that_never_ends_ends_with_the_requests_time() {
    let server = Server::ok().await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.request_time = std::time::Duration::from_millis(200);
    let error = post(&setup, &server, None, never()).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { .. } | EgressError::RequestBody(_)), "{error}");
}

/// A body that does not come.
pub(crate) fn never() -> impl Body<Data = Bytes, Error = BoxError> + Send {
    struct Never;
    impl Body for Never {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Pending
        }
    }
    Never
}

#[tokio::test]
async fn headers_of_the_connection_are_refused_before_anything_is_sent() {
    let attempt = Attempt::begin("headers", "Host, Connection, Upgrade, Transfer-Encoding, TE, Proxy-*, Expect");
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    for (name, value) in [
        ("host", "evil.example"),
        ("connection", "x-hidden"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ("transfer-encoding", "chunked"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic eDp5"),
        ("content-length", "1,1"),
        ("expect", "100-continue"),
    ] {
        let error = get(&client, &server.origin(), &[(name, value)]).await.unwrap_err();
        let is_header = matches!(&error, EgressError::Denied { rule: Rule::Header, .. });
        assert!(is_header || name == "content-length" && matches!(error, EgressError::Request(_)), "{name}: {error}");
    }
    assert_eq!(server.connections(), 0);
    get(&client, &server.origin(), &[("accept", "text/plain"), ("cookie", "a=b")]).await.unwrap();
    let seen = server.seen().remove(0);
    for line in
        ["accept: text/plain", "cookie: a=b", "user-agent: bg-wasm-host/0.1.0", &format!("host: {}", server.address)]
    {
        assert!(seen.contains(&format!("{line}\r\n")), "{line}: {seen}");
    }
    assert_eq!(seen.matches("host: ").count(), 1, "{seen}");
    attempt.ended("Request");
}

#[tokio::test]
async fn no_header_makes_a_request_another_one_in_any_spelling() {
    let attempt = Attempt::begin("headers", "method, path, host, scheme, client and identity, with _ . and ! for -");
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    let names = [
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        "x-envoy-original-path",
        "script-name",
        "x-host",
        "x-original-host",
        "x-forwarded",
        "x-forwarded-host",
        "x-forwarded-proto",
        "forwarded",
        "x-scheme",
        "true-client-ip",
        "x-client-ip",
        "client-ip",
        "x-real-ip",
        "cf-connecting-ip",
        "x-cluster-client-ip",
        "x-remote-user",
        "remote-user",
        "x-webauth-user",
        "proxy",
        "x-accel-mapping",
        "destination",
        "$wsra",
        "content-length",
        "transfer-encoding",
    ];
    let spelled = names.iter().flat_map(|name| ["-", "_", ".", "!"].map(|sign| name.replace('-', sign)));
    let (mut tried, said) = (0, |error: &EgressError| error.to_string());
    for name in spelled.filter(|name| name != "content-length") {
        let error = get(&client, &server.origin(), &[(&name, "1")]).await.unwrap_err();
        assert!(
            matches!(error, EgressError::Denied { rule: Rule::Header, .. }) && said(&error).contains(&name),
            "{error}"
        );
        tried += 1;
    }
    assert_eq!(server.connections(), 0);
    let records = setup.records.all();
    assert_eq!(records.len(), tried);
    for record in records {
        assert_eq!((record.decision, record.rule.as_str()), (Decision::Denied, "header"));
        assert!(record.error.is_some_and(|error| error.starts_with("a guest may not set the header ")));
    }
    attempt.ended(format!("Header, {tried} of {tried}"));
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n").await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    for _ in 0..2 {
        let response = get(&client, &server.origin(), &[]).await.unwrap();
        assert_eq!(response.headers()["set-cookie"], "a=b");
    }
    assert!(server.seen().iter().all(|seen| !seen.contains("cookie")));
}
