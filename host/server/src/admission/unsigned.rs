//! Requests that need neither a signature nor a body.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};

use super::{Ticket, discard};
use crate::answer::Failure;
use crate::app::App;
use crate::options::NO_BODY;

/// A request without a body.
pub(crate) struct Unsigned;

impl FromRequest<Arc<App>> for Unsigned {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let ticket: Option<&Ticket> = parts.extensions.get();
        if let Some(Err(too_many)) = ticket.map(Ticket::check_rate) {
            discard(body).await;
            return Err(too_many.into());
        }
        app.admission.bodies.receive_small::<NO_BODY>(&parts.headers, body).await?;
        Ok(Self)
    }
}

/// A request that is refused regardless of its body.
pub(crate) struct Refused;

impl FromRequest<Arc<App>> for Refused {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Infallible> {
        discard(request.into_body()).await;
        Ok(Self)
    }
}
