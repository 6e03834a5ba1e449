//! Errors of the API, as problem details (RFC 9457).

use std::fmt;

use bg_identity::SpaceDid;
use bg_poller::{Blame, Cause, CharmRef, RuntimeError, Scope, known};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The prefix of each problem's type.
const TYPE: &str = "urn:bg-wasm-host:problem:";

/// The kinds of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// 403: no access to a space.
    Authorization,
    /// 404: no such charm or space, or no such endpoint.
    NotFound,
    /// 422: the charm cannot be used this way.
    Unfit,
    /// 400: the request is wrong.
    Invalid,
    /// 507: a quota is exceeded.
    Quota,
    /// 503: the runtime, or a part of it, failed.
    Unavailable,
    /// 401: the request's signature is missing or wrong.
    Signature,
    /// 400: the event is sent again and unknown to the server; it is unknown whether it was handled.
    UnknownEvent,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 8] = [
        Self::Authorization,
        Self::NotFound,
        Self::Unfit,
        Self::Invalid,
        Self::Quota,
        Self::Unavailable,
        Self::Signature,
        Self::UnknownEvent,
    ];

    /// The name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::NotFound => "not-found",
            Self::Unfit => "unfit",
            Self::Invalid => "invalid",
            Self::Quota => "quota",
            Self::Unavailable => "unavailable",
            Self::Signature => "signature",
            Self::UnknownEvent => "unknown-event",
        }
    }

    /// Its meaning in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Authorization => "No access",
            Self::NotFound => "Not found",
            Self::Unfit => "The charm cannot be used this way",
            Self::Invalid => "The request is wrong",
            Self::Quota => "Quota exceeded",
            Self::Unavailable => "Something is unavailable",
            Self::Signature => "The request is not authenticated",
            Self::UnknownEvent => "Unknown whether the event was handled",
        }
    }

    /// Its HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Authorization => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unfit => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Invalid | Self::UnknownEvent => StatusCode::BAD_REQUEST,
            Self::Quota => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Signature => StatusCode::UNAUTHORIZED,
        }
    }
}

/// An error as problem details (RFC 9457): the body of every response that is not a success, except for the original's
/// registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Read", into = "Written")]
pub struct Problem {
    /// The kind of error.
    pub code: ErrorCode,
    /// The response's status; usually the code's.
    pub status: StatusCode,
    /// What happened and what to do, for people.
    pub detail: String,
    /// With `authorization`: the space. With `not-found`: the missing space, if it is a space.
    pub space: Option<SpaceDid>,
    /// With `not-found`: the missing charm.
    pub charm: Option<CharmRef>,
    /// With `unavailable`: what did not respond; the whole runtime if `None`.
    pub scope: Option<Scope>,
    /// With `unfit`: the blame, if it is not the charm's: its credential, or the operator's configuration.
    pub blame: Option<Blame>,
    /// With `unfit` and `unavailable`: what exactly was the cause, where it is known.
    pub cause: Option<Cause>,
}

/// The members of a problem, as they are sent.
#[derive(Serialize, JsonSchema)]
struct Written {
    /// A name for the kind of error, not an address: `urn:bg-wasm-host:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of error in a few words.
    title: &'static str,
    /// The response's status, repeated.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What happened and what to do, for people.
    detail: String,
    /// The kind of error.
    code: ErrorCode,
    /// With `authorization`: the space to which access is missing. With `not-found`: the space that does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SpaceDid")]
    space: Option<SpaceDid>,
    /// With `not-found`: the charm that does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CharmRef")]
    charm: Option<CharmRef>,
    /// With `unavailable`: what did not respond; the runtime if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Scope")]
    scope: Option<Scope>,
    /// With `unfit`: the blame, if it is not the charm's: its credential, or the operator's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Blame")]
    blame: Option<Blame>,
    /// With `unfit` and `unavailable`: what exactly was the cause, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    cause: Option<Cause>,
}

/// The members as read. Servers from before problem details send `error` in place of `detail`, and no status.
#[derive(Deserialize, JsonSchema)]
struct Read {
    code: ErrorCode,
    status: Option<u16>,
    #[serde(alias = "error")]
    detail: String,
    space: Option<SpaceDid>,
    charm: Option<CharmRef>,
    #[serde(default, deserialize_with = "known")]
    scope: Option<Scope>,
    #[serde(default, deserialize_with = "known")]
    blame: Option<Blame>,
    #[serde(default, deserialize_with = "known")]
    #[schemars(with = "Option<String>")]
    cause: Option<Cause>,
}

impl From<Problem> for Written {
    fn from(problem: Problem) -> Self {
        let Problem { code, status, detail, space, charm, scope, blame, cause } = problem;
        let kind = format!("{TYPE}{}", code.as_str());
        Self { kind, title: code.title(), status: status.as_u16(), detail, code, space, charm, scope, blame, cause }
    }
}

