//! What servers send.

use std::sync::Arc;
use std::time::Duration;

use bg_abuse::Attempt;
use bg_egress::{EgressError, Part, RequestOptions, Wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Server, Setup, budget, get, get_text, read_request, request, text};

/// Writes `head` once, then `again` until the client disconnects.
async fn flooding(head: &'static str, again: &'static str, pause: Duration) -> Server {
    Server::raw(move |mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.write_all(again.as_bytes()).await.is_ok() {
            if pause.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(pause).await;
            }
        }
    })
    .await
}

fn numbered_headers(count: usize) -> String {
    (0..count).fold(String::new(), |text, n| text + &format!("x-{n}: 1\r\n"))
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_body_that_announces_too_large_a_length_is_refused_at_once() {
    let attempt = Attempt::begin("responses", "a body that announces 9 MB");
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\nxx").await;
    let setup = Setup::to(&[&server]);
    let error = get(&setup.client(), &server.origin(), &[]).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { what: Part::ResponseBody, limit: 8_388_608 }), "{error}");
    let record = setup.records.one();
    assert_eq!(record.status.unwrap().as_u16(), 200);
    assert!(record.error.unwrap().contains("8388608"));
    attempt.ended("TooLarge");
}

#[tokio::test]
async fn endless_chunks_end_at_the_limit() {
    let attempt = Attempt::begin("responses", "endless chunks");
    let server = flooding(CHUNKED, "10\r\n0123456789abcdef\r\n", Duration::ZERO).await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.response_body_bytes = 100_000;
    let client = setup.client();
    let call = budget(&client);
    let response = client.send(request("GET", &server.origin(), &[]), &call, RequestOptions::default()).await.unwrap();
    let error = text(response).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { what: Part::ResponseBody, limit: 100_000 }), "{error}");
    assert_eq!(call.in_flight(), 0);
    assert!(setup.records.one().bytes > 100_000);
    attempt.ended("TooLarge");
}

#[tokio::test]
async fn endless_small_chunks_end_with_the_requests_time() {
    let attempt = Attempt::begin("responses", "chunks of one byte, one every 5 ms");
    let server = flooding(CHUNKED, "1\r\nx\r\n", Duration::from_millis(5)).await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.request_time = Duration::from_millis(300);
    let client = setup.client();
    let call = budget(&client);
    let options = RequestOptions { between_bytes: Some(Duration::from_mins(1)), ..RequestOptions::default() };
    let response = client.send(request("GET", &server.origin(), &[]), &call, options).await.unwrap();
    let error = text(response).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { what: Wait::Whole, .. }), "{error}");
    assert_eq!(call.in_flight(), 0);
    attempt.ended("Timeout");
}

#[tokio::test]
async fn a_body_that_stops_ends_at_the_guests_own_timeout() {
    let attempt = Attempt::begin("responses", "a body that stops");
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsome").await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    let options = RequestOptions { between_bytes: Some(Duration::from_millis(50)), ..RequestOptions::default() };
    let response = client.send(request("GET", &server.origin(), &[]), &budget(&client), options).await.unwrap();
    let error = text(response).await.unwrap_err();
    assert_eq!(error.to_string(), "waiting for more of the response took longer than 50 ms");
    attempt.ended("Timeout");
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let attempt = Attempt::begin("responses", "a head that does not come");
    let server =
        Server::raw(|mut stream, _| async move { while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {} });
    let server = server.await;
    let mut setup = Setup::to(&[&server]);
    let client = setup.client();
    let options = RequestOptions { first_byte: Some(Duration::from_millis(50)), ..RequestOptions::default() };
    let error = client.send(request("GET", &server.origin(), &[]), &budget(&client), options).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { what: Wait::Head, .. }), "{error}");

    // The guest's timeout can only shorten ours.
    setup.limits.request_time = Duration::from_millis(100);
    let client = setup.client();
    let options = RequestOptions {
        connect: Some(Duration::MAX),
        first_byte: Some(Duration::MAX),
        between_bytes: Some(Duration::MAX),
    };
    let error = client.send(request("GET", &server.origin(), &[]), &budget(&client), options).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { what: Wait::Whole, .. }), "{error}");
    attempt.ended("Timeout");
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let attempt = Attempt::begin("responses", "150 headers; one of 70 kB; one of 2 MB");
    let many = numbered_headers(150);
    let long = format!("x-long: {}\r\n", "x".repeat(70_000));
    let huge = format!("x-huge: {}\r\n", "x".repeat(2_000_000));
    for headers in [many, long, huge] {
        let server = Server::answering(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n")).await;
        let setup = Setup::to(&[&server]);
        let error = get(&setup.client(), &server.origin(), &[]).await.unwrap_err();
        assert!(matches!(error, EgressError::TooLarge { .. }), "{error}");
    }
    attempt.ended("TooLarge");
}

