//! Limits as an operator sets them: those of the sandbox, of HTTP and of the server, by their names.

use bg_charm_api::names::nearest;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use bg_charm_runtime::TRANSPILATIONS;
use bg_egress::HttpLimits;
use bg_limits::{LimitValue, NamedLimit};
use bg_sandbox::Limits;
use bg_server::AdmissionLimits;

/// All limits that an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperatorLimits {
    /// What a call may take.
    pub(crate) sandbox: Limits,
    /// What of the network.
    pub(crate) http: HttpLimits,
    /// How many charms are transpiled at one time.
    pub(crate) transpilations: usize,
    /// What clients of the server may take.
    pub(crate) server: AdmissionLimits,
}

impl Default for OperatorLimits {
    fn default() -> Self {
        Self {
            sandbox: Limits::default(),
            http: HttpLimits::default(),
            transpilations: TRANSPILATIONS,
            server: AdmissionLimits::default(),
        }
    }
}

/// One of them, `charm-time=2m`: known, and within its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitSetting {
    name: String,
    value: String,
}

impl LimitSetting {
    /// Checks both parts.
    pub(crate) fn new(name: &str, value: &str) -> Result<Self, String> {
        let setting = Self { name: name.to_owned(), value: value.to_owned() };
        setting.apply(&mut OperatorLimits::default())?;
        Ok(setting)
    }

    fn apply(&self, limits: &mut OperatorLimits) -> Result<(), String> {
        let mut named = limits.by_name();
        let Some(limit) = named.iter_mut().find(|limit| limit.name == self.name) else {
            let known: Vec<&str> = named.iter().map(|limit| limit.name).collect();
            let meant = nearest(&self.name, known.iter().copied());
            let meant = meant.map(|known| format!("did you mean `{known}`? ")).unwrap_or_default();
            return Err(format!("there is no limit `{}`; {meant}there are {}", self.name, known.join(", ")));
        };
        limit.value.set(&self.value).map_err(|error| format!("{}: {error}", self.name))
    }
}

/// As it is written on the command line.
impl fmt::Display for LimitSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl FromStr for LimitSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("a limit is NAME=VALUE, such as charm-time=2m")?;
        Self::new(name, value)
    }
}

impl OperatorLimits {
    /// The defaults, with these settings; of two for one limit, the last counts.
    pub(crate) fn of(settings: &[LimitSetting]) -> Self {
        let mut limits = Self::default();
        for setting in settings {
            setting.apply(&mut limits).expect("a setting is checked when it is made");
        }
        limits
    }

    /// Every limit by its name.
    fn by_name(&mut self) -> Vec<NamedLimit<'_>> {
        let Self { sandbox, http, transpilations, server } = self;
        let mut all = sandbox.by_name();
        all.extend(http.by_name());
        all.push(NamedLimit { name: "transpilations", value: LimitValue::Count(transpilations) });
        all.extend(server.by_name());
        all
    }
}

/// The names, with their defaults, for the end of a help text.
pub(crate) fn help() -> String {
    let mut limits = OperatorLimits::default();
    let named = limits.by_name();
    let mut text = "Limits, and what they are unless set with --limit NAME=VALUE:".to_owned();
    for pair in named.chunks(2) {
        text.push_str("\n ");
        for limit in pair {
            // Writing to a string can't fail.
            let _ = write!(text, " {:<44}", format!("{}={}", limit.name, limit.value));
        }
        text.truncate(text.trim_end().len());
    }
    text.push_str("\nTimes, memory and requests are those of one call, http-requests-at-once-in-all those of one integration, or of all charms together; http-request-time, -bytes and -headers those of one request. What begins with server- is what clients of the server may take, in a second or at one time.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_in_the_help_with_its_default() {
        let help = help();
        let mut limits = OperatorLimits::default();
        let named = limits.by_name();
        assert_eq!(named.len(), help.matches('=').count() - 1);
        for limit in named {
            let shown = format!(" {}={}", limit.name, limit.value);
            assert!(help.contains(&shown), "{shown} is missing in {help}");
        }
    }

    #[test]
    fn names_are_told_apart_and_each_sets_its_own() {
        let mut limits = OperatorLimits::default();
        let names: Vec<&str> = limits.by_name().iter().map(|limit| limit.name).collect();
        for (place, name) in names.iter().enumerate() {
            assert!(!names[..place].contains(name), "{name} is there twice");
            let limits = OperatorLimits::of(&[LimitSetting::new(name, "1234").unwrap()]);
            let (mut limits, mut before) = (limits, OperatorLimits::default());
            let (now, before) = (limits.by_name(), before.by_name());
            for (now, before) in now.iter().zip(&before) {
                assert_eq!(
                    now.value.to_string() != before.value.to_string(),
                    now.name == *name,
                    "{name}: {}",
                    now.name
                );
            }
        }
    }

    #[test]
    fn the_last_setting_counts() {
        let settings = ["charm-time=5s", "http-requests=3", "charm-time=7s"].map(|text| text.parse().unwrap());
        let limits = OperatorLimits::of(&settings);
        assert_eq!((limits.sandbox.charm_time.as_secs(), limits.http.requests_per_call), (7, 3));
    }

    #[test]
    fn what_cannot_be_set_is_explained() {
        for (text, said) in [
            ("charm-time", "NAME=VALUE"),
            (
                "charm-tiem=5s",
                "there is no limit `charm-tiem`; did you mean `charm-time`? there are fetch-charms-time, is-valid-charm-time",
            ),
            ("charm_time=5s", "charm-time"),
            ("=5", "there is no limit ``"),
            ("charm-time=0", "charm-time: 0 is out of range"),
            ("charm-memory=lots", "charm-memory: `lots` is not a number of bytes"),
            ("http-requests=-1", "http-requests: `-1` is not a whole number"),
            ("http-requests=5000000000", "http-requests: 5000000000 is out of range"),
        ] {
            let error = text.parse::<LimitSetting>().unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
