//! Requests that are signed, and on whose behalf they are made.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{FromRequest, Request};
use bg_charms::{Actor, LocalHandle};
use bg_identity::http_signature::{SignatureError, verify};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::answer::Failure;
use crate::app::App;
use crate::body::discard;

const SIGNATURE_HEADERS: [&str; 3] = ["signature-input", "signature", "content-digest"];

/// A request with a good signature: the runtime on the signer's behalf, and the body, which has at most `LIMIT` bytes.
pub(crate) struct Signed<const LIMIT: usize> {
    pub(crate) caller: LocalHandle,
    body: Bytes,
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
        let authority = match app.hosts.check(&parts.uri, &parts.headers) {
            Ok(authority) => authority,
            Err(error) => {
                discard(body).await;
                return Err(error.into());
            }
        };
        // Without a signature there is no reason to hold a body.
        if let Some(missing) = SIGNATURE_HEADERS.into_iter().find(|name| !parts.headers.contains_key(*name)) {
            discard(body).await;
            return Err(SignatureError::Missing(missing).into());
        }
        let body = app.bodies.receive(&parts.headers, body, LIMIT).await?;
        let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let now = SystemTime::now();
        let verified = verify(&parts.method, authority.as_str(), path_and_query, &parts.headers, &body, now)?;
        app.nonces.accept(&verified, now)?;
        Ok(Self { caller: app.runtime.as_actor(Actor::Did(verified.did)), body })
    }
}
