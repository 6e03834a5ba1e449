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

use crate::args::{EgressMode, GrantAll, RefreshUrl, RunArgs, Setting, parse_duration};
use crate::limits::LimitSetting;
use crate::pins::Pin;

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
    oauth_refresh_url: Option<Parsed<RefreshUrl>>,
    charm_api_url: Option<Parsed<Url>>,
    egress: Option<EgressMode>,
    #[serde(default)]
    limits: LimitTable,
    interval: Option<Interval>,
    log_interval: Option<Interval>,
    min_interval: Option<Interval>,
    #[serde(default, deserialize_with = "within::<0, 100, _>")]
    jitter: Option<u32>,
    max_concurrent: Option<std::num::NonZeroU32>,
    per_integration: Option<std::num::NonZeroU32>,
    per_space: Option<std::num::NonZeroU32>,
    #[serde(default, deserialize_with = "within::<1, 1_000, _>")]
    keep_runs: Option<u32>,
    failures: Option<std::num::NonZeroU32>,
    #[serde(default)]
    charms: Vec<Parsed<CharmRef>>,
    #[serde(default)]
    set: BTreeMap<Parsed<IntegrationId>, BTreeMap<String, String>>,
    #[serde(default)]
    sha256: PinTable,
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

/// A number as the command line takes it: from `LEAST` to `MOST`.
fn within<'de, const LEAST: u32, const MOST: u32, D: Deserializer<'de>>(
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
struct PinTable(Vec<Pin>);

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
struct LimitTable(Vec<LimitSetting>);

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
    args.handlers.charm_api_url = args.handlers.charm_api_url.take().or(file.charm_api_url.map(|url| url.0));
    args.handlers.oauth_refresh_url =
        args.handlers.oauth_refresh_url.take().or(file.oauth_refresh_url.map(|url| url.0));
    args.handlers.egress = args.handlers.egress.or(file.egress);
    // The command line's come last, and the last one counts.
    let mut limits = file.limits.0;
    limits.append(&mut args.handlers.limit);
    args.handlers.limit = limits;
    args.interval = args.interval.or(file.interval.map(|interval| interval.0));
    args.log_interval = args.log_interval.or(file.log_interval.map(|interval| interval.0));
    args.min_interval = args.min_interval.or(file.min_interval.map(|interval| interval.0));
    args.jitter = args.jitter.or(file.jitter.and_then(|percent| u8::try_from(percent).ok()));
    args.max_concurrent = args.max_concurrent.or(file.max_concurrent.map(Into::into));
    args.per_integration = args.per_integration.or(file.per_integration.map(Into::into));
    args.per_space = args.per_space.or(file.per_space.map(Into::into));
    args.handlers.keep_runs = args.handlers.keep_runs.or(file.keep_runs);
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
    // The command line's pins of an integration are all that count for it.
    let (ours, theirs) = (std::mem::take(&mut args.sha256), file.sha256.0);
    args.sha256 = theirs.into_iter().filter(|pin| !ours.iter().any(|own| own.is_of_the_same(pin))).collect();
    args.sha256.extend(ours);
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
            egress = "report"
            [limits]
            charm-time = "5s"
            charm-memory = "256MiB"
            log-lines = 20
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
        args.handlers.limit = vec!["charm-time=9s".parse().unwrap()];
        merge(&mut args, file, Path::new("/etc/bg"));
        assert_eq!(args.component, [PathBuf::from("other.wasm"), PathBuf::from("/etc/bg/gmail.wasm")]);
        assert_eq!(args.interval, Some(Duration::from_secs(5)));
        assert_eq!(args.log_interval, Some(Duration::from_mins(1)));
        assert_eq!(args.failures, Some(3));
        assert_eq!(args.grants.allow_http.len(), 1);
        assert_eq!(args.grants.set[0].value, "http://127.0.0.1:9000");
        assert_eq!(args.handlers.egress, Some(EgressMode::Report));
        let limits = args.handlers.limits().sandbox;
        assert_eq!((limits.charm_time.as_secs(), limits.charm_memory >> 20, limits.log_lines), (9, 256, 20));
    }

    #[test]
    fn the_command_lines_pins_of_an_integration_are_all_that_count_for_it() {
        let pin = |name: &str, digit: &str| Pin::new(name.parse().unwrap(), &digit.repeat(64)).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|digit| digit.repeat(64));
        let text = format!("[sha256]\ngmail = [\"{a}\", \"{b}\"]\ngcal = \"{c}\"");
        for (ours, all) in [
            (vec![], vec![pin("gcal", "c"), pin("gmail", "a"), pin("gmail", "b")]),
            (vec![pin("gmail", "d")], vec![pin("gcal", "c"), pin("gmail", "d")]),
        ] {
            let mut args = RunArgs { sha256: ours, ..RunArgs::default() };
            merge(&mut args, toml::from_str(&text).unwrap(), Path::new(""));
            assert_eq!(args.sha256, all);
        }
    }

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        for (text, shown) in [
            ("intervall = 3", "unknown field `intervall`"),
            ("interval = \"soon\"", "a time is a number of seconds"),
            ("failures = 0", "line 1"),
            ("\n\nallow-private = [\"nonsense\"]", "line 3"),
            ("charms = [\"x\"]", "<space DID>/<charm ID>"),
            ("egress = \"allow\"", "`enforce` or `report`"),
            ("jitter = 101", "101 is not between 0 and 100"),
            ("keep-runs = 0", "0 is not between 1 and 1000"),
            ("[sha256]\ngmail = 5", "a SHA-256, or a list of them"),
            ("[limits]\ncharm-tiem = 5", "there is no limit `charm-tiem`"),
            ("[limits]\ncharm-memory = 0", "out of range"),
            ("[limits]\ncharm-memory = true", "a number, or a text such as"),
        ] {
            let error = toml::from_str::<ConfigFile>(text).unwrap_err().to_string();
            assert!(error.contains(shown), "{text}: {error}");
        }
    }
}
