//! Kept-alive connections that servers close, and which requests are sent again then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bg_egress::{EgressError, GateClient, RequestOptions};
use bytes::Bytes;
use http_body_util::Full;
use tokio::io::AsyncWriteExt as _;

use crate::requests::Pieces;
use crate::support::{Server, Setup, budget, get_text, read_request, text};

/// Answers the first request on each connection with `ok`. At the second request it ends the first connection, with
/// `last` as the answer. Other connections stay open.
async fn closing(last: &'static str) -> Server {
    let count = Arc::new(AtomicUsize::new(0));
    Server::raw(move |mut stream, seen| {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            while let Some(request) = read_request(&mut stream).await {
                let is_next = request.contains("/next");
                seen.lock().unwrap().push(request);
                if is_first && is_next {
                    stream.write_all(last.as_bytes()).await.unwrap();
                    return;
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await
}

async fn send(client: &GateClient, method: &str, url: &str, body: &'static str) -> Result<String, EgressError> {
    let request = http::Request::builder().method(method).uri(url);
    let (call, options) = (budget(client), RequestOptions::default());
    let response = match body {
        "" => client.send(request.body(Full::<Bytes>::default()).unwrap(), &call, options).await?,
        body => client.send(request.body(Pieces::of(&[body])).unwrap(), &call, options).await?,
    };
    assert_eq!(call.asked(), 1);
    text(response).await
}

#[tokio::test]
async fn idempotent_requests_are_sent_once_more_if_a_kept_connection_ends_without_an_answer() {
    for (method, body, again) in [
        ("GET", "", true),
        ("HEAD", "", true),
        ("OPTIONS", "", true),
        ("DELETE", "", true),
        ("PUT", "x", true),
        ("PUT", "", true),
        ("DELETE", "x", true),
        // These may have taken effect.
        ("POST", "", false),
        ("POST", "x", false),
        ("PATCH", "x", false),
        ("REPORT", "", false),
    ] {
        let server = closing("").await;
        let setup = Setup::to(&[&server]);
        let client = setup.client();
        let (first, next) = (format!("{}/first", server.origin()), format!("{}/next", server.origin()));
        get_text(&client, &first).await.unwrap();
        let sent = send(&client, method, &next, body).await;
        let seen: Vec<String> = server.seen().into_iter().filter(|seen| seen.contains("/next")).collect();
        let records = setup.records.all();
        assert_eq!(records.len(), 2, "a request leaves one record, however often it is sent");
        assert_eq!(records[0].resent, 0);
        if again {
            sent.unwrap_or_else(|error| panic!("{method} {body}: {error}"));
            assert_eq!((seen.len(), server.connections(), records[1].resent), (2, 2, 1), "{method} {body}");
            assert_eq!(seen[0], seen[1], "the same request");
        } else {
            let error = sent.expect_err(method);
            assert!(matches!(error, EgressError::Protocol { .. }), "{method}: {error}");
            assert_eq!((seen.len(), server.connections(), records[1].resent), (1, 1, 0), "{method} {body}");
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_again_after_a_byte_of_an_answer_arrived() {
    for part in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let server = closing(part).await;
        let setup = Setup::to(&[&server]);
        let client = setup.client();
        get_text(&client, &format!("{}/first", server.origin())).await.unwrap();
        let error = get_text(&client, &format!("{}/next", server.origin())).await.unwrap_err();
        assert!(matches!(error, EgressError::Protocol { .. }), "{part:?}: {error}");
        assert_eq!((server.seen().len(), server.connections()), (2, 1), "{part:?}");
    }
}

#[tokio::test]
async fn a_new_connection_that_ends_without_an_answer_is_an_error() {
    let server = closing("").await;
    let setup = Setup::to(&[&server]);
    let error = get_text(&setup.client(), &format!("{}/next", server.origin())).await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. }), "{error}");
    assert_eq!((server.seen().len(), server.connections()), (1, 1));
}

#[tokio::test]
async fn a_request_is_sent_twice_at_most() {
    // Every connection ends at its second request, and at a request that was sent again.
    let server = Server::raw(|mut stream, seen| async move {
        while let Some(request) = read_request(&mut stream).await {
            let ends = request.contains("/next");
            seen.lock().unwrap().push(request);
            if ends {
                return;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
    })
    .await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    get_text(&client, &format!("{}/first", server.origin())).await.unwrap();
    let error = get_text(&client, &format!("{}/next", server.origin())).await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. }), "{error}");
    assert_eq!((server.seen().len(), server.connections()), (3, 2));
    assert_eq!(setup.records.all()[1].resent, 1);
}
