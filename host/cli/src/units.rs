//! Times as people write them.

use std::time::Duration;

use bg_identity::units::parse_millis;

/// Seconds, like the original's, or a number with `ms`, `s`, `m` or `h`; between 100 ms and 7 days.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a time is a number of seconds, or a number with ms, s, m or h, such as 60, 500ms, 2s or 5m";
    match parse_millis(text) {
        Some(millis @ 100..=604_800_000) => Ok(Duration::from_millis(millis)),
        Some(_) => Err("a time is at least 100ms and at most 7 days".into()),
        None => Err(FORM.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        for (text, millis) in [("60", 60_000), ("2s", 2_000), ("500ms", 500), ("5m", 300_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "1.5", "1d", "0", "99ms", "8000000000h", "18446744073709551615h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
