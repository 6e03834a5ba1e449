use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Json, Router};
use bg_charm_api::wire::{ErrorCode, Problem};
use bg_charm_api::{AccessLevel, Spaces, Subject};
use bg_identity::{CharmId, Identity, http_signature, space_did, system_space};
use bg_poller::{Cause, CharmRef, CharmRuntime, Lookup, RegistrationChanges, RuntimeError, Scope, TokenLife};
use http::StatusCode;
use serde_json::{Value, json};

use crate::RemoteRuntime;

fn charm() -> CharmRef {
    CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") }
}

fn me() -> Identity {
    Identity::from_passphrase("implicit trust")
}

/// A server that gives one answer to everything.
async fn server<F, R>(answer: F) -> RemoteRuntime
where
    F: Fn(Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send,
{
    let router = Router::new().fallback(move |request: Request| answer(request));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/below/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    RemoteRuntime::new(url.parse().unwrap(), me())
}

#[tokio::test]
async fn requests_are_signed_exactly_as_sent() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let remote = server(move |request: Request| {
        let log = log.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let authority = parts.headers["host"].to_str().unwrap();
            let target = parts.uri.path_and_query().unwrap().as_str();
            let verified =
                http_signature::verify(&parts.method, authority, target, &parts.headers, &body, SystemTime::now())
                    .unwrap();
            assert_eq!(verified.did, me().did());
            log.lock()
                .unwrap()
                .push((format!("{} {target}", parts.method), serde_json::from_slice(&body).unwrap_or(Value::Null)));
            Json(json!({"kind": "absent", "removed": true, "revision": 7, "keys": [], "streams": ["a"], "name": null}))
                .into_response()
        }
    })
    .await;
    let view = remote.open(&charm()).await.unwrap();
    assert!(view.has_stream("a").await.unwrap());
    assert_eq!(view.get(&["a b".into(), "ü/?&".into()]).await.unwrap(), Lookup::Absent);
    assert_eq!(remote.changed(3).await.unwrap(), 7);
    assert!(remote.remove(&charm()).await.unwrap());
    remote.prepare_list(&"gmail".parse().unwrap()).await.unwrap();
    let _ = remote.set_acl(&system_space(), &Subject::Anyone, Some(AccessLevel::Read)).await;

    let (space, id) = (charm().space, charm().charm);
    let expected = [
        (format!("GET /below/api/v1/charms/{space}/{id}"), Value::Null),
        (
            format!("GET /below/api/v1/charms/{space}/{id}/value?path=%5B%22a+b%22%2C%22%C3%BC%2F%3F%26%22%5D"),
            Value::Null,
        ),
        ("GET /below/api/v1/registrations/changes?after=3".to_owned(), Value::Null),
        (format!("DELETE /below/api/v1/registrations/{space}/{id}"), Value::Null),
        ("PUT /below/api/v1/integrations/gmail/list".to_owned(), Value::Null),
        (format!("PUT /below/api/v1/spaces/{}/acl", system_space()), json!({"subject": "*", "level": "READ"})),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn errors_arrive_unchanged() {
    let errors = [
        RuntimeError::Authorization { space: system_space(), message: "no access".into() },
        RuntimeError::NotFound(charm()),
        RuntimeError::Unfit("no such stream".into()),
        RuntimeError::Invalid("no".into()),
        RuntimeError::unmet(Cause::SignInEnded, "authorize the charm again"),
        RuntimeError::unmet(Cause::NoRefreshUrl, "no --oauth-refresh-url"),
        RuntimeError::unavailable_by(Cause::StorageFull, "the disk is full"),
        RuntimeError::unavailable_in(Scope::Charm, "it is busy"),
        RuntimeError::unavailable_in(Scope::Upstream, "the token service is away"),
    ];
    for error in errors {
        let problem = Problem::from(&error);
        let remote = server(move |_| {
            let problem = problem.clone();
            async move { (problem.status, Json(problem)).into_response() }
        })
        .await;
        assert_eq!(remote.trigger(&charm(), "bgUpdater", &json!({})).await, Err(error));
    }
    let unknown = server(|_| async {
        (StatusCode::BAD_REQUEST, Json(Problem::new(ErrorCode::UnknownEvent, "it is not known"))).into_response()
    })
    .await;
    let error = unknown.trigger(&charm(), "bgUpdater", &json!({})).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unavailable { scope: Scope::Charm, .. }), "{error:?}");
    let problem = Problem::new(ErrorCode::Signature, "the nonce was used before");
    // Also as older servers wrote it, before there were problem details.
    for signature in [json!(problem), json!({"error": "the nonce was used before", "code": "signature"})] {
        let remote = server(move |_| {
            let signature = signature.clone();
            async move { (StatusCode::UNAUTHORIZED, Json(signature)).into_response() }
        })
        .await;
        let error = remote.registrations().await.unwrap_err();
        assert!(
            matches!(&error, RuntimeError::Unavailable { message: text, .. } if text.contains("not accept the \
                signature: the nonce")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn the_expiry_of_a_token_comes_with_the_charm_and_is_read_again_after_that() {
    let remote = server(|request: Request| async move {
        let expires_at = |at: u64| json!({"kind": "value", "value": at});
        if request.uri().path().ends_with("/value") {
            return Json(expires_at(2)).into_response();
        }
        Json(json!({"keys": ["auth"], "streams": [], "name": null, "expiresAt": expires_at(1)})).into_response()
    })
    .await;
    let (view, path) = (remote.open(&charm()).await.unwrap(), TokenLife::PATH.map(str::to_owned));
    for expected in [1, 2, 2] {
        assert_eq!(view.get(&path).await.unwrap(), Lookup::Value(json!(expected)));
    }
}

#[tokio::test]
async fn a_server_that_does_not_support_changes_returns_all_registrations() {
    let remote = server(|request: Request| async move {
        assert_eq!(request.uri().query(), Some("after=3"));
        Json(json!({"revision": 7, "registrations": []})).into_response()
    })
    .await;
    let all = RegistrationChanges { revision: Some(7), registrations: Vec::new(), removed: None };
    assert_eq!(remote.changes(3).await.unwrap(), all);
}

#[tokio::test]
async fn a_response_that_is_too_long_blames_its_charm_alone() {
    let keys: Vec<String> = (0..40_000).map(|number| format!("{number:0>30}")).collect();
    let remote = server(move |request: Request| {
        let keys = keys.clone();
        async move {
            if request.uri().path().ends_with("/changes") {
                return Json(json!({"revision": 1})).into_response();
            }
            Json(json!({"keys": keys, "streams": [], "name": null})).into_response()
        }
    })
    .await;
    let error = remote.open(&charm()).await.err().unwrap();
    assert!(matches!(error, RuntimeError::Unavailable { scope: Scope::Charm, .. }), "{error:?}");
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
    assert_eq!(remote.changed(0).await, Ok(1));
}

#[tokio::test]
async fn an_error_of_something_that_is_not_a_charm_runtime_says_what_to_check() {
    let garbage = server(|_| async { "<html>".into_response() }).await;
    let refusing = server(|_| async { (StatusCode::FORBIDDEN, "<html>").into_response() }).await;
    let moved = server(|_| async { Redirect::permanent("https://example.com/").into_response() }).await;
    let closed = RemoteRuntime::new("http://127.0.0.1:1".parse().unwrap(), me());
    let cases = [
        (garbage, "answers unlike a charm runtime (expected value"),
        (refusing, "refuses requests (403 Forbidden): check API_URL"),
        (moved, "it redirects to \"https://example.com/\"): check API_URL"),
        (closed, "is `bg-wasm-host serve` running? set API_URL"),
    ];
    for (remote, expected) in cases {
        let error = remote.registrations().await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains(remote.url().as_str()), "{text}");
    }
}

/// Answers one request on each connection, and closes it without a response at the second, as a server with too many
/// connections may.
async fn evicting(answer: &'static str) -> (RemoteRuntime, Arc<Mutex<Vec<String>>>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = log.clone();
            tokio::spawn(async move {
                for served in 0.. {
                    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
                    loop {
                        let text = String::from_utf8_lossy(&bytes);
                        let head = text.split_once("\r\n\r\n");
                        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                        if head.is_some_and(|(_, body)| body.len() >= length.unwrap_or(0usize)) {
                            break;
                        }
                        match stream.read(&mut chunk).await {
                            Ok(count @ 1..) => bytes.extend_from_slice(&chunk[..count]),
                            _ => return,
                        }
                    }
                    log.lock().unwrap().push(String::from_utf8(bytes).unwrap());
                    if served > 0 {
                        return;
                    }
                    let length = answer.len();
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{answer}");
                    stream.write_all(head.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (RemoteRuntime::new(url.parse().unwrap(), me()), seen)
}

#[tokio::test]
async fn an_idempotent_request_is_sent_again_when_a_kept_connection_ends_without_a_response() {
    let (remote, seen) = evicting(r#"{"revision": 7, "secret": "x", "kind": "Success"}"#).await;
    // Every second request loses its connection.
    for _ in 0..4 {
        assert_eq!(remote.changed(3).await.unwrap(), 7);
    }
    remote.secret(&charm(), &["auth".into()]).await.unwrap();
    remote.prepare_list(&"gmail".parse().unwrap()).await.unwrap();
    let sent = seen.lock().unwrap().clone();
    let line = |request: &String| request.lines().next().unwrap_or_default().to_owned();
    let nonces: std::collections::BTreeSet<_> = sent
        .iter()
        .map(|request| request.lines().find(|line| line.starts_with("signature-input: ")).unwrap().to_owned())
        .collect();
    assert_eq!(nonces.len(), sent.len(), "no signature is used twice");
    assert!(sent.len() > 6, "{:?}", sent.iter().map(line).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_request_that_may_have_been_done_is_not_sent_again() {
    let (remote, seen) = evicting(r#"{"revision": 7}"#).await;
    assert_eq!(remote.changed(3).await.unwrap(), 7);
    let error = remote.trigger(&charm(), "bgUpdater", &json!({})).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unavailable { .. }), "{error:?}");
    assert_eq!(remote.changed(3).await.unwrap(), 7);
    assert!(remote.remove(&charm()).await.is_err());
    assert_eq!(seen.lock().unwrap().len(), 4);
}
