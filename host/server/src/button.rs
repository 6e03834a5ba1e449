//! `POST /api/integrations/bg`: the original's registration. Anybody may send it, unless the operator restricts it, and
//! also pages of origins that the operator allows. And the button that sends it.
//!
//! Its clients are pages that send no Content-Type, `curl`, and the original's own tools. They expect `{"success":
//! true, …}`, or `{"error": "…"}` with 400. Every client error has that status, except for a body over the limit (413),
//! a wrong host name (421), a page or a client without permission (403), and too many requests (429).

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse, Response};
use bg_charm_api::Actor;
use bg_poller::CharmRuntime;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::admission::{Refused, Signed, Ticket, Unsigned, discard};
use crate::answer::Failure;
use crate::app::App;
use crate::form::RegistrationForm;
use crate::options::REGISTRATION_BODY;
use crate::origins::Source;
use crate::permit;

/// Browsers ask for this before a page on the open network may talk to a server on a private one, such as loopback.
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// How long a browser may cache the response to a preflight, in seconds.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// The media type of the button's script.
pub(crate) const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";

/// The original's success response.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Registered {
    /// Always `success`.
    message: &'static str,
    /// Always true.
    success: bool,
}

/// The original's error response.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Refusal {
    /// What happened and what to do, for people.
    error: String,
}

pub(crate) async fn register(State(app): State<Arc<App>>, request: Request) -> Response {
    match try_register(&app, request).await {
        Ok(()) => Json(Registered { success: true, message: "success" }).into_response(),
        Err(failure) => error(&failure),
    }
}

async fn try_register(app: &Arc<App>, request: Request) -> Result<(), Failure> {
    let headers = request.headers();
    let source = Source::of(headers);
    if let Err(refused) = app.origins.check(&source) {
        discard(request.into_body()).await;
        return Err(refused.into());
    }
    let in_session = source == Source::Own && app.logins.of(headers, Instant::now()).is_some();
    let (caller, body) = if headers.contains_key("signature-input") || headers.contains_key(header::AUTHORIZATION) {
        let signed = Signed::<REGISTRATION_BODY>::from_request(request, app).await?;
        (signed.caller.clone(), signed.body().clone())
    } else {
        let (parts, body) = request.into_parts();
        let actor = if in_session { Actor::Operator } else { Actor::Anonymous };
        if actor == Actor::Anonymous {
            let in_time = parts.extensions.get().map_or(Ok(()), Ticket::check_rate);
            let network = app.client(&parts.extensions, &parts.headers).network();
            if let Err(too_many) = in_time.and_then(|()| app.registration_rate.take(&network)) {
                discard(body).await;
                return Err(too_many.into());
            }
        }
        let body = app.admission.bodies.receive_small::<REGISTRATION_BODY>(&parts.headers, body).await?;
        (app.runtime.as_actor(actor), body)
    };
    let RegistrationForm { charm, integration } = RegistrationForm::parse(&body).map_err(Failure::invalid)?;
    permit::registration(app, &caller, &charm, &integration).await?;
    caller.register(&charm, &integration).await?;
    app.counts.forget().await;
    tracing::info!(%charm, %integration, "registered, by a request of {}", who(caller.actor()));
    Ok(())
}

/// For the log.
fn who(actor: &Actor) -> String {
    match actor {
        Actor::Operator => "the operator".to_owned(),
        Actor::Did(did) | Actor::Remote(did) => did.to_string(),
        Actor::Anonymous => "an unsigned caller".to_owned(),
    }
}

/// The response to a preflight.
pub(crate) async fn preflight(State(app): State<Arc<App>>, headers: HeaderMap, _: Unsigned) -> Response {
    if let Err(refused) = app.origins.check(&Source::of(&headers)) {
        return error(&refused.into());
    }
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
    (StatusCode::METHOD_NOT_ALLOWED, Json(Refusal { error: message.to_owned() })).into_response()
}

/// Lets pages of every origin read every response of this endpoint, including errors, so that a page without permission
/// can say why. Permission is checked elsewhere.
pub(crate) async fn allow_every_origin(mut response: Response) -> Response {
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response.headers_mut().insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

/// `GET /ct-updater.js`: the button's script, for pages of every origin.
pub(crate) async fn script(_: Unsigned) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(SCRIPT_TYPE)),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (headers, include_str!("../assets/ct-updater.js")).into_response()
}

fn error(failure: &Failure) -> Response {
    let status = match failure.problem.status {
        StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    failure.answer(status, Json(Refusal { error: failure.problem.detail.clone() }))
}
