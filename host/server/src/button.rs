//! `POST /api/integrations/bg`: the original's registration, which anybody may send, also a page of another origin.
//!
//! Its clients are pages that send no Content-Type, `curl`, and the original's own tools; they know `{"success": true, …}`, and
//! `{"error": "…"}` with 400. Each error of a client's has that status, except for a body over the limit (413) and a host name
//! that is not ours (421).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bg_charms::Actor;
use bg_poller::CharmRuntime;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::answer::Failure;
use crate::app::App;
use crate::form::RegistrationForm;
use crate::options::REGISTRATION_BODY;
use crate::unsigned::{Refused, Unsigned};

/// A page on the open network asks for this before it may talk to a server on a private one, such as loopback.
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// How long a browser may remember the answer to a preflight, seconds.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

pub(crate) async fn register(State(app): State<Arc<App>>, request: Request) -> Response {
    match try_register(&app, request).await {
        Ok(()) => Json(json!({ "success": true, "message": "success" })).into_response(),
        Err(failure) => error(&failure),
    }
}

async fn try_register(app: &App, request: Request) -> Result<(), Failure> {
    let (parts, body) = request.into_parts();
    let body = app.bodies.receive(&parts.headers, body, REGISTRATION_BODY).await?;
    let form = RegistrationForm::parse(&body).map_err(Failure::invalid)?;
    app.runtime.as_actor(Actor::Anonymous).register(&form.charm, &form.integration).await?;
    tracing::info!(charm = %form.charm, integration = %form.integration, "registered, by an unsigned request");
    Ok(())
}

/// The answer to a browser that asks whether a page may send the request at all.
pub(crate) async fn preflight(headers: HeaderMap, _: Unsigned) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    if headers.get(REQUEST_PRIVATE_NETWORK).is_some_and(|asked| asked == "true") {
        answer.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    response
}

/// Any other method.
pub(crate) async fn wrong_method(_: Refused) -> Response {
    let message = "this endpoint takes POST only, with a registration as JSON";
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "error": message }))).into_response()
}

/// Lets pages of every origin read every answer of this endpoint, errors too.
pub(crate) async fn allow_every_origin(mut response: Response) -> Response {
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn error(failure: &Failure) -> Response {
    let status = match failure.status {
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    (status, Json(json!({ "error": failure.body.error }))).into_response()
}
