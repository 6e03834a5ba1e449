//! Why a call of an integration fails.

use std::fmt;

use crate::charms::CharmError;
use crate::http::HttpError;
use crate::state::StateError;

/// Why a call failed; shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Worth trying again at the next interval: a service that did not answer, a rate limit.
    Temporary(String),
    /// Will not go away by itself: a bad configuration, a missing grant.
    Permanent(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temporary(reason) | Self::Permanent(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

impl From<CharmError> for Error {
    fn from(error: CharmError) -> Self {
        match error {
            CharmError::Malformed(_) => Self::Permanent(error.to_string()),
            // A charm that is not found may have been removed after it was named.
            CharmError::NotFound | CharmError::Unavailable(_) => Self::Temporary(error.to_string()),
        }
    }
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        match error {
            StateError::TooLarge(_) | StateError::Json { .. } => Self::Permanent(error.to_string()),
            StateError::Unavailable(_) => Self::Temporary(error.to_string()),
        }
    }
}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Denied(_) | HttpError::Malformed(_) => Self::Permanent(error.to_string()),
            HttpError::Limit(_) | HttpError::Timeout | HttpError::Network(_) => Self::Temporary(error.to_string()),
        }
    }
}
