//! Requests that are signed, and on whose behalf they are made.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bg_charms::api::ErrorCode;
use bg_charms::{Actor, LocalHandle};
use bg_identity::http_signature::{SignatureError, verify};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::answer::Failure;
use crate::app::App;
use crate::body::discard;
use crate::login::bearer;

const SIGNATURE_HEADERS: [&str; 3] = ["signature-input", "signature", "content-digest"];

/// A request with a good signature: the runtime on the signer's behalf, and the body, which has at most `LIMIT` bytes: none
/// with `NO_BODY`.
pub(crate) struct Signed<const LIMIT: usize> {
    pub(crate) caller: LocalHandle,
    pub(crate) body: Bytes,
}

impl<const LIMIT: usize> Signed<LIMIT> {
    /// Reads the body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::invalid(format!("the body is not the expected JSON: {error}")))
    }
}

impl<const LIMIT: usize> FromRequest<Arc<App>> for Signed<LIMIT> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        // The router has refused other names; this one is part of what is signed.
        let authority = app.hosts.check(&parts.uri, &parts.headers)?;
        if let Some(token) = bearer(&parts.headers) {
            return Self::by_token(app, &parts, body, token).await;
        }
        // Without a signature there is no reason to hold a body.
        if let Some(missing) = SIGNATURE_HEADERS.into_iter().find(|name| !parts.headers.contains_key(*name)) {
            discard(body).await;
            return Err(SignatureError::Missing(missing).into());
        }
        let body = app.bodies.receive(&parts.headers, body, LIMIT).await?;
        let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let verified =
            verify(&parts.method, authority.as_str(), path_and_query, &parts.headers, &body, SystemTime::now())?;
        app.nonces.accept(&verified, Instant::now())?;
        if !body.is_empty() {
            check_type(&parts.headers)?;
        }
        Ok(Self { caller: app.runtime.as_actor(Actor::Did(verified.did)), body })
    }
}

impl<const LIMIT: usize> Signed<LIMIT> {
    /// The operator's own token in place of a signature: for tools that sign nothing.
    async fn by_token(app: &Arc<App>, parts: &Parts, body: Body, token: &str) -> Result<Self, Failure> {
        if !app.logins.is_token(token) {
            discard(body).await;
            app.login_rate.take(app.client(&parts.extensions, &parts.headers))?;
            return Err(Failure::of(
                ErrorCode::Signature,
                "the Authorization header has another token than the operator's",
            ));
        }
        let body = app.bodies.receive(&parts.headers, body, LIMIT).await?;
        if !body.is_empty() {
            check_type(&parts.headers)?;
        }
        Ok(Self { caller: app.runtime.as_actor(Actor::Operator), body })
    }
}

/// A body is JSON, and may say so. (What it says is not signed, so it only helps to find mistakes.)
fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(said) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = said.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("the body must be JSON, and its Content-Type application/json; it is {said:?}");
    Err(Failure::invalid(message).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}
