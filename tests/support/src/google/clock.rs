//! Times, in the two forms of Google's answers.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock, Unix milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A time in UTC, in the Gregorian calendar.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    weekday: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millis: u64,
}

/// Counts in years that start in March, so that the leap day is the last one, and in eras of 400 years, which all have
/// 146,097 days.
fn civil(unix_ms: u64) -> Civil {
    let (seconds, millis) = (unix_ms / 1000, unix_ms % 1000);
    let days = seconds / 86_400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let from_era_zero = days + 719_468;
    let (era, day_of_era) = (from_era_zero / 146_097, from_era_zero % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    Civil {
        year: era * 400 + year_of_era + u64::from(month <= 2),
        month,
        day: day_of_year - (153 * march_month + 2) / 5 + 1,
        // 1970-01-01 was a Thursday.
        weekday: (days + 4) % 7,
        hour: seconds / 3600 % 24,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        millis,
    }
}

/// RFC 3339, UTC, with milliseconds: `2026-01-31T09:30:00.000Z`.
pub(crate) fn rfc3339(unix_ms: u64) -> String {
    let Civil { year, month, day, hour, minute, second, millis, .. } = civil(unix_ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// RFC 3339 with an offset from UTC in minutes: `2026-01-31T01:30:00-08:00`, or `…Z` for none.
pub(crate) fn rfc3339_at(unix_ms: u64, offset: i64) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = civil(unix_ms.saturating_add_signed(offset * 60_000));
    let zone = match offset {
        0 => "Z".to_owned(),
        _ => format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 60, offset.abs() % 60),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
}

/// A day: `2026-01-31`.
pub(crate) fn day(unix_ms: u64) -> String {
    let Civil { year, month, day, .. } = civil(unix_ms);
    format!("{year:04}-{month:02}-{day:02}")
}

/// What [`rfc3339_at`] writes, and RFC 3339 with fractions, as Unix milliseconds.
pub(crate) fn parse_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, zone) = time.split_at(time.find(['Z', '+', '-'])?);
    let mut clock = clock.split([':', '.']).map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let offset = match zone.split_at(1) {
        ("Z", _) => 0,
        (sign, rest) => {
            let (hours, minutes) = rest.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if sign == "-" { -minutes } else { minutes }
        }
    };
    // The inverse of `civil`: years start in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days =
        year / 400 * 146_097 + (year % 400) * 365 + (year % 400) / 4 - (year % 400) / 100 + (153 * month + 2) / 5 + day
            - 1;
    let seconds = (days.checked_sub(719_468)?) * 86_400 + hour * 3600 + minute * 60 + second;
    (seconds * 1000).checked_add_signed(-offset * 60_000)
}

/// The form of a mail's `Date`: `Sat, 31 Jan 2026 09:30:00 +0000`.
pub(crate) fn mail_date(unix_ms: u64) -> String {
    const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Civil { year, month, day, weekday, hour, minute, second, .. } = civil(unix_ms);
    let name = |names: &[&'static str], index: u64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or_default()
    };
    let (weekday, month) = (name(&WEEKDAYS, weekday), name(&MONTHS, month - 1));
    format!("{weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        for (unix_ms, internet, mail) in [
            (0, "1970-01-01T00:00:00.000Z", "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_000_000_000_123, "2001-09-09T01:46:40.123Z", "Sun, 9 Sep 2001 01:46:40 +0000"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z", "Tue, 31 Dec 2024 23:59:59 +0000"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z", "Mon, 1 Mar 2100 00:00:00 +0000"),
        ] {
            assert_eq!(rfc3339(unix_ms), internet);
            assert_eq!(parse_rfc3339(internet), Some(unix_ms / 1000 * 1000), "{internet}");
            assert_eq!(mail_date(unix_ms), mail);
        }
    }

    #[test]
    fn offsets_are_minutes_from_utc() {
        for (offset, text) in
            [(0, "2001-09-09T01:46:40Z"), (-480, "2001-09-08T17:46:40-08:00"), (90, "2001-09-09T03:16:40+01:30")]
        {
            assert_eq!(rfc3339_at(1_000_000_000_000, offset), text);
            assert_eq!(parse_rfc3339(text), Some(1_000_000_000_000), "{text}");
        }
        assert_eq!(day(1_000_000_000_000), "2001-09-09");
        assert_eq!(parse_rfc3339("tomorrow"), None);
    }
}