impl From<Read> for Problem {
    fn from(read: Read) -> Self {
        let Read { code, status, detail, space, charm, scope, blame, cause } = read;
        let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(code.status());
        Self { code, status, detail, space, charm, scope, blame, cause }
    }
}

/// The prefix of an authorization error's text.
const AUTHORIZATION: &str = "AuthorizationError: ";

impl Problem {
    /// The media type of such a body.
    pub const MEDIA_TYPE: &str = "application/problem+json";

    /// The space does not exist.
    pub fn no_space(space: SpaceDid, detail: impl Into<String>) -> Self {
        Self { space: Some(space), ..Self::new(ErrorCode::NotFound, detail) }
    }

    /// An error without further members.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let (status, detail) = (code.status(), detail.into());
        Self { code, status, detail, space: None, charm: None, scope: None, blame: None, cause: None }
    }

    /// Whether somebody can fix it, so that the request succeeds afterwards.
    fn may_be_unmet(cause: Cause) -> bool {
        matches!(cause.blame(), Blame::Charm | Blame::Credential | Blame::Configuration)
    }

    /// An error with its cause.
    fn by(cause: Cause, code: ErrorCode, detail: String) -> Self {
        Self { cause: Some(cause), ..Self::new(code, detail) }
    }

    /// The error for a client of the server at `url`.
    pub fn into_error(self, url: &url::Url) -> RuntimeError {
        let Self { code, status, detail, space, charm, scope, blame, cause } = self;
        if status == StatusCode::TOO_MANY_REQUESTS {
            // Says nothing about a charm.
            return RuntimeError::unavailable_by(
                Cause::RuntimeBusy,
                format!("{url} asks for fewer requests: {detail}"),
            );
        }
        match (code, space, charm) {
            (ErrorCode::Authorization, space, _) => RuntimeError::Authorization {
                space: space.unwrap_or_else(bg_identity::system_space),
                message: detail.strip_prefix(AUTHORIZATION).map_or(detail.clone(), str::to_owned),
            },
            (ErrorCode::NotFound, _, Some(charm)) => RuntimeError::NotFound(charm),
            (ErrorCode::Unfit, ..) => match (cause, blame) {
                (Some(cause), _) if Self::may_be_unmet(cause) => RuntimeError::unmet(cause, detail),
                // An earlier version of the server, or a later one with another cause.
                (_, Some(Blame::Credential)) => RuntimeError::unmet(Cause::SignInMissing, detail),
                (_, Some(Blame::Configuration)) => RuntimeError::unmet(Cause::CredentialRefused, detail),
                _ => RuntimeError::Unfit(detail),
            },
            (ErrorCode::Quota, ..) => RuntimeError::Quota(detail),
            // As a local runtime reports a missing space.
            (ErrorCode::Invalid, ..) | (ErrorCode::NotFound, Some(_), None) => RuntimeError::Invalid(detail),
            (ErrorCode::NotFound, ..) => RuntimeError::unavailable(format!("{url}: {detail}")),
            // The other side made the text with this error's `Display`.
            (ErrorCode::Unavailable, ..) => {
                let inner = detail.strip_prefix("the charm runtime is unavailable: ").unwrap_or(&detail);
                match (scope.unwrap_or(Scope::Runtime), cause) {
                    (scope, Some(cause)) if Scope::of(cause) == scope => RuntimeError::unavailable_by(cause, inner),
                    (scope, _) => RuntimeError::unavailable_in(scope, inner),
                }
            }
            (ErrorCode::UnknownEvent, ..) => RuntimeError::unavailable_in(Scope::Charm, format!("{url}: {detail}")),
            // The caller is not accepted; this says nothing about a charm.
            (ErrorCode::Signature, ..) => {
                RuntimeError::unavailable(format!("{url} does not accept the signature: {detail}"))
            }
        }
    }
}

