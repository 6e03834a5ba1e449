//! Errors as problem details.

use std::fmt::Display;

use axum::Json;
use axum::response::{IntoResponse, Response};
use bg_charm_api::wire::{ErrorCode, Problem};
use bg_identity::http_signature::SignatureError;
use bg_poller::RuntimeError;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};

use crate::hosts::HostError;
use crate::origins::OriginRefused;

/// An error response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) problem: Problem,
    /// The seconds after which the client may retry, if known.
    pub(crate) retry_after: Option<u64>,
}

impl Failure {
    /// An error of this kind, with its usual status.
    pub(crate) fn of(code: ErrorCode, message: impl Display) -> Self {
        Problem::new(code, message.to_string()).into()
    }

    /// The request is wrong.
    pub(crate) fn invalid(message: impl Display) -> Self {
        Self::of(ErrorCode::Invalid, message)
    }

    /// Sets another status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.problem.status = status;
        self
    }

    /// A response with this body, and with `Retry-After` if known.
    pub(crate) fn answer(&self, status: StatusCode, body: impl IntoResponse) -> Response {
        let mut response = (status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let media_type = HeaderValue::from_static(Problem::MEDIA_TYPE);
        self.answer(self.problem.status, ([(CONTENT_TYPE, media_type)], Json(&self.problem)))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem, retry_after: None }
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Problem::from(&error).into()
    }
}

impl From<SignatureError> for Failure {
    fn from(error: SignatureError) -> Self {
        let code = match error {
            // Not the client's fault; a retry may succeed.
            SignatureError::Busy | SignatureError::Starting(_) => ErrorCode::Unavailable,
            SignatureError::BusySigner => {
                let failure = Self::invalid(&error).with_status(StatusCode::TOO_MANY_REQUESTS);
                return Self { retry_after: Some(MINUTE), ..failure };
            }
            _ => ErrorCode::Signature,
        };
        let retry_after = match error {
            SignatureError::Busy => Some(MINUTE),
            SignatureError::Starting(seconds) => Some(seconds),
            _ => None,
        };
        Self { retry_after, ..Self::of(code, error) }
    }
}

/// When nonces are full, some have expired by then.
const MINUTE: u64 = 60;

impl From<OriginRefused> for Failure {
    fn from(error: OriginRefused) -> Self {
        Self::invalid(error).with_status(StatusCode::FORBIDDEN)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let status = match error {
            HostError::Malformed => StatusCode::BAD_REQUEST,
            HostError::Unknown(_) => StatusCode::MISDIRECTED_REQUEST,
        };
        Self::invalid(error).with_status(status)
    }
}
