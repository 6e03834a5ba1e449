//! The HTTP side: authorization, routing, and the log of requests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Failure, Refusal, body_of};
use super::log::{Authorization, SeenRequest};
use super::{Google, Query, USER, batch, lock, quota};

pub(crate) const REFRESH_PATH: &str = "/api/integrations/google-oauth/refresh";

type Shared = Arc<Mutex<Google>>;

/// Binds, and serves on a new thread until `stop`.
pub(crate) fn start(google: Shared, stop: CancellationToken) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no port for the loopback Google")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("fake-google".into()).spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            let serve = axum::serve(listener, Router::new().fallback(answer).with_state(google));
            tokio::select! {
                // Does not wait for open connections: they belong to the test that dropped the fake Google.
                () = stop.cancelled() => {}
                _ = serve => {}
            }
        });
    })?;
    Ok((address, thread))
}

async fn answer(State(google): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let delay = lock(&google).delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let mut google = lock(&google);
    let now = google.now_ms();
    google.tokens.end_until(now);
    let authorization = google.authorization(&headers);
    google.scopes = google.scopes_of(&headers);
    let account = google.account_of(&headers);
    let (response, parts) =
        google.with_mailbox_of(&account, |google| google.route(&method, &uri, &headers, authorization, &body));
    let note = google.note(&method, &uri, &headers, authorization, response.status(), &parts);
    google.requests.push(note);
    response
}

