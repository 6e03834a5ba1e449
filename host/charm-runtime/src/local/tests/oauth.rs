use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;
use bg_charm_api::{AccessLevel, Actor, SetRequest, Spaces, Subject};
use bg_poller::{CharmRuntime, RuntimeError};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::local::testing::{Home, did, source, space};

/// An OAuth service that knows one refresh token; answers its base URL.
async fn service() -> String {
    let refresh = |Json(body): Json<Value>| async move {
        if body["refreshToken"] == "good-refresh" {
            let info = json!({"token": "new-token", "expiresAt": 42, "tokenType": "Bearer"});
            return Json(json!({"tokenInfo": info})).into_response();
        }
        let error = json!({"error": "invalid_grant", "error_description": format!("no token {body}")});
        (StatusCode::BAD_REQUEST, Json(error)).into_response()
    };
    let router = axum::Router::new()
        .route("/refresh", post(refresh))
        .route("/moved", post(|| async { Redirect::temporary("/refresh") }))
        .route("/down", post(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/odd", post(|| async { Json(json!({"tokenInfo": "good-refresh"})) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn home(url: Option<String>) -> Home {
    Home::with(|options| options.oauth_refresh_url = url.map(|url| url.parse().unwrap())).await
}

fn auth(refresh_token: &str) -> Value {
    json!({"token": "old-token", "refreshToken": refresh_token, "expiresAt": 1, "user": {"email": "ann@example.com"}})
}

#[tokio::test]
async fn a_renewed_token_replaces_the_old_one_and_nothing_else() {
    let home = home(Some(service().await + "/refresh")).await;
    let charm = home.deploy(auth("good-refresh")).await;
    home.operator().refresh_auth(&charm).await.unwrap();
    let path = ["auth".to_owned(), "token".to_owned()];
    assert_eq!(home.operator().secret(&charm, &path).await.unwrap().expose(), "new-token");
    let cell = home.cells(&charm).await["auth"].clone();
    let masked = "(secret)";
    let expected = json!({"token": masked, "refreshToken": masked, "expiresAt": 42, "tokenType": "Bearer", "user": {"email": "ann@example.com"}});
    assert_eq!(cell, expected);
}

#[tokio::test]
async fn what_keeps_a_token_from_being_renewed_is_said_without_the_token() {
    let base = service().await;
    let closed = "http://127.0.0.1:1/refresh".to_owned();
    let bad = || auth("bad-refresh");
    let cases = [
        (None, bad(), false, "--oauth-refresh-url"),
        (
            Some(base.clone() + "/refresh"),
            bad(),
            false,
            "says 400 Bad Request (invalid_grant): the authorization has ended; authorize the charm again",
        ),
        (Some(base.clone() + "/refresh"), json!({"token": "t"}), false, "has no auth.refreshToken"),
        (Some(base.clone() + "/moved"), bad(), true, "says 307 Temporary Redirect"),
        (Some(base.clone() + "/down"), bad(), true, "says 500 Internal Server Error"),
        (Some(base + "/odd"), bad(), true, "answers without a tokenInfo.token"),
        (Some(closed), bad(), true, "does not answer: "),
    ];
    for (url, inputs, unavailable, expected) in cases {
        let home = home(url).await;
        let charm = home.deploy(inputs).await;
        let before = home.cells(&charm).await;
        let error = home.operator().refresh_auth(&charm).await.unwrap_err();
        assert_eq!(error.is_unavailable(), unavailable, "{error:?}");
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("bad-refresh") && !text.contains("good-refresh"), "{text}");
        assert_eq!(home.cells(&charm).await, before);
    }
}

/// An OAuth service that answers once it is let, and counts.
async fn slow_service() -> (String, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (gate, asked) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (opened, count) = (gate.clone(), asked.clone());
    let refresh = move || {
        let (opened, count) = (opened.clone(), count.clone());
        async move {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            opened.acquire().await.unwrap().forget();
            Json(json!({"tokenInfo": {"token": format!("token-{number}"), "expiresAt": 42}}))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/refresh", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/refresh", post(refresh))).await });
    (url, gate, asked)
}

