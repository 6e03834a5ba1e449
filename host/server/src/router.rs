//! Routing, and headers of every response.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bg_charm_api::wire::ErrorCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use tracing::Instrument as _;

use crate::admin;
use crate::admission::{Occupant, Refused, Ticket, discard};
use crate::answer::Failure;
use crate::app::App;
use crate::routes::routes;

/// For responses that are not pages: if a browser shows one anyway, it can neither load nor do anything.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

pub(crate) fn router(app: Arc<App>) -> Router {
    let routes = routes().into_iter().fold(Router::new(), |router, row| router.route(row.endpoint.path, row.router));
    let routes = routes.method_not_allowed_fallback(wrong_method).fallback(not_found).with_state(app.clone());
    // A layer of the routes themselves would come after they are chosen, and before the `Allow` headers that they set.
    Router::new().fallback_service(routes).layer(from_fn_with_state(app, around))
}

/// Logs each request, and sets headers of every response: none may be cached, or interpreted as another type.
///
/// First, the request must be addressed to one of this server's names. A page whose name was pointed here (DNS
/// rebinding) learns nothing: neither what exists nor what is wrong with its request.
async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!(
        target: "span", "request", otel.kind = "server", http.request.method = %method, url.path = path,
        http.response.status_code = tracing::field::Empty,
    );
    let (mut response, ticket) = match first_steps(&app, &request) {
        Ok(ticket) => {
            app.trace_context.extract(request.headers(), &span);
            request.extensions_mut().insert(ticket.clone());
            (next.run(request).instrument(span.clone()).await, Some(ticket))
        }
        Err(failure) => {
            discard(request.into_body()).await;
            (failure.into_response(), None)
        }
    };
    if let Some(ticket) = ticket {
        response = ticket.until_sent(response);
    }
    span.record("http.response.status_code", response.status().as_u16());
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    headers.entry(OPENER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    response
}

/// The checks before routing.
fn first_steps(app: &App, request: &Request) -> Result<Ticket, Failure> {
    app.hosts.check(request.uri(), request.headers())?;
    let occupant: Option<&Occupant> = request.extensions().get();
    let Some(occupant) = occupant.cloned() else {
        // Every connection of this server has one.
        return Err(Failure::of(
            ErrorCode::Unavailable,
            "the request came by no connection: that is a fault of the server",
        ));
    };
    let client = app.client(request.extensions(), request.headers());
    Ok(app.admission.address(client, occupant, request.headers())?)
}

async fn not_found(method: Method, uri: Uri, headers: HeaderMap, _: Refused) -> Response {
    if !uri.path().starts_with("/api/") && admin::is_for_a_person(&method, &headers) {
        return admin::not_found();
    }
    let message = format!("nothing is at {}; the API is under /api/v1/", uri.path());
    Failure::of(ErrorCode::NotFound, message).into_response()
}

async fn wrong_method(method: Method, uri: Uri, _: Refused) -> Failure {
    let message = format!("{} does not take {method}; see the Allow header for what it takes", uri.path());
    Failure::invalid(message).with_status(StatusCode::METHOD_NOT_ALLOWED)
}
