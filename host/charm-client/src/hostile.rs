//! Tests against hostile runtimes.

use std::time::Duration;

use bg_abuse::Attempt;
use bg_charm_api::Spaces;
use bg_charm_api::wire::{ErrorCode, Problem};
use bg_identity::{CharmId, Identity, space_did};
use bg_poller::{CharmRef, CharmRuntime, RuntimeError};
use bg_test_support::{RawAnswer, RawServer};
use http::StatusCode;
use serde_json::json;

use crate::RemoteRuntime;

const MIB: u64 = 1024 * 1024;

fn charm() -> CharmRef {
    CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") }
}

/// A runtime that gives this answer to everything, and its client.
fn runtime(answer: RawAnswer) -> (RawServer, RemoteRuntime) {
    let server = RawServer::start(move |_| answer.clone()).unwrap();
    let url = format!("http://{}", server.address()).parse().unwrap();
    (server, RemoteRuntime::new(url, Identity::from_passphrase("implicit trust")))
}

fn endless(start: &str, again: &str) -> RawAnswer {
    let again = again.repeat(64 * 1024 / again.len());
    RawAnswer::Endless { start: start.into(), again: again.into(), every: Duration::ZERO }
}

/// The error of each call that a poll makes.
async fn errors(runtime: &RemoteRuntime) -> Vec<RuntimeError> {
    vec![
        runtime.registrations().await.unwrap_err(),
        runtime.changed(0).await.unwrap_err(),
        runtime.open(&charm()).await.err().unwrap(),
        runtime.trigger(&charm(), "bgUpdater", &json!({})).await.unwrap_err(),
        runtime.secret(&charm(), &["auth".into(), "token".into()]).await.unwrap_err(),
        runtime.show(&charm()).await.unwrap_err(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn any_broken_response_means_that_the_runtime_is_unavailable() {
    let ok = "200 OK";
    let json = "Content-Type: application/json\r\n";
    let problem = "Content-Type: application/problem+json\r\n";
    let deep = format!("{{\"registrations\":{}", "[".repeat(100_000));
    let cases = [
        ("no answer", RawAnswer::Close, "does not answer"),
        ("no HTTP", RawAnswer::Whole(b"\x16\x03\x01\x02\x00\x01".to_vec()), "does not answer"),
        ("nothing", RawAnswer::new(ok, "", ""), "unlike a charm runtime"),
        ("a page", RawAnswer::new(ok, "Content-Type: text/html\r\n", "<html>"), "unlike a charm runtime"),
        ("half a JSON", RawAnswer::new(ok, json, "{\"registrations\": ["), "unlike a charm runtime"),
        ("wrong JSON", RawAnswer::new(ok, json, "[]"), "unlike a charm runtime"),
        (
            "wrong types",
            RawAnswer::new(ok, json, r#"{"registrations":7,"revision":"x","keys":{},"kind":[]}"#),
            "unlike",
        ),
        ("JSON nested 100,000 deep", RawAnswer::new(ok, json, deep), "unlike a charm runtime"),
        ("no UTF-8", RawAnswer::new(ok, json, b"\"\xff\xfe\""), "unlike a charm runtime"),
        (
            "204",
            RawAnswer::Whole(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_vec()),
            "unlike a charm runtime",
        ),
        (
            "a redirect",
            RawAnswer::new("307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n", ""),
            "it redirects to",
        ),
        ("400 of another program", RawAnswer::new("400 Bad Request", "", "<html>"), "unlike a charm runtime (400"),
        ("401", RawAnswer::new("401 Unauthorized", "", "<html>"), "refuses requests (401 Unauthorized)"),
        ("403", RawAnswer::new("403 Forbidden", json, r#"{"error":"go away"}"#), "refuses requests (403 Forbidden)"),
        (
            "a signature not accepted",
            RawAnswer::new("401 Unauthorized", problem, r#"{"detail":"expired","code":"signature"}"#),
            "expired",
        ),
        (
            "404 of another program",
            RawAnswer::new("404 Not Found", problem, r#"{"detail":"none","code":"not-found"}"#),
            "none",
        ),
        ("429", RawAnswer::new("429 Too Many Requests", "", ""), "asks for fewer requests (429 Too Many Requests)"),
        (
            "500",
            RawAnswer::new("500 Internal Server Error", "", "oops"),
            "fails (500 Internal Server Error): see its log",
        ),
        ("502", RawAnswer::new("502 Bad Gateway", "", "<html>"), "fails (502 Bad Gateway)"),
        (
            "503",
            RawAnswer::new("503 Service Unavailable", problem, r#"{"detail":"disk full","code":"unavailable"}"#),
            "disk full",
        ),
        (
            "a body that breaks off",
            RawAnswer::Whole(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()),
            "its response broke off",
        ),
        (
            "a chunk of no size",
            RawAnswer::Whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec()),
            "its response broke off",
        ),
        ("headers without end", endless("HTTP/1.1 200 OK\r\n", "X-More: more\r\n"), "does not answer"),
        ("one header without end", endless("HTTP/1.1 200 OK\r\nX: ", "more"), "does not answer"),
    ];
    for (what, answer, expected) in cases {
        let attempt = Attempt::begin("runtime", what);
        let (_server, runtime) = runtime(answer);
        for error in errors(&runtime).await {
            let text = error.to_string();
            assert!(error.is_unavailable(), "{what}: {error:?}");
            assert!(text.contains(expected), "{what}: {text}");
            // An error that the runtime reports about itself is passed on unchanged; every other names its URL.
            assert!(text.contains(runtime.url().as_str()) || what == "503", "{what}: {text}");
        }
        attempt.ended(expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_read_up_to_its_limit() {
    for (what, start) in [
        ("a body of 1 GiB", "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"),
        ("a body until the connection ends", "HTTP/1.1 200 OK\r\n\r\n"),
        ("an error of 1 GiB", "HTTP/1.1 500 Oops\r\nContent-Length: 1073741824\r\n\r\n"),
        ("chunks without end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ] {
        let attempt = Attempt::begin("runtime", what);
        let again = if what.starts_with("chunks") { "10\r\n[\"aaaaaaaaaaaaaa\r\n" } else { "[[[[" };
        let (server, runtime) = runtime(endless(start, again));
        let error = runtime.changed(0).await.unwrap_err();
        assert!(error.is_unavailable(), "{what}: {error:?}");
        assert!(error.to_string().contains("longer than 1048576 bytes"), "{what}: {error}");
        // Plus what the sockets buffer.
        assert!(server.sent() < 32 * MIB, "{what}: {}", server.sent());
        attempt.ended("Unavailable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_sends_retry_after_gets_no_requests_meanwhile() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let attempt = Attempt::begin("runtime", format!("{status} with Retry-After"));
        let asked = Arc::new(AtomicU64::new(0));
        let counted = asked.clone();
        let server = RawServer::start(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            RawAnswer::new(status, "Retry-After: 100\r\n", "")
        });
        let server = server.unwrap();
        let url = format!("http://{}", server.address()).parse().unwrap();
        let runtime = RemoteRuntime::new(url, Identity::from_passphrase("implicit trust"));
        for (place, error) in errors(&runtime).await.into_iter().enumerate() {
            assert!(error.is_unavailable(), "{error:?}");
            let expected = if place == 0 { status } else { "asked for no requests for" };
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        attempt.ended("Unavailable, until then nothing is sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_server_has_not_done_yet_is_sent_again_with_a_new_signature() {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};
    let problem = |status: StatusCode| {
        let code = if status == StatusCode::TOO_MANY_REQUESTS { ErrorCode::Invalid } else { ErrorCode::Unavailable };
        serde_json::to_string(&Problem { status, ..Problem::new(code, "in a moment") }).unwrap()
    };
    for (status, refusals, is_done) in [(429, 1, true), (503, 2, true), (503, 3, false)] {
        let status = StatusCode::from_u16(status).unwrap();
        let signatures = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&signatures);
        let refusal = RawAnswer::new(&status.to_string(), "Retry-After: 0\r\n", problem(status));
        let server = RawServer::start(move |request| {
            let mut seen = seen.lock().unwrap();
            let head = String::from_utf8_lossy(&request.bytes).to_ascii_lowercase();
            seen.insert(head.lines().find(|line| line.starts_with("signature:")).unwrap().to_owned());
            let done = RawAnswer::new("200 OK", "Content-Type: application/json\r\n", r#"{"revision":7}"#);
            if seen.len() <= refusals { refusal.clone() } else { done }
        });
        let server = server.unwrap();
        let url = format!("http://{}", server.address()).parse().unwrap();
        let answer = RemoteRuntime::new(url, Identity::from_passphrase("implicit trust")).changed(0).await;
        assert_eq!(answer.as_ref().ok(), is_done.then_some(&7), "{status}: {answer:?}");
        assert!(is_done || answer.unwrap_err().is_unavailable());
        assert_eq!(signatures.lock().unwrap().len(), if is_done { refusals + 1 } else { refusals });
    }
}
