//! Which path leads where.

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use axum::{Json, Router};
use bg_charms::api::{ErrorCode, path};
use http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode, Uri};
use serde_json::json;

use crate::answer::Failure;
use crate::app::App;
use crate::{button, charms, registrations, spaces};

pub(crate) fn router(app: Arc<App>) -> Router {
    let button = post(button::register)
        .options(button::preflight)
        .fallback(button::wrong_method)
        .layer(map_response(button::allow_every_origin));
    Router::new()
        .route(path::HEALTH, get(health))
        .route(path::BUTTON, button)
        .route(path::REGISTRATIONS, get(registrations::list).post(registrations::register))
        .route(path::CHANGES, get(registrations::changes))
        .route(
            "/api/v1/registrations/{space}/{charm}",
            patch(registrations::set_disabled).delete(registrations::remove),
        )
        .route(path::RUNS, post(registrations::record))
        .route("/api/v1/integrations/{id}/list", put(registrations::prepare_list))
        .route("/api/v1/charms/{space}/{charm}", get(charms::shape))
        .route("/api/v1/charms/{space}/{charm}/value", get(charms::value))
        .route("/api/v1/charms/{space}/{charm}/runs", get(charms::runs))
        .route("/api/v1/charms/{space}/{charm}/show", get(charms::show))
        .route("/api/v1/charms/{space}/{charm}/trigger", post(charms::trigger))
        .route("/api/v1/charms/{space}/{charm}/refresh", post(charms::refresh))
        .route("/api/v1/charms/{space}/{charm}/secret", post(charms::secret))
        .route("/api/v1/spaces/{space}/charms", get(spaces::charms).post(spaces::deploy))
        .route("/api/v1/spaces/{space}/acl", get(spaces::acl).put(spaces::set_acl))
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(from_fn(around))
        .with_state(app)
}

/// Notes each request, and sets the headers of every answer: none may be kept or taken for anything but JSON.
async fn around(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn health() -> Response {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

async fn not_found(uri: Uri) -> Failure {
    let message = format!("there is nothing at {}; the API is under /api/v1/", uri.path());
    Failure::of(ErrorCode::NotFound, message)
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    let message = format!("{} does not take {method}; see the Allow header for what it takes", uri.path());
    Failure::invalid(message).with_status(StatusCode::METHOD_NOT_ALLOWED)
}