async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_asks_while_a_token_is_being_renewed_gets_what_comes_of_it() {
    let (url, gate, asked) = slow_service().await;
    let home = home(Some(url)).await;
    let charm = home.deploy(auth("good-refresh")).await;
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (operator, charm) = (home.operator(), charm.clone());
        callers.spawn(async move { operator.refresh_auth(&charm).await });
    }
    until(|| asked.load(Ordering::SeqCst) == 1).await;
    gate.add_permits(1);
    assert!(callers.join_all().await.iter().all(Result::is_ok));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // A caller a moment later gets the same answer.
    home.operator().refresh_auth(&charm).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn forty_calls_lead_to_one_exchange_whatever_comes_back() {
    let attempt =
        bg_abuse::Attempt::begin("renewals", "40 renewals of one token: granted, refused, with the service away");
    for (status, answer, expected) in [
        (StatusCode::OK, json!({"tokenInfo": {"token": "new", "expiresAt": 42}}), Ok(())),
        (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}), Err(false)),
        (StatusCode::BAD_GATEWAY, json!({}), Err(true)),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let refresh = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = (status, Json(answer.clone()));
            async move { answer }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/refresh", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/refresh", post(refresh))).await });
        let home = home(Some(url)).await;
        let charm = home.deploy(auth("good-refresh")).await;
        for _ in 0..40 {
            let result = home.operator().refresh_auth(&charm).await;
            assert_eq!(result.map_err(|error| error.is_unavailable()), expected);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{status}");
        // Who signs in again need not wait.
        let signed_in = SetRequest { path: vec!["auth".into()], value: auth("other-refresh"), create: false };
        home.operator().set(&charm, &signed_in).await.unwrap();
        assert_eq!(home.operator().refresh_auth(&charm).await.is_ok(), expected.is_ok());
        assert_eq!(asked.load(Ordering::SeqCst), 2, "{status}");
    }
    attempt.ended("one exchange");
}

#[tokio::test]
async fn only_the_owner_of_a_space_and_the_service_renew_tokens() {
    let attempt = bg_abuse::Attempt::begin("renewals", "a renewal by somebody who may only write in the space");
    let (url, gate, asked) = slow_service().await;
    let home = home(Some(url)).await;
    // Ann creates the space, and owns it; anybody may write there.
    let request = source("guest.js", auth("good-refresh"));
    let charm = home.signed("ann").deploy(&space(), &request).await.unwrap().charm;
    let error = home.signed("eve").refresh_auth(&charm).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Authorization { .. }), "{error:?}");
    assert!(
        error.to_string().contains("needs OWNER") && error.to_string().contains("to renew the OAuth token"),
        "{error}"
    );
    assert!(home.runtime.as_actor(Actor::Anonymous).refresh_auth(&charm).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    attempt.ended("refused");
    gate.add_permits(1);
    home.signed("ann").refresh_auth(&charm).await.unwrap();
    // The service needs no more than access to the system space.
    let service = Subject::Did(did("service"));
    home.operator().set_acl(&bg_identity::system_space(), &service, Some(AccessLevel::Write)).await.unwrap();
    home.signed("service").refresh_auth(&charm).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_renewal_goes_on_when_nobody_waits_for_it_any_more() {
    let (url, gate, asked) = slow_service().await;
    let home = home(Some(url)).await;
    let charm = home.deploy(auth("good-refresh")).await;
    let (operator, renewed) = (home.operator(), charm.clone());
    let caller = tokio::spawn(async move { operator.refresh_auth(&renewed).await });
    until(|| asked.load(Ordering::SeqCst) == 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.add_permits(1);
    let path = ["auth".to_owned(), "token".to_owned()];
    for _ in 0..1_000 {
        if home.operator().secret(&charm, &path).await.unwrap().expose() == "token-1" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the new token was lost");
}
