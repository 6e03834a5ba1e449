//! Times on pages.

use std::time::Duration;

use bg_poller::UnixMillis;
use time::OffsetDateTime;

/// A time in the past, in UTC; the script turns it into a relative time.
pub(super) fn past(at: UnixMillis) -> String {
    element(at, "").unwrap_or_else(|| "never".to_owned())
}

/// A time in the future.
pub(super) fn due(at: UnixMillis) -> String {
    element(at, " data-due").unwrap_or_default()
}

fn element(at: UnixMillis, attribute: &str) -> Option<String> {
    if at.is_never() {
        return None;
    }
    let seconds = i64::try_from(at.0 / 1_000).ok()?;
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let month = u8::from(month);
    let (date, clock) = (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}:{minute:02}:{second:02}"));
    Some(format!("<time datetime=\"{date}T{clock}Z\"{attribute}>{date} {clock} UTC</time>"))
}

/// A duration, in its two largest units.
pub(super) fn duration(duration: Duration) -> String {
    let (millis, seconds) = (duration.as_millis(), duration.as_secs());
    match seconds {
        0 if millis < 10 => format!("{:.1} ms", duration.as_secs_f64() * 1_000.0),
        0 => format!("{millis} ms"),
        1..=59 if duration.subsec_millis() != 0 => format!("{:.1} s", duration.as_secs_f64()),
        1..=59 => format!("{seconds} s"),
        60..=3_599 if seconds % 60 == 0 => format!("{} min", seconds / 60),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds % 3_600 < 60 => format!("{} h", seconds / 3_600),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// Bytes, in the unit that fits.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=1_048_575 => format!("{:.0} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_for_machines_and_people() {
        assert_eq!(
            past(UnixMillis(1_700_000_000_999)),
            "<time datetime=\"2023-11-14T22:13:20Z\">2023-11-14 22:13:20 UTC</time>"
        );
        assert_eq!(
            due(UnixMillis(1)),
            "<time datetime=\"1970-01-01T00:00:00Z\" data-due>1970-01-01 00:00:00 UTC</time>"
        );
        assert_eq!(past(UnixMillis::NEVER), "never");
        assert_eq!(past(UnixMillis(u64::MAX)), "never");
    }

    #[test]
    fn durations_and_sizes_have_the_unit_that_fits() {
        for (millis, shown) in [
            (0, "0.0 ms"),
            (9, "9.0 ms"),
            (250, "250 ms"),
            (1_500, "1.5 s"),
            (20_000, "20 s"),
            (60_000, "1 min"),
            (90_000, "1 min 30 s"),
            (3_600_000, "1 h"),
            (5_400_000, "1 h 30 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), shown);
        }
        assert_eq!([bytes(100), bytes(65_536), bytes(3 << 19)], ["100 B", "64 KiB", "1.5 MiB"]);
    }
}
