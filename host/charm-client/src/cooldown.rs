//! Honours `Retry-After`: a runtime that asks for fewer requests gets none for a while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

/// The longest wait that is honoured: a proxy that says "tomorrow" should not stop polling for a day.
const LONGEST: Duration = Duration::from_mins(5);

/// When the runtime takes requests again.
#[derive(Debug, Default)]
pub(crate) struct Cooldown(Mutex<Option<Instant>>);

impl Cooldown {
    /// Starts the wait that the runtime asked for.
    pub(crate) fn note(&self, asked: Option<Duration>) {
        if let Some(asked) = asked {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + asked.min(LONGEST));
        }
    }

    /// The remaining wait, if any.
    pub(crate) fn left(&self) -> Option<Duration> {
        let until = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

/// The `Retry-After` of a response that may have one (RFC 9110, section 10.2.3; RFC 6585, section 4). Without one, the
/// caller decides when to retry.
pub(crate) fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    bg_identity::retry_after(headers)
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_cooldown_is_as_long_as_requested_and_five_minutes_at_most() {
        for (status, asked, expected) in [
            (429, Some("7"), Some(7)),
            (503, Some("0"), None),
            (503, Some("3"), Some(3)),
            (429, Some("18446744073709551615"), Some(300)),
            (429, Some("-1"), None),
            (429, Some("Wed, 21 Oct 2099 07:28:00 GMT"), Some(300)),
            (503, Some("Sun, 06 Nov 1994 08:49:37 GMT"), None),
            (429, Some("tomorrow"), None),
            (429, None, None),
            (200, Some("7"), None),
            (500, Some("7"), None),
        ] {
            let rest = Cooldown::default();
            let headers = asked.iter().map(|text| (RETRY_AFTER, text.parse().unwrap())).collect();
            rest.note(retry_after(StatusCode::from_u16(status).unwrap(), &headers));
            assert_eq!(rest.left().map(|left| left.as_secs()), expected, "{status} {asked:?}");
            tokio::time::advance(Duration::from_secs(expected.unwrap_or(0))).await;
            assert_eq!(rest.left(), None);
        }
    }
}
