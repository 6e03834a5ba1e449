//! Poll intervals, written `20s`, `5m` or `1h`.

use std::time::Duration;

use bg_identity::units::parse_millis;
use serde::{Deserialize, Deserializer, Serializer, de};

/// A charm is polled at most once a second, and at least once a day.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(24);

fn parse(text: &str) -> Option<Duration> {
    // With a unit, and in whole seconds.
    let has_unit = text.ends_with(['s', 'm', 'h']) && !text.ends_with("ms");
    let interval = Duration::from_millis(parse_millis(text).filter(|_| has_unit)?);
    (SHORTEST..=LONGEST).contains(&interval).then_some(interval)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map(Some).ok_or_else(|| {
        de::Error::custom(
            "an interval is a whole number of seconds, minutes or hours, such as 20s, 5m or 1h, from 1s to 24h",
        )
    })
}

// serde passes the field by reference.
#[allow(clippy::ref_option)]
pub(crate) fn serialize<S: Serializer>(interval: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match interval {
        Some(interval) => serializer.serialize_str(&format!("{}s", interval.as_secs())),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read() {
        let cases = [
            ("1s", Some(1)),
            ("20s", Some(20)),
            ("5m", Some(300)),
            ("24h", Some(86_400)),
            ("0s", None),
            ("25h", None),
            ("", None),
            ("s", None),
            ("20", None),
            ("+20s", None),
            ("1.5s", None),
            ("20 s", None),
            ("20ms", None),
            ("20é", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text).map(|interval| interval.as_secs()), seconds, "{text}");
        }
    }
}
