//! Google's answers: JSON, and its form of errors.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error in Google's form: `{"error": {code, message, errors: [{message, domain, reason}], status}}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    name: &'static str,
    reason: &'static str,
    message: String,
}

pub(crate) type Answer = Result<Value, Failure>;

impl Failure {
    fn new(status: StatusCode, name: &'static str, reason: &'static str, message: &str) -> Self {
        Self { status, name, reason, message: message.to_owned() }
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "invalidArgument", message)
    }

    pub(crate) fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "authError", message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "notFound", "Requested entity was not found.")
    }

    pub(crate) fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNIMPLEMENTED", "httpMethodNotAllowed", "Method not allowed.")
    }

    pub(crate) fn delegation_denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", "forbidden", "Delegation denied.")
    }

    pub(crate) fn sync_token_expired() -> Self {
        let message = "Sync token is no longer valid, a full sync is required.";
        Self::new(StatusCode::GONE, "FAILED_PRECONDITION", "fullSyncRequired", message)
    }

    pub(crate) fn rate_limited() -> Self {
        let message = "Resource has been exhausted (e.g. check quota).";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", "rateLimitExceeded", message)
    }
}

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn json(&self) -> Value {
        let one = json!({ "message": self.message, "domain": "global", "reason": self.reason });
        json!({ "error": {
            "code": self.status.as_u16(),
            "message": self.message,
            "errors": [one],
            "status": self.name,
        }})
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = body_of(self.status, &self.json());
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A JSON response with the Content-Type that Google's APIs send.
pub(crate) fn body_of(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=UTF-8")], body.to_string()).into_response()
}