impl From<&RuntimeError> for Problem {
    fn from(error: &RuntimeError) -> Self {
        let text = error.to_string();
        match error {
            RuntimeError::Authorization { space, .. } => {
                Self { space: Some(space.clone()), ..Self::new(ErrorCode::Authorization, text) }
            }
            RuntimeError::NotFound(charm) => {
                Self { charm: Some(charm.clone()), ..Self::new(ErrorCode::NotFound, text) }
            }
            RuntimeError::Unfit(_) => Self::new(ErrorCode::Unfit, text),
            RuntimeError::Invalid(_) => Self::new(ErrorCode::Invalid, text),
            RuntimeError::Quota(_) => Self::new(ErrorCode::Quota, text),
            RuntimeError::Unmet { cause, .. } => {
                let blame = Some(cause.blame()).filter(|blame| *blame != Blame::Charm);
                Self { blame, ..Self::by(*cause, ErrorCode::Unfit, text) }
            }
            RuntimeError::Unavailable { scope, cause, .. } => {
                Self { scope: Some(*scope), ..Self::by(*cause, ErrorCode::Unavailable, text) }
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did, system_space};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_is_the_same_on_the_other_side() {
        let errors = [
            RuntimeError::Authorization { space: system_space(), message: "x has no access".into() },
            RuntimeError::NotFound(CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") }),
            RuntimeError::Unfit("no stream".into()),
            RuntimeError::Invalid("not a DID".into()),
            RuntimeError::Quota("too many charms".into()),
            RuntimeError::unmet(Cause::SignInEnded, "authorize the charm again"),
            RuntimeError::unmet(Cause::NoRefreshUrl, "--oauth-refresh-url"),
            RuntimeError::unmet(Cause::Damaged, "the cell x is damaged"),
            RuntimeError::unavailable("it does not answer"),
            RuntimeError::unavailable_by(Cause::StorageFull, "the disk is full"),
            RuntimeError::unavailable_by(Cause::TokenServiceBusy, "says 429"),
            RuntimeError::unavailable_in(Scope::Charm, "its turn did not come"),
            RuntimeError::unavailable_in(Scope::Space, "its access list is damaged"),
            RuntimeError::unavailable_in(Scope::Upstream, "the token service is away"),
        ];
        let too_many = Problem { status: StatusCode::TOO_MANY_REQUESTS, ..Problem::new(ErrorCode::Invalid, "wait") };
        assert!(too_many.into_error(&"http://localhost:8000".parse().unwrap()).is_unavailable());
        for error in errors {
            let body = serde_json::to_string(&Problem::from(&error)).unwrap();
            let read: Problem = serde_json::from_str(&body).unwrap();
            assert_eq!(read.detail, error.to_string());
            assert_eq!(read.into_error(&"http://localhost:8000".parse().unwrap()), error);
        }
    }

    #[test]
    fn a_missing_space_is_the_callers_fault_and_not_the_runtimes() {
        let problem = Problem::no_space(space_did("none"), "there is no space");
        assert_eq!((problem.code, problem.status.as_u16()), (ErrorCode::NotFound, 404));
        let read: Problem = serde_json::from_value(serde_json::to_value(&problem).unwrap()).unwrap();
        assert_eq!(read, problem);
        let error = read.into_error(&"http://localhost:8000".parse().unwrap());
        assert_eq!(error, RuntimeError::Invalid("there is no space".into()));
    }

    #[test]
    fn codes_are_written_in_kebab_case_and_have_a_status_each() {
        assert!(ErrorCode::ALL.iter().all(|code| serde_json::to_value(code).unwrap() == code.as_str()));
        let codes = ErrorCode::ALL.map(|code| (code.as_str(), code.status().as_u16()));
        let expected = [
            ("authorization", 403),
            ("not-found", 404),
            ("unfit", 422),
            ("invalid", 400),
            ("quota", 507),
            ("unavailable", 503),
            ("signature", 401),
            ("unknown-event", 400),
        ];
        assert_eq!(codes, expected);
    }

    #[test]
    fn a_problem_is_written_as_in_rfc_9457() {
        let charm = CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") };
        let problem = Problem::from(&RuntimeError::NotFound(charm.clone()));
        let expected = json!({
            "type": "urn:bg-wasm-host:problem:not-found", "title": "Not found", "status": 404,
            "detail": RuntimeError::NotFound(charm.clone()).to_string(), "code": "not-found", "charm": charm,
        });
        assert_eq!(serde_json::to_value(problem).unwrap(), expected);
        let too_large =
            Problem { status: StatusCode::PAYLOAD_TOO_LARGE, ..Problem::new(ErrorCode::Invalid, "too large") };
        assert_eq!(serde_json::to_value(&too_large).unwrap()["status"], 413);
        assert_eq!(serde_json::from_value::<Problem>(serde_json::to_value(&too_large).unwrap()).unwrap(), too_large);
    }

    #[test]
    fn an_error_of_an_older_server_is_read() {
        let read = |json| serde_json::from_value::<Problem>(json);
        assert_eq!(read(json!({"error": "no", "code": "unfit"})).unwrap(), Problem::new(ErrorCode::Unfit, "no"));
        let later = json!({"detail": "no", "code": "unfit", "scope": "planet", "blame": 7, "cause": "sunspots"});
        assert_eq!(read(later).unwrap(), Problem::new(ErrorCode::Unfit, "no"));
        let away = read(json!({"detail": "no", "code": "unavailable"})).unwrap();
        assert_eq!(away.into_error(&"http://localhost:8000".parse().unwrap()), RuntimeError::unavailable("no"));
        let strange = json!({"detail": "no", "code": "unfit", "status": 7});
        assert_eq!(read(strange).unwrap(), Problem::new(ErrorCode::Unfit, "no"));
        for other in [json!({"error": "no"}), json!({"code": "unfit"}), json!({"detail": "no", "code": "other"})] {
            assert!(read(other.clone()).is_err(), "{other}");
        }
    }
}
