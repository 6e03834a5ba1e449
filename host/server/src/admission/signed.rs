//! The steps `signature` to `body`, for requests with a signature or the operator's token.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bg_charm_api::Actor;
use bg_charm_api::wire::ErrorCode;
use bg_charm_runtime::LocalHandle;
use bg_identity::http_signature::{SignatureError, verify_head};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::bodies::{Bodies, Received};
use super::{Permit, Right, Sender, Ticket, discard};
use crate::answer::Failure;
use crate::app::App;
use crate::login::bearer;

const SIGNATURE_HEADERS: [&str; 3] = ["signature-input", "signature", "content-digest"];

/// Marks an endpoint whose requests run a charm's program. Like [`Right`], an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunsGuest;

/// An admitted request: the runtime on the signer's behalf, and the body of at most `LIMIT` bytes (`NO_BODY`: none).
pub(crate) struct Signed<const LIMIT: usize> {
    pub(crate) caller: LocalHandle,
    body: Received,
    /// The permit to run a guest.
    _call: Option<Permit>,
    /// Its connection and its permit: work that outlives the request keeps them by owning this.
    _ticket: Ticket,
}

impl<const LIMIT: usize> Signed<LIMIT> {
    /// The body, or nothing.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body.bytes
    }

    /// Reads the body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(self.body())
            .map_err(|error| Failure::invalid(format!("the body is not the expected JSON: {error}")))
    }
}

impl<const LIMIT: usize> FromRequest<Arc<App>> for Signed<LIMIT> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        match Admitted::new(&mut parts, app, LIMIT).await {
            Ok(admitted) => admitted.receive(&parts.headers, body, app).await,
            Err(failure) => {
                // A refused body is discarded, but read up to some length, so that the client can read the error.
                discard(body).await;
                Err(failure)
            }
        }
    }
}

/// A request of which everything but the body was checked.
struct Admitted {
    actor: Actor,
    sender: Sender,
    /// The digest of the body, if it is signed.
    head: Option<bg_identity::http_signature::Head>,
    call: Option<Permit>,
    ticket: Ticket,
    limit: usize,
}

impl Admitted {
    async fn new(parts: &mut Parts, app: &Arc<App>, limit: usize) -> Result<Self, Failure> {
        let ticket: Ticket = parts.extensions.get().cloned().ok_or_else(|| outside("a ticket"))?;
        // The router has refused other names; this one is signed.
        let authority = app.hosts.check(&parts.uri, &parts.headers)?;
        if let Some(token) = bearer(&parts.headers) {
            if !app.logins.is_token(token) {
                ticket.check_rate()?;
                app.login_rate.take(&app.client(&parts.extensions, &parts.headers).network())?;
                let message = "the Authorization header has another token than the operator's";
                return Err(Failure::of(ErrorCode::Signature, message));
            }
            ticket.admit_operator();
            Bodies::check_announced(&parts.headers, limit)?;
            let (actor, sender) = (Actor::Operator, Sender::operator());
            return Ok(Self { actor, sender, head: None, call: None, ticket, limit });
        }
        if let Some(missing) = SIGNATURE_HEADERS.into_iter().find(|name| !parts.headers.contains_key(*name)) {
            ticket.check_rate()?;
            return Err(SignatureError::Missing(missing).into());
        }

        let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let verified =
            verify_head(&parts.method, authority.as_str(), path_and_query, &parts.headers, SystemTime::now());
        let head = match verified {
            Ok(head) => head,
            Err(error) => {
                ticket.check_rate()?;
                return Err(error.into());
            }
        };
        let did = head.verified.did.clone();
        let client = app.client(&parts.extensions, &parts.headers);
        let sender = app.admission.signer(&did, client)?;
        if !sender.is_operator() {
            ticket.check_rate()?;
        }

        let right: Right = parts.extensions.get().copied().ok_or_else(|| outside("a right"))?;
        let actor = Actor::Did(did);
        app.admission.rights(&actor, right.of(parts, app).await?).await?;
        Bodies::check_announced(&parts.headers, limit)?;

        let runs_guest = parts.extensions.get::<RunsGuest>().is_some();
        let call = if runs_guest { Some(app.admission.call(&sender).await?) } else { None };
        let place = app.admission.place(&sender).await?;
        if sender.is_operator() {
            ticket.admit_operator();
        }
        app.admission.nonce(&head.verified, &sender).await?;
        ticket.admit(place);
        Ok(Self { actor, sender, head: Some(head), call, ticket, limit })
    }

    /// Step `body`.
    async fn receive<const LIMIT: usize>(
        self,
        headers: &HeaderMap,
        body: Body,
        app: &Arc<App>,
    ) -> Result<Signed<LIMIT>, Failure> {
        let Self { actor, sender, head, call, ticket, limit } = self;
        let body = app.admission.bodies.receive(headers, body, limit, &sender).await?;
        if let Some(head) = head {
            head.check_body(&body.bytes)?;
        }
        if !body.bytes.is_empty() {
            check_type(headers)?;
        }
        Ok(Signed { caller: app.runtime.as_actor(actor), body, _call: call, _ticket: ticket })
    }
}

/// The router always sets it.
fn outside(what: &str) -> Failure {
    Failure::of(ErrorCode::Unavailable, format!("the request came without {what}: that is a fault of the server"))
}

/// A body is JSON. Its Content-Type is optional, and not signed: checking it only helps to find mistakes.
fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(said) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = said.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("the body must be JSON, and its Content-Type application/json; it is {said:?}");
    Err(Failure::invalid(message).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}
