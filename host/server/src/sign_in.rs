//! The original's OAuth endpoints: what its button and its charms ask for, `/api/integrations/{provider}-oauth/…`.
//!
//! They take the same bodies, and are stricter: only the operator begins a sign-in; what a sign-in needs stays here, and
//! its answer is good once, within ten minutes, in the browser that began it; no page gets a token; and `refresh` is for
//! the handles that this host has given to charms.

mod body;
mod pages;

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use bg_charm_api::{Actor, SignInAnswer, SignInRequest};
use bg_charm_runtime::LocalHandle;
use bg_identity::Secret;
use bg_poller::RuntimeError;
use bytes::Bytes;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::json;
use url::Url;

use crate::admission::{Unsigned, discard};
use crate::app::App;
use crate::login::Login;
use crate::options::ACCOUNT_BODY;
use crate::origins::Source;
use crate::query::IntegrationPath;

use body::{LoginBody, RefreshBody};
pub(crate) use pages::{done, done_script, element};

/// How long a browser remembers a sign-in that it began, seconds.
const COOKIE_SECONDS: u32 = 600;

/// How much of the state is in the cookie's name, so that a browser can have several sign-ins under way.
const NAME_CHARS: usize = 12;

/// An error as the original's clients read it.
fn refused(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(json!({ "error": error.into() }))).into_response()
}

