//! Values of options in a configuration file.

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_manifest::{CharmCredential, HttpGrant, OperatorGrant, Origin};
use bg_poller::CharmRef;
use bg_server::AllowedOrigin;
use clap::builder::{MapValueParser, RangedI64ValueParser, TypedValueParser as _, ValueParserFactory};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{Listed, Value};
use crate::units::parse_duration;

/// A value that is written as its text form.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parsed<T>(pub(crate) T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error| D::Error::custom(format_args!("`{text}`: {error}")))
    }
}

macro_rules! written_as_text {
    ($($type:ty),*) => {$(
        impl $crate::options::Value for $type {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <$crate::options::Parsed<Self> as serde::Deserialize>::deserialize(deserializer).map(|parsed| parsed.0)
            }

            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

pub(crate) use written_as_text;

written_as_text!(AllowedOrigin, CharmCredential, HttpGrant, IntegrationId, OperatorGrant, Origin, SocketAddr, Url);

macro_rules! written_as_is {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }

            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

written_as_is!(NonZeroU32, String, u64);

impl Listed for CharmRef {
    fn read_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error> {
        Ok(Vec::<Parsed<Self>>::deserialize(deserializer)?.into_iter().map(|parsed| parsed.0).collect())
    }

    /// The command line replaces the file's list.
    fn merge_all(own: &mut Vec<Self>, file: Vec<Self>, _base: &Path) {
        if own.is_empty() {
            *own = file;
        }
    }

    fn line(&self) -> String {
        self.to_string()
    }
}

impl Value for PathBuf {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }

    fn below(self, base: &Path) -> Self {
        base.join(self)
    }

    fn shown(&self) -> String {
        self.display().to_string()
    }
}

/// Seconds as a number, or a text with a unit.
impl Value for Duration {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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
        parse_duration(&text).map_err(D::Error::custom)
    }

    fn shown(&self) -> String {
        format!("{self:?}")
    }

    fn default_shown(text: &str) -> String {
        parse_duration(text).map_or_else(|_| text.to_owned(), |time| time.shown())
    }
}

/// A number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count<const LEAST: u32, const MOST: u32>(pub(crate) u32);

impl<const LEAST: u32, const MOST: u32> Count<LEAST, MOST> {
    /// As a `usize`.
    pub(crate) fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const LEAST: u32, const MOST: u32> ValueParserFactory for Count<LEAST, MOST> {
    type Parser = MapValueParser<RangedI64ValueParser<u32>, fn(u32) -> Self>;

    fn value_parser() -> Self::Parser {
        RangedI64ValueParser::new().range(i64::from(LEAST)..=i64::from(MOST)).map(Self)
    }
}

impl<const LEAST: u32, const MOST: u32> Value for Count<LEAST, MOST> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        if (LEAST..=MOST).contains(&number) {
            return Ok(Self(number));
        }
        Err(D::Error::custom(format_args!("{number} is not between {LEAST} and {MOST}")))
    }

    fn shown(&self) -> String {
        self.0.to_string()
    }
}

/// A percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percent(Count<0, 100>);

impl Percent {
    /// As a fraction of one.
    pub(crate) fn fraction(self) -> f64 {
        f64::from(self.0.0) / 100.0
    }
}

impl ValueParserFactory for Percent {
    type Parser = MapValueParser<<Count<0, 100> as ValueParserFactory>::Parser, fn(Count<0, 100>) -> Self>;

    fn value_parser() -> Self::Parser {
        Count::value_parser().map(Self)
    }
}

impl Value for Percent {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Count::read(deserializer).map(Self)
    }

    fn shown(&self) -> String {
        Self::default_shown(&self.0.shown())
    }

    fn default_shown(text: &str) -> String {
        format!("{text} %")
    }
}

/// Puts the command line's values after the file's: the last value for a name wins.
pub(crate) fn last<T>(own: &mut Vec<T>, file: Vec<T>) {
    own.splice(0..0, file);
}
