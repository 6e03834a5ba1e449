//! Honours `Retry-After`: a runtime that asks for fewer requests gets none for a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
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

/// The `Retry-After` of a response (RFC 9110, section 10.2.3; RFC 6585, section 4): seconds, or a date, which is
/// relative to the response's `Date`, not to the local clock. Without one, the caller decides when to retry.
pub(crate) fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let answered = headers.get(DATE).and_then(|text| date(text.to_str().ok()?)).unwrap_or_else(SystemTime::now);
    // A date in the past means now.
    Some(date(text)?.duration_since(answered).unwrap_or_default())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_date_is_relative_to_that_of_the_response_in_each_of_its_forms() {
        for (asked, date, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:30 GMT", 7),
            ("Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:30 GMT", 7),
            ("Sun Nov  6 08:49:37 1994", "Sunday, 06-Nov-94 08:49:30 GMT", 7),
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:40 GMT", 0),
            // By the local clock.
            ("Sun, 06 Nov 1994 08:49:37 GMT", "now", 0),
        ] {
            let headers = [(RETRY_AFTER, asked), (DATE, date)].map(|(name, text)| (name, text.parse().unwrap()));
            let waits = retry_after(StatusCode::TOO_MANY_REQUESTS, &headers.into_iter().collect());
            assert_eq!(waits, Some(Duration::from_secs(expected)), "{asked} {date}");
        }
    }
}
