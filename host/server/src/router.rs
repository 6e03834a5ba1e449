//! Which path leads where.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on, post};
use axum::{Json, Router};
use bg_charms::api::{ErrorCode, path};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, StatusCode, Uri};
use serde_json::json;
use tracing::Instrument as _;

use crate::admin::{self, Operator};
use crate::answer::Failure;
use crate::app::App;
use crate::body::discard;
use crate::metrics::{self, Measured};
use crate::unsigned::{Refused, Unsigned};
use crate::{button, charms, registrations, spaces};

/// The script of the button, for pages of every origin; the path that its users write.
const UPDATER: &str = "/ct-updater.js";
/// Where monitoring systems look.
const METRICS: &str = "/metrics";

/// For answers that are no pages: should a browser show one all the same, it can neither load nor do anything.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// One endpoint of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its method.
    pub method: Method,
    /// Its path; `{…}` stands for a part that names something.
    pub path: &'static str,
    /// Who may ask.
    pub access: Access,
    /// Whether it reads a JSON body.
    pub json: bool,
}

/// Who may use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Anybody, and pages of every origin.
    Pages,
    /// Whoever signs, as far as access lists allow; and the operator, with the login token.
    Signed,
    /// The operator: with the login token, or in a session that was begun with it.
    Operator,
}

/// Every endpoint, so that what must hold for all of them can be tried on all of them.
pub fn endpoints() -> Vec<Endpoint> {
    table().into_iter().map(|(endpoint, _)| endpoint).collect()
}

type Row = (Endpoint, MethodRouter<Arc<App>>);

/// A row of the table: an endpoint for signed requests, and what answers them.
fn signed<H, T>(method: Method, path: &'static str, body: Body, handler: H) -> Row
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("the methods below are those of HTTP");
    (Endpoint { method, path, access: Access::Signed, json: body == Body::Json }, on(filter, handler))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Json,
    None,
}

/// All there is. Each row has one method; those of one path are put together.
fn table() -> Vec<Row> {
    let open = |method, path, access, json| Endpoint { method, path, access, json };
    let button = post(button::register)
        .options(button::preflight)
        .fallback(button::wrong_method)
        .layer(map_response(button::allow_every_origin));
    let health = on(MethodFilter::GET, health);
    let list = "/api/v1/integrations/{id}/list";
    let registration = "/api/v1/registrations/{space}/{charm}";
    let interval = "/api/v1/registrations/{space}/{charm}/interval";
    let (in_space, acl) = ("/api/v1/spaces/{space}/charms", "/api/v1/spaces/{space}/acl");
    let metrics = on(MethodFilter::GET, metrics);
    let updater = on(MethodFilter::GET, button::script);
    let mut all = vec![
        (open(Method::GET, UPDATER, Access::Pages, false), updater),
        (open(Method::GET, METRICS, Access::Operator, false), metrics),
        (open(Method::GET, path::HEALTH, Access::Open, false), health),
        (open(Method::POST, path::BUTTON, Access::Pages, true), button),
        signed(Method::GET, path::REGISTRATIONS, Body::None, registrations::list),
        signed(Method::POST, path::REGISTRATIONS, Body::Json, registrations::register),
        signed(Method::GET, path::CHANGES, Body::None, registrations::changes),
        signed(Method::PATCH, registration, Body::Json, registrations::set_disabled),
        signed(Method::DELETE, registration, Body::None, registrations::remove),
        signed(Method::PUT, interval, Body::Json, registrations::set_interval),
        signed(Method::POST, path::RUNS, Body::Json, registrations::record),
        signed(Method::PUT, list, Body::None, registrations::prepare_list),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}", Body::None, charms::shape),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/value", Body::None, charms::value),
        signed(Method::PUT, "/api/v1/charms/{space}/{charm}/value", Body::Json, charms::set),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/runs", Body::None, charms::runs),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/counters", Body::None, charms::counters),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/logs", Body::None, charms::logs),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/page", Body::None, charms::page),
        signed(Method::GET, "/api/v1/charms/{space}/{charm}/show", Body::None, charms::show),
        signed(Method::POST, "/api/v1/charms/{space}/{charm}/trigger", Body::Json, charms::trigger),
        signed(Method::POST, "/api/v1/charms/{space}/{charm}/refresh", Body::None, charms::refresh),
        signed(Method::POST, "/api/v1/charms/{space}/{charm}/secret", Body::Json, charms::secret),
        signed(Method::GET, in_space, Body::None, spaces::charms),
        signed(Method::POST, in_space, Body::Json, spaces::deploy),
        signed(Method::GET, acl, Body::None, spaces::acl),
        signed(Method::PUT, acl, Body::Json, spaces::set_acl),
    ];
    all.extend(admin::table());
    all
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let routes =
        table().into_iter().fold(Router::new(), |router, (endpoint, answer)| router.route(endpoint.path, answer));
    let routes = routes.method_not_allowed_fallback(wrong_method).fallback(not_found).with_state(app.clone());
    // A layer of the routes themselves would come after they are chosen, and before the `Allow` headers that they set.
    Router::new().fallback_service(routes).layer(from_fn_with_state(app, around))
}

/// Notes each request, and sets the headers of every answer: none may be kept or taken for anything but JSON.
///
/// Before anything else of a request is looked at, it must be addressed to this server by a name of its own: a page whose name
/// was pointed here (DNS rebinding) learns nothing, neither what there is nor what is wrong with what it sends.
async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!(
        target: "span", "request", otel.kind = "server", http.request.method = %method, url.path = path,
        http.response.status_code = tracing::field::Empty,
    );
    let mut response = match app.hosts.check(request.uri(), request.headers()) {
        Ok(_) => {
            app.trace_context.extract(request.headers(), &span);
            next.run(request).instrument(span.clone()).await
        }
        Err(error) => {
            discard(request.into_body()).await;
            Failure::from(error).into_response()
        }
    };
    span.record("http.response.status_code", response.status().as_u16());
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// `GET /metrics`
async fn metrics(State(app): State<Arc<App>>, operator: Operator) -> Response {
    let registrations = match app.counts.get(&operator.handle).await {
        Ok(counts) => admin::by_state(&counts),
        Err(error) => return Failure::from(error).into_response(),
    };
    let measured = Measured { registrations, database: app.runtime.size() };
    match app.activity.metrics().encode(&measured, app.polling.as_deref()) {
        Ok(text) => ([(CONTENT_TYPE, HeaderValue::from_static(metrics::MEDIA_TYPE))], text).into_response(),
        Err(error) => Failure::of(ErrorCode::Unavailable, error).into_response(),
    }
}

async fn health(_: Unsigned) -> Response {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

async fn not_found(uri: Uri, _: Refused) -> Failure {
    let message = format!("there is nothing at {}; the API is under /api/v1/", uri.path());
    Failure::of(ErrorCode::NotFound, message)
}

async fn wrong_method(method: Method, uri: Uri, _: Refused) -> Failure {
    let message = format!("{} does not take {method}; see the Allow header for what it takes", uri.path());
    Failure::invalid(message).with_status(StatusCode::METHOD_NOT_ALLOWED)
}
