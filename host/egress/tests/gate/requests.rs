//! What a guest sends.

use std::convert::Infallible;

use bg_abuse::Attempt;
use bg_egress::{BoxError, Decision, EgressError, Part, RequestOptions, Rule};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Server, Setup, budget, get};

/// Chunks of a body of unknown length.
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

/// Repeats the same chunk forever.
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
    // Its length is not announced, so it is buffered to find it.
    post(&setup, &server, None, Pieces::of(&["one", "two"])).await.unwrap();
    for (seen, body) in server.seen().iter().zip(["whole", "onetwo", "onetwo"]) {
        let length = format!("\r\ncontent-length: {}\r\n", body.len());
        assert!(seen.contains(&length) && seen.ends_with(&format!("\r\n\r\n{body}")), "{seen}");
        assert!(!seen.contains("transfer-encoding"), "{seen}");
    }
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn an_empty_body_is_announced_where_servers_expect_one() {
    // What a guest announces, and what is sent: as browsers do for a null body and an empty one.
    for (method, said, sent) in [
        ("POST", None, true),
        ("PUT", None, true),
        ("PATCH", None, false),
        ("DELETE", None, false),
        ("OPTIONS", None, false),
        ("GET", None, false),
        ("HEAD", None, false),
        ("POST", Some("0"), true),
        ("PATCH", Some("0"), true),
        ("DELETE", Some("0"), true),
        ("GET", Some("0"), false),
        ("HEAD", Some("0"), false),
    ] {
        let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
        let setup = Setup::to(&[&server]);
        let client = setup.client();
        for in_pieces in [false, true] {
            let mut request = http::Request::builder().method(method).uri(server.origin());
            if let Some(said) = said {
                request = request.header("content-length", said);
            }
            let (call, options) = (budget(&client), RequestOptions::default());
            if in_pieces {
                client.send(request.body(Pieces::of(&[])).unwrap(), &call, options).await.unwrap();
            } else {
                client.send(request.body(Full::default()).unwrap(), &call, options).await.unwrap();
            }
        }
        for seen in server.seen() {
            assert_eq!(
                seen.matches("\r\ncontent-length: 0\r\n").count(),
                usize::from(sent),
                "{method} {said:?}: {seen}"
            );
            assert!(!seen.contains("transfer-encoding") && seen.ends_with("\r\n\r\n"), "{method} {said:?}: {seen}");
        }
        assert_eq!(server.seen().len(), 2);
    }
}

/// Chunks that arrive when the test sends them.
struct Coming(tokio::sync::mpsc::Receiver<Bytes>);

impl Body for Coming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn a_stream_is_sent_as_it_arrives() {
    for said in [None, Some("6")] {
        let (arrived, mut first) = tokio::sync::mpsc::channel(1);
        let server = Server::raw(move |mut stream, seen| {
            let arrived = arrived.clone();
            async move {
                let mut start = Vec::new();
                while !start.windows(3).any(|bytes| bytes == b"one") {
                    start.push(stream.read_u8().await.unwrap());
                }
                arrived.send(()).await.unwrap();
                let mut rest = stream;
                let mut bytes = start;
                while !bytes.windows(3).any(|bytes| bytes == b"two") {
                    bytes.push(rest.read_u8().await.unwrap());
                }
                seen.lock().unwrap().push(String::from_utf8(bytes).unwrap());
                rest.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
            }
        })
        .await;
        let setup = Setup::to(&[&server]);
        let (pieces, body) = tokio::sync::mpsc::channel(1);
        pieces.send(Bytes::from("one")).await.unwrap();
        let sending = post(&setup, &server, said, Coming(body));
        let going_on = async {
            // The end waits for the start to arrive: a gate that waited for the end would wait forever.
            first.recv().await.unwrap();
            pieces.send(Bytes::from("two")).await.unwrap();
            drop(pieces);
        };
        tokio::join!(async { sending.await.unwrap() }, going_on);
        let seen = server.seen().remove(0);
        assert_eq!(seen.contains("transfer-encoding: chunked\r\n"), said.is_none(), "{seen}");
        assert_eq!(seen.contains("content-length: 6\r\n"), said.is_some(), "{seen}");
    }
}

