//! Access to the pages.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Redirect, Response};
use bg_charm_api::Actor;
use bg_charm_runtime::LocalHandle;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, StatusCode};

use super::{link, page};
use crate::admission::{Ticket, discard};
use crate::app::App;
use crate::login::Login;
use crate::options::FORM_BODY;
use crate::origins::Source;

/// A request of the operator.
pub(crate) struct Operator {
    pub(crate) handle: LocalHandle,
    pub(crate) headers: HeaderMap,
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        if app.logins.of(&parts.headers, Instant::now()).is_some() {
            admit(&parts.extensions);
            let handle = app.runtime.as_actor(Actor::Operator);
            return Ok(Self { handle, headers: parts.headers.clone() });
        }
        if is_for_a_person(&parts.method, &parts.headers) {
            let here = parts.uri.path_and_query().map_or("/admin", |here| here.as_str());
            return Err(Redirect::to(&link::login("", here)).into_response());
        }
        Err(page::text(
            StatusCode::UNAUTHORIZED,
            "only the operator may do this; log in at /admin/login, or send the login token as a bearer token",
        ))
    }
}

/// The operator's connection stays open.
fn admit(extensions: &Extensions) {
    if let Some(ticket) = extensions.get::<Ticket>() {
        ticket.admit_operator();
    }
}

/// Whether a person opens a page in a browser.
pub(crate) fn is_for_a_person(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::GET && accepts_html(headers)
}

/// Browsers send this when a person opens a page.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// A request of the operator that changes something. No page of another origin can have sent it.
pub(crate) struct Change {
    pub(crate) handle: LocalHandle,
    pub(crate) form: Form,
}

impl FromRequest<Arc<App>> for Change {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let refused = match app.logins.of(&parts.headers, Instant::now()) {
            None => Some(page::text(StatusCode::UNAUTHORIZED, "only the operator may do this; log in at /admin/login")),
            Some(Login::Session) if Source::of(&parts.headers) != Source::Own => {
                Some(page::text(StatusCode::FORBIDDEN, FOREIGN))
            }
            Some(Login::Session | Login::Token) => None,
        };
        if let Some(refused) = refused {
            discard(body).await;
            return Err(refused);
        }
        admit(&parts.extensions);
        let body = app.admission.bodies.receive_small::<FORM_BODY>(&parts.headers, body).await;
        let body = body.map_err(|error| page::text(StatusCode::BAD_REQUEST, &error.to_string()))?;
        Ok(Self { handle: app.runtime.as_actor(Actor::Operator), form: Form::parse(&body) })
    }
}

/// Why requests of other pages are refused.
pub(super) const FOREIGN: &str = "this was sent by a page of another origin, or by a program that does not say where \
    it comes from; only this server's own pages may do that with the operator's session";

/// The fields of a form.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// The first value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}
