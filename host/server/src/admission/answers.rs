//! Responses to requests that are not admitted.

use bg_charm_api::wire::ErrorCode;
use http::StatusCode;

use super::bodies::BodyError;
use super::pool::Full;
use super::rates::TooMany;
use crate::answer::Failure;

/// `Retry-After` when all permits are taken, in seconds.
const MOMENT: u64 = 2;

impl From<Full> for Failure {
    fn from(error: Full) -> Self {
        let failure = match error {
            Full::Share => Self::invalid(error).with_status(StatusCode::TOO_MANY_REQUESTS),
            Full::All => Self::of(ErrorCode::Unavailable, error),
        };
        Self { retry_after: Some(MOMENT), ..failure }
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::Full(full) => return full.into(),
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            BodyError::Unexpected | BodyError::Broken(_) => StatusCode::BAD_REQUEST,
        };
        Self::invalid(error).with_status(status)
    }
}

impl From<TooMany> for Failure {
    fn from(error: TooMany) -> Self {
        let TooMany(seconds) = error;
        Self { retry_after: Some(seconds), ..Self::invalid(error).with_status(StatusCode::TOO_MANY_REQUESTS) }
    }
}
