//! When a service that refuses a query wants to be queried again.

use std::time::{Duration, SystemTime};

use crate::http::Response;

/// The wait after a response, in milliseconds, by its `Retry-After`: seconds, or a date in one of the three forms of
/// RFC 9110. A date is relative to the `Date` of the response, so that the clocks of the service and of this host may
/// differ; `now` is for responses without one.
pub(super) fn retry_after(response: &Response, now: u64) -> Option<u64> {
    let text = response.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let date = |text: &str| httpdate::parse_http_date(text.trim()).ok();
    let answered = response.header("date").and_then(date);
    let answered = answered.or_else(|| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(now)))?;
    // A date in the past means now.
    let wait = date(text)?.duration_since(answered).unwrap_or_default();
    Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-21 07:00:00.
    const NOW: u64 = 1_792_566_000_000;

    fn waits(retry_after: &str, date: Option<&str>) -> Option<u64> {
        let headers = [("retry-after", Some(retry_after)), ("date", date)];
        let headers =
            headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.as_bytes().to_vec())));
        super::retry_after(&Response { status: 503, headers: headers.collect(), body: Vec::new() }, NOW)
    }

    #[test]
    fn seconds_and_dates_in_each_of_their_forms_are_parsed() {
        for (text, expected) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("Wed, 21 Oct 2026 07:28:00 GMT", Some(28 * 60_000)),
            ("Wednesday, 21-Oct-26 07:28:00 GMT", Some(28 * 60_000)),
            ("Wed Oct 21 07:28:00 2026", Some(28 * 60_000)),
            ("Wed, 21 Oct 2026 06:28:00 GMT", Some(0)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(0)),
            ("Wed, 21 Oct 2026 07:28:00 CET", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(waits(text, None), expected, "{text}");
        }
    }

    #[test]
    fn a_date_is_relative_to_that_of_the_answer() {
        let at = "Wed, 21 Oct 2026 07:28:00 GMT";
        // The service's clock is an hour slow, right, and an hour fast.
        for (date, minutes) in [
            ("Wed, 21 Oct 2026 06:28:00 GMT", 60),
            ("Wednesday, 21-Oct-26 07:00:00 GMT", 28),
            ("Wed, 21 Oct 2026 08:28:00 GMT", 0),
            ("what?", 28),
        ] {
            assert_eq!(waits(at, Some(date)), Some(minutes * 60_000), "{date}");
        }
    }
}
