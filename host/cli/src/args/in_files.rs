//! The values of options with their own types, in the form of configuration files.

use std::collections::BTreeMap;
use std::path::Path;

use bg_identity::IntegrationId;
use clap::ValueEnum as _;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::grants::GrantAll;
use super::handlers::EgressMode;
use super::pin::Pin;
use super::server::Registration;
use super::tenants::Size;
use super::values::{RefreshUrl, Setting};
use crate::limits::LimitSetting;
use crate::options::{Listed, Parsed, Value, last, written_as_text};

written_as_text!(RefreshUrl, Size);

macro_rules! chosen_by_name {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }

            fn shown(&self) -> String {
                self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
            }
        }
    )*};
}

chosen_by_name!(EgressMode, GrantAll, Registration);

/// By integration: a digest, or several.
impl Listed for Pin {
    fn read_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error> {
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
            digests.into_iter().map(move |digest| Self::new(integration.clone(), &digest))
        });
        pins.collect::<Result<_, _>>().map_err(D::Error::custom)
    }

    /// If the command line pins an integration, only these pins apply to it.
    fn merge_all(own: &mut Vec<Self>, mut file: Vec<Self>, _base: &Path) {
        file.retain(|pin| !own.iter().any(|one| one.is_of_the_same(pin)));
        last(own, file);
    }

    fn line(&self) -> String {
        self.to_string()
    }
}

/// By integration and key.
impl Listed for Setting {
    fn read_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error> {
        let written = BTreeMap::<Parsed<IntegrationId>, BTreeMap<String, String>>::deserialize(deserializer)?;
        let settings = written.into_iter().flat_map(|(Parsed(integration), values)| {
            values.into_iter().map(move |(key, value)| Self { integration: integration.clone(), key, value })
        });
        Ok(settings.collect())
    }

    fn merge_all(own: &mut Vec<Self>, file: Vec<Self>, _base: &Path) {
        last(own, file);
    }

    fn line(&self) -> String {
        format!("{}.{} = {}", self.integration, self.key, self.value)
    }
}

/// By name; values are texts or numbers.
impl Listed for LimitSetting {
    fn read_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a number, or a text such as \"64MiB\" or \"5s\"")]
        enum Written {
            Number(u64),
            Text(String),
        }
        let written = BTreeMap::<String, Written>::deserialize(deserializer)?;
        let settings = written.into_iter().map(|(name, value)| match value {
            Written::Number(number) => Self::new(&name, &number.to_string()),
            Written::Text(text) => Self::new(&name, &text),
        });
        settings.collect::<Result<_, _>>().map_err(D::Error::custom)
    }

    fn merge_all(own: &mut Vec<Self>, file: Vec<Self>, _base: &Path) {
        last(own, file);
    }

    fn line(&self) -> String {
        self.to_string()
    }
}