#[tokio::test]
async fn a_flood_of_informational_answers_ends_with_the_requests_time() {
    let attempt = Attempt::begin("responses", "endless 103 Early Hints");
    let server = flooding("", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", Duration::from_millis(1)).await;
    let mut setup = Setup::to(&[&server]);
    setup.limits.request_time = Duration::from_millis(200);
    let error = get(&setup.client(), &server.origin(), &[]).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { what: Wait::Whole, .. }), "{error}");
    attempt.ended("Timeout");
}

#[tokio::test]
async fn a_flood_of_trailers_is_refused() {
    let attempt = Attempt::begin("responses", "5,000 trailers");
    let trailers = numbered_headers(5_000);
    let server = Server::answering(format!("{CHUNKED}2\r\nok\r\n0\r\n{trailers}\r\n")).await;
    let setup = Setup::to(&[&server]);
    let error = get_text(&setup.client(), &server.origin()).await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. } | EgressError::TooLarge { .. }), "{error}");
    attempt.ended("Protocol or TooLarge");
}

#[tokio::test]
async fn invalid_http_is_a_protocol_error() {
    let attempt = Attempt::begin(
        "responses",
        "not HTTP, two lengths, an unrequested upgrade, a false length, a bad \
        chunk",
    );
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    ] {
        let server = Server::answering(answer).await;
        let setup = Setup::to(&[&server]);
        let error = get(&setup.client(), &server.origin(), &[]).await.unwrap_err();
        assert!(matches!(error, EgressError::Protocol { .. }), "{answer}: {error}");
    }
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let answer = Arc::new(answer);
        let server = Server::raw(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                read_request(&mut stream).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await;
        let setup = Setup::to(&[&server]);
        let error = get_text(&setup.client(), &server.origin()).await.unwrap_err();
        assert!(matches!(error, EgressError::Protocol { .. }), "{error}");
    }
    attempt.ended("Protocol");
}

#[tokio::test]
async fn compressed_bodies_stay_compressed() {
    // "ok" in gzip: if the gate decompressed, a small body could become a large one.
    const GZIP: &[u8] = &[31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 203, 207, 6, 0, 71, 221, 220, 121, 2, 0, 0, 0];
    let attempt = Attempt::begin("responses", "a compressed body");
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 22\r\n\r\n".to_vec();
    answer.extend_from_slice(GZIP);
    let server = Server::answering(answer).await;
    let setup = Setup::to(&[&server]);
    let response = get(&setup.client(), &server.origin(), &[]).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, GZIP);
    assert!(!server.seen()[0].contains("accept-encoding"), "{:?}", server.seen());
    attempt.ended("passed on unchanged");
}

#[tokio::test]
async fn a_response_to_head_may_announce_any_length() {
    let server =
        Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 900000000\r\nconnection: keep-alive\r\n\r\n").await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    let call = budget(&client);
    let response = client.send(request("HEAD", &server.origin(), &[]), &call, RequestOptions::default()).await.unwrap();
    assert_eq!(response.headers()["content-length"], "900000000");
    assert!(!response.headers().contains_key("connection"));
    assert_eq!(call.in_flight(), 0);
    assert_eq!(text(response).await.unwrap(), "");
}