fn failed(error: &RuntimeError) -> Response {
    let status = match error {
        RuntimeError::Authorization { .. } => StatusCode::FORBIDDEN,
        error if error.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    refused(status, error.to_string())
}

/// The provider of a path: `google` of `google-oauth`.
#[expect(clippy::result_large_err, reason = "it is the answer, which is sent at once")]
fn provider_of(IntegrationPath(id): &IntegrationPath) -> Result<String, Response> {
    let name = id.as_str().strip_suffix("-oauth");
    name.map(str::to_owned).ok_or_else(|| refused(StatusCode::NOT_FOUND, "the path ends PROVIDER-oauth/…"))
}

/// A request of the operator with a body; no page of another origin can have sent it.
async fn of_operator(app: &Arc<App>, request: Request) -> Result<(LocalHandle, HeaderMap, Bytes), Response> {
    let (parts, body) = request.into_parts();
    let problem = match app.logins.of(&parts.headers, Instant::now()) {
        None => Some((StatusCode::UNAUTHORIZED, "only the operator signs in here; log in at /admin/login")),
        Some(Login::Session) if Source::of(&parts.headers) != Source::Own => Some((
            StatusCode::FORBIDDEN,
            "this was sent by a page of another origin; only this server's own may use the operator's session",
        )),
        Some(Login::Session | Login::Token) => None,
    };
    if let Some((status, problem)) = problem {
        discard(body).await;
        return Err(refused(status, problem));
    }
    let body = app.admission.bodies.receive_small::<ACCOUNT_BODY>(&parts.headers, body).await;
    let body = body.map_err(|error| refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok((app.runtime.as_actor(Actor::Operator), parts.headers, body.to_vec().into()))
}

/// Where the provider sends the browser back to: this server, by the name that the browser knows it by.
fn redirect_url(app: &App, uri: &Uri, headers: &HeaderMap, provider: &str) -> Result<Url, RuntimeError> {
    let authority = app.hosts.check(uri, headers).map_err(|error| RuntimeError::Invalid(error.to_string()))?;
    let scheme = if app.is_secure(headers) { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{authority}/api/integrations/{provider}-oauth/callback"));
    url.map_err(|error| RuntimeError::Invalid(error.to_string()))
}

/// A sign-in that was begun for a browser: where to send it, and the cookie by which it is known again.
pub(crate) async fn begin_at(
    app: &App,
    handle: &LocalHandle,
    (uri, headers): (&Uri, &HeaderMap),
    request: &SignInRequest,
) -> Result<(String, HeaderValue), RuntimeError> {
    let redirect = redirect_url(app, uri, headers, &request.provider)?;
    let begun = handle.begin_sign_in_at(request, redirect).await?;
    let url: Option<Url> = begun.url.parse().ok();
    let state = url.as_ref().and_then(|url| url.query_pairs().find(|(name, _)| name == "state"));
    let cookie = state.and_then(|(_, state)| {
        let (name, state) = (cookie_name(app.is_secure(headers), &state)?, state);
        let secure = if app.is_secure(headers) { "; Secure" } else { "" };
        let text = format!("{name}={state}; Path=/; HttpOnly; SameSite=Lax; Max-Age={COOKIE_SECONDS}{secure}");
        HeaderValue::try_from(text).ok()
    });
    let cookie = cookie.ok_or_else(|| RuntimeError::unavailable("the URL of the sign-in has no state"))?;
    Ok((begun.url, cookie))
}

/// Over TLS, browsers take a cookie with this prefix from this host alone.
fn cookie_name(secure: bool, state: &str) -> Option<String> {
    let prefix = if secure { "__Host-" } else { "" };
    Some(format!("{prefix}bg-sign-in-{}", state.get(..NAME_CHARS)?))
}

/// Whether this browser began the sign-in with that state.
fn has_begun(headers: &HeaderMap, secure: bool, state: &str) -> bool {
    let Some(name) = cookie_name(secure, state) else { return false };
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.any(|(key, value)| key == name && value == state)
}

/// `POST /api/integrations/{provider}-oauth/login`
pub(crate) async fn login(State(app): State<Arc<App>>, path: IntegrationPath, request: Request) -> Response {
    match try_login(&app, &path, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn try_login(app: &Arc<App>, path: &IntegrationPath, request: Request) -> Result<Response, Response> {
    let uri = request.uri().clone();
    let (handle, headers, body) = of_operator(app, request).await?;
    let provider = provider_of(path)?;
    let body = LoginBody::parse(&body).map_err(|problem| refused(StatusCode::BAD_REQUEST, problem))?;
    let wanted =
        SignInRequest { provider, scopes: body.scopes, redirect: None, account: None, attach: Some(body.attach) };
    let begun = begin_at(app, &handle, (&uri, &headers), &wanted).await;
    let (url, cookie) = begun.map_err(|error| failed(&error))?;
    Ok(([(SET_COOKIE, cookie)], Json(json!({ "url": url }))).into_response())
}

/// `GET /api/integrations/{provider}-oauth/callback`
pub(crate) async fn callback(
    State(app): State<Arc<App>>,
    path: IntegrationPath,
    uri: Uri,
    headers: HeaderMap,
    _: Unsigned,
) -> Response {
    let Ok(provider) = provider_of(&path) else { return pages::not_found() };
    let query = uri.query().unwrap_or_default();
    let state = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
    let is_of_this_browser = state.is_some_and(|(_, state)| has_begun(&headers, app.is_secure(&headers), &state));
    let said = if is_of_this_browser {
        let answer = SignInAnswer { query: Secret::new(query.to_owned()) };
        match app.runtime.as_actor(Actor::Operator).finish_sign_in_at(&provider, &answer).await {
            Ok(signed_in) if signed_in.missing.is_empty() => "signed-in",
            Ok(_) => "signed-in-with-less",
            Err(error) => {
                tracing::warn!("a sign-in at {provider} failed: {error}");
                "failed"
            }
        }
    } else {
        "stray"
    };
    // A redirect, so that the browser keeps no code.
    Redirect::to(&format!("/api/integrations/{provider}-oauth/done?said={said}")).into_response()
}

/// `POST /api/integrations/{provider}-oauth/refresh`
pub(crate) async fn refresh(State(app): State<Arc<App>>, path: IntegrationPath, request: Request) -> Response {
    match try_refresh(&app, &path, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn try_refresh(app: &Arc<App>, path: &IntegrationPath, request: Request) -> Result<Response, Response> {
    let (parts, body) = request.into_parts();
    let network = app.client(&parts.extensions, &parts.headers).network();
    if let Err(too_many) = app.registration_rate.take(&network) {
        discard(body).await;
        return Err(crate::answer::Failure::from(too_many).into_response());
    }
    let body = app.admission.bodies.receive_small::<ACCOUNT_BODY>(&parts.headers, body).await;
    let body = body.map_err(|error| refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    let provider = provider_of(path)?;
    let RefreshBody { refresh_token } =
        RefreshBody::parse(&body).map_err(|problem| refused(StatusCode::BAD_REQUEST, problem))?;
    let info = app.runtime.refresh_by_handle(&provider, &refresh_token).await.map_err(|error| failed(&error))?;
    let answer = json!({ "success": true, "message": "Token refreshed successfully", "tokenInfo": info });
    Ok(Json(answer).into_response())
}

/// `POST /api/integrations/{provider}-oauth/logout`
pub(crate) async fn logout(State(app): State<Arc<App>>, path: IntegrationPath, request: Request) -> Response {
    match try_logout(&app, &path, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn try_logout(app: &Arc<App>, path: &IntegrationPath, request: Request) -> Result<Response, Response> {
    let (handle, _, body) = of_operator(app, request).await?;
    let provider = provider_of(path)?;
    let body = LoginBody::parse(&body).map_err(|problem| refused(StatusCode::BAD_REQUEST, problem))?;
    handle.sign_out(&provider, &body.attach).await.map_err(|error| failed(&error))?;
    Ok(Json(json!({ "success": true, "message": "Successfully logged out" })).into_response())
}
