//! `Retry-After`: for how long a server wants no requests.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The `Retry-After` of a response (RFC 9110, section 10.2.3): seconds, or a date, which is relative to the response's
/// `Date`, not to the local clock. A date in the past means now.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let answered = headers.get(DATE).and_then(|text| date(text.to_str().ok()?)).unwrap_or_else(SystemTime::now);
    Some(date(text)?.duration_since(answered).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let waits = retry_after(&headers.into_iter().collect());
            assert_eq!(waits, Some(Duration::from_secs(expected)), "{asked} {date}");
        }
    }
}
