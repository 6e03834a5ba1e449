//! Google's answers: JSON, and its form of errors.

use std::borrow::Cow;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error in Google's form: `{"error": {code, message, errors: [{message, domain, reason}], status, details}}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    name: &'static str,
    domain: &'static str,
    reason: &'static str,
    message: Cow<'static, str>,
    /// The reason in its newer form, within `details`.
    detail: Option<&'static str>,
}

/// The reason of a token that was not issued for what is asked.
const SCOPE_INSUFFICIENT: &str = "ACCESS_TOKEN_SCOPE_INSUFFICIENT";

/// A refusal as the real Google sends it, each with its own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 429 `rateLimitExceeded`.
    TooManyRequests,
    /// 403 `rateLimitExceeded`.
    RateLimit,
    /// 403 `userRateLimitExceeded`.
    UserRateLimit,
    /// 403 `dailyLimitExceeded`.
    DailyLimit,
    /// 403 `domainPolicy`: the administrators of the domain have disabled the API.
    DomainPolicy,
    /// 403 `accessNotConfigured`: the project has not enabled the API.
    NotConfigured,
    /// 403 `ACCESS_TOKEN_SCOPE_INSUFFICIENT`.
    MissingScope,
    /// 400 `failedPrecondition`: the account has no Gmail.
    NoMailbox,
    /// 503 `backendError`.
    Backend,
    /// 401 `authError`, as after the end of a token.
    Unauthorized,
}

impl Refusal {
    pub(crate) fn failure(self) -> Failure {
        const EXHAUSTED: &str = "RESOURCE_EXHAUSTED";
        const DENIED: &str = "PERMISSION_DENIED";
        const USAGE: &str = "usageLimits";
        let (status, name, domain, reason, message, detail) = match self {
            Self::TooManyRequests => {
                let text = "Resource has been exhausted (e.g. check quota).";
                (429, EXHAUSTED, "global", "rateLimitExceeded", text, None)
            }
            Self::RateLimit => {
                let text = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service \
                            'gmail.googleapis.com' for consumer 'project_number:123456789012'.";
                (403, DENIED, USAGE, "rateLimitExceeded", text, Some("RATE_LIMIT_EXCEEDED"))
            }
            Self::UserRateLimit => (403, DENIED, USAGE, "userRateLimitExceeded", "User Rate Limit Exceeded", None),
            Self::DailyLimit => (403, DENIED, USAGE, "dailyLimitExceeded", "Daily Limit Exceeded", None),
            Self::DomainPolicy => {
                (403, DENIED, "global", "domainPolicy", "The domain administrators have disabled Gmail apps.", None)
            }
            Self::NotConfigured => {
                let text = "Gmail API has not been used in project 123456789012 before or it is disabled. Enable it by visiting \
                            https://console.developers.google.com/apis/api/gmail.googleapis.com/overview?project=123456789012 \
                            then retry. If you enabled this API recently, wait a few minutes for the action to propagate to \
                            our systems and retry.";
                (403, DENIED, USAGE, "accessNotConfigured", text, Some("SERVICE_DISABLED"))
            }
            Self::MissingScope => {
                let text = "Request had insufficient authentication scopes.";
                let detail = Some(SCOPE_INSUFFICIENT);
                (403, DENIED, "global", "insufficientPermissions", text, detail)
            }
            Self::Unauthorized => (401, "UNAUTHENTICATED", "global", "authError", "Invalid Credentials", None),
            Self::NoMailbox => {
                (400, "FAILED_PRECONDITION", "global", "failedPrecondition", "Mail service not enabled", None)
            }
            Self::Backend => {
                (503, "UNAVAILABLE", "global", "backendError", "The service is currently unavailable.", None)
            }
        };
        let status = StatusCode::from_u16(status).expect("these are statuses");
        Failure { status, name, domain, reason, message: message.into(), detail }
    }
}

pub(crate) type Answer = Result<Value, Failure>;

impl Failure {
    fn new(status: StatusCode, name: &'static str, reason: &'static str, message: &str) -> Self {
        Self { status, name, domain: "global", reason, message: message.to_owned().into(), detail: None }
    }

    /// A status without a meaning here.
    pub(crate) fn of_status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, "FAILED_PRECONDITION", "failedPrecondition", "Precondition check failed.")
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

    pub(crate) fn sync_token_mismatch() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "invalid", "Invalid sync token value.")
    }
}

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn json(&self) -> Value {
        let one = json!({ "message": self.message, "domain": self.domain, "reason": self.reason });
        let mut error = json!({
            "code": self.status.as_u16(),
            "message": self.message,
            "errors": [one],
            "status": self.name,
        });
        if let Some(reason) = self.detail {
            let kind = "type.googleapis.com/google.rpc.ErrorInfo";
            error["details"] = json!([{ "@type": kind, "reason": reason, "domain": "googleapis.com" }]);
        }
        json!({ "error": error })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = body_of(self.status, &self.json());
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.detail == Some(SCOPE_INSUFFICIENT) {
            let challenge = "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\"";
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static(challenge));
        }
        response
    }
}

/// A JSON response with the Content-Type that Google's APIs send.
pub(crate) fn body_of(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=UTF-8")], body.to_string()).into_response()
}