/// A chunk of a large body.
const PIECE: &str = match std::str::from_utf8(&[b'x'; 400_000]) {
    Ok(piece) => piece,
    Err(_) => unreachable!(),
};

#[tokio::test]
async fn a_body_of_very_many_chunks_of_at_most_one_byte_is_sent_completely() {
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    let pieces: Vec<&'static str> = (0..100_000).map(|number| if number % 100 == 0 { "x" } else { "" }).collect();
    post(&setup, &server, None, Pieces::of(&pieces)).await.unwrap();
    let seen = server.seen().remove(0);
    assert!(seen.contains("content-length: 1000\r\n") && seen.ends_with(&"x".repeat(1000)), "{seen}");
}

#[tokio::test]
async fn a_large_body_of_unknown_length_is_a_stream() {
    let server = Server::ok().await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.request_body_bytes = 3_000_000;
    post(&setup, &server, None, Pieces::of(&[PIECE; 5])).await.unwrap();
    let seen = server.seen().remove(0);
    assert!(seen.contains("transfer-encoding: chunked\r\n") && seen.matches('x').count() >= 2_000_000);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_or_cut_off() {
    let attempt = Attempt::begin("headers", "a request's body over its limit, announced or endless");
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
    let attempt = Attempt::begin("headers", "a Content-Length that does not match the body");
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    let error = post(&setup, &server, Some("4"), Full::new(Bytes::from("whole"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the content-length header does not match the body");
    for said in ["0", "3", "4", "7", "1000000"] {
        let error = post(&setup, &server, Some(said), Pieces::of(&["one", "two"])).await.unwrap_err();
        assert_eq!(error.to_string(), "the request's body failed: it is not as long as its content-length header says");
    }
    assert_eq!(server.connections(), 0);
    attempt.ended("Request, RequestBody");
}

/// What a vulnerable gate would send as a separate request of the guest.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn a_stream_with_a_false_length_ends_its_connection_before_another_request() {
    let attempt = Attempt::begin("headers", "a stream whose tail looks like another request");
    // Keeps everything that arrives over a connection. Answers text that ends with `one`, and GETs.
    let (arrived, mut first) = tokio::sync::mpsc::channel(9);
    let server = Server::raw(move |mut stream, seen| {
        let arrived = arrived.clone();
        async move {
            let (mut bytes, mut chunk) = (Vec::new(), [0; 1024]);
            while let Ok(count @ 1..) = stream.read(&mut chunk).await {
                bytes.extend_from_slice(&chunk[..count]);
                let is_long = String::from_utf8_lossy(&bytes).contains("content-length: 50");
                if bytes.ends_with(b"one") {
                    arrived.send(()).await.unwrap();
                }
                if !is_long && (bytes.ends_with(b"one") || bytes.ends_with(b"\r\n\r\n") && bytes.starts_with(b"GET")) {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                }
            }
            seen.lock().unwrap().push(String::from_utf8(bytes).unwrap());
        }
    })
    .await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    for (said, more, is_sent) in [("3", NEXT, true), ("50", "two", false)] {
        let (pieces, body) = tokio::sync::mpsc::channel(1);
        pieces.send(Bytes::from("one")).await.unwrap();
        let request = http::Request::post(server.origin()).header("content-length", said).body(Coming(body)).unwrap();
        let sending = client.send(request, &budget(&client), RequestOptions::default());
        let going_on = async {
            first.recv().await.unwrap();
            let _ = pieces.send(Bytes::from(more)).await;
            drop(pieces);
        };
        let (sent, ()) = tokio::join!(sending, going_on);
        assert_eq!(sent.is_ok(), is_sent, "{sent:?}");
    }
    get(&client, &server.origin(), &[]).await.unwrap();
    drop(client);
    while server.open() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let seen = server.seen();
    assert!(seen.iter().all(|seen| !seen.contains("smuggled")), "{seen:?}");
    // The request with the false length is the last of its connection.
    let long = seen.iter().find_map(|seen| seen.split_once("content-length: 50")).unwrap().1;
    assert!(!long.contains("GET"), "{long}");
    attempt.ended("RequestBody; the connection is closed");
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

/// A body that never arrives.
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
async fn no_spelling_of_a_header_turns_a_request_into_another() {
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
