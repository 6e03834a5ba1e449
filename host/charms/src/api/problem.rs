//! What the API answers when it does not do what was asked.

use std::fmt;

use bg_identity::SpaceDid;
use bg_poller::{CharmRef, RuntimeError};
use serde::{Deserialize, Serialize};

/// The kinds of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// 403: no access to a space.
    Authorization,
    /// 404: no such charm, or no such endpoint.
    NotFound,
    /// 422: the charm cannot be used so.
    Unfit,
    /// 400: the request is wrong.
    Invalid,
    /// 503: the runtime failed.
    Unavailable,
    /// 401: the request's signature is missing or wrong.
    Signature,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 6] =
        [Self::Authorization, Self::NotFound, Self::Unfit, Self::Invalid, Self::Unavailable, Self::Signature];

    /// The HTTP status that goes with it.
    pub fn status(self) -> http::StatusCode {
        match self {
            Self::Authorization => http::StatusCode::FORBIDDEN,
            Self::NotFound => http::StatusCode::NOT_FOUND,
            Self::Unfit => http::StatusCode::UNPROCESSABLE_ENTITY,
            Self::Invalid => http::StatusCode::BAD_REQUEST,
            Self::Unavailable => http::StatusCode::SERVICE_UNAVAILABLE,
            Self::Signature => http::StatusCode::UNAUTHORIZED,
        }
    }
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What happened and what to do, for people.
    pub error: String,
    /// What kind of error.
    pub code: ErrorCode,
    /// With `authorization`: to which space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceDid>,
    /// With `not-found`: which charm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charm: Option<CharmRef>,
}

/// What the text of an authorization error starts with.
const AUTHORIZATION: &str = "AuthorizationError: ";

impl ErrorBody {
    /// An error that is about nothing in particular.
    pub fn new(code: ErrorCode, error: impl Into<String>) -> Self {
        Self { error: error.into(), code, space: None, charm: None }
    }

    /// The error that a client sees; `url` is where it came from.
    pub fn into_error(self, url: &url::Url) -> RuntimeError {
        let Self { error, code, space, charm } = self;
        match (code, space, charm) {
            (ErrorCode::Authorization, space, _) => RuntimeError::Authorization {
                space: space.unwrap_or_else(bg_identity::system_space),
                message: error.strip_prefix(AUTHORIZATION).map_or(error.clone(), str::to_owned),
            },
            (ErrorCode::NotFound, _, Some(charm)) => RuntimeError::NotFound(charm),
            (ErrorCode::Unfit, ..) => RuntimeError::Unfit(error),
            (ErrorCode::Invalid, ..) => RuntimeError::Invalid(error),
            (ErrorCode::NotFound, ..) => RuntimeError::Unavailable(format!("{url}: {error}")),
            // The text was made by this error's own display at the other side.
            (ErrorCode::Unavailable, ..) => {
                let inner = error.strip_prefix("the charm runtime is unavailable: ").unwrap_or(&error);
                RuntimeError::Unavailable(inner.to_owned())
            }
            // It is the caller that is not accepted, not what it asks: nothing that was said of a charm.
            (ErrorCode::Signature, ..) => {
                RuntimeError::Unavailable(format!("{url} does not accept the signature: {error}"))
            }
        }
    }
}

impl From<&RuntimeError> for ErrorBody {
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
            RuntimeError::Unavailable(_) => Self::new(ErrorCode::Unavailable, text),
        }
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did, system_space};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_is_the_same_at_the_other_side() {
        let errors = [
            RuntimeError::Authorization { space: system_space(), message: "x has no access".into() },
            RuntimeError::NotFound(CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") }),
            RuntimeError::Unfit("no stream".into()),
            RuntimeError::Invalid("not a DID".into()),
            RuntimeError::Unavailable("the disk is full".into()),
        ];
        for error in errors {
            let body = serde_json::to_string(&ErrorBody::from(&error)).unwrap();
            let read: ErrorBody = serde_json::from_str(&body).unwrap();
            assert_eq!(read.error, error.to_string());
            assert_eq!(read.into_error(&"http://localhost:8000".parse().unwrap()), error);
        }
    }

    #[test]
    fn codes_are_written_in_kebab_case_and_have_a_status_each() {
        let codes = ErrorCode::ALL.map(|code| (serde_json::to_value(code).unwrap(), code.status().as_u16()));
        let expected = [
            ("authorization", 403),
            ("not-found", 404),
            ("unfit", 422),
            ("invalid", 400),
            ("unavailable", 503),
            ("signature", 401),
        ];
        assert_eq!(codes, expected.map(|(name, status)| (json!(name), status)));
    }
}
