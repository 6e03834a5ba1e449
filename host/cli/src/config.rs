//! The configuration file of `run`: the same options as on the command line, in TOML.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bg_identity::IntegrationId;
use bg_manifest::{HttpGrant, OperatorGrant, Origin};
use bg_poller::CharmRef;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::args::{GrantAll, RunArgs, Setting, parse_duration};

/// What a configuration file may say. Every key is optional; an unknown one is an error.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ConfigFile {
    #[serde(default)]
    components: Vec<PathBuf>,
    #[serde(default)]
    allow_http: Vec<Parsed<OperatorGrant>>,
    #[serde(default)]
    allow_charm_http: Vec<Parsed<HttpGrant>>,
    #[serde(default)]
    allow_private: Vec<Parsed<Origin>>,
    grant: Option<GrantAll>,
    oauth_refresh_url: Option<Parsed<Url>>,
    interval: Option<Interval>,
    log_interval: Option<Interval>,
    max_concurrent: Option<std::num::NonZeroU32>,
    failures: Option<std::num::NonZeroU32>,
    #[serde(default)]
    charms: Vec<Parsed<CharmRef>>,
    #[serde(default)]
    set: BTreeMap<Parsed<IntegrationId>, BTreeMap<String, String>>,
}

/// A value that is written as its text form.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error| serde::de::Error::custom(format_args!("`{text}`: {error}")))
    }
}

/// Seconds as a number, or a text with a unit.
#[derive(Debug, PartialEq)]
struct Interval(Duration);

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

/// A configuration file that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It can't be read.
    #[error("cannot read the configuration file {}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    /// It says something wrong; the text shows the line.
    #[error("the configuration file {} is wrong: {error}", path.display())]
    Parse { path: PathBuf, error: Box<toml::de::Error> },
}

/// Adds what the file says to `args`: what the command line gave wins, lists add up. Paths in the file are relative to it.
pub(crate) fn merge_file(args: &mut RunArgs, path: &Path) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.into(), error })?;
    let file: ConfigFile =
        toml::from_str(&text).map_err(|error| ConfigError::Parse { path: path.into(), error: Box::new(error) })?;
    merge(args, file, path.parent().unwrap_or(Path::new("")));
    Ok(())
}

fn merge(args: &mut RunArgs, file: ConfigFile, base: &Path) {
    args.component.extend(file.components.into_iter().map(|component| base.join(component)));
    args.grants.allow_http.extend(file.allow_http.into_iter().map(|parsed| parsed.0));
    args.handlers.allow_private.extend(file.allow_private.into_iter().map(|parsed| parsed.0));
    args.grants.grant = args.grants.grant.or(file.grant);
    args.handlers.allow_charm_http.extend(file.allow_charm_http.into_iter().map(|parsed| parsed.0));
    args.handlers.oauth_refresh_url =
        args.handlers.oauth_refresh_url.take().or(file.oauth_refresh_url.map(|url| url.0));
    args.interval = args.interval.or(file.interval.map(|interval| interval.0));
    args.log_interval = args.log_interval.or(file.log_interval.map(|interval| interval.0));
    args.max_concurrent = args.max_concurrent.or(file.max_concurrent.map(Into::into));
    args.failures = args.failures.or(file.failures.map(Into::into));
    if args.charms.is_empty() {
        args.charms = file.charms.into_iter().map(|parsed| parsed.0).collect();
    }
    // The command line's settings come last, and the last one counts.
    let mut set: Vec<Setting> = Vec::new();
    for (Parsed(integration), values) in file.set {
        for (key, value) in values {
            set.push(Setting { integration: integration.clone(), key, value });
        }
    }
    set.append(&mut args.grants.set);
    args.grants.set = set;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_file_and_lists_add_up() {
        let file: ConfigFile = toml::from_str(
            r#"
            components = ["gmail.wasm"]
            interval = "20s"
            log-interval = 60
            failures = 3
            allow-http = ["gmail=https://gmail.googleapis.com/gmail/v1/"]
            [set.gmail]
            api-base-url = "http://127.0.0.1:9000"
            "#,
        )
        .unwrap();
        let mut args = RunArgs {
            component: vec!["other.wasm".into()],
            interval: Some(Duration::from_secs(5)),
            ..RunArgs::default()
        };
        merge(&mut args, file, Path::new("/etc/bg"));
        assert_eq!(args.component, [PathBuf::from("other.wasm"), PathBuf::from("/etc/bg/gmail.wasm")]);
        assert_eq!(args.interval, Some(Duration::from_secs(5)));
        assert_eq!(args.log_interval, Some(Duration::from_mins(1)));
        assert_eq!(args.failures, Some(3));
        assert_eq!(args.grants.allow_http.len(), 1);
        assert_eq!(args.grants.set[0].value, "http://127.0.0.1:9000");
    }

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        for (text, shown) in [
            ("intervall = 3", "unknown field `intervall`"),
            ("interval = \"soon\"", "a time is a number of seconds"),
            ("failures = 0", "line 1"),
            ("\n\nallow-private = [\"nonsense\"]", "line 3"),
            ("charms = [\"x\"]", "<space DID>/<charm ID>"),
        ] {
            let error = toml::from_str::<ConfigFile>(text).unwrap_err().to_string();
            assert!(error.contains(shown), "{text}: {error}");
        }
    }
}
