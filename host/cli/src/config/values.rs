//! The values of a configuration file, as they are written there.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use bg_identity::IntegrationId;
use serde::{Deserialize, Deserializer};

use crate::args::parse_duration;
use crate::limits::LimitSetting;
use crate::pins::Pin;

/// A value that is written as its text form.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parsed<T>(pub(super) T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error| serde::de::Error::custom(format_args!("`{text}`: {error}")))
    }
}

/// Seconds as a number, or a text with a unit.
#[derive(Debug, PartialEq)]
pub(super) struct Interval(pub(super) Duration);

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a number of seconds, or a text such as \"500ms\" or \"5m\"")]
        enum Written {
            Seconds(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => seconds.to_string(),
            Written::Text(text) => text,
        };
        parse_duration(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A number as the command line takes it: from `LEAST` to `MOST`.
pub(super) fn within<'de, const LEAST: u32, const MOST: u32, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    let number = u32::deserialize(deserializer)?;
    if (LEAST..=MOST).contains(&number) {
        return Ok(Some(number));
    }
    Err(serde::de::Error::custom(format_args!("{number} is not between {LEAST} and {MOST}")))
}

/// The digests of a file, by the integrations that they pin.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PinTable(pub(super) Vec<Pin>);

impl<'de> Deserialize<'de> for PinTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a SHA-256, or a list of them")]
        enum Written {
            One(String),
            Several(Vec<String>),
        }
        let written = BTreeMap::<Parsed<IntegrationId>, Written>::deserialize(deserializer)?;
        let pins = written.into_iter().flat_map(|(Parsed(integration), written)| {
            let digests = match written {
                Written::One(digest) => vec![digest],
                Written::Several(digests) => digests,
            };
            digests.into_iter().map(move |digest| Pin::new(integration.clone(), &digest))
        });
        pins.collect::<Result<_, _>>().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The limits of a file, by their names; values are texts, or numbers.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LimitTable(pub(super) Vec<LimitSetting>);

impl<'de> Deserialize<'de> for LimitTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a number, or a text such as \"64MiB\" or \"5s\"")]
        enum Written {
            Number(u64),
            Text(String),
        }
        let written = BTreeMap::<String, Written>::deserialize(deserializer)?;
        let settings = written.into_iter().map(|(name, value)| match value {
            Written::Number(number) => LimitSetting::new(&name, &number.to_string()),
            Written::Text(text) => LimitSetting::new(&name, &text),
        });
        settings.collect::<Result<_, _>>().map(Self).map_err(serde::de::Error::custom)
    }
}