impl Google {
    /// The user of a request's token; the usual one without a valid one.
    fn account_of(&self, headers: &HeaderMap) -> String {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.split_once(' ')).map(|(_, token)| token);
        token.and_then(|token| self.tokens.account(token)).unwrap_or_else(|| USER.to_owned())
    }

    /// The scopes of a request's token; `None` without a valid one.
    fn scopes_of(&self, headers: &HeaderMap) -> Option<Vec<String>> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        self.tokens.scopes(token).filter(|_| scheme.eq_ignore_ascii_case("bearer")).map(<[String]>::to_vec)
    }

    fn authorization(&self, headers: &HeaderMap) -> Authorization {
        match self.scopes_of(headers) {
            Some(_) => Authorization::Accepted,
            None if headers.contains_key(header::AUTHORIZATION) => Authorization::Refused,
            None => Authorization::Absent,
        }
    }

    /// Whether the request's token has a scope for this. `gmail.metadata` does not allow searches.
    fn has_scope(&self, uri: &Uri, query: &Query) -> bool {
        let has = |names: &[&str]| {
            let scopes = self.scopes.iter().flatten();
            scopes
                .filter_map(|scope| scope.strip_prefix("https://www.googleapis.com/auth/"))
                .any(|scope| names.contains(&scope))
        };
        if uri.path().starts_with("/calendar/") {
            return has(&["calendar", "calendar.readonly", "calendar.events", "calendar.events.readonly"]);
        }
        has(&["gmail.readonly", "gmail.modify"]) || query.get("q").is_none() && has(&["gmail.metadata"])
    }

    /// The answer, and the requests within a batch.
    fn route(
        &mut self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        authorization: Authorization,
        body: &[u8],
    ) -> (Response, Vec<String>) {
        let alone = |response| (response, Vec::new());
        if uri.path() == REFRESH_PATH {
            if method != Method::POST {
                return alone(Failure::wrong_method().into_response());
            }
            if self.failing_renewals > 0 {
                self.failing_renewals -= 1;
                return alone(body_of(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": "try again later" })));
            }
            // Common Tools' form of an error, not Google's.
            return alone(match self.tokens.renew(body) {
                Ok(tokens) => body_of(StatusCode::OK, &tokens),
                Err(_) => body_of(StatusCode::UNAUTHORIZED, &json!({ "error": "the refresh token is not accepted" })),
            });
        }
        if let Some(response) = self.oauth_route(method, uri, headers, body) {
            return alone(response);
        }
        if let Some(refused) = self.refuse(authorization) {
            return alone(refused);
        }
        if uri.path() == batch::PATH && method == Method::POST {
            return self.batch(headers, body);
        }
        let answer = self.api(method, uri);
        if uri.path().ends_with("/messages") {
            let newest = self.mailbox.messages.iter().rev().take(std::mem::take(&mut self.short_lived));
            for id in newest.map(|message| message.id.clone()).collect::<Vec<_>>() {
                self.mailbox.delete(&id);
            }
        }
        alone(match answer {
            Ok(value) => body_of(StatusCode::OK, &value),
            Err(failure) => failure.into_response(),
        })
    }

    /// The answer to a request that is refused without handling: its token is invalid, or it is one too many.
    fn refuse(&mut self, authorization: Authorization) -> Option<Response> {
        match authorization {
            Authorization::Accepted => {}
            Authorization::Absent => return Some(Failure::unauthenticated("Login Required.").into_response()),
            Authorization::Refused => return Some(Failure::unauthenticated("Invalid Credentials").into_response()),
        }
        match &mut self.refusal_after {
            Some((0, refusal)) => self.refusal = Some(*refusal),
            Some((left, _)) => *left -= 1,
            None => {}
        }
        if let Some(refusal) = self.refusal {
            return Some(refusal.failure().into_response());
        }
        let (left, refusal, retry_after) = self.refused_requests;
        if left == 0 {
            return None;
        }
        self.refused_requests.0 -= 1;
        let mut response = refusal.failure().into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        Some(response)
    }

    pub(super) fn api(&mut self, method: &Method, uri: &Uri) -> Answer {
        let query = Query::parse(uri.query().unwrap_or_default(), self.page_limit);
        if !self.has_scope(uri, &query) {
            return Err(Refusal::MissingScope.failure());
        }
        let now = self.now_ms();
        if quota::cost(method, uri).is_some_and(|units| !self.quota.spend(units, now)) {
            return Err(Refusal::RateLimit.failure());
        }
        let segments: Vec<String> = uri.path().split('/').skip(1).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let get = |answer: Answer| if method == Method::GET { answer } else { Err(Failure::wrong_method()) };
        match segments.as_slice() {
            ["gmail", "v1", "users", user, ..] if !["me", USER, &self.mailbox.owner].contains(user) => {
                Err(Failure::delegation_denied())
            }
            ["gmail", "v1", "users", _, "profile"] => get(Ok(self.mailbox.profile())),
            ["gmail", "v1", "users", _, "messages"] => get(self.mailbox.message_list(&query)),
            ["gmail", "v1", "users", _, "messages", id] => get(self.mailbox.message(id, &query)),
            ["gmail", "v1", "users", _, "history"] => get(self.mailbox.history_list(&query)),
            ["calendar", "v3", "calendars", id, "events"] => get(self.calendar.event_list(id, &query)),
            _ => Err(Failure::not_found()),
        }
    }

    fn note(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        authorization: Authorization,
        status: StatusCode,
        parts: &[String],
    ) -> SeenRequest {
        let leaks = |text: &str| self.tokens.any_in(text) || self.tokens.any_in(&decode(text));
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let in_headers = headers
            .iter()
            .filter(|(name, _)| *name != header::AUTHORIZATION)
            .any(|(_, value)| leaks(&String::from_utf8_lossy(value.as_bytes())));
        let shown = |text: &str| if leaks(text) { "(a token)".to_owned() } else { text.to_owned() };
        let mut header_names: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        header_names.sort();
        SeenRequest {
            method: method.to_string(),
            path: shown(path),
            query: shown(query),
            authorization,
            header_names,
            token_leaked: in_headers || leaks(path) || leaks(query) || parts.iter().any(|part| leaks(part)),
            status: status.as_u16(),
            parts: parts.iter().map(|part| shown(part)).collect(),
        }
    }
}

/// Percent-decodes; `+` stays as it is.
fn decode(text: &str) -> String {
    let escaped = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(escaped.as_bytes()).map(|(key, _)| key.into_owned()).collect()
}
