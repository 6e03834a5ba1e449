//! Times, as people write them.

use std::time::Duration;

/// Seconds, as the original counts, or a number with `ms`, `s`, `m` or `h`; between 100 ms and 7 days.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a time is a number of seconds, or a number with ms, s, m or h, such as 60, 500ms, 2s or 5m";
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| FORM)?;
    let millis = match unit {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(FORM.into()),
    };
    match millis {
        Some(millis @ 100..=604_800_000) => Ok(Duration::from_millis(millis)),
        _ => Err("a time is at least 100ms and at most 7 days".into()),
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
