//! Times and sizes as people write them: a whole number with a unit.

use std::fmt;
use std::time::Duration;

/// A time is shown in the first unit that divides it.
const TIMES: [(&str, u64); 3] = [("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

/// The milliseconds of `500ms`, `5s` (or `5`), `2m` or `1h`. Saturates.
pub fn parse_millis(text: &str) -> Option<u64> {
    let further = [("", 1_000), ("h", 3_600_000)];
    parse(text, TIMES.iter().chain(&further))
}

/// The bytes of `4096`, `64KiB`, `64MiB`, `1GiB` or `2TiB`. Saturates.
pub fn parse_bytes(text: &str) -> Option<u64> {
    parse(text, SIZES.iter())
}

fn parse<'u>(text: &str, mut units: impl Iterator<Item = &'u (&'u str, u64)>) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let (_, factor) = units.find(|(name, _)| *name == unit)?;
    (!number.is_empty()).then(|| number.parse().unwrap_or(u64::MAX).saturating_mul(*factor))
}

/// Milliseconds, in the form that [`parse_millis`] accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(pub u64);

/// Bytes, in the form that [`parse_bytes`] accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.0, &TIMES)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.0, &SIZES)
    }
}

fn show(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let unit = units.iter().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    let (unit, factor) = unit.or(units.last()).copied().unwrap_or(("", 1));
    write!(f, "{}{unit}", value / factor)
}

/// A time in a sentence: `5 s`, `500 ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis if millis.is_multiple_of(1000) => write!(f, "{} s", millis / 1000),
            millis => write!(f, "{millis} ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_and_shown_with_their_units() {
        for (text, millis, shown) in [
            ("60", 60_000, "1m"),
            ("90s", 90_000, "90s"),
            ("500ms", 500, "500ms"),
            ("1500ms", 1_500, "1500ms"),
            ("5m", 300_000, "5m"),
            ("1h", 3_600_000, "60m"),
            ("0", 0, "0ms"),
        ] {
            assert_eq!(parse_millis(text), Some(millis), "{text}");
            assert_eq!(Millis(millis).to_string(), shown);
            assert_eq!(parse_millis(shown), Some(millis), "{shown}");
        }
        for text in ["", "s", "-1", "+1s", "1.5", "1 s", "1d", "20é", "5MiB"] {
            assert_eq!(parse_millis(text), None, "{text}");
        }
        for text in ["99999999999999999999", "18446744073709551615h"] {
            assert_eq!(parse_millis(text), Some(u64::MAX), "{text}");
        }
    }

    #[test]
    fn sizes_are_parsed_and_shown_with_their_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("1048577", 1_048_577),
            ("4KiB", 4096),
            ("64MiB", 64 << 20),
            ("3GiB", 3 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!((parse_bytes(text), Bytes(bytes).to_string().as_str()), (Some(bytes), text));
        }
        for text in ["", "MiB", "-1", "1.5GiB", "64MB", "1 MiB", "5s"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
        assert_eq!(parse_bytes("99999999999TiB"), Some(u64::MAX));
    }

    #[test]
    fn a_time_in_a_sentence_has_whole_seconds_or_milliseconds() {
        for (millis, shown) in [(5_000, "5 s"), (1_500, "1500 ms"), (0, "0 s"), (20, "20 ms")] {
            assert_eq!(Seconds(Duration::from_millis(millis)).to_string(), shown);
        }
    }
}
